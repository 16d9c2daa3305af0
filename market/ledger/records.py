"""Records: 72-byte little-endian integer structs whose bytes are what is hashed; no float ever enters one.

`EXCHANGE` and `METER` rows come from the market as they are. The kinds here say what physics found, who takes part, and
what the run was made from. The first byte of every record is its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from market.exchanges import EXCHANGE, METER, Rows
from market.storage import Ratings

SIZE = 72
RecordBytes = npt.NDArray[np.uint8]
"""Records as bytes, (M, 72)."""


class RecordKind(IntEnum):
    """Kinds beyond those of `market.exchanges.Kind` (1-9 exchanges, 16 meter)."""

    VERDICT = 17
    MEMBER = 32
    HOUSE = 64
    PARAMETER = 65


_HEAD: list[tuple[str, str]] = [
    ("kind", "u1"),
    ("status", "u1"),
    ("reason", "<u2"),
    ("interval", "<u4"),
    ("seq", "<u4"),
]

VERDICT = np.dtype(
    [
        *_HEAD,
        ("lowest_vm_upu", "<i4"),
        ("lowest_bus", "<i4"),
        ("highest_vm_upu", "<i4"),
        ("highest_bus", "<i4"),
        ("loading_e4_percent", "<i4"),
        ("branch", "<i4"),
        ("power_flows", "<u4"),
        ("p_grid_w", "<i8"),
        ("losses_wh", "<i8"),
        ("curtailed_wh", "<i8"),
        ("shed_wh", "<i8"),
    ]
)
"""What the AC power flow said of an interval: tightest voltages in 1e-6 pu, loading in 1e-4 per cent.

`status` says how the interval became clean (0 as cleared, 1 curtailed, 2 shed, 3 de-energised), `reason` who solved it
(0 the fast engine, 1 `pandapower.runpp`). `branch` counts lines first, transformers behind. `NONE` where there is no
value.
"""

HOUSE = np.dtype(
    [
        *_HEAD,
        ("soc_min_wh", "<i4"),
        ("soc_max_wh", "<i4"),
        ("max_charge_wh", "<i4"),
        ("max_discharge_wh", "<i4"),
        ("charge_ppm", "<i4"),
        ("discharge_ppm", "<i4"),
        ("self_discharge_ppm", "<i4"),
        ("own_wh", "<i4"),
        ("wallet_neur", "<i8"),
        ("bus", "<i4"),
        ("name_digest", "V16"),
    ]
)
"""A house at the start: battery ratings, opening charge and wallet, bus; `interval` holds its number."""

MEMBER = np.dtype([*_HEAD, ("member", "<i4"), ("role", "<i4"), ("reserved", "V20"), ("public_key", "V32")])
"""A key of a member from this block on: role 1 operator, 2 participant."""

PARAMETER = np.dtype([*_HEAD, ("name", "V20"), ("value", "V40")])
"""What the run was made from: a name in ASCII and a value, both filled with zeros."""

NONE = -(2**31)
OPERATOR_ROLE = 1

LAYOUTS: dict[int, np.dtype[Any]] = {
    **dict.fromkeys(range(1, 10), EXCHANGE),
    16: METER,
    int(RecordKind.VERDICT): VERDICT,
    int(RecordKind.MEMBER): MEMBER,
    int(RecordKind.HOUSE): HOUSE,
    int(RecordKind.PARAMETER): PARAMETER,
}
"""Layout of each kind of record."""

assert all(layout.itemsize == SIZE for layout in LAYOUTS.values())


def as_bytes(rows: Rows) -> RecordBytes:
    """Records as an array of bytes, (M, 72), without copying where possible."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(-1, SIZE)


def quantised(values: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.int64]:
    """Floats as whole steps, rounded half to even; `NONE` for NaN. The one place where floats become records."""
    known = ~np.isnan(values)
    return np.where(known, np.rint(np.where(known, values, 0.0) / step), NONE).astype(np.int64)


def house_records(
    names: Sequence[str], bus: Sequence[int], ratings: Ratings, own_wh: Any, wallet_neur: Any, first_seq: int
) -> Rows:
    """`HOUSE` records of the first block."""
    rows = np.zeros(len(names), HOUSE)
    rows["kind"] = RecordKind.HOUSE
    rows["interval"] = np.arange(len(names))
    rows["seq"] = first_seq + np.arange(len(names))
    for field in Ratings._fields:
        rows[field] = getattr(ratings, field)
    rows["own_wh"], rows["wallet_neur"], rows["bus"] = own_wh, wallet_neur, bus
    from hashlib import sha256

    for k, name in enumerate(names):
        rows["name_digest"][k] = np.void(sha256(name.encode()).digest()[:16])
    return rows


def parameter_records(parameters: Mapping[str, bytes | int | str], first_seq: int) -> Rows:
    """`PARAMETER` records: integers as 8 little-endian bytes, text as UTF-8."""
    rows = np.zeros(len(parameters), PARAMETER)
    rows["kind"] = RecordKind.PARAMETER
    rows["seq"] = first_seq + np.arange(len(parameters))
    for k, (name, value) in enumerate(parameters.items()):
        if isinstance(value, int):
            value = value.to_bytes(8, "little", signed=True)
        elif isinstance(value, str):
            value = value.encode()
        if len(value) > 40 or len(name) > 20:
            raise ValueError(
                f"parameter {name}: expected at most 20 and 40 bytes, got {len(name)} and {len(value)}"
            )
        rows["name"][k] = np.void(name.encode().ljust(20, b"\0"))
        rows["value"][k] = np.void(value.ljust(40, b"\0"))
    return rows


def member_record(member: int, role: int, public_key: bytes, seq: int) -> Rows:
    """`MEMBER` record that makes a key valid from its block on."""
    row = np.zeros(1, MEMBER)
    row["kind"], row["seq"], row["member"], row["role"] = RecordKind.MEMBER, seq, member, role
    row["public_key"][0] = np.void(public_key)
    return row


def read_parameters(records: RecordBytes) -> dict[str, bytes]:
    """Values of the `PARAMETER` records by name, 40 bytes each."""
    rows = records[records[:, 0] == RecordKind.PARAMETER].copy().view(PARAMETER).reshape(-1)
    return {bytes(row["name"]).rstrip(b"\0").decode("ascii", "replace"): bytes(row["value"]) for row in rows}


def integer_parameter(parameters: Mapping[str, bytes], name: str) -> int:
    """An integer parameter, 0 if it is missing."""
    return int.from_bytes(parameters.get(name, b"\0" * 8)[:8], "little", signed=True)
