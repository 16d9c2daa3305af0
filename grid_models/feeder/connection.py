"""At which phases the devices of participants are connected.

A device is on one phase, between it and neutral, or on all three, a third of its power on each. Devices of one
participant may differ: a one-phase house can have three-phase panels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Ints
from grid_models.errors import GridError, shorten

ABC, A, B, C = 0, 1, 2, 3
"""Codes of a connection: three phases, or one."""
NAMES = ("abc", "a", "b", "c")
"""Name of each code."""
DEVICES = ("load", "pv", "battery", "fuel_cell")
EV = "ev"
"""A wall box, which houses have in some runs only."""

CONDUCTORS = {"bus": ("a", "b", "c"), "line": ("a", "b", "c", "n"), "trafo": ("a", "b", "c")}
"""Conductors of an element that are judged one by one in an unbalanced model, in their order; n is the neutral."""

LARGEST_ONE_PHASE_KVA = 4.6
"""Largest rated power of a generator or battery on one phase (VDE-AR-N 4105:2018-11); larger ones take all three."""

Codes = npt.NDArray[np.int8]

_WORDS = {
    **{name: code for code, name in enumerate(NAMES)},
    **{word: code for code in (A, B, C) for word in (str(code), f"l{code}")},
    "123": ABC,
    "3": C,
    "l1l2l3": ABC,
    "l1,l2,l3": ABC,
    "3ph": ABC,
}


def read_phase(word: str, where: str) -> int:
    """Code of a word for phases: a, b, c, abc, also 1, 2, 3 and L1, L2, L3, in either case.

    Raises
    ------
    GridError
        If it is none; the message begins with `where`.

    Examples
    --------
    >>> [NAMES[read_phase(word, "row 1")] for word in ("a", "L2", "3", "ABC")]
    ['a', 'b', 'c', 'abc']
    """
    code = _WORDS.get(word.strip().lower().replace(" ", ""))
    if code is None:
        raise GridError(f"{where}: expected a phase: a, b, c or abc (or 1, 2, 3, L1, L2, L3), got '{shorten(word)}'")
    return code


class FourWires(NamedTuple):
    """How a neutral that is a conductor of its own is earthed: resistances in ohm.

    Attributes
    ----------
    star_ohm
        Of each transformer's star point.
    house_ohm
        Of the neutral at each participant; None where it is earthed at transformers only.
    """

    star_ohm: float = 1.0
    house_ohm: float | None = None


@dataclass(frozen=True, eq=False)
class Connections:
    """Phases of the devices of N participants, and the injections that follow: one for each participant and phase.

    A participant whose devices are all on the same phase has one injection, one with three-phase panels behind a
    one-phase load has two.

    Attributes
    ----------
    load, pv, battery, fuel_cell
        (N,) code of each participant's device, whether it has one or not.
    wires
        How the neutral is earthed where it is a conductor of its own; None: it is earthed everywhere.
    ev
        (N,) code of each participant's wall box; None: nobody has one, or all are where the load is.
    """

    load: Codes
    pv: Codes
    battery: Codes
    fuel_cell: Codes
    wires: FourWires | None = None
    ev: Codes | None = None

    @property
    def wall_box(self) -> Codes:
        """(N,) code of each participant's wall box, that of the load where nothing else is said."""
        return self.load if self.ev is None else self.ev

    @cached_property
    def _pairs(self) -> Ints:
        """(C, 2) participant and code of each injection."""
        n, devices = self.load.size, [*(getattr(self, device) for device in DEVICES), self.wall_box]
        codes = np.concatenate(devices).astype(np.int64)
        return np.unique(np.stack([np.tile(np.arange(n), len(devices)), codes], axis=1), axis=0)

    @property
    def house(self) -> Ints:
        """(C,) participant of each injection."""
        return self._pairs[:, 0]

    @property
    def code(self) -> Ints:
        """(C,) code of each injection's phases."""
        return self._pairs[:, 1]

    def select(self, chosen: npt.ArrayLike) -> Connections:
        """Those of some participants, in the order of their places `chosen`."""
        at = np.asarray(chosen, dtype=np.int64)
        load, pv, battery, fuel_cell = (getattr(self, device)[at] for device in DEVICES)
        ev = None if self.ev is None else self.ev[at]
        return replace(self, load=load, pv=pv, battery=battery, fuel_cell=fuel_cell, ev=ev)

    def column(self, device: str) -> Ints:
        """(N,) place of each participant's injection by a device."""
        return self._columns[device]

    @cached_property
    def _columns(self) -> dict[str, Ints]:
        key = self.house * len(NAMES) + self.code
        houses = np.arange(self.load.size) * len(NAMES)
        codes = {**{device: getattr(self, device) for device in DEVICES}, EV: self.wall_box}
        return {device: np.searchsorted(key, houses + code) for device, code in codes.items()}


def make_connections(
    phase: npt.ArrayLike,
    *,
    pv: npt.ArrayLike | None = None,
    battery: npt.ArrayLike | None = None,
    fuel_cell: npt.ArrayLike | None = None,
) -> Connections:
    """Connections of participants whose devices are all at `phase`, (N,) codes, but for those that are given.

    Examples
    --------
    >>> made = make_connections([A, B], pv=[A, ABC])
    >>> made.house.tolist(), [NAMES[code] for code in made.code], made.column("pv").tolist()
    ([0, 1, 1], ['a', 'abc', 'b'], [0, 1])
    """
    load = np.asarray(phase, dtype=np.int8)
    pv, battery, fuel_cell = (
        load if codes is None else np.asarray(codes, dtype=np.int8) for codes in (pv, battery, fuel_cell)
    )
    return Connections(load, pv, battery, fuel_cell)


def connect_houses(phase: npt.ArrayLike, pv_kw: npt.ArrayLike, battery_kw: npt.ArrayLike) -> Connections:
    """Connections of houses at given phases, whose larger devices are on three phases.

    Panels and batteries of at most `LARGEST_ONE_PHASE_KVA` are on the phase of their house, each judged by itself;
    larger ones, and fuel cells of any size, are on all three.

    Parameters
    ----------
    phase
        (N,) code of each house.
    pv_kw, battery_kw
        (N,) rated power of its panels and of its battery, kW at power factor 1; 0 where it has none.

    Examples
    --------
    >>> made = connect_houses([A, B, C], [0.0, 4.6, 4.7], [5.0, 3.0, 0.0])
    >>> [[NAMES[code] for code in codes] for codes in (made.load, made.pv, made.battery, made.fuel_cell)]
    [['a', 'b', 'c'], ['a', 'b', 'abc'], ['abc', 'b', 'c'], ['abc', 'abc', 'abc']]
    """
    house = np.asarray(phase, dtype=np.int8)
    pv, battery = (np.where(np.asarray(kw) > LARGEST_ONE_PHASE_KVA, ABC, house) for kw in (pv_kw, battery_kw))
    return make_connections(house, pv=pv, battery=battery, fuel_cell=np.full(house.size, ABC))


def draw_connections(rng: np.random.Generator, pv_kw: npt.ArrayLike, battery_kw: npt.ArrayLike) -> Connections:
    """Connections of one-phase houses, each on a phase drawn at random; see `connect_houses`.

    The phase of a house depends on nothing but the generator and the houses before it.
    """
    n = np.asarray(pv_kw).size
    return connect_houses(rng.integers(A, C, n, endpoint=True), pv_kw, battery_kw)
