"""The feeder on which devices are placed: what it carries without them, what they add, and AC at any number of them.

Where phases differ, every house gets an injection on each phase and one on all three, so that one engine solves every
draw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.unhindered import DeviceLoad, find_drawn_kw
from cosim.case.voltage_control import make_tap_changers
from cosim.delivery.setpoints import at_device, mean_kw
from cosim.studies.hosting.draws import PV, TECHNOLOGIES, Draws
from cosim.studies.hosting.profiles import Library
from cosim.studies.hosting.voltage import Controls, Held, States, solve_held_voltages
from cosim.validation.hosting import list_load_q_kvar
from grid_models.arrays import Floats, Ints
from grid_models.feeder.connection import ABC, NAMES, A, B, C, make_connections
from grid_models.feeder.feeder import Feeder
from grid_models.phases.connected import LARGEST_LOW_VOLTAGE_KV
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.powerflow.admittance import find_bus_rows
from grid_models.powerflow.flow import Flow
from grid_models.response.sensitivity import AnyPowerFlow


class Base(NamedTuple):
    """K intervals without any device that is placed, and what one would do in them.

    Attributes
    ----------
    interval
        (K,) their numbers.
    p_kw, q_kvar
        (K, C) injections, and reactive ones beside those of inverters; q_kvar is None where there are none.
    pv_kw
        (K, C) the part of p_kw that comes from PV.
    tan_phi
        (K, N) Q/P of each house's load.
    unit
        (K, P) profiles, kW per kW.
    """

    interval: Ints
    p_kw: Floats
    q_kvar: Floats | None
    pv_kw: Floats
    tan_phi: Floats
    unit: Floats


class Added(NamedTuple):
    """What devices add to states, (…, C) each: kW, kvar of loads, and the part of kW that comes from PV.

    The last two are None where nobody asks for them: loads without reactive power, inverters without control.
    """

    p_kw: Floats
    q_kvar: Floats | None
    pv_kw: Floats | None

    def apply(self, change: Callable[[Floats], Floats]) -> Added:
        """The same with each part changed."""
        return Added._make(None if values is None else change(values) for values in self)

    def select(self, chosen: Any) -> Added:
        """Some of the states, as numpy selects."""
        return Added._make(None if values is None else values[chosen] for values in self)

    def plus(self, more: Added) -> Added:
        """The sum of both, whose shapes go together."""
        parts = zip(self, more, strict=True)
        return Added._make(None if a is None or b is None else a + b for a, b in parts)


@dataclass(frozen=True, eq=False)
class Street:
    """A feeder and the devices that are placed on it.

    Attributes
    ----------
    case
        Feeder as it is, limits, profiles.
    feeder, engine
        The same with an injection on each phase of each house, and its power flow.
    devices
        What cars and heat pumps that are there take.
    library
        What those that are placed do.
    """

    case: Case
    feeder: Feeder
    engine: AnyPowerFlow
    devices: DeviceLoad
    library: Library

    @property
    def n_columns(self) -> int:
        """Number C of injections."""
        return int(self.feeder.injection_bus.size)

    def column(self, house: Ints, code: Ints) -> Ints:
        """Injection of devices at some houses and phases, in their shape."""
        connections = self.feeder.connections
        if connections is None:
            return house
        key = connections.house * len(NAMES) + connections.code
        found = np.searchsorted(key, house * len(NAMES) + code)
        there = key[np.minimum(found, key.size - 1)] == house * len(NAMES) + code
        return np.where(there, found, np.searchsorted(key, house * len(NAMES) + ABC))

    def read_base(self, intervals: Ints) -> Base:
        """What there is in some intervals."""
        case, connections = self.case, self.case.feeder.connections
        pv = at_device(mean_kw(case.profiles.pv_wh[intervals], case.interval_minutes), "pv", connections)
        q = list_load_q_kvar(case, self.devices, intervals)
        tan_phi = np.zeros((intervals.size, case.feeder.bus.size))
        if case.load_reactive is not None:
            tan_phi += np.stack([case.load_reactive.tan_phi(k) for k in intervals.tolist()]) if intervals.size else 0.0
        pv = self._widen(pv)
        p = pv - self._widen(find_drawn_kw(case, self.devices, intervals))
        return Base(intervals, p, None if q is None else self._widen(q), pv, tan_phi, self.library.unit[intervals])

    def _widen(self, values: Floats) -> Floats:
        """Values of the feeder's own injections, (K, c), as those of this street, (K, C)."""
        own = self.case.feeder.connections
        if own is None:
            return values
        wide = np.zeros((len(values), self.n_columns))
        wide[:, self.column(own.house, own.code)] = values
        return wide

    @cached_property
    def parts(self) -> tuple[bool, bool, bool]:
        """Which parts of `Added` there are."""
        draws_load = any(technology != TECHNOLOGIES.index(PV) for technology, _ in self.library.first)
        has_inverters = self.case.control is not None or self.case.active is not None
        return True, draws_load and self.case.load_reactive is not None, has_inverters

    @cached_property
    def controls(self) -> Controls:
        """What holds the voltage, with ratings of this street's injections."""
        case, minutes = self.case, self.case.interval_minutes
        reactive, active = case.control, case.active
        return Controls(
            None if reactive is None else replace(reactive, s_kva=self._rate(reactive.s_kva)),
            None if active is None else replace(active, rated_kw=self._rate(active.rated_kw)),
            make_tap_changers(case.scenario.tap_changer, self.feeder),
            case.scenario.pv.rating_kva_per_kw,
            float(mean_kw(np.ones(1, np.int64), minutes)[0]),
            60.0 * minutes,
        )

    def _rate(self, of_houses: Floats) -> Floats:
        """Ratings of houses' inverters, (N,), at this street's injections, (C,)."""
        return np.asarray(self._widen(at_device(of_houses, "pv", self.case.feeder.connections)[None])[0])

    def add_nothing(self, n: int) -> Added:
        """Nothing at all in n states."""
        return Added._make(np.zeros((n, self.n_columns)) if there else None for there in self.parts)

    def place(self, base: Base, k: int, draws: Draws, profile: Ints) -> Added:
        """What devices add in interval k of a base, (D, M, C): each its own row.

        Parameters
        ----------
        base, k
            An interval.
        draws, profile
            Devices and their profiles, (D, M).
        """
        steps, row = self.add_nothing(draws.kw.size), np.arange(draws.kw.size)
        column = self.column(draws.house, draws.code).ravel()
        for wide, step in zip(steps, self.list_steps(base, k, draws, profile), strict=True):
            if wide is not None and step is not None:
                wide[row, column] = step.ravel()
        return steps.apply(lambda values: values.reshape(*draws.kw.shape, -1))

    def list_steps(self, base: Base, k: int, draws: Draws, profile: Ints) -> Added:
        """What each device adds in interval k of a base, at its own injection, in the shape of the draws."""
        kw, is_pv = draws.kw * base.unit[k][profile], draws.technology == TECHNOLOGIES.index(PV)
        q_kvar = np.where(is_pv, 0.0, -kw * base.tan_phi[k][draws.house])
        every = np.where(is_pv, kw, -kw), q_kvar, np.where(is_pv, kw, 0.0)
        return Added._make(values if there else None for values, there in zip(every, self.parts, strict=True))

    def solve(self, base: Base, k: Ints, added: Added) -> Flow:
        """AC at what devices add to intervals k of a base, R states; powers of branches and sources are left out."""
        return self.solve_held(base, k, added).flow

    def solve_held(self, base: Base, k: Ints, added: Added) -> Held:
        """The same with what P(V) takes.

        Rules of inverters that are there are those of inverters that are placed, too.
        """
        p = base.p_kw[k] + added.p_kw
        q = None if base.q_kvar is None else base.q_kvar[k]
        if q is not None and added.q_kvar is not None:
            q = q + added.q_kvar
        if added.pv_kw is None:  # no inverter has a rule
            none = np.zeros((len(p), 0))
            return solve_held_voltages(self.engine, self.controls, States(p, q, none, none, none))
        sun = base.unit[k, 0][:, None]  # where panels are placed their profile is the first
        rated = np.divide(added.pv_kw, sun, out=np.zeros_like(p), where=sun > 0.0)
        return solve_held_voltages(self.engine, self.controls, States(p, q, base.pv_kw[k], added.pv_kw, rated))


def make_street(case: Case, devices: DeviceLoad, library: Library) -> Street:
    """Street of a case.

    Raises
    ------
    GridError
        If the net cannot be represented in three phases.
    """
    own = case.feeder.connections
    if own is None:
        return Street(case, case.feeder, case.engine, devices, library)
    kv = case.feeder.net.bus["vn_kv"].to_numpy(np.float64)[find_bus_rows(case.feeder.net, case.feeder.bus)]
    low, n = kv <= LARGEST_LOW_VOLTAGE_KV, case.feeder.bus.size
    a, b, c = (np.where(low, code, ABC) for code in (A, B, C))
    every = make_connections(a, pv=b, battery=c, fuel_cell=np.full(n, ABC))
    feeder = replace(case.feeder, connections=replace(every, wires=own.wires))
    return Street(case, feeder, FeederPhaseFlow(feeder), devices, library)
