"""Numbers of a net that pandapower takes and that no network has: refused by name, or said in a note.

`runpp` stops with a division by zero, or answers with loadings that are infinite, without capacitance or with the
voltages of another level. What cannot be is refused; what can be, though it rarely is meant, is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from grid_models.errors import GridError, shorten

_ABOVE_ZERO = {
    "bus": ("vn_kv",),
    "line": ("length_km", "parallel"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "parallel"),
    "trafo3w": ("sn_hv_mva", "sn_mv_mva", "sn_lv_mva", "vn_hv_kv", "vn_mv_kv", "vn_lv_kv"),
    "impedance": ("sn_mva",),
}
"""Columns that are divided by, or that a voltage or length stands in; only elements in service count."""
LARGEST_VM_PU = 2.0
"""No limit of a voltage is above; a larger one is in volt or per cent."""
LEVELS = 0.3
"""pandapower's own diagnosis takes a transformer for misplaced from such a difference to its bus on."""
_EQUAL = 0.02


def check_numbers(net: Any, where: str) -> None:
    """Refuse a net with numbers that no network has; `where` begins messages.

    Raises
    ------
    GridError
        If a frequency, power base, voltage, length, rating or impedance is not above 0, a transformer's short-circuit
        voltage is below its real part, or a limit of the voltage is in another unit.
    """
    check_base(net, where)
    for flaw in list_impossible(net):
        raise GridError(f"{where}, {flaw.table} {flaw.index}, column {flaw.column}: {flaw}; correct it")


def check_base(net: Any, where: str) -> None:
    """Raise `GridError` unless frequency and power base of a net are numbers above 0; `where` begins the message."""
    for name, unit in (("f_hz", "Hz"), ("sn_mva", "MVA")):
        value = net.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < value < np.inf:
            raise GridError(f"{where}, {name}: expected a number above 0, {unit}, got {shorten(repr(value))}")


@dataclass(frozen=True)
class Impossible:
    """A number of an element in service that no network has."""

    table: str
    index: int
    column: str
    expected: str
    got: float

    def __str__(self) -> str:
        """What was expected, and what is there."""
        return f"expected {self.expected}, got {self.got:g}"


def list_impossible(net: Any) -> Iterator[Impossible]:
    """Numbers of elements in service that no network has."""
    for table, columns in _ABOVE_ZERO.items():
        for column in net[table].columns.intersection(list(columns)):
            yield from _list_wrong(net, table, column, net[table][column] <= 0.0, "a number above 0")
    if "vkr_percent" in net.trafo:
        below = net.trafo["vk_percent"] < net.trafo["vkr_percent"]
        yield from _list_wrong(net, "trafo", "vk_percent", below, "at least vkr_percent, its real part")
    for column in net.bus.columns.intersection(["min_vm_pu", "max_vm_pu"]):
        expected = f"a voltage in pu, at most {LARGEST_VM_PU:g}"
        yield from _list_wrong(net, "bus", column, net.bus[column].astype(float) > LARGEST_VM_PU, expected)


def _list_wrong(net: Any, table: str, column: str, wrong: pd.Series, expected: str) -> Iterator[Impossible]:
    frame = net[table][wrong & net[table]["in_service"].astype(bool)]
    for label, value in frame[column].items():
        yield Impossible(table, int(label), column, expected, float(value))


def list_doubts(net: Any) -> Iterator[str]:
    """What a net may hold and its owner hardly means, in words."""
    for doubt in (*list_taps_beyond(net), *list_steps_beyond(net)):
        yield f"{doubt.table} {doubt.index}: {doubt.what}, and is taken as it is"
    breaks = groupby(list_level_breaks(net), key=lambda found: (found.table, found.side))
    for (table, side), group in breaks:
        rows = list(group)
        more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
        what = f"is at a {side} bus of another" if side else "joins buses of different"
        yield f"{table} {rows[0].index}{more}: {what} rated voltage (vn_kv); is it meant?"


@dataclass(frozen=True)
class Doubt:
    """An element that is set beyond its own range, and how."""

    table: str
    index: int
    what: str
    value: float


@dataclass(frozen=True)
class LevelBreak:
    """A branch in service at a bus of another rated voltage.

    Attributes
    ----------
    table, index
        The branch.
    side
        `hv` or `lv` of a transformer, empty for a line or switch.
    got_kv, expected_kv
        Rated voltage of the bus at that side and of the transformer; of the buses at a line's end and begin.
    """

    table: str
    index: int
    side: str
    got_kv: float
    expected_kv: float

    @property
    def is_large(self) -> bool:
        """Whether the two are different levels, not values that some use for the same one."""
        return abs(self.got_kv - self.expected_kv) > LEVELS * min(self.got_kv, self.expected_kv)


def list_level_breaks(net: Any) -> Iterator[LevelBreak]:
    """Lines and closed switches between buses of different rated voltage, transformers at buses of another."""
    levels = net.bus["vn_kv"].astype(float)
    between = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool)]
    joined = [
        ("line", net.line, net.line["from_bus"], net.line["to_bus"]),
        ("switch", between, between["bus"], between["element"]),
    ]
    for table, frame, start, end in joined:
        low, high = start.map(levels), end.map(levels)
        yield from _list_breaks(table, "", frame, high, low, (low - high).abs() > _EQUAL * low)
    trafo = net.trafo
    for side in ("hv", "lv"):
        bus_kv = trafo[f"{side}_bus"].map(levels)
        off = (trafo[f"vn_{side}_kv"] - bus_kv).abs() > LEVELS * bus_kv
        yield from _list_breaks("trafo", side, trafo, bus_kv, trafo[f"vn_{side}_kv"], off)


def _list_breaks(
    table: str, side: str, frame: pd.DataFrame, got_kv: pd.Series, expected_kv: pd.Series, off: pd.Series
) -> Iterator[LevelBreak]:
    is_off = off.to_numpy(bool)
    on = frame["in_service"].to_numpy(bool) if "in_service" in frame else np.ones(len(frame), bool)
    for k in np.flatnonzero(is_off & on).tolist():
        yield LevelBreak(table, int(frame.index[k]), side, float(got_kv.iloc[k]), float(expected_kv.iloc[k]))


def list_steps_beyond(net: Any) -> Iterator[Doubt]:
    """Shunts in service whose step is above their largest."""
    shunt = net.shunt[net.shunt["in_service"].astype(bool)]
    for label, row in shunt[shunt["step"] > shunt["max_step"]].iterrows() if "max_step" in shunt else ():
        yield Doubt(
            "shunt", int(label), f"its step {row['step']:g} is above {row['max_step']:g} (max_step)", float(row["step"])
        )


def list_taps_beyond(net: Any) -> Iterator[Doubt]:
    """Transformers in service whose tap is at a position that they have not."""
    for table in ("trafo", "trafo3w"):
        frame = net[table][net[table]["in_service"].astype(bool)]
        if not {"tap_pos", "tap_min", "tap_max"} <= set(frame.columns):
            continue
        position, low, high = (frame[name].astype(float) for name in ("tap_pos", "tap_min", "tap_max"))
        for label in frame.index[((position < low) | (position > high)).to_numpy()]:
            what = (
                f"its tap position {position[label]:g} is outside {low[label]:g} to {high[label]:g} (tap_min, tap_max)"
            )
            yield Doubt(table, int(label), what, float(position[label]))
