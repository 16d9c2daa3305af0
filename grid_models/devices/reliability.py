"""Chance that a load is served through an outage by units that fail: a Markov chain of working units and charge.

Units of a kind work or not, each by itself. One works when the outage begins if it is available and starts; after that
it fails in an hour with the chance 1 / mean hours to failure, and nobody repairs it. An interval first decides which
units fail, then serves the load with what the others supply; a surplus charges the storage, and a shortage discharges
it. What the storage holds follows from that, so that the chain of working units and charge is exact.

Law: the chance lies in 0 … 1, never rises with the length of the outage, and never falls if a unit becomes better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.errors import GridError
from grid_models.ranges import SHARE, check_field, check_range

ROUNDING = 1e-9
"""Steps of charge within which a level counts as reached."""


@dataclass(frozen=True)
class Units:
    """Equal units of one kind: generators, or the inverters of panels or of a storage.

    Attributes
    ----------
    units
        How many there are.
    availability
        Chance that one is not under repair when an outage begins.
    start_chance
        Chance that one that is available starts.
    mean_hours_to_failure
        Mean time that one runs before it fails, at least an hour.

    Raises
    ------
    GridError
        If a number is outside its range.

    Examples
    --------
    >>> Units(2, availability=0.98, start_chance=0.9).works_at_start
    0.882
    """

    units: int = 1
    availability: float = 1.0
    start_chance: float = 1.0
    mean_hours_to_failure: float = math.inf

    def __post_init__(self) -> None:
        check = partial(check_field, "units that fail", self)
        check("units", 0, below=True, remedy="give the number of units")
        check("availability", 0, 1)
        check("start_chance", 0, 1)
        check("mean_hours_to_failure", 1, remedy="give hours, inf for units that never fail")

    @property
    def works_at_start(self) -> float:
        """Chance that one works when an outage begins."""
        return self.availability * self.start_chance

    def failure_chance(self, hours: float) -> float:
        """Chance that one that works fails within some hours."""
        return float(1.0 - (1.0 - 1.0 / self.mean_hours_to_failure) ** hours)


class Source(NamedTuple):
    """Units, and what one of them that works can supply, kW: a number, (T,) or (S, T)."""

    units: Units
    unit_kw: float | Floats


@dataclass(frozen=True)
class Storage:
    """A storage behind inverters that fail.

    Attributes
    ----------
    capacity_kwh
        What it holds between its bounds of charge.
    inverters
        They share its power; without any that works, nothing goes in or out.
    inverter_kw
        Power of one, in both directions.
    charge_efficiency, discharge_efficiency
        Share that is stored of what goes in, and that comes out of what is taken.

    Raises
    ------
    GridError
        If a number is outside its range.
    """

    capacity_kwh: float
    inverters: Units
    inverter_kw: float
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0

    def __post_init__(self) -> None:
        check = partial(check_field, "storage", self)
        check("capacity_kwh", 0, below=True, remedy="give what it holds between its bounds of charge")
        check("inverter_kw", 0, below=True, remedy="give the power of one inverter")
        check("charge_efficiency", 0, 1, above=True, remedy=SHARE)
        check("discharge_efficiency", 0, 1, above=True, remedy=SHARE)


NO_STORAGE = Storage(0.0, Units(0), 0.0)


class Bracket(NamedTuple):
    """Chance that all load is served in the first 1 … T intervals, (S, T): not below `low`, not above `high`.

    Both are equal, and exact, where all that is charged and discharged is a whole number of steps.
    """

    low: Floats
    high: Floats


def survival_chance(
    load_kw: Floats,
    sources: Sequence[Source],
    storage: Storage = NO_STORAGE,
    *,
    start_kwh: float | Floats = 0.0,
    step_kwh: float = 1.0,
    hours: float = 1.0,
) -> Bracket:
    """Chance that units that fail serve all of a load through an outage, by its length.

    Parameters
    ----------
    load_kw
        Load from the beginning of each of S outages on, (S, T), what always supplies it already taken off.
    sources
        Units that supply it, kind by kind.
    storage
        What a surplus charges and a shortage discharges.
    start_kwh
        Charge above its lower bound when an outage begins, a number or (S,).
    step_kwh
        Charge is counted in these steps: rounded against survival for `low`, for it in `high`.
    hours
        Length of an interval.

    Returns
    -------
    Bracket
        The chances. One of S outages costs memory for `prod(units + 1) · (capacity / step + 1)` numbers.

    Raises
    ------
    GridError
        If a shape does not fit, or a number is outside its range.

    Notes
    -----
    The order of failure, supply and charge is that of the reliability tests of REopt.jl, which
    `tests/reference/test_published_reliability.py` repeats.

    Examples
    --------
    >>> generators = Source(Units(2, mean_hours_to_failure=5), 1.0)
    >>> battery = Storage(2.0, Units(1), 1.0)
    >>> found = survival_chance(np.array([[1.0, 2.0, 2.0]]), [generators], battery, start_kwh=1.0)
    >>> found.low[0].round(6).tolist(), found.high[0].round(6).tolist()
    ([1.0, 0.8704, 0.557056], [1.0, 0.8704, 0.557056])
    """
    load = np.asarray(load_kw, dtype=np.float64)
    _check_numbers(load, sources, storage, start_kwh, step_kwh, hours)
    chain = _make_chain(load, sources, storage, step_kwh, hours)
    start = np.broadcast_to(np.asarray(start_kwh, dtype=np.float64), load.shape[:1]) / step_kwh
    low, high = (_run_chain(chain, round_start(start), more) for round_start, more in ((_down, False), (_up, True)))
    return Bracket(low, high)


def _check_numbers(
    load_kw: Floats,
    sources: Sequence[Source],
    storage: Storage,
    start_kwh: float | Floats,
    step_kwh: float,
    hours: float,
) -> None:
    """Raise `GridError` for what cannot be computed with."""
    if load_kw.ndim != 2:
        raise GridError(f"survival, load_kw: expected shape (S, T), got {load_kw.shape}; give a row for each outage")
    check_range("survival, load_kw", load_kw, -np.inf, above=True, below=True, remedy="give a finite load")
    check_range("survival, step_kwh", step_kwh, 0, above=True, below=True, remedy="give a step of charge")
    check_range("survival, hours", hours, 0, above=True, below=True, remedy="give the length of an interval")
    remedy = "give the charge above its lower bound"
    check_range("survival, start_kwh", start_kwh, 0, storage.capacity_kwh, remedy=remedy)
    _check_shape("start_kwh", np.shape(start_kwh), load_kw.shape[:1])
    for source in sources:
        check_range("survival, unit_kw", source.unit_kw, 0, below=True, remedy="give what one unit can supply")
        _check_shape("unit_kw", np.shape(source.unit_kw), load_kw.shape)


def _check_shape(name: str, got: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise `GridError` for an array that does not spread over a shape."""
    if len(got) > len(shape) or any(n not in (1, of) for n, of in zip(got[::-1], shape[::-1], strict=False)):
        raise GridError(f"survival, {name}: expected a number or shape {shape}, got {got}; give one value for each")


class _Chain(NamedTuple):
    """A chain of C combinations of working units and L levels of charge over T intervals of S outages.

    Attributes
    ----------
    opening
        (C,) chance of each combination when an outage begins.
    step
        (C, C) chance of going from a combination, its row, to another within an interval.
    charge, discharge
        (S, T, C) steps of charge that a surplus adds and that a shortage takes; `inf` where power is short.
    top
        Largest level of charge, in steps.
    """

    opening: Floats
    step: Floats
    charge: Floats
    discharge: Floats
    top: float


def _make_chain(load_kw: Floats, sources: Sequence[Source], storage: Storage, step_kwh: float, hours: float) -> _Chain:
    """The chain of some units and a storage."""
    kinds = [*(source.units for source in sources), storage.inverters]
    working = np.array(list(product(*(range(kind.units + 1) for kind in kinds))), dtype=np.float64)
    surplus = np.broadcast_to(-load_kw[..., None], (*load_kw.shape, len(working))).copy()
    for k, source in enumerate(sources):
        surplus += np.broadcast_to(source.unit_kw, load_kw.shape)[..., None] * working[:, k]
    power = working[:, -1] * storage.inverter_kw
    per_kw = hours / step_kwh
    charge = np.clip(surplus, 0.0, power) * (per_kw * storage.charge_efficiency)
    short = np.maximum(-surplus, 0.0)
    enough = short <= power * (1.0 + ROUNDING) + ROUNDING
    discharge = np.where(enough, short * (per_kw / storage.discharge_efficiency), np.inf)
    opening: Floats = np.ones(1)
    step: Floats = np.ones((1, 1))
    for kind in kinds:
        opening = np.asarray(np.kron(opening, _binomial(kind.units, kind.works_at_start)), np.float64)
        step = np.asarray(np.kron(step, _survivors(kind, hours)), np.float64)
    return _Chain(opening, step, charge, discharge, storage.capacity_kwh / step_kwh)


def _binomial(n: int, chance: float) -> Floats:
    """Chance that 0 … n of n units work, each with a chance, (n+1,)."""
    return np.array([math.comb(n, k) * chance**k * (1.0 - chance) ** (n - k) for k in range(n + 1)])


def _survivors(kind: Units, hours: float) -> Floats:
    """Chance that of as many units as the row says as many work after some hours as the column says, (n+1, n+1)."""
    survives = 1.0 - kind.failure_chance(hours)
    found = np.zeros((kind.units + 1, kind.units + 1))
    for n in range(kind.units + 1):
        found[n, : n + 1] = _binomial(n, survives)
    return found


def _down(steps: float | Floats) -> Ints:
    """Whole steps in some, rounded down."""
    return np.floor(np.asarray(steps) + ROUNDING).astype(np.int64)


def _up(steps: float | Floats) -> Ints:
    """Whole steps that hold some, rounded up."""
    return np.ceil(np.asarray(steps) - ROUNDING).astype(np.int64)


def _run_chain(chain: _Chain, start: Ints, favourable: bool) -> Floats:
    """Chance that all load was served so far, (S, T), from whole steps of charge, (S,), rounded for survival or not."""
    more, less = (_up, _down) if favourable else (_down, _up)
    top, never = int(more(chain.top)), np.iinfo(np.int64).max // 2
    (n_outages, n_intervals, _), lane = chain.charge.shape, np.arange(start.size)
    chances = np.zeros((n_outages, top + 1, chain.opening.size))
    chances[lane, np.minimum(start, top)] = chain.opening
    found = np.zeros((n_outages, n_intervals))
    for t in range(n_intervals):
        short = chain.discharge[:, t]
        taken = np.where(np.isfinite(short), less(np.where(np.isfinite(short), short, 0.0)), never)
        chances = _move_charge(chances @ chain.step, more(chain.charge[:, t]) - taken)
        found[:, t] = chances.sum(axis=(1, 2))
    return found


def _move_charge(chances: Floats, change: Ints) -> Floats:
    """Chances (S, L, C) with the charge of each combination changed by some steps, (S, C).

    What rises above the highest level stays there; what falls below 0 is a load not served, and leaves.
    """
    outages, levels, combinations = chances.shape
    target = np.minimum(np.arange(levels)[:, None] + change[:, None], levels - 1)
    served = target >= 0
    place = np.arange(outages)[:, None, None] * levels + np.where(served, target, 0)
    flat = place * combinations + np.arange(combinations)
    weights = np.where(served, chances, 0.0)
    return np.asarray(np.bincount(flat.ravel(), weights.ravel(), chances.size), np.float64).reshape(chances.shape)
