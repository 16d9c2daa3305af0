"""The background of a net: elements that draw or feed power and belong to no participant.

Loads, generators, storages, shunts, wards and motors that a net keeps. What a constant element injects, and what one of
constant impedance does at a voltage, is read from its table; whatever else there is, only the AC solution tells.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grid_models.arrays import Floats, Ints, Mask

_CONSTANT = (
    ("load", -1.0, ("p_mw",)),
    ("sgen", 1.0, ("p_mw",)),
    ("storage", -1.0, ("p_mw",)),
    ("asymmetric_load", -1.0, ("p_a_mw", "p_b_mw", "p_c_mw")),
    ("asymmetric_sgen", 1.0, ("p_a_mw", "p_b_mw", "p_c_mw")),
)
"""Tables of elements of constant power, their sign and the columns that are summed; all have a `scaling`."""
_SCALED = {table for table, _, _ in _CONSTANT}
_OTHERS = {
    "gen": "generator that holds its voltage",
    "xward": "extended ward",
    "dcline": "DC line",
    "svc": "static var compensator",
    "ssc": "static synchronous compensator",
    "tcsc": "thyristor-controlled series capacitor",
    "vsc": "voltage source converter",
}
"""Tables of elements whose power only the AC solution tells, or that hold a voltage, and what they are."""


class Background(NamedTuple):
    """E elements in service; those without power are none.

    Attributes
    ----------
    table, element, row
        (E,) table and index of each, and the row of its bus in `net.bus`.
    constant_kw, square_kw
        (E,) active injection that is constant, and that at 1 pu which goes with the square of the voltage.
    unknown
        Whether there are elements whose power only the AC solution tells.
    """

    table: tuple[str, ...]
    element: Ints
    row: Ints
    constant_kw: Floats
    square_kw: Floats
    unknown: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return len(self.table) == 0 and not self.unknown

    @property
    def is_generation(self) -> Mask:
        """(E,) elements that feed; their power can be turned down."""
        scaled = [table in _SCALED for table in self.table]
        return np.asarray((self.constant_kw > 0.0) & np.array(scaled, dtype=bool))

    def select(self, chosen: Mask) -> Background:
        """Elements of a mask, (E,)."""
        at = np.flatnonzero(chosen)
        table = tuple(self.table[k] for k in at)
        columns = self.element[at], self.row[at], self.constant_kw[at], self.square_kw[at]
        return Background(table, *columns, unknown=self.unknown)

    def power_kw(self, vm_pu: Floats) -> Floats:
        """Active injection of each element at voltages of the net's buses, (K, B) pu; (K, E), 0 without supply."""
        vm = vm_pu[:, self.row]
        return np.where(np.isfinite(vm), self.constant_kw + self.square_kw * np.nan_to_num(vm) ** 2, 0.0)


def find_background(net: Any) -> Background:
    """Background of a net.

    Parameters
    ----------
    net
        pandapower net; participants' own elements are at zero power, and so are none.
    """
    constant = [_list_constant(net[table], table, sign, columns) for table, sign, columns in _CONSTANT]
    frame = pd.concat([*constant, _list_motors(net), _list_shunts(net), _list_wards(net)], ignore_index=True)
    frame = frame[(frame["constant_kw"] != 0.0) | (frame["square_kw"] != 0.0)]
    return Background(
        tuple(frame["table"]),
        frame["index"].to_numpy(np.int64),
        np.asarray(net.bus.index.get_indexer(frame["bus"].to_numpy(np.int64)), np.int64),
        frame["constant_kw"].to_numpy(np.float64),
        frame["square_kw"].to_numpy(np.float64),
        bool(_list_others(net)) or bool(_find_voltage_dependent(net).any()),
    )


def _list_constant(frame: Any, table: str, sign: float, columns: tuple[str, ...]) -> pd.DataFrame:
    """Elements of constant power in service; loads that depend on the voltage are left to the AC solution."""
    kw = sign * 1000.0 * frame[list(columns)].astype(float).fillna(0.0).sum(axis=1) * frame["scaling"]
    on = frame["in_service"].astype(bool)
    if table == "load":
        on &= ~_is_voltage_dependent(frame)
    return _tabulate(table, frame[on], kw[on], 0.0)


def _tabulate(table: str, frame: Any, constant_kw: Any, square_kw: Any) -> pd.DataFrame:
    columns = {"index": frame.index, "bus": frame["bus"], "constant_kw": constant_kw, "square_kw": square_kw}
    typed = pd.DataFrame(columns, frame.index).astype({"constant_kw": float, "square_kw": float})
    return typed.assign(table=table)


def _list_motors(net: Any) -> pd.DataFrame:
    motor = net.motor[net.motor["in_service"].astype(bool)]
    drawn_mw = motor["pn_mech_mw"] / motor["efficiency_percent"] * motor["loading_percent"] * motor["scaling"]
    return _tabulate("motor", motor, -1000.0 * drawn_mw, 0.0)


def _list_shunts(net: Any) -> pd.DataFrame:
    shunt = net.shunt[net.shunt["in_service"].astype(bool)]
    bus_kv = shunt["bus"].map(net.bus["vn_kv"]).astype(float)
    ratio = bus_kv / shunt["vn_kv"].astype(float).fillna(bus_kv)
    return _tabulate("shunt", shunt, 0.0, -1000.0 * shunt["p_mw"] * shunt["step"] * ratio**2)


def _list_wards(net: Any) -> pd.DataFrame:
    ward = net.ward[net.ward["in_service"].astype(bool)]
    return _tabulate("ward", ward, -1000.0 * ward["ps_mw"], -1000.0 * ward["pz_mw"])


def _is_voltage_dependent(load: Any) -> Any:
    columns = [name for name in load.columns if str(name).startswith(("const_z", "const_i"))]
    return (load[columns].astype(float).fillna(0.0) != 0.0).any(axis=1)


def _find_voltage_dependent(net: Any) -> Any:
    load = net.load
    return load["in_service"].astype(bool) & _is_voltage_dependent(load) & (load["p_mw"] != 0.0)


def _list_others(net: Any) -> list[tuple[str, int]]:
    """Table and index of each element in service of the tables `_OTHERS`."""
    tables = [(table, net[table]) for table in _OTHERS if table in net and len(net[table])]
    return [(table, int(k)) for table, frame in tables for k in frame.index[frame["in_service"].astype(bool)]]


class Unsound(NamedTuple):
    """An element that cannot be carried in an island, in words, and the buses that it is at."""

    what: str
    bus: tuple[int, ...]


def list_unsound(net: Any) -> list[Unsound]:
    """Elements in service that an island cannot carry: they hold a voltage, or their power depends on it.

    A grid-forming device holds the island's voltage alone, and what it supplies must be known before it is solved. A
    shunt or ward of constant impedance is carried, unless it feeds.
    """
    found = []
    for table, k in _list_others(net):
        columns = [name for name in ("bus", "from_bus", "to_bus") if name in net[table]]
        buses = tuple(int(net[table].at[k, name]) for name in columns)
        found.append(Unsound(_name(net, table, k, _OTHERS[table]), buses))
    for k in net.load.index[_find_voltage_dependent(net)]:
        what = _name(net, "load", int(k), "load whose power depends on the voltage")
        found.append(Unsound(what, (int(net.load.bus.at[k]),)))
    background = find_background(net)
    feeds = (background.square_kw > 0.0) | ((background.constant_kw > 0.0) & ~background.is_generation)
    for k in np.flatnonzero(feeds).tolist():
        what = _name(net, background.table[k], int(background.element[k]), f"{background.table[k]} that feeds")
        found.append(Unsound(what, (int(net.bus.index[background.row[k]]),)))
    return found


def _name(net: Any, table: str, index: int, what: str) -> str:
    name = net[table].at[index, "name"] if "name" in net[table] else None
    named = f" '{name}'" if isinstance(name, str) and name else ""
    return f"{table} {index}{named} ({what})"


class Use(NamedTuple):
    """How the background of an island is run.

    Attributes
    ----------
    is_off
        Whether its loads, shunts, wards and motors are switched off.
    generation
        Share of its generation that is fed in, 0 … 1.
    """

    is_off: bool = False
    generation: float = 1.0


def with_use(net: Any, background: Background, inside: Mask, use: Use) -> Any:
    """Copy of a net in which the background at some buses is run otherwise.

    Parameters
    ----------
    net, background
        pandapower net, not changed, and its background.
    inside
        (B,) buses.
    use
        How it is run there.
    """
    net = deepcopy(net)
    feeds = background.is_generation
    for k in np.flatnonzero(inside[background.row]):
        frame, index = net[background.table[k]], background.element[k]
        if feeds[k]:
            frame.loc[index, "scaling"] *= use.generation
        elif use.is_off:
            frame.loc[index, "in_service"] = False
    return net
