"""Export the ledger as Parquet tables of exchanges, meters, verdicts, topology and blocks, for other tools."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market.errors import LedgerError
from market.exchanges import Kind
from market.ledger.books.bookkeeper import read_terms
from market.ledger.durable import free_partial_path, report_unwritable
from market.ledger.format.records import CHARGES_PARAMETER, ENVELOPE_PARAMETER, LAYOUTS, RecordKind, read_parameters
from market.ledger.format.version import find_version, has_devices, has_phases
from market.ledger.read.show import show_header
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import decode_records

TABLES = {
    "exchanges": range(1, Kind.METER),
    "meters": range(Kind.METER, Kind.METER + 1),
    "orders": range(RecordKind.ORDER, RecordKind.ORDER + 1),
    "verdicts": range(RecordKind.VERDICT, RecordKind.VERDICT + 1),
    "phases": range(RecordKind.PHASES, RecordKind.PHASES + 1),
    "devices": range(RecordKind.FLEXIBLE, RecordKind.FLEXIBLE + 1),
    "envelopes": range(RecordKind.ENVELOPE, RecordKind.ENVELOPE + 1),
    "terms": range(RecordKind.TERMS, RecordKind.TERMS + 1),
    "charges": range(RecordKind.CHARGE, RecordKind.CHARGE + 1),
    "topology": range(RecordKind.TOPOLOGY, RecordKind.TOPOLOGY + 1),
}
"""Kinds of records in each table; those of one table have the same layout."""


def export_tables(store: Store, folder: Path) -> dict[str, int]:
    """Write the tables and `blocks` as Parquet files into a folder; returns how many rows each has.

    Orders, phases, devices that can wait, envelopes and charges are tables only where the ledger records them.

    Raises
    ------
    LedgerError
        If the folder cannot be written.
    """
    with report_unwritable(folder, "folder"):
        folder.mkdir(parents=True, exist_ok=True)
        genesis = decode_records(store.block(0).records)
        version = find_version(genesis)
        recorded = {"orders": read_terms(genesis).facts, "phases": has_phases(version), "devices": has_devices(version)}
        parameters = read_parameters(genesis)
        recorded["envelopes"] = ENVELOPE_PARAMETER in parameters
        recorded["terms"] = recorded["charges"] = CHARGES_PARAMETER in parameters
        names = [name for name in (*TABLES, "blocks") if recorded.get(name, True)]
        return {name: _write(store, folder / f"{name}.parquet", name) for name in names}


def _write(store: Store, path: Path, name: str) -> int:
    partial, writer, n_rows = free_partial_path(path), None, 0
    for group in store.groups(4096):
        table = _list_blocks(group) if name == "blocks" else _select_rows(group, TABLES[name])
        writer = writer or pq.ParquetWriter(partial, table.schema, compression="zstd")
        writer.write_table(table)
        n_rows += table.num_rows
    if writer is None:
        raise LedgerError(f"{store.path}: expected a ledger with blocks, found none")
    writer.close()
    os.replace(partial, path)
    return n_rows


def _select_rows(group: list[StoredBlock], kinds: range) -> pa.Table:
    bodies = [decode_records(block.records) for block in group]
    chosen = [body[(body[:, 0] >= kinds.start) & (body[:, 0] < kinds.stop)] for body in bodies]
    rows = np.concatenate(chosen).view(LAYOUTS[kinds.start]).reshape(-1)
    height = np.repeat([block.height for block in group], [len(body) for body in chosen])
    names = [name for name in rows.dtype.names or () if name != "reserved"]
    return pa.table({"height": height, **{name: np.ascontiguousarray(rows[name]) for name in names}})


def _list_blocks(group: list[StoredBlock]) -> pa.Table:
    table = pa.Table.from_pylist([show_header(block) for block in group])
    return table.drop_columns(["record", "signature"])
