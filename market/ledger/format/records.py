"""Records: little-endian structs of 72 bytes, integers only; the ledger hashes their bytes.

`EXCHANGE` and `METER` rows come from the market as they are. The kinds here record what the power flow found, who takes
part, and what the run was made from. The first byte of every record is its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.exchanges import (
    CHARGE,
    CHARGE_KIND,
    EXCHANGE,
    FLEXIBLE,
    FLEXIBLE_KIND,
    HEAD,
    METER,
    ORDER,
    ORDER_KIND,
    SUBMISSION,
    SUBMISSION_KIND,
    TERMS,
    TERMS_KIND,
    Ints,
    Kind,
    Rows,
    list_fields,
)
from market.storage import Ratings

SIZE = 72
RecordBytes = npt.NDArray[np.uint8]
"""Records as bytes, (M, 72)."""


class RecordKind(IntEnum):
    """Kinds beyond those of `market.exchanges.Kind` (below 16 exchanges, 16 meter); 32-39 change the registry."""

    VERDICT = 17
    TOPOLOGY = 18
    ORDER = ORDER_KIND
    PHASES = 20
    SUBMISSION = SUBMISSION_KIND
    FLEXIBLE = FLEXIBLE_KIND
    ENVELOPE = 23
    TERMS = TERMS_KIND
    CHARGE = CHARGE_KIND
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
    """A difference between the network of an interval and the recorded one; the `status` of a `TOPOLOGY` record."""

    SWITCH_OPEN = 1
    LINE_OUT = 2
    TRANSFORMER_OUT = 3
    GRID_OUT = 4
    FORMER = 5  # a grid-forming device at this bus supplies an island; it is the slack of the power flow
    BACKGROUND_OFF = 6  # the net's own loads, shunts, wards and motors are off in the island of the former at this bus
    TAP_POSITION = 7  # the on-load tap changer of this transformer stands at `tap_pos`


JOINS, LEAVES, LEAVES_UNREGISTERED = 1, 2, 3
"""Status of a `DEVICE` record; the last one where the house has had it from the first interval, unregistered."""

OPENS, CLOSES = 1, 2
"""Reason of a `TOPOLOGY` record that is a command of the operator, in a block without an interval."""

COMMANDED = (Change.SWITCH_OPEN, Change.LINE_OUT, Change.GRID_OUT)
"""What a command opens or closes."""


class Role(IntEnum):
    """Role of a member."""

    OPERATOR = 1
    PARTICIPANT = 2
    AUDITOR = 3


class DeviceKind(IntEnum):
    """Kind of a device."""

    PV = 1
    BATTERY = 2
    FUEL_CELL = 3


class Purpose(IntEnum):
    """What a signature is for; the `status` of a `SIGNATURE` record."""

    IN_FORCE = 1  # made with the signer's key in force; it signs the record before
    POSSESSION = 2  # made with the key that the record before names; it proves that the signer has it
    ENTRIES = 3  # the signer agrees to its own entries in the block
    SUBMISSION = 4  # the signer states the submission before it


REGISTRY_KINDS = range(32, 40)
"""Kinds of records that the registry root covers."""

VERDICT = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "lowest_vm_upu", "lowest_bus", "highest_vm_upu", "highest_bus"),
        *list_fields("<i4", "loading_e4_percent", "branch"),
        ("power_flows", "<u4"),
        *list_fields("<i8", "p_grid_w", "losses_wh", "curtailed_wh", "shed_wh"),
    ]
)
"""Result of the AC power flow of an interval: extreme voltages in 1e-6 pu, highest loading in 1e-4 per cent.

`status` says how the interval came within all limits (0 as cleared, 1 curtailed, 2 load shed, 3 de-energised), `reason`
which solver was used (0 the batched engine, 1 `pandapower.runpp`), plus `ISLANDED`. `branch` counts lines first, then
transformers. `NONE` where there is no value.
"""

ISLANDED = 0x100
"""Added to a verdict's `reason` where the feeder was cut off from the grid."""

PHASES = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "lowest_phase", "highest_phase", "branch_conductor"),
        *list_fields("<i4", "vuf_e4_percent", "vuf_bus", "neutral_e4_percent", "neutral_line"),
        *list_fields("<i4", "neutral_mv", "neutral_bus"),
        ("reserved", "V24"),
    ]
)
"""What the verdict before it leaves open in an unbalanced model.

Codes of `market.exchanges.CONDUCTORS`, 0 for none: the phases of its lowest and highest voltage, and the conductor of
its highest loading. Then the largest voltage unbalance factor with its bus, and the largest loading of a line's neutral
with its line, in 1e-4 per cent; with four wires the highest voltage of a neutral to earth with its bus, in mV. Places
in the net's tables, -1 without any.
"""

ROOMS = ("surplus_wh", "lots_wh", "shares_wh", "cars_wh", "heat_pumps_wh")
"""What an envelope bounds of a house, as in `market.clipping.Rooms`."""

ENVELOPE = np.dtype(
    [
        *HEAD,
        ("house", "<i4"),
        *list_fields("<i4", *ROOMS, *(f"asked_{name}" for name in ROOMS)),
        *list_fields("<i4", "spilled_wh", "stop_reason", "element"),
        ("reserved", "V4"),
    ]
)
"""Envelope of a house in an interval: what it might do at most, -1 for no limit, and what its orders asked for before.

`status` is one of `Kept`, `reason` the rule by its number in `ENVELOPE_RULES`. `spilled_wh` was taken off its offer and
not kept in its battery. `stop_reason` and `element` name the limit that stops its first room that has one; 0 and -1.
"""

ENVELOPE_PARAMETER = "envelope_rule"
"""Parameter that the first block of a ledger with envelopes has: the name of the rule."""

CHARGES_PARAMETER = "charges"
"""Parameter that the first block of a ledger with network charges has: 1."""

ENVELOPE_RULES = ("equal", "proportional", "max_total", "max_min")


class Kept(IntEnum):
    """What an envelope did in an interval; the `status` of its records."""

    FROM_NOTHING = 0
    FROM_SOMETHING = 1  # some house
    NO_ENVELOPE = 2  # what houses do anyway breaks a limit; orders are as they were


TOPOLOGY = np.dtype([*HEAD, *list_fields("<i4", "element", "tap_pos"), ("reserved", "V52")])
"""One `Change` (`status`) of the network in an interval.

`element` is an index in the pandapower net; for `FORMER`, of the bus. `tap_pos` is the position of a transformer's
taps in a `TAP_POSITION`, 0 in all others.
"""

CONNECTED = ("load_phase", "pv_phase", "battery_phase", "fuel_cell_phase")
"""Fields of a house's record that say at which phases its devices are."""

HOUSE = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", *Ratings._fields, "own_wh"),
        ("wallet_neur", "<i8"),
        *list_fields("<i4", "bus", "house", "load_tan_phi_ppm"),
        *list_fields("u1", *CONNECTED),
        ("reserved", "V4"),
    ]
)
"""A house: the ratings of its battery, its opening charge and wallet, its bus, and the reactive power of its load.

The phases of its devices are 0 for all three, 1 a, 2 b, 3 c; 0 in the balanced model, and behind the genesis block.

`load_tan_phi_ppm` is reactive over active power in millionths, `NONE` where the profiles have the reactive power.

After the genesis block it changes the ratings from the next interval on; then `own_wh` is the energy that comes with
the battery or, below zero, leaves with it, and `wallet_neur` is 0.
"""

MEMBER = np.dtype(
    [
        *HEAD,
        *list_fields("<i4", "member", "role"),
        ("number", "<u4"),
        ("reserved", "V8"),
        ("effective", "<u8"),
        ("public_key", "V32"),
    ]
)
"""`MEMBER`, `ROTATE`, `REVOKE`: a member's key (zeros if revoked) from the block of height `effective` on.

`number` grows with every statement of a member, so that none can be replayed.
"""

DEVICE = np.dtype(
    [
        *HEAD,
        ("member", "<i4"),
        ("number", "<u4"),
        *list_fields("<i4", "device", "device_kind", "bus", "power_w", "energy_wh"),
        ("datasheet", "V32"),
    ]
)
"""A device joins (`status` 1) or leaves (2); `datasheet` is the SHA-256 of its description."""

PERMISSION = np.dtype(
    [*HEAD, ("member", "<i4"), ("number", "<u4"), ("other", "<i4"), ("until", "<u4"), ("reserved", "V44")]
)
"""`GRANT`: `member` lets `other` read its private records (`status` 1) or no longer (2).

A grant holds before interval `until`, without end if that is 0.
`ACCESS`: `member` has read those of `other`.
"""

SIGNATURE = np.dtype([*HEAD, ("signer", "<i4"), ("reserved", "V24"), ("half", "V32")])
"""Half an Ed25519 signature; two rows make one. `status` is the `Purpose`, `reason` the half (0 or 1)."""

PRIVATE = np.dtype([*HEAD, ("commitment", "V32"), ("reserved", "V28")])
"""Commitment that replaces a private record: only its parties and the readers they grant know the record."""

MONEY = ("wallets_neur", "accounts_neur", "utility_neur", "contract_neur", "operator_neur")
"""All wallets, all utility accounts, and the pools of utility, sharing contract and operator."""

AGGREGATE = np.dtype([*HEAD, ("n_private", "<u4"), *list_fields("<i8", *MONEY, "into_wh", "out_wh")])
"""What a block's private records change in total; the sum of the money is zero.

`into_wh` and `out_wh` are the two sides of the energy balance, summed over the private meters; they are equal.
"""

PARAMETER = np.dtype([*HEAD, ("name", "V20"), ("value", "V40")])
"""A parameter of the run: a name in ASCII and a value, both padded with zeros."""

NONE = -(2**31)

LAYOUTS: dict[int, np.dtype[Any]] = {
    **dict.fromkeys(range(1, 16), EXCHANGE),
    int(Kind.METER): METER,
    int(RecordKind.ORDER): ORDER,
    int(RecordKind.VERDICT): VERDICT,
    int(RecordKind.PHASES): PHASES,
    int(RecordKind.SUBMISSION): SUBMISSION,
    int(RecordKind.FLEXIBLE): FLEXIBLE,
    int(RecordKind.ENVELOPE): ENVELOPE,
    int(RecordKind.TERMS): TERMS,
    int(RecordKind.CHARGE): CHARGE,
    int(RecordKind.TOPOLOGY): TOPOLOGY,
    **dict.fromkeys(range(RecordKind.MEMBER, RecordKind.REVOKE + 1), MEMBER),
    int(RecordKind.DEVICE): DEVICE,
    **dict.fromkeys(range(RecordKind.GRANT, RecordKind.ACCESS + 1), PERMISSION),
    int(RecordKind.SIGNATURE): SIGNATURE,
    int(RecordKind.PRIVATE): PRIVATE,
    int(RecordKind.AGGREGATE): AGGREGATE,
    int(RecordKind.HOUSE): HOUSE,
    int(RecordKind.PARAMETER): PARAMETER,
}
"""Layout of each kind of record."""

assert all(layout.itemsize == SIZE for layout in LAYOUTS.values())


def view_as_bytes(rows: Rows) -> RecordBytes:
    """View records as an array of bytes, (M, 72); copies only if they are not contiguous."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(-1, SIZE)


def make_record(layout: np.dtype[Any], kind: RecordKind, **fields: int | bytes) -> RecordBytes:
    """Make one record, (1, 72): `kind` and the fields given; all others are zero."""
    row = np.zeros(1, layout)
    row["kind"] = kind
    for name, value in fields.items():
        row[name] = np.void(value) if isinstance(value, bytes) else value
    return view_as_bytes(row)


def decode_record(record: bytes) -> dict[str, Any]:
    """Fields of one record of a known kind: integers and bytes."""
    row = np.frombuffer(record, LAYOUTS[record[0]])[0]
    return {name: row[name].item() for name in row.dtype.names}


def join_blocks(blocks: Sequence[RecordBytes]) -> tuple[RecordBytes, Ints]:
    """Records of K blocks as one array (M, 72), and where each block's begin, (K + 1,)."""
    return np.concatenate(blocks), np.cumsum([0, *map(len, blocks)], dtype=np.int64)


def number_records(records: RecordBytes, interval: int, first_seq: int = 0) -> RecordBytes:
    """Copy of the records with their interval set, numbered from `first_seq` on."""
    numbered = records.copy()
    numbered[:, 4:8] = np.array([interval], "<u4").view(np.uint8)
    seq = np.arange(first_seq, first_seq + records.shape[0], dtype="<u4")
    numbered[:, 8:12] = seq.view(np.uint8).reshape(-1, 4)
    return numbered


def read_places(records: RecordBytes) -> npt.NDArray[np.uint32]:
    """Interval and number (`seq`) of each record, (M, 2)."""
    return np.ascontiguousarray(records[:, 4:12]).view("<u4")


def read_next_interval(records: RecordBytes) -> int:
    """Number of the interval after a block; a block that holds an interval has a verdict."""
    return int(read_places(records[:1])[0, 0]) + bool((records[:, 0] == RecordKind.VERDICT).any())


def quantise(values: npt.NDArray[np.float64], step: float) -> Ints:
    """Floats as whole steps, rounded half to even; `NONE` for NaN. The only place where floats become records."""
    known = ~np.isnan(values)
    return np.where(known, np.rint(np.where(known, values, 0.0) / step), NONE).astype(np.int64)


def is_registry(records: RecordBytes) -> npt.NDArray[np.bool_]:
    """Which records the registry root covers, (M,)."""
    return (records[:, 0] >= REGISTRY_KINDS.start) & (records[:, 0] < REGISTRY_KINDS.stop)


def select_rows(records: RecordBytes, kind: int) -> Rows:
    """Records of one kind, in their order and with their fields."""
    rows: Rows = records[records[:, 0] == kind].view(LAYOUTS[kind]).reshape(-1)
    return rows


def select_exchanges(records: RecordBytes) -> Rows:
    """Exchanges of all kinds, in their order and with their fields."""
    rows: Rows = records[records[:, 0] < Kind.METER].view(EXCHANGE).reshape(-1)
    return rows


def make_house_records(
    names: Sequence[str],
    bus: Sequence[int],
    ratings: Ratings,
    own_wh: Any,
    wallet_neur: Any,
    first_seq: int,
    load_tan_phi_ppm: Any = 0,
    phases: Sequence[Any] = (0, 0, 0, 0),
) -> Rows:
    """Make the `HOUSE` records of the genesis block, one for each name; the names themselves are not recorded.

    `phases` are those of the houses' devices, in the order of `CONNECTED`.
    """
    rows = np.zeros(len(names), HOUSE)
    rows["kind"] = RecordKind.HOUSE
    rows["house"] = np.arange(len(names))
    rows["seq"] = first_seq + np.arange(len(names))
    for field in Ratings._fields:
        rows[field] = getattr(ratings, field)
    rows["own_wh"], rows["wallet_neur"], rows["bus"] = own_wh, wallet_neur, bus
    rows["load_tan_phi_ppm"] = load_tan_phi_ppm
    for field, codes in zip(CONNECTED, phases, strict=True):
        rows[field] = codes
    return rows


def make_topology_records(changes: Sequence[tuple[Change, int]]) -> Rows:
    """Make `TOPOLOGY` records of the changes of an interval, each (change, element)."""
    rows = np.zeros(len(changes), TOPOLOGY)
    rows["kind"] = RecordKind.TOPOLOGY
    rows["status"] = [int(change) for change, _ in changes]
    rows["element"] = [element for _, element in changes]
    return rows


def make_parameter_records(parameters: Mapping[str, bytes | int | str], first_seq: int) -> Rows:
    """Make `PARAMETER` records: integers as 8 little-endian bytes, text as UTF-8.

    Raises
    ------
    LedgerError
        If a name is longer than 20 bytes or a value longer than 40.
    """
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
    rows = select_rows(records, RecordKind.PARAMETER)
    return {bytes(row["name"]).rstrip(b"\0").decode("ascii", "replace"): bytes(row["value"]) for row in rows}


def read_integer_parameter(parameters: Mapping[str, bytes], name: str) -> int:
    """An integer parameter, 0 if it is missing."""
    return int.from_bytes(parameters.get(name, b"\0" * 8)[:8], "little", signed=True)
