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

from market.errors import LedgerError
from market.exchanges import EXCHANGE, METER, Rows
from market.storage import Ratings

SIZE = 72
RecordBytes = npt.NDArray[np.uint8]
"""Records as bytes, (M, 72)."""


class RecordKind(IntEnum):
    """Kinds beyond those of `market.exchanges.Kind` (below 16 exchanges, 16 meter); 32-39 change the registry."""

    VERDICT = 17
    TOPOLOGY = 18
    MEMBER = 32
    ROTATE = 33
    REVOKE = 34
    DEVICE = 35
    GRANT = 36
    ACCESS = 37
    SIGNATURE = 40
    PRIVATE = 48
    AGGREGATE = 49
    HOUSE = 64
    PARAMETER = 65


class Change(IntEnum):
    """How the network of an interval differs from the recorded one; the `status` of a `TOPOLOGY` record."""

    SWITCH_OPEN = 1
    LINE_OUT = 2
    TRANSFORMER_OUT = 3
    GRID_OUT = 4
    FORMER = 5  # a slack at this bus holds an island


class Role(IntEnum):
    """What a member does."""

    OPERATOR = 1
    PARTICIPANT = 2
    AUDITOR = 3


class DeviceKind(IntEnum):
    """What a device is."""

    PV = 1
    BATTERY = 2
    FUEL_CELL = 3


class Purpose(IntEnum):
    """What a signature is for; the `status` of a `SIGNATURE` record."""

    IN_FORCE = 1  # the signer's key in force stands behind the record before
    POSSESSION = 2  # the key that the record before names is the signer's
    ENTRIES = 3  # the signer agrees to its own entries in the block


REGISTRY_KINDS = range(32, 40)
"""Kinds of records that the registry root covers."""

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
(0 the fast engine, 1 `pandapower.runpp`), plus `ISLANDED`. `branch` counts lines first, transformers behind. `NONE`
where there is no value.
"""

ISLANDED = 0x100
"""Added to a verdict's `reason` where the feeder was cut off from the grid."""

TOPOLOGY = np.dtype([*_HEAD, ("element", "<i4"), ("reserved", "V56")])
"""One `Change` (`status`) of the network in an interval; `element` is an index in the net, or a former's bus."""

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
        ("house", "<i4"),
        ("reserved", "V12"),
    ]
)
"""A house's battery, opening charge and wallet, and bus.

Behind the genesis block: other ratings from the next interval on; `own_wh` is then what comes with the battery or,
below zero, leaves with it, and `wallet_neur` is 0.
"""

MEMBER = np.dtype(
    [
        *_HEAD,
        ("member", "<i4"),
        ("role", "<i4"),
        ("number", "<u4"),
        ("reserved", "V8"),
        ("effective", "<u8"),
        ("public_key", "V32"),
    ]
)
"""`MEMBER`, `ROTATE`, `REVOKE`: a member's key (none if revoked) from the block of height `effective` on.

`number` grows with every statement of a member, so that none can be used twice.
"""

DEVICE = np.dtype(
    [
        *_HEAD,
        ("member", "<i4"),
        ("number", "<u4"),
        ("device", "<i4"),
        ("device_kind", "<i4"),
        ("bus", "<i4"),
        ("power_w", "<i4"),
        ("energy_wh", "<i4"),
        ("datasheet", "V32"),
    ]
)
"""A device joins (`status` 1) or leaves (2); `datasheet` is the SHA-256 of its description."""

PERMISSION = np.dtype([*_HEAD, ("member", "<i4"), ("number", "<u4"), ("other", "<i4"), ("reserved", "V48")])
"""`GRANT`: `member` lets `other` read its private records (`status` 1) or no longer (2).

`ACCESS`: `member` has read those of `other`.
"""

SIGNATURE = np.dtype([*_HEAD, ("signer", "<i4"), ("reserved", "V24"), ("half", "V32")])
"""Half an Ed25519 signature; two in a row are one. `status` is the `Purpose`, `reason` 0 or 1 the half."""

PRIVATE = np.dtype([*_HEAD, ("commitment", "V32"), ("reserved", "V28")])
"""Stands in place of a record that only its parties and their readers can open."""

AGGREGATE = np.dtype(
    [
        *_HEAD,
        ("n_private", "<u4"),
        ("wallets_neur", "<i8"),
        ("accounts_neur", "<i8"),
        ("utility_neur", "<i8"),
        ("contract_neur", "<i8"),
        ("operator_neur", "<i8"),
        ("into_wh", "<i8"),
        ("out_wh", "<i8"),
    ]
)
"""What a block's private records change in total: all wallets, all utility accounts, three pools; their sum is zero.

`into_wh` and `out_wh` are the two sides of the energy balance, summed over the private meters; they are equal.
"""

PARAMETER = np.dtype([*_HEAD, ("name", "V20"), ("value", "V40")])
"""What the run was made from: a name in ASCII and a value, both filled with zeros."""

NONE = -(2**31)

LAYOUTS: dict[int, np.dtype[Any]] = {
    **dict.fromkeys(range(1, 16), EXCHANGE),
    16: METER,
    int(RecordKind.VERDICT): VERDICT,
    int(RecordKind.TOPOLOGY): TOPOLOGY,
    int(RecordKind.MEMBER): MEMBER,
    int(RecordKind.ROTATE): MEMBER,
    int(RecordKind.REVOKE): MEMBER,
    int(RecordKind.DEVICE): DEVICE,
    int(RecordKind.GRANT): PERMISSION,
    int(RecordKind.ACCESS): PERMISSION,
    int(RecordKind.SIGNATURE): SIGNATURE,
    int(RecordKind.PRIVATE): PRIVATE,
    int(RecordKind.AGGREGATE): AGGREGATE,
    int(RecordKind.HOUSE): HOUSE,
    int(RecordKind.PARAMETER): PARAMETER,
}
"""Layout of each kind of record."""

assert all(layout.itemsize == SIZE for layout in LAYOUTS.values())


def as_bytes(rows: Rows) -> RecordBytes:
    """Records as an array of bytes, (M, 72), without copying where possible."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(-1, SIZE)


def placed(records: RecordBytes, interval: int, first_seq: int = 0) -> RecordBytes:
    """The records with their interval set, and numbered from `first_seq` on."""
    moved = records.copy()
    moved[:, 4:8] = np.array([interval], "<u4").view(np.uint8)
    moved[:, 8:12] = (
        np.arange(first_seq, first_seq + records.shape[0], dtype="<u4").view(np.uint8).reshape(-1, 4)
    )
    return moved


def next_interval(records: RecordBytes) -> int:
    """Number of the interval behind a block; a block that holds an interval has a verdict."""
    return int(records[0, 4:8].copy().view("<u4")[0]) + bool((records[:, 0] == RecordKind.VERDICT).any())


def quantised(values: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.int64]:
    """Floats as whole steps, rounded half to even; `NONE` for NaN. The one place where floats become records."""
    known = ~np.isnan(values)
    return np.where(known, np.rint(np.where(known, values, 0.0) / step), NONE).astype(np.int64)


def in_registry(records: RecordBytes) -> npt.NDArray[np.bool_]:
    """Which records the registry root covers."""
    return (records[:, 0] >= REGISTRY_KINDS.start) & (records[:, 0] < REGISTRY_KINDS.stop)


def rows_of(records: RecordBytes, kind: int) -> Rows:
    """Records of one kind, in their order and with their fields."""
    rows: Rows = records[records[:, 0] == kind].copy().view(LAYOUTS[kind]).reshape(-1)
    return rows


def house_records(
    names: Sequence[str], bus: Sequence[int], ratings: Ratings, own_wh: Any, wallet_neur: Any, first_seq: int
) -> Rows:
    """`HOUSE` records of the first block, one for each name; names themselves stay outside the ledger."""
    rows = np.zeros(len(names), HOUSE)
    rows["kind"] = RecordKind.HOUSE
    rows["house"] = np.arange(len(names))
    rows["seq"] = first_seq + np.arange(len(names))
    for field in Ratings._fields:
        rows[field] = getattr(ratings, field)
    rows["own_wh"], rows["wallet_neur"], rows["bus"] = own_wh, wallet_neur, bus
    return rows


def topology_records(changes: Sequence[tuple[Change, int]]) -> Rows:
    """`TOPOLOGY` records of the changes of an interval, (change, element) each."""
    rows = np.zeros(len(changes), TOPOLOGY)
    rows["kind"] = RecordKind.TOPOLOGY
    rows["status"] = [int(change) for change, _ in changes]
    rows["element"] = [element for _, element in changes]
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
            raise LedgerError(
                f"parameter {name}: expected a name of at most 20 and a value of at most 40 bytes, "
                f"got {len(name)} and {len(value)}"
            )
        rows["name"][k] = np.void(name.encode().ljust(20, b"\0"))
        rows["value"][k] = np.void(value.ljust(40, b"\0"))
    return rows


def read_parameters(records: RecordBytes) -> dict[str, bytes]:
    """Values of the `PARAMETER` records by name, 40 bytes each."""
    rows = rows_of(records, RecordKind.PARAMETER)
    return {bytes(row["name"]).rstrip(b"\0").decode("ascii", "replace"): bytes(row["value"]) for row in rows}


def integer_parameter(parameters: Mapping[str, bytes], name: str) -> int:
    """An integer parameter, 0 if it is missing."""
    return int.from_bytes(parameters.get(name, b"\0" * 8)[:8], "little", signed=True)
