"""Numbers of a net that pandapower takes and that no network has: refused by name, or said in a note.

`runpp` stops with a division by zero, or answers with loadings that are infinite, without capacitance or with the
voltages of another level. What cannot be is refused; what can be, though it rarely is meant, is said.
"""

from __future__ import annotations

from collections.abc import Iterator
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
_LEVELS = 0.3
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
    for name, unit in (("f_hz", "Hz"), ("sn_mva", "MVA")):
        value = net.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < value < np.inf:
            raise GridError(f"{where}, {name}: expected a number above 0, {unit}, got {shorten(repr(value))}")
    for table, columns in _ABOVE_ZERO.items():
        for column in net[table].columns.intersection(list(columns)):
            _refuse(net, where, table, column, net[table][column] <= 0.0, "a number above 0")
    if "vkr_percent" in net.trafo:
        below = net.trafo["vk_percent"] < net.trafo["vkr_percent"]
        _refuse(net, where, "trafo", "vk_percent", below, "at least vkr_percent, its real part")
    for column in net.bus.columns.intersection(["min_vm_pu", "max_vm_pu"]):
        expected = f"a voltage in pu, at most {LARGEST_VM_PU:g}"
        _refuse(net, where, "bus", column, net.bus[column].astype(float) > LARGEST_VM_PU, expected)


def _refuse(net: Any, where: str, table: str, column: str, wrong: pd.Series, expected: str) -> None:
    """Raise `GridError` for the first of the rows of a table that are wrong and in service."""
    frame = net[table][wrong & net[table]["in_service"].astype(bool)]
    if len(frame):
        label = frame.index[0]
        found = f"{frame[column].iloc[0]:g}"
        raise GridError(f"{where}, {table} {label}, column {column}: expected {expected}, got {found}; correct it")


def list_doubts(net: Any) -> Iterator[str]:
    """What a net may hold and its owner hardly means, in words."""
    yield from _list_taps_beyond(net)
    shunt = net.shunt[net.shunt["in_service"].astype(bool)]
    for label, row in shunt[shunt["step"] > shunt["max_step"]].iterrows() if "max_step" in shunt else ():
        yield f"shunt {label}: its step {row['step']:g} is above {row['max_step']:g} (max_step), and is taken as it is"
    levels = net.bus["vn_kv"].astype(float)
    joined = [("line", net.line, net.line["from_bus"], net.line["to_bus"])]
    between = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool)]
    joined.append(("switch", between, between["bus"], between["element"]))
    for table, frame, start, end in joined:
        low, high = start.map(levels), end.map(levels)
        yield from _list_levels(
            table, frame[((low - high).abs() > _EQUAL * low).to_numpy()], "joins buses of different"
        )
    trafo = net.trafo
    for side in ("hv", "lv"):
        bus_kv = trafo[f"{side}_bus"].map(levels)
        off = (trafo[f"vn_{side}_kv"] - bus_kv).abs() > _LEVELS * bus_kv
        yield from _list_levels("trafo", trafo[off.to_numpy()], f"is at a {side} bus of another")


def _list_levels(table: str, frame: pd.DataFrame, what: str) -> Iterator[str]:
    on = frame[frame["in_service"].astype(bool)] if "in_service" in frame else frame
    if len(on):
        more = f", and {len(on) - 1} more" if len(on) > 1 else ""
        yield f"{table} {on.index[0]}{more}: {what} rated voltage (vn_kv); is it meant?"


def _list_taps_beyond(net: Any) -> Iterator[str]:
    for table in ("trafo", "trafo3w"):
        frame = net[table][net[table]["in_service"].astype(bool)]
        if not {"tap_pos", "tap_min", "tap_max"} <= set(frame.columns):
            continue
        position, low, high = (frame[name].astype(float) for name in ("tap_pos", "tap_min", "tap_max"))
        for label in frame.index[((position < low) | (position > high)).to_numpy()]:
            yield (
                f"{table} {label}: its tap position {position[label]:g} is outside {low[label]:g} to {high[label]:g} "
                "(tap_min, tap_max), and is taken as it is"
            )
