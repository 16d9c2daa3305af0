"""A battery: efficiencies, limits of power and of state of charge, self-discharge.

Law: no sequence of operations creates energy. Power is positive when the battery discharges, that is injects into the
network. Who owns the stored energy does not belong here: the market accounts for that in integers, within the ratings
that `interval_ratings` gives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Numeric
from grid_models.ranges import check_field, check_range

PPM = 1_000_000
HOURS_PER_MONTH = 720.0
TOLERANCE_KWH = 1e-9
DECIMALS = 1e-6
"""A product this close to a whole number is taken as that number: 0.95 is 0.94999…96 in binary."""


@dataclass(frozen=True)
class Battery:
    """Ratings of a battery; the defaults are those of a home battery.

    Attributes
    ----------
    capacity_kwh
        Energy between 0 and 100 %; 0 for a house without battery.
    charge_efficiency, discharge_efficiency
        Stored over charged, and delivered over drawn energy, both at the terminals (AC).
    c_rate
        Largest power at the terminals over capacity, kW/kWh; infinite for no limit.
    soc_min, soc_max
        Range of the state of charge, shares of the capacity.
    self_discharge_per_month
        Share of the stored energy lost in 720 h. Lithium-ion cells are quoted at 1-3 %; the default of 0 is explained
        in docs/decisions/0040-what-a-battery-loses-when-idle.md.

    Raises
    ------
    GridError
        If a rating is outside its range.
    """

    capacity_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    c_rate: float = 0.5
    soc_min: float = 0.10
    soc_max: float = 0.90
    self_discharge_per_month: float = 0.0

    def __post_init__(self) -> None:
        check = partial(check_field, "battery", self)
        check("capacity_kwh", 0, below=True, remedy="give the capacity in kWh, 0 for no battery")
        check("charge_efficiency", 0, 1, above=True)
        check("discharge_efficiency", 0, 1, above=True)
        check("c_rate", 0, above=True, remedy="give kW per kWh, such as 0.5")
        check("soc_min", 0, 1)
        check("soc_max", self.soc_min, 1, remedy="give a share of at least soc_min")
        check("self_discharge_per_month", 0, 1, below=True)

    @property
    def rated_kw(self) -> float:
        """Largest power at the terminals, either way."""
        return self.c_rate * self.capacity_kwh if self.capacity_kwh else 0.0

    @property
    def floor_kwh(self) -> float:
        """Energy below which it does not discharge."""
        return self.soc_min * self.capacity_kwh

    @property
    def ceiling_kwh(self) -> float:
        """Energy above which it does not charge."""
        return self.soc_max * self.capacity_kwh


class BatteryStep(NamedTuple):
    """Energy after an operation, and energy lost in it, kWh; shapes of the operation."""

    energy_kwh: Numeric
    losses_kwh: Numeric


def retained_kwh(battery: Battery, energy_kwh: Numeric, hours: float) -> Numeric:
    """Energy left after `hours` of self-discharge, which takes the same share every hour."""
    share = math.pow(1.0 - battery.self_discharge_per_month, hours / HOURS_PER_MONTH)
    return energy_kwh * share


def max_charge_kw(battery: Battery, energy_kwh: Numeric, hours: float) -> Numeric:
    """Largest charging power at the terminals that a battery holding `energy_kwh` can take for `hours`, >= 0.

    Examples
    --------
    >>> round(float(max_charge_kw(Battery(10.0), 8.0, 1.0)), 4)
    1.0526
    """
    room = np.maximum(battery.ceiling_kwh - retained_kwh(battery, energy_kwh, hours), 0.0)
    return np.minimum(battery.rated_kw, room / (battery.charge_efficiency * hours))


def max_discharge_kw(battery: Battery, energy_kwh: Numeric, hours: float) -> Numeric:
    """Largest power at the terminals that a battery holding `energy_kwh` can deliver for `hours`, >= 0.

    Examples
    --------
    >>> float(max_discharge_kw(Battery(10.0), 1.0, 1.0))
    0.0
    """
    stock = np.maximum(retained_kwh(battery, energy_kwh, hours) - battery.floor_kwh, 0.0)
    return np.minimum(battery.rated_kw, stock * battery.discharge_efficiency / hours)


def step(battery: Battery, energy_kwh: Numeric, p_kw: Numeric, hours: float) -> BatteryStep:
    """Charge or discharge at constant power; self-discharge comes first.

    `E' = E r + η_c max(-P, 0) Δt - max(P, 0) Δt / η_d`, r being the share that self-discharge leaves.

    Parameters
    ----------
    battery
        Its ratings.
    energy_kwh
        Stored energy before, number or array.
    p_kw
        Power at the terminals, positive = discharge; number or array.
    hours
        Duration, more than 0.

    Raises
    ------
    GridError
        If the power is beyond what `max_charge_kw` and `max_discharge_kw` allow, or the energy beyond capacity.

    Examples
    --------
    >>> after = step(Battery(10.0), 5.0, -2.0, 1.0)
    >>> round(float(after.energy_kwh), 6), round(float(after.losses_kwh), 6)
    (6.9, 0.1)
    """
    check_range("battery, hours", hours, 0, above=True, remedy="give the duration of the operation")
    capacity = battery.capacity_kwh + TOLERANCE_KWH
    check_range("battery, energy_kwh", energy_kwh, 0, capacity, remedy="give the content in kWh")
    slack = TOLERANCE_KWH / hours
    over = np.asarray(p_kw) - max_discharge_kw(battery, energy_kwh, hours)
    under = -np.asarray(p_kw) - max_charge_kw(battery, energy_kwh, hours)
    for side, excess in (("max_discharge_kw", over), ("max_charge_kw", under)):
        check_range(f"battery, p_kw beyond {side}", excess, -np.inf, slack, remedy=f"limit the power to {side}")
    charged, discharged = np.maximum(-np.asarray(p_kw), 0.0) * hours, np.maximum(p_kw, 0.0) * hours
    after = retained_kwh(battery, energy_kwh, hours)
    after = after + charged * battery.charge_efficiency - discharged / battery.discharge_efficiency
    after = np.maximum(after, 0.0)  # negative only by rounding, or by the tolerance of the power
    return BatteryStep(after, energy_kwh + charged - discharged - after)


class IntervalRatings(NamedTuple):
    """Ratings of a battery for one interval in whole Wh and parts per million; `market.storage.Ratings` by column."""

    soc_min_wh: int
    soc_max_wh: int
    max_charge_wh: int
    max_discharge_wh: int
    charge_ppm: int
    discharge_ppm: int
    self_discharge_ppm: int


def interval_ratings(battery: Battery, interval_minutes: int) -> IntervalRatings:
    """Ratings for one interval, every number rounded to the side on which the battery can do less.

    Without a power limit the largest charge fills an empty battery, and the largest discharge empties a full one.

    Parameters
    ----------
    battery
        Its ratings.
    interval_minutes
        Length of the interval.

    Examples
    --------
    >>> interval_ratings(Battery(10.0), 60)
    IntervalRatings(soc_min_wh=1000, soc_max_wh=9000, max_charge_wh=5000, max_discharge_wh=5000, \
charge_ppm=950000, discharge_ppm=950000, self_discharge_ppm=0)
    """
    check_range("battery, interval_minutes", interval_minutes, 0, above=True, remedy="give 1, 5, 10, 15, 30 or 60")
    hours = interval_minutes / 60.0
    capacity_wh = battery.capacity_kwh * 1000.0
    power_wh = battery.rated_kw * hours * 1000.0
    lost = 1.0 - retained_kwh(battery, 1.0, hours)
    return IntervalRatings(
        _round_up(battery.floor_kwh * 1000.0),
        _round_down(battery.ceiling_kwh * 1000.0),
        _round_down(min(power_wh, capacity_wh / battery.charge_efficiency)),
        _round_down(min(power_wh, capacity_wh * battery.discharge_efficiency)),
        _round_down(battery.charge_efficiency * PPM),
        _round_down(battery.discharge_efficiency * PPM),
        _round_up(float(lost) * PPM),
    )


def _round_down(value: float) -> int:
    return math.floor(value + DECIMALS)


def _round_up(value: float) -> int:
    return math.ceil(value - DECIMALS)
