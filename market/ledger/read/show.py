"""Show blocks, the registry and accounts: headers and records as named fields, nothing left out, nothing rounded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from market.exchanges import CONDUCTORS, Kind, Reason, Status, split_reason
from market.ledger.crypto.keys import pseudonym
from market.ledger.durable import free_partial_path, report_unwritable
from market.ledger.format.header import decode_header
from market.ledger.format.records import (
    CONNECTED,
    LAYOUTS,
    NONE,
    SIZE,
    Change,
    DeviceKind,
    RecordBytes,
    RecordKind,
    Role,
    decode_record,
    select_rows,
)
from market.ledger.format.version import BALANCED, has_phases
from market.ledger.read.account import Account
from market.ledger.store.registry import NEVER, Registry, Tenure, find_key_in_force, list_replacements
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import decode_records, read_tip

_PHASES_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(CONNECTED, ("abc", *CONDUCTORS[1:4])),
    **dict.fromkeys(("phase", "lowest_phase", "highest_phase", "branch_conductor"), CONDUCTORS),
}
"""Words for the codes of phases, by the names of fields."""


def show_header(block: StoredBlock) -> dict[str, Any]:
    """Fields of a block's header, its hash and signature; bytes in hexadecimal."""
    signed = {"hash": block.hash, "signature": block.signature}
    fields = {"record": "header", **decode_header(block.header)._asdict(), **signed}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}


def show_records(block: StoredBlock) -> list[dict[str, Any]]:
    """Fields of each of a block's records, in their order."""
    blob, version = block.records, decode_header(block.header).version
    return [show_record(blob[first : first + SIZE], version) for first in range(0, len(blob), SIZE)]


def show_record(body: bytes, version: int = BALANCED) -> dict[str, Any]:
    """Fields of one record; one of unknown kind is shown in hexadecimal.

    With the version of an unbalanced ledger, exchanges and houses have their phases too.
    """
    if body[0] not in LAYOUTS:
        return {"record": "unknown", "bytes": body.hex()}
    decoded = decode_record(body)
    if not has_phases(version):
        decoded = {name: value for name, value in decoded.items() if name not in CONNECTED}
    elif body[0] < Kind.METER:
        decoded["reason"], decoded["phase"] = split_reason(decoded["reason"])
    fields = {
        name: _show_value(name, value, body[0]) for name, value in decoded.items() if name not in ("kind", "reserved")
    }
    return {"record": kind_name(body[0]), **fields}


def show_request(number: int, name: str, statement: bytes) -> dict[str, Any]:
    """A request that waits: its number in the list, the name of its file, and what it states."""
    shown = show_record(statement)
    fields = {field: value for field, value in shown.items() if field not in ("reason", "interval", "seq", "record")}
    return {"request": number, "name": name, "asks": shown["record"], **fields}


def kind_name(kind: int) -> str:
    """Lower-case name of a record's kind."""
    for enum in (Kind, RecordKind):
        if kind in enum._value2member_map_:
            return enum(kind).name.lower()
    return f"kind {kind}"


def _show_value(name: str, value: int | bytes, kind: int) -> int | str | None:
    if isinstance(value, bytes):
        return value.hex()
    if (named := _PHASES_OF.get(name)) is not None and 0 <= value < len(named):
        return named[value] or None
    words: dict[str, type[IntEnum]] = {}
    if kind < Kind.METER:
        words = {"status": Status, "reason": Reason}
    elif kind == RecordKind.TOPOLOGY:
        words = {"status": Change}
    if name in words and value in words[name]._value2member_map_:
        return words[name](value).name.lower()
    return None if value == NONE else value


def format_block(header: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines that show a block: the header field by field, then a table for consecutive records with the same fields."""
    width = max(len(name) for name in header)
    yield from (f"{name:<{width}}  {value}" for name, value in header.items())
    for names, group in groupby(records, key=tuple):
        yield ""
        yield from align_columns([names, *(tuple(record.values()) for record in group)])


def align_columns(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Lines of a table whose columns are aligned to the right."""
    texts = [["-" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))


def write_json_lines(store: Store, path: Path) -> int:
    """Write every header and record as a JSON object on a line of its own; returns the number of lines.

    Raises
    ------
    LedgerError
        If the file cannot be written.
    """
    partial = free_partial_path(path)
    n_lines = 0
    with report_unwritable(path):
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for block in (block for group in store.groups() for block in group):
                lines = [show_header(block), *show_records(block)]
                file.writelines(json.dumps({"height": block.height, **line}) + "\n" for line in lines)
                n_lines += len(lines)
        os.replace(partial, path)
    return n_lines


def show_registry(registry: Registry, height: int, interval: int) -> list[dict[str, Any]]:
    """Members, devices and grants of the registry, with the keys in force in the next block.

    Parameters
    ----------
    registry
        The registry.
    height, interval
        Height of the next block, and number of intervals recorded before it.
    """
    found: list[dict[str, Any]] = []
    for member, tenures in sorted(registry.keys.items()):
        key = find_key_in_force(registry, member, height, interval)
        name, role = "operator" if member < 0 else member, Role(registry.roles[member]).name.lower()
        known = {"pseudonym": pseudonym(key), "public_key": key.hex()} if key else {}
        shown = known or {"pseudonym": "revoked or not yet"}
        found.append({"member": name, "role": role, "since": tenures[-1].since, **shown})
    found += [show_replacement(*each, interval) for each in list_replacements(registry)]
    for (member, device), what in sorted(registry.devices.items()):
        shown = {"kind": DeviceKind(what.kind).name.lower(), "datasheet": what.datasheet.hex()}
        found.append({"device": device, "member": member, **what._asdict(), **shown})
    for (owner, reader), until in sorted(registry.grants.items()):
        end = {"until_interval": until, "stands": interval < until} if until else {}
        found.append({"grant": "operator" if owner < 0 else owner, "reader": reader, **end})
    return found


def show_replacement(member: int, tenure: Tenure, interval: int) -> dict[str, Any]:
    """A key in place of one that the operator ended, without the signature of that key.

    `interval` is the number of intervals recorded so far: the key waits, counts, or was withdrawn while it waited.
    """
    state = "withdrawn" if tenure.from_interval == NEVER else "waits" if tenure.from_interval > interval else "counts"
    since = {} if tenure.from_interval == NEVER else {"from_interval": tenure.from_interval}
    key = {"pseudonym": pseudonym(tenure.public_key), "public_key": tenure.public_key.hex()}
    return {"replacement": state, "member": member, "since": tenure.since, **since, **key}


def find_replacements(store: Store, block: StoredBlock) -> list[dict[str, Any]]:
    """Keys that a block states in place of those that the operator ended, and whether they wait or count by now."""
    keys = {bytes(row["public_key"]) for row in select_rows(decode_records(block.records), RecordKind.MEMBER)}
    if not keys:
        return []
    end = read_tip(store)
    replaced = [each for each in list_replacements(end.registry) if each[1].public_key in keys]
    return [show_replacement(*each, end.next_interval) for each in replaced]


def format_account(account: Account, entries: RecordBytes, version: int = BALANCED) -> Iterator[str]:
    """Lines that show an account: balances in EUR, energies in kWh, then exchanges and charges as on the ledger."""
    yield f"member {account.member}, {account.n_intervals:,} intervals"
    balances = {"wallet": account.wallet_neur, "utility account": account.account_neur}
    for name, neur in (*balances.items(), *account.money_neur.items()):
        yield f"{name:<24}{neur / 1e9:>14.2f} EUR"
    for name, wh in {**account.energy_wh, "own_wh": account.own_wh, "hosted_wh": account.hosted_wh}.items():
        yield f"{name.removesuffix('_wh'):<24}{wh / 1000:>14.3f} kWh"
    for chosen in (entries[:, 0] < Kind.METER, entries[:, 0] == RecordKind.CHARGE):
        if shown := [show_record(row.tobytes(), version) for row in entries[chosen]]:
            yield ""
            yield from align_columns([tuple(shown[0]), *(tuple(fields.values()) for fields in shown)])
