"""Where the records of a block are not those that are found again: record, field, and both values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.exchanges import CONTRACT, GRID, NOBODY, OPERATOR, Kind
from market.ledger.format.records import LAYOUTS, RecordBytes, RecordKind, read_places
from market.ledger.format.version import UNBALANCED
from market.ledger.read.show import kind_name, show_record

SEQ, NUMBER = slice(8, 12), slice(16, 20)
"""Bytes of a record's number in its block, and of the number of a device's statement."""

_LEFT_OUT = (
    *(RecordKind.MEMBER, RecordKind.ROTATE, RecordKind.REVOKE, RecordKind.GRANT, RecordKind.ACCESS),
    *(RecordKind.SIGNATURE, RecordKind.AGGREGATE, RecordKind.SUBMISSION),
)
"""Kinds that a run does not determine: keys, permissions, signatures, and what people submitted, which a run made again
takes from the ledger. They are the matter of `ledger verify`."""


class Difference(NamedTuple):
    """The first difference of a block.

    Attributes
    ----------
    height
        Its height.
    record
        Number and name of the record, as the ledger holds it.
    field
        Name of the field.
    recorded, computed
        Its value on the ledger, and the one that is found again.
    """

    height: int
    record: str
    field: str
    recorded: str
    computed: str

    def __str__(self) -> str:
        return f"{self.record}, {self.field}: recorded {self.recorded}, found {self.computed}"


def select_compared(records: RecordBytes) -> RecordBytes:
    """Copy of the records that a run determines, without the numbers of records and statements."""
    chosen = records[~np.isin(records[:, 0], _LEFT_OUT)]
    chosen[:, SEQ] = 0
    devices = np.flatnonzero(chosen[:, 0] == RecordKind.DEVICE)
    chosen[devices, NUMBER] = 0
    return chosen


def find_difference(height: int, records: RecordBytes, computed: RecordBytes) -> Difference | None:
    """First difference between a block's records and those found again, (M, 72) each; None if there is none."""
    is_compared = ~np.isin(records[:, 0], _LEFT_OUT)
    ours, theirs = select_compared(records), select_compared(computed)
    if ours.shape == theirs.shape and (ours == theirs).all():
        return None
    numbers = read_places(records[is_compared])[:, 1]
    n = min(len(ours), len(theirs))
    unequal = np.flatnonzero((ours[:n] != theirs[:n]).any(axis=1))
    k = int(unequal[0]) if unequal.size else n
    if k == len(ours):
        name = describe_record(theirs[k])
        return Difference(height, f"behind record {len(records) - 1}", "a record", "none", name)
    where = f"record {numbers[k]} ({describe_record(ours[k])})"
    if k == len(theirs):
        return Difference(height, where, "the record", "this one", "none")
    if ours.shape == theirs.shape and (_sorted(ours) == _sorted(theirs)).all():
        return Difference(height, where, "order of the records", "this one here", describe_record(theirs[k]))
    if ours[k, 0] != theirs[k, 0]:
        return Difference(height, where, "kind", kind_name(int(ours[k, 0])), describe_record(theirs[k]))
    return Difference(height, where, *_find_field(ours[k], theirs[k]))


def _sorted(rows: RecordBytes) -> RecordBytes:
    return rows[np.lexsort(rows.T)]


def _find_field(ours: RecordBytes, theirs: RecordBytes) -> tuple[str, str, str]:
    """Name of the first field that differs, and both values."""
    layout = LAYOUTS[int(ours[0])]
    a, b = ours.view(layout)[0], theirs.view(layout)[0]
    shown = [show_record(row.tobytes(), UNBALANCED) for row in (ours, theirs)]
    name = next(name for name in layout.names or () if a[name] != b[name])
    if name == "value":
        return name, format_parameter(a[name].tobytes()), format_parameter(b[name].tobytes())
    if name == "reason" and shown[0][name] == shown[1][name]:
        name = "phase"
    recorded, computed = ("none" if fields.get(name) is None else str(fields[name]) for fields in shown)
    return name, recorded, computed


def describe_record(row: RecordBytes) -> str:
    """Kind of a record and whom it names, (72,) bytes."""
    kind, fields = int(row[0]), show_record(row.tobytes())
    if kind < Kind.METER:
        return f"{kind_name(kind)} from {_name_party(fields['seller'])} to {_name_party(fields['buyer'])}"
    if kind == RecordKind.PARAMETER:
        return f"parameter {bytes.fromhex(fields['name']).rstrip(bytes(1)).decode('ascii', 'replace')}"
    house = fields.get("house", fields.get("member"))
    return kind_name(kind) if house is None else f"{kind_name(kind)} of house {house}"


def _name_party(party: int) -> str:
    others = {GRID: "the utility", CONTRACT: "the contract", OPERATOR: "the operator", NOBODY: "nobody"}
    return f"house {party}" if party >= 0 else others.get(party, f"party {party}")


def format_parameter(value: bytes) -> str:
    """A parameter's 40 bytes as the word, the number or the hash that they are."""
    text = value.rstrip(bytes(1))
    if text.isascii() and text.decode().isprintable() and len(text) > 1:
        return f"'{text.decode()}'"
    return str(int.from_bytes(value[:8], "little", signed=True)) if len(text) <= 8 else text.hex()
