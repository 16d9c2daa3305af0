"""A fuel cell with its auxiliaries, inverter and tank.

Law: it runs within its load range and its ramp, and only on hydrogen that is in its tank. It trips, that is stops at
once, when the tank cannot sustain minimum load for the interval. Power is net of auxiliaries at the AC terminals,
positive into the network. In an interval a plant is off, or runs at one power from its start on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from grid_models.arrays import Numeric
from grid_models.devices.fuel_cell import (
    Stack,
    find_stack,
    hydrogen_supplied_kg_per_h,
    stack_current,
    stack_voltage,
)
from grid_models.ranges import check_field, check_range

ROUNDING = 1e-9
"""Relative tolerance within which a power counts as equal to a bound."""


@dataclass(frozen=True)
class Plant:
    """Ratings of a fuel cell plant.

    Attributes
    ----------
    stack
        One of its stacks.
    units
        Number of equal stacks, run at equal power.
    tank_kg
        Hydrogen that its tank holds.
    auxiliary_share
        Share of the stack's power that blowers and pumps consume.
    inverter_efficiency
        AC over DC power.
    minimum_load
        Smallest power that it can run at, share of nominal.
    ramp_per_hour
        Largest change of power in an hour, share of nominal.
    start_hours
        Time from standstill to power.
    fuel_eur_per_kg
        Price of hydrogen. Default: mean cost of producing it from grid electricity in the EU and Norway in 2021,
        before transport (Hydrogen Europe 2022, "Clean Hydrogen Monitor").

    Raises
    ------
    GridError
        If a rating is outside its range.
    """

    stack: Stack
    units: int = 1
    tank_kg: float = 10.0
    auxiliary_share: float = 0.10
    inverter_efficiency: float = 0.95
    minimum_load: float = 0.10
    ramp_per_hour: float = 60.0
    start_hours: float = 2.0 / 60.0
    fuel_eur_per_kg: float = 5.3

    def __post_init__(self) -> None:
        check = partial(check_field, f"fuel cell '{self.stack.name}'", self)
        no_ramp = "a plant that cannot change its power cannot start"
        check("units", 1, below=True, remedy="give the number of stacks")
        check("tank_kg", 0, below=True, remedy="give the content of the full tank")
        check("auxiliary_share", 0, 1, below=True)
        check("inverter_efficiency", 0, 1, above=True)
        check("minimum_load", 0, 1, remedy="give a share of nominal power, at most all")
        check("ramp_per_hour", 0, above=True, remedy=f"give a share of nominal power per hour; {no_ramp}")
        check("start_hours", 0, below=True, remedy="give hours, 0 for at once")
        check("fuel_eur_per_kg", 0, below=True, remedy="give EUR per kg")

    @cached_property
    def ac_share(self) -> float:
        """AC power over stack power."""
        return (1.0 - self.auxiliary_share) * self.inverter_efficiency

    @cached_property
    def nominal_kw(self) -> float:
        """Largest power, at the stacks' nominal point."""
        return self.stack.nominal_w * self.units * self.ac_share / 1000.0

    @cached_property
    def minimum_kw(self) -> float:
        """Smallest power that it can run at."""
        return self.minimum_load * self.nominal_kw

    @property
    def ramp_kw_per_h(self) -> float:
        """Largest change of power in an hour."""
        return self.ramp_per_hour * self.nominal_kw


def make_preset_plant(name: str, *, units: int = 1, tank_kg: float = 10.0, fuel_eur_per_kg: float = 5.3) -> Plant:
    """Plant around a preset stack.

    PEM: 10 % minimum load, ready in 2 min (Ballard 2003, "Nexa Power Module User's Manual", MAN5100078), then from
    minimum to nominal power within a minute (assumed). SOFC: 30 % minimum load, ramp of 20 % per hour, 20 h from cold
    (BlueGen: SOFT-PACT project, final report, cordis.europa.eu/project/id/278804).

    Raises
    ------
    GridError
        If there is no preset of that name, or a number is outside its range.

    Examples
    --------
    >>> round(make_preset_plant("pem-6kw").nominal_kw, 3)
    5.129
    """
    plant = partial(Plant, find_stack(name), units, tank_kg, fuel_eur_per_kg=fuel_eur_per_kg)
    if name.startswith("sofc"):
        return plant(minimum_load=0.3, ramp_per_hour=0.2, start_hours=20.0)
    return plant()


class PlantState(NamedTuple):
    """State of a plant between two intervals.

    Attributes
    ----------
    hydrogen_kg
        Hydrogen in the tank.
    on
        Whether it runs at the end of the interval.
    p_kw
        Power that it then runs at, 0 when off.
    warm_hours
        How long its start has lasted so far, 0 when it is not starting.
    """

    hydrogen_kg: float
    on: bool = False
    p_kw: float = 0.0
    warm_hours: float = 0.0


class Capability(NamedTuple):
    """Mean powers that a plant can deliver in an interval: `min_kw` … `max_kw`, and also 0 where `may_stop`.

    `max_kw` is 0 where it cannot run.
    """

    min_kw: float
    max_kw: float
    may_stop: bool


class Dispatch(NamedTuple):
    """Power that a plant delivered, mean of the interval; its state after it; hydrogen used."""

    delivered_kw: float
    state: PlantState
    fuel_kg: float


class _Range(NamedTuple):
    """Powers that a plant can run at, and how much of the interval it runs; all 0 where it cannot."""

    low_kw: float
    high_kw: float
    running_hours: float


def hydrogen_kg_per_h(plant: Plant, p_kw: Numeric) -> Numeric:
    """Hydrogen taken from the tank while running at a power, number or array, at most nominal."""
    current = stack_current(plant.stack, p_kw * (1000.0 / (plant.units * plant.ac_share)))
    return hydrogen_supplied_kg_per_h(plant.stack, current) * plant.units


def specific_cost_eur_per_kwh(plant: Plant, p_kw: Numeric) -> Numeric:
    """Fuel cost per kWh delivered while running at a power above 0.

    Examples
    --------
    >>> plant = make_preset_plant("pem-6kw")
    >>> round(float(specific_cost_eur_per_kwh(plant, plant.nominal_kw)), 4)
    0.3382
    """
    return plant.fuel_eur_per_kg * hydrogen_kg_per_h(plant, p_kw) / p_kw


def _find_range(plant: Plant, state: PlantState, hours: float) -> _Range:
    """Powers that start, ramp, minimum load and tank allow."""
    running = hours if state.on else hours - max(plant.start_hours - state.warm_hours, 0.0)
    if running <= 0.0:
        return _Range(0.0, 0.0, 0.0)
    reach = plant.ramp_kw_per_h * running
    low = max(plant.minimum_kw, state.p_kw - reach) if state.on else plant.minimum_kw
    high = min(plant.nominal_kw, max(plant.minimum_kw, state.p_kw + reach))
    high = min(high, _affordable_kw(plant, state.hydrogen_kg / running))
    return _Range(low, high, running) if high >= low and high > 0.0 else _Range(0.0, 0.0, running)


def _affordable_kw(plant: Plant, kg_per_h: float) -> float:
    """Power up to nominal that a flow of hydrogen sustains; in closed form, since fuel is proportional to current."""
    stack = plant.stack
    current = kg_per_h / float(hydrogen_supplied_kg_per_h(stack, 1.0) * plant.units)
    if current >= stack.nominal_a:
        return plant.nominal_kw
    return float(stack_voltage(stack, current)) * current * plant.units * plant.ac_share / 1000.0


def capability(plant: Plant, state: PlantState, hours: float) -> Capability:
    """Mean powers that a plant can deliver in the next interval.

    Parameters
    ----------
    plant, state
        Its ratings, and its state at the start.
    hours
        Length of the interval.

    Examples
    --------
    >>> sofc = make_preset_plant("sofc-3kw")
    >>> [round(p, 3) for p in capability(sofc, PlantState(10.0, True, 2.0), 1.0)[:2]]
    [1.454, 2.546]
    """
    check_range("fuel cell, hours", hours, 0, above=True, remedy="give the length of the interval")
    return _average(plant, state, _find_range(plant, state, hours), hours)


def _average(plant: Plant, state: PlantState, running: _Range, hours: float) -> Capability:
    """Mean powers over the whole interval, of which the plant runs a part."""
    share = running.running_hours / hours
    ramped_down = state.p_kw <= max(plant.minimum_kw, plant.ramp_kw_per_h * hours) * (1.0 + ROUNDING)
    may_stop = not state.on or ramped_down or running.high_kw == 0.0
    return Capability(running.low_kw * share, running.high_kw * share, may_stop)


class IntervalCapability(NamedTuple):
    """`Capability` in whole Wh, the minimum rounded up and the maximum down; `max_wh` 0 where no Wh fits."""

    min_wh: int
    max_wh: int
    may_stop: bool


def interval_capability(plant: Plant, state: PlantState, interval_minutes: int) -> IntervalCapability:
    """Energy that a plant can deliver in the next interval, in whole Wh for the market."""
    hours = interval_minutes / 60.0
    can = capability(plant, state, hours)
    low = math.ceil(can.min_kw * hours * 1000.0 * (1.0 - ROUNDING))
    high = math.floor(can.max_kw * hours * 1000.0 * (1.0 + ROUNDING))
    return IntervalCapability(*((low, high) if low <= high else (0, 0)), can.may_stop)


def dispatch(plant: Plant, state: PlantState, wanted_kw: float, hours: float) -> Dispatch:
    """Run a plant for an interval as close to the wanted mean power as it can.

    It never delivers more than wanted, except where it may not stop. If less is wanted than it can run at, it switches
    off where it may stop. A plant that is off starts when any power is wanted.

    Parameters
    ----------
    plant, state
        Its ratings, and its state at the start.
    wanted_kw
        Mean power wanted, at least 0.
    hours
        Length of the interval.

    Examples
    --------
    >>> plant = make_preset_plant("pem-6kw")
    >>> run = dispatch(plant, PlantState(hydrogen_kg=10.0), 3.0, 1.0)
    >>> run.delivered_kw, run.state.on, round(run.fuel_kg, 4), round(run.state.hydrogen_kg, 4)
    (3.0, True, 0.1695, 9.8305)
    """
    check_range("fuel cell, wanted_kw", wanted_kw, 0, below=True, remedy="a fuel cell takes no power")
    check_range("fuel cell, hours", hours, 0, above=True, remedy="give the length of the interval")
    running = _find_range(plant, state, hours)
    can = _average(plant, state, running, hours)
    enough_wanted = wanted_kw > 0.0 and wanted_kw >= can.min_kw * (1.0 - ROUNDING)
    if can.max_kw == 0.0 or (can.may_stop and not enough_wanted):
        starting = wanted_kw > 0.0 and running.running_hours == 0.0
        warm_hours = state.warm_hours + hours if starting else 0.0
        return Dispatch(0.0, PlantState(state.hydrogen_kg, warm_hours=warm_hours), 0.0)
    delivered = min(max(wanted_kw, can.min_kw), can.max_kw)
    running_kw = delivered * hours / running.running_hours
    fuel = min(float(hydrogen_kg_per_h(plant, running_kw)) * running.running_hours, state.hydrogen_kg)
    return Dispatch(delivered, PlantState(state.hydrogen_kg - fuel, True, running_kw), fuel)
