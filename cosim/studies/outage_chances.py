"""Chance that critical load is served through an outage by devices that may fail: exact for one, drawn for several.

Law: it never rises with the length of the outage; with one fuel cell and a flat load it is that of the Markov chain of
`grid_models.devices.reliability`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.studies.outage_failures import (
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
    """The chance with one device that can fail: exact."""
    n = survived.size
    chance = chance_by_interval(one.units, n, case.interval_minutes / 60.0)
    found: Floats = survived * chance[n]
    for k in np.flatnonzero(chance[:n] > 0.0):
        broken = never(case)
        getattr(broken, one.field)[one.number] = k
        found += chance[k] * _is_survived(lanes.follow_plan(start, n, plan, broken)[:, 0])
    return found


def _is_survived(short_wh: Ints) -> Floats:
    """Whether nothing was short up to each interval, 0 or 1, (T,)."""
    return np.asarray(np.cumsum(short_wh) == 0, np.float64)
