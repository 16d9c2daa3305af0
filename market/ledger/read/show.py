"""Blocks for people: headers and records as named fields, nothing hidden, nothing rounded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from market.errors import LedgerError
from market.exchanges import Kind, Reason, Status
from market.ledger.crypto.keys import pseudonym
from market.ledger.format.header import decode_header
from market.ledger.format.records import (
    LAYOUTS,
    NONE,
    SIZE,
    Change,
    DeviceKind,
    RecordBytes,
    RecordKind,
    Role,
)
from market.ledger.read.account import Account
from market.ledger.store.registry import Registry, key_in_force
from market.ledger.store.store import Store, StoredBlock


def header_fields(block: StoredBlock) -> dict[str, Any]:
    """Fields of a block's header, hashes in hexadecimal."""
    header = decode_header(block.header)._asdict()
    shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in header.items()}
    return {"record": "header", **shown, "hash": block.hash.hex(), "signature": block.signature.hex()}


def record_fields(block: StoredBlock) -> list[dict[str, Any]]:
    """Fields of a block's records in their order; a record of unknown kind is shown as hexadecimal."""
    found = []
    for first in range(0, len(block.records), SIZE):
        found.append(bytes_fields(block.records[first : first + SIZE]))
    return found


def bytes_fields(body: bytes) -> dict[str, Any]:
    """Fields of one record."""
    layout = LAYOUTS.get(body[0])
    if layout is None:
        return {"record": "unknown", "bytes": body.hex()}
    row = np.frombuffer(body, layout)[0]
    names = [name for name in layout.names or () if name not in ("kind", "reserved")]
    return {"record": kind_name(body[0]), **{name: _plain(name, row[name], body[0]) for name in names}}


def kind_name(kind: int) -> str:
    """Lower-case name of a record's kind."""
    for enum in (Kind, RecordKind):
        if kind in enum._value2member_map_:
            return enum(kind).name.lower()
    return f"kind {kind}"


def _plain(name: str, value: Any, kind: int) -> Any:
    if isinstance(value, np.void):
        return value.tobytes().hex()
    number = int(value)
    if kind < Kind.METER and name in ("status", "reason"):
        return (Status if name == "status" else Reason)(number).name.lower()
    if kind == RecordKind.TOPOLOGY and name == "status" and number in Change._value2member_map_:
        return Change(number).name.lower()
    return None if number == NONE else number


def as_tables(header: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A block as lines: the header field by field, then a table for every run of records with the same fields."""
    width = max(len(name) for name in header)
    yield from (f"{name:<{width}}  {value}" for name, value in header.items())
    for _, group in groupby(records, key=_names):
        fields = list(group)
        yield ""
        yield from aligned([_names(fields[0]), *(tuple(record.values()) for record in fields)])


def _names(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(fields)


def aligned(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Rows as lines whose columns stand below one another."""
    texts = [["-" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))


def export_lines(store: Store, path: Path) -> int:
    """Write every header and record as a JSON object on a line of its own; returns the number of lines.

    Raises
    ------
    LedgerError
        If the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    n_lines = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for block in (block for group in store.groups() for block in group):
                lines = [header_fields(block), *record_fields(block)]
                file.writelines(json.dumps({"height": block.height, **line}) + "\n" for line in lines)
                n_lines += len(lines)
        os.replace(partial, path)
    except OSError as reason:
        raise LedgerError(f"{path}: expected a file that can be written, got {reason.strerror}") from reason
    return n_lines


def registry_fields(registry: Registry, height: int) -> list[dict[str, Any]]:
    """Members, devices and grants, as they count for the block at `height`."""
    found: list[dict[str, Any]] = []
    for member, tenures in sorted(registry.keys.items()):
        key = key_in_force(registry, member, height)
        name, role = "operator" if member < 0 else member, Role(registry.roles[member]).name.lower()
        tail = (
            {"pseudonym": pseudonym(key), "public_key": key.hex()}
            if key
            else {"pseudonym": "revoked or not yet"}
        )
        found.append({"member": name, "role": role, "since": tenures[-1].since, **tail})
    for (member, device), what in sorted(registry.devices.items()):
        fields = {
            **what._asdict(),
            "kind": DeviceKind(what.kind).name.lower(),
            "datasheet": what.datasheet.hex(),
        }
        found.append({"device": device, "member": member, **fields})
    found += [
        {"grant": "operator" if owner < 0 else owner, "reader": reader}
        for owner, reader in sorted(registry.grants)
    ]
    return found


def account_lines(account: Account, entries: RecordBytes) -> Iterator[str]:
    """An account for people: balances in EUR, energies in kWh, then its exchanges as the ledger holds them."""
    yield f"member {account.member}, {account.n_intervals:,} intervals"
    for name, neur in (("wallet", account.wallet_neur), ("utility account", account.account_neur)):
        yield f"{name:<24}{neur / 1e9:>14.2f} EUR"
    for name, neur in account.money_neur.items():
        yield f"{name:<24}{neur / 1e9:>14.2f} EUR"
    for name, wh in {**account.energy_wh, "own_wh": account.own_wh, "hosted_wh": account.hosted_wh}.items():
        yield f"{name.removesuffix('_wh'):<24}{wh / 1000:>14.3f} kWh"
    exchanges = [bytes_fields(row.tobytes()) for row in entries[entries[:, 0] < Kind.METER]]
    if exchanges:
        yield ""
        yield from aligned([tuple(exchanges[0]), *(tuple(fields.values()) for fields in exchanges)])
