"""Chance that critical load is served through an outage by devices that may fail: exact for one, drawn for several.

Law: it never rises with the length of the outage; with one fuel cell and a flat load it is that of the Markov chain of
`grid_models.devices.reliability`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.studies.outage_failures import (
    Broken,
    Failures,
    can_fail,
    chance_by_interval,
    draw_broken,
    list_batteries,
    list_working_cells,
    never,
)
from cosim.studies.outage_lanes import OutageLanes, Start
from grid_models.arrays import Floats, Ints
from grid_models.devices.reliability import Units

STEP = 24
"""Intervals that are followed at once before it is asked whether critical load fell short."""


def find_chances(
    case: Case, lanes: OutageLanes, start: Start, short_wh: Ints, plan: int, failures: Failures
) -> tuple[Floats, bool]:
    """Chance that no critical load is short up to each interval of an outage, (T,), and whether it is drawn.

    Parameters
    ----------
    case, lanes, start, plan
        The outage; `plan` was made without knowing what would fail.
    short_wh
        (T,) critical load that is short where no device fails.
    failures
        How devices fail.
    """
    survived = _is_survived(short_wh)
    failing = _list_failing(case, start, failures)
    if not failing:
        return survived, False
    if len(failing) == 1:
        return _follow_each_failure(case, lanes, start, survived, plan, failing[0]), False
    rng, total = np.random.default_rng([case.scenario.seed, start.first]), np.zeros(survived.size)
    for _ in range(failures.draws):
        broken = draw_broken(case, failures, start.state, start.network, survived.size, rng)
        total += _is_survived(lanes.follow_plan(start, survived.size, plan, broken)[:, 0])
    return total / failures.draws, True


class _Failing(NamedTuple):
    """A device that can fail: its field in `Broken` and its number there."""

    units: Units
    field: str
    number: int


def _list_failing(case: Case, start: Start, failures: Failures) -> list[_Failing]:
    """Devices that can fail."""
    cells, batteries = list_working_cells(case, start.network), list_batteries(start.state)
    kinds = ((failures.cells, "device", cells), (failures.batteries, "battery", batteries))
    return [_Failing(units, field, k) for units, field, numbers in kinds if can_fail(units) for k in numbers.tolist()]


def _follow_each_failure(
    case: Case, lanes: OutageLanes, start: Start, survived: Floats, plan: int, one: _Failing
) -> Floats:
    """The chance with one device that can fail: exact. What fails behind the first shortage changes nothing."""
    n = survived.size
    chance = chance_by_interval(one.units, n, case.interval_minutes / 60.0)
    last = min(int(survived.sum()) + 1, n)
    broken, here = never(case), lanes.with_plan(start, plan)
    getattr(broken, one.field)[one.number] = 0
    found: Floats = survived * chance[last:].sum()
    for k in range(last):
        if chance[k] > 0.0:
            found[: k + _count_survived(lanes, here, n - k, broken)] += chance[k]
        here, _ = lanes.advance(here, 1)
    return found


def _count_survived(lanes: OutageLanes, here: Start, n: int, broken: Broken) -> int:
    """Intervals, at most `n`, before critical load falls short without the devices that are broken."""
    done = 0
    while done < n:
        here, rows = lanes.advance(here, min(STEP, n - done), broken)
        short = np.flatnonzero(rows[:, 0])
        if short.size:
            return done + int(short[0])
        done += rows.shape[0]
    return n


def _is_survived(short_wh: Ints) -> Floats:
    """Whether nothing was short up to each interval, 0 or 1, (T,)."""
    return np.asarray(np.cumsum(short_wh) == 0, np.float64)
