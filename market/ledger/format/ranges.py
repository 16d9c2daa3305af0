"""Which values the fields of a record may have; reserved bytes must be zero, so that no byte is free to choose."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.exchanges import (
    AUTOMATIC,
    CHARGED,
    CONDUCTORS,
    FLEXIBLE,
    HEAT_PUMP,
    METER,
    MISSING,
    NOBODY,
    ORDER,
    STATED,
    Ask,
    Ints,
    Kind,
    LossRule,
    Reason,
    Status,
    with_conductor,
)
from market.ledger.format.records import (
    CLOSES,
    CONNECTED,
    ENVELOPE_RULES,
    ISLANDED,
    LAYOUTS,
    MONEY,
    NONE,
    ROOMS,
    Change,
    DeviceKind,
    Kept,
    Purpose,
    RecordBytes,
    RecordKind,
    Role,
)
from market.ledger.format.version import BALANCED, has_devices, has_phases
from market.storage import PPM

_I4 = 2**31 - 1
LARGEST_NEUR = 2**50
"""Largest amount of one exchange, about 1.1 million EUR; no sum over a block can then overflow."""

LARGEST_UEUR_PER_KWH = 10_000_000
"""Largest price of an order: 10 EUR/kWh, as in profiles; the pricing rules then do not overflow."""

LARGEST_UEUR_PER_KW = 10_000_000_000
"""Largest price of a kW of a period's peak: 10,000 EUR/kW."""

LARGEST_GAIN_PPM = 20_000_000
"""Largest heat that a heat pump makes of a unit of energy, in millionths."""

_OF_PHASES = (int(Reason.UNBALANCE), int(Reason.NEUTRAL_VOLTAGE))
_UP_TO_VOLT_WATT = (0, int(Reason.VOLT_WATT))
"""Reasons of a balanced model are up to the last one, but for those of phases."""

_Limits = dict[str, tuple[int, int]]
_NO_FLAGS: _Limits = {"status": (0, 0), "reason": (0, 0)}

_EXCHANGE: _Limits = {
    "status": (0, max(Status)),
    "reason": _UP_TO_VOLT_WATT,
    **dict.fromkeys(("seller", "buyer", "host", "element", "lot"), (NOBODY, _I4)),
    **dict.fromkeys(("cleared_wh", "delivered_wh"), (0, _I4)),
    "price_ueur_per_kwh": (-_I4, _I4),
    "amount_neur": (-LARGEST_NEUR, LARGEST_NEUR),
    "fee_neur": (0, LARGEST_NEUR),
}
_METER: _Limits = {
    **_NO_FLAGS,
    "house": (0, _I4),
    **dict.fromkeys((name for name in METER.names or () if name.endswith("_wh")), (0, _I4)),
}
_ORDER: _Limits = {
    "status": (0, 2),
    "reason": (0, 0),
    **dict.fromkeys(("house", "part"), (0, _I4)),
    **dict.fromkeys((name for name in ORDER.names or () if name.endswith("_wh")), (0, _I4)),
    **dict.fromkeys((name for name in ORDER.names or () if name.endswith("_per_kwh")), (0, LARGEST_UEUR_PER_KWH)),
}
_VERDICT: _Limits = {
    "status": (0, 3),
    "reason": (0, ISLANDED + 1),
    "lowest_vm_upu": (NONE, _I4),
    "losses_wh": (0, 2**62),
    "curtailed_wh": (-(2**62), 2**62),
    "shed_wh": (0, 2**62),
}
_KEY: _Limits = {**_NO_FLAGS, "role": (1, max(Role)), "effective": (0, 2**62)}
_HOUSE: _Limits = {
    **_NO_FLAGS,
    **dict.fromkeys(("house", "soc_min_wh", "soc_max_wh", "max_charge_wh", "max_discharge_wh"), (0, _I4)),
    **dict.fromkeys(("charge_ppm", "discharge_ppm"), (1, PPM)),
    "self_discharge_ppm": (0, PPM),
    "wallet_neur": (0, 2**60),
    **dict.fromkeys(CONNECTED, (0, 0)),
}
_PHASES: _Limits = {
    **_NO_FLAGS,
    **dict.fromkeys(("lowest_phase", "highest_phase"), (0, 3)),
    "branch_conductor": (0, len(CONDUCTORS) - 1),
    **dict.fromkeys(("vuf_e4_percent", "neutral_e4_percent", "neutral_mv"), (NONE, _I4)),
    **dict.fromkeys(("vuf_bus", "neutral_line", "neutral_bus"), (-1, _I4)),
}
_SUBMISSION: _Limits = {
    "status": (STATED, MISSING),
    "reason": (0, 0),
    **dict.fromkeys(("house", "reserve_wh"), (0, _I4)),
    "net_wh": (AUTOMATIC, _I4),
    "ask": (0, max(Ask)),
    "limit_ueur_per_kwh": (-1, LARGEST_UEUR_PER_KWH),
}
_FLEXIBLE: _Limits = {
    "status": (1, HEAT_PUMP),
    "reason": (0, 0),
    **dict.fromkeys(("house", "stays"), (0, _I4)),
    **dict.fromkeys((name for name in FLEXIBLE.names or () if name.endswith("_wh")), (0, _I4)),
    "later_ueur_per_kwh": (-1, LARGEST_UEUR_PER_KWH),
    "gain_ppm": (0, LARGEST_GAIN_PPM),
}
_ENVELOPE: _Limits = {
    "status": (0, max(Kept)),
    "reason": (0, len(ENVELOPE_RULES) - 1),
    **dict.fromkeys(ROOMS, (-1, _I4)),
    **dict.fromkeys(("house", "spilled_wh", "stop_reason", *(f"asked_{name}" for name in ROOMS)), (0, _I4)),
    "element": (-1, _I4),
}
_TERMS: _Limits = {
    "status": (0, 1),
    "reason": (0, max(LossRule)),
    **dict.fromkeys(("grid_ueur_per_kwh", "local_ueur_per_kwh"), (0, LARGEST_UEUR_PER_KWH)),
    "power_ueur_per_kw": (0, LARGEST_UEUR_PER_KW),
    "standing_neur": (0, LARGEST_NEUR),
}
_CHARGE: _Limits = {
    **_NO_FLAGS,
    **dict.fromkeys(("house", "peak_w"), (0, _I4)),
    "withdrawn_wh": (0, 2**62),
    **dict.fromkeys(CHARGED, (0, LARGEST_NEUR)),
}
_AGGREGATE: _Limits = {**_NO_FLAGS, **dict.fromkeys((*MONEY, "into_wh", "out_wh"), (-(2**60), 2**60))}

LIMITS: dict[int, _Limits] = {
    **{int(kind): _EXCHANGE for kind in Kind if kind < Kind.SHIFT},
    int(Kind.METER): _METER,
    RecordKind.ORDER: _ORDER,
    RecordKind.VERDICT: _VERDICT,
    RecordKind.SUBMISSION: _SUBMISSION,
    RecordKind.ENVELOPE: _ENVELOPE,
    RecordKind.TERMS: _TERMS,
    RecordKind.CHARGE: _CHARGE,
    RecordKind.TOPOLOGY: {"status": (1, max(Change)), "reason": (0, CLOSES), "element": (0, _I4)},
    **dict.fromkeys((RecordKind.MEMBER, RecordKind.ROTATE, RecordKind.REVOKE), _KEY),
    RecordKind.DEVICE: {"status": (1, 3), "reason": (0, 0), "device_kind": (1, max(DeviceKind))},
    RecordKind.GRANT: {"status": (1, 2), "reason": (0, 0)},
    RecordKind.ACCESS: {**_NO_FLAGS, "until": (0, 0)},
    RecordKind.SIGNATURE: {"status": (1, max(Purpose)), "reason": (0, 1)},
    RecordKind.PRIVATE: _NO_FLAGS,
    RecordKind.AGGREGATE: _AGGREGATE,
    RecordKind.HOUSE: _HOUSE,
    RecordKind.PARAMETER: _NO_FLAGS,
}
"""Inclusive limits of the fields of each known kind; a field that is not listed may have any value."""


def _list_reasons() -> Ints:
    """Numbers of reasons in an unbalanced model: what concerns conductors names one, all else none."""
    of_conductors = {
        **dict.fromkeys((Reason.OVERVOLTAGE, Reason.UNDERVOLTAGE, Reason.TRAFO_OVERLOAD), CONDUCTORS[1:4]),
        Reason.LINE_OVERLOAD: CONDUCTORS[1:],
    }
    return np.array([with_conductor(reason, name) for reason in Reason for name in of_conductors.get(reason, ("",))])


_REASONS = _list_reasons()
_UP_TO_REASONS = (0, int(_REASONS.max()))

LIMITS_WITH_PHASES: dict[int, _Limits] = {
    **LIMITS,
    **{int(kind): {**_EXCHANGE, "reason": _UP_TO_REASONS} for kind in Kind if kind < Kind.SHIFT},
    RecordKind.PHASES: _PHASES,
    RecordKind.HOUSE: {**_HOUSE, **dict.fromkeys(CONNECTED, (0, 3))},
}
"""`LIMITS` of an unbalanced model; of reasons, not all numbers in between are one."""


def find_limits(version: int) -> dict[int, _Limits]:
    """Limits of the fields of each kind in ledgers of a version; of devices only where these are recorded."""
    limits = LIMITS_WITH_PHASES if has_phases(version) else LIMITS
    if not has_devices(version):
        return limits
    return {
        **limits,
        int(Kind.SHIFT): limits[int(Kind.SHED)],
        int(Kind.METER): {**_METER, "reason": (0, 2**16 - 1)},
        int(RecordKind.FLEXIBLE): _FLEXIBLE,
    }


def find_out_of_range(records: RecordBytes, version: int = BALANCED) -> tuple[int, str] | None:
    """Find the first record of unknown kind or with a value out of range; returns (number, reason).

    Parameters
    ----------
    records
        Records of one or many blocks, (M, 72).
    version
        Of the ledger.
    """
    found: list[tuple[int, str]] = []
    limits = find_limits(version)
    kinds = records[:, 0]
    for kind in np.unique(kinds).tolist():
        at = np.flatnonzero(kinds == kind)
        if kind not in limits:
            found.append((int(at[0]), f"a record of unknown kind {kind}"))
            continue
        rows = records[at].copy().view(LAYOUTS[kind]).reshape(-1)
        for name, wrong in _find_wrong(rows, limits[kind]):
            k = int(np.argmax(wrong))
            if wrong[k]:
                found.append((int(at[k]), f"a record whose {name} is out of range: {_show(rows[name][k])}"))
    return min(found, default=None)


def _find_wrong(rows: Any, limits: _Limits) -> Any:
    """(name of a field, in which rows it is out of range) for every field with limits."""
    for name, (lowest, highest) in limits.items():
        yield name, (rows[name] < lowest) | (rows[name] > highest)
    if limits.get("reason") == _UP_TO_REASONS:
        yield "reason", ~np.isin(rows["reason"], _REASONS)
    if limits.get("reason") == _UP_TO_VOLT_WATT:
        yield "reason", np.isin(rows["reason"], _OF_PHASES)
    if "tap_pos" in rows.dtype.names:
        yield "tap_pos", (rows["tap_pos"] != 0) & (rows["status"] != Change.TAP_POSITION)
    if "reserved" in rows.dtype.names:
        filled = np.ascontiguousarray(rows["reserved"]).view(np.uint8).reshape(rows.size, -1)
        yield "reserved", filled.any(axis=1)


def _show(value: Any) -> str:
    return value.tobytes().hex() if isinstance(value, (np.void, np.bytes_)) else str(int(value))
