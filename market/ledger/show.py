"""Blocks for people: headers and records as named fields, nothing hidden, nothing rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.exchanges import Kind, Reason, Status
from market.ledger.chain import decode_header
from market.ledger.records import LAYOUTS, NONE, SIZE, RecordKind
from market.ledger.store import StoredBlock


def header_fields(block: StoredBlock) -> dict[str, Any]:
    """Fields of a block's header, hashes in hexadecimal."""
    header = decode_header(block.header)._asdict()
    shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in header.items()}
    return {"record": "header", **shown, "hash": block.hash.hex(), "signature": block.signature.hex()}


def record_fields(block: StoredBlock) -> list[dict[str, Any]]:
    """Fields of a block's records in their order; a record of unknown kind is shown as hexadecimal."""
    found = []
    for first in range(0, len(block.records), SIZE):
        body = block.records[first : first + SIZE]
        layout = LAYOUTS.get(body[0])
        if layout is None:
            found.append({"record": "unknown", "bytes": body.hex()})
            continue
        row = np.frombuffer(body, layout)[0]
        names = layout.names or ()
        found.append(
            {"record": kind_name(body[0]), **{n: _plain(n, row[n], body[0]) for n in names if n != "kind"}}
        )
    return found


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
    return None if number == NONE else number
