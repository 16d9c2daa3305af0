"""The ledger for other tools: Parquet tables of exchanges, meters, verdicts, topology and blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market.errors import LedgerError
from market.exchanges import EXCHANGE, METER, Kind
from market.ledger.format.header import decode_header
from market.ledger.format.records import TOPOLOGY, VERDICT, RecordBytes, RecordKind
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import records_of

TABLES = {
    "exchanges": (EXCHANGE, range(1, Kind.METER)),
    "meters": (METER, range(Kind.METER, Kind.METER + 1)),
    "verdicts": (VERDICT, range(RecordKind.VERDICT, RecordKind.VERDICT + 1)),
    "topology": (TOPOLOGY, range(RecordKind.TOPOLOGY, RecordKind.TOPOLOGY + 1)),
}


def export_tables(store: Store, folder: Path) -> dict[str, int]:
    """Write `exchanges`, `meters`, `verdicts`, `topology` and `blocks` as Parquet files; returns their numbers of rows.

    Raises
    ------
    LedgerError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {name: _write(store, folder / f"{name}.parquet", name) for name in (*TABLES, "blocks")}
    except OSError as reason:
        raise LedgerError(f"{folder}: expected a folder that can be written, got {reason}") from reason


def _write(store: Store, path: Path, name: str) -> int:
    partial, writer, n_rows = path.with_name(f".{path.name}.partial"), None, 0
    for group in store.groups(4096):
        table = _blocks(group) if name == "blocks" else _rows(group, *TABLES[name])
        writer = writer or pq.ParquetWriter(partial, table.schema, compression="zstd")
        writer.write_table(table)
        n_rows += table.num_rows
    if writer is None:
        raise LedgerError(f"{store.path}: expected a ledger with blocks, found none")
    writer.close()
    os.replace(partial, path)
    return n_rows


def _rows(group: list[StoredBlock], layout: np.dtype[Any], kinds: range) -> pa.Table:
    bodies = [records_of(block.records) for block in group]
    chosen = [body[(body[:, 0] >= kinds.start) & (body[:, 0] < kinds.stop)] for body in bodies]
    rows = np.concatenate(chosen).view(layout).reshape(-1)
    columns = {name: np.ascontiguousarray(rows[name]) for name in layout.names or () if name != "reserved"}
    return pa.table({"height": np.repeat([block.height for block in group], _sizes(chosen)), **columns})


def _sizes(bodies: list[RecordBytes]) -> list[int]:
    return [body.shape[0] for body in bodies]


def _blocks(group: list[StoredBlock]) -> pa.Table:
    fields: dict[str, list[Any]] = {}
    for block in group:
        for name, value in _header(block):
            fields.setdefault(name, []).append(value)
    return pa.table(fields)


def _header(block: StoredBlock) -> Iterator[tuple[str, Any]]:
    for name, value in decode_header(block.header)._asdict().items():
        yield name, value.hex() if isinstance(value, bytes) else value
    yield "hash", block.hash.hex()
