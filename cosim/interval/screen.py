"""Which intervals need no envelope: those whose box of all orders is far from every limit.

From the state that was solved, the point of the box where the market cleared, each limit can change by its derivatives
times the way to the farthest corner. Derivatives are those of one state of the network; they are taken a quarter
larger than they are. What is within all limits even then is within them at each corner, and nothing is clipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.interval.rooms import Plan, reach_kw
from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.envelopes.excess import PU_PER_PERCENT, list_excess
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits
from grid_models.response.sensitivity import sensitivity

LARGER = 1.25
"""By what derivatives are taken larger than they are."""

DIRECTIONS = 12
"""In which complex quantities are followed to their farthest corner."""


class Slopes(NamedTuple):
    """Derivatives at one state, (…, C) per kW: of voltages, pu, and of complex currents, %, and these currents, %.

    Those by reactive power, per kvar, are moduli.
    """

    vm_pu: Floats
    current_percent: Complex
    at_state_percent: Complex
    p_kw: Floats
    vm_by_q: Floats
    percent_by_q: Floats


@lru_cache(maxsize=1)
def find_slopes(case: Case) -> Slopes | None:
    """Slopes where nobody draws or injects; None where that has no solution."""
    p_kw = np.zeros(case.feeder.injection_bus.size)
    response = sensitivity(case.engine, p_kw, np.zeros_like(p_kw))
    if response is None:
        return None
    ends = list_ends(case.limits)
    current = response.by_p.current_percent()[ends]
    by_q = np.abs(np.nan_to_num(response.by_q.vm_pu())), np.abs(response.by_q.current_percent()[ends])
    return Slopes(np.nan_to_num(response.by_p.vm_pu()), current, response.current_percent[ends], p_kw, *by_q)


def find_close(case: Case, plan: Plan, flow: Flow, p_kw: Floats) -> Mask:
    """Intervals of a plan whose box may reach a limit, (K,).

    Parameters
    ----------
    case
        Network and limits.
    plan
        Of K intervals.
    flow, p_kw
        AC solution of points in their boxes, and the injections there, (K, C).
    """
    slopes, excess = find_slopes(case), list_excess(flow, case.limits)
    if slopes is None:
        return np.ones(len(p_kw), dtype=bool)
    low, high = reach_kw(case, plan)
    up, down = np.maximum(high - p_kw, 0.0), np.maximum(p_kw - low, 0.0)
    rise, fall = np.maximum(slopes.vm_pu, 0.0).T, np.maximum(-slopes.vm_pu, 0.0).T
    n, drawn = slopes.vm_pu.shape[0], np.abs(plan.q_kvar - plan.least_q_kvar)
    most = np.empty_like(excess)
    excess[:, :n] += (by_devices := LARGER * drawn @ slopes.vm_by_q.T)
    excess[:, n : 2 * n] += by_devices
    excess[:, 2 * n :] += LARGER * PU_PER_PERCENT * drawn @ slopes.percent_by_q.T
    most[:, :n] = excess[:, :n] + LARGER * (up @ rise + down @ fall)
    most[:, n : 2 * n] = excess[:, n : 2 * n] + LARGER * (up @ fall + down @ rise)
    ways = np.maximum(up, down) @ np.abs(slopes.current_percent).T
    most[:, 2 * n :] = excess[:, 2 * n :] + LARGER * PU_PER_PERCENT * ways
    close: Mask = np.logical_not((most[:, : 2 * n] < 0.0).all(axis=1))
    doubtful = np.flatnonzero(~close & ~(most[:, 2 * n :] < 0.0).all(axis=1))
    for k in doubtful.tolist():
        ends = np.flatnonzero(~(most[k, 2 * n :] < 0.0))
        now = excess[k, 2 * n :][ends] / PU_PER_PERCENT
        close[k] = not bool((_follow_currents(case, slopes, ends, now, p_kw[k], up[k], down[k]) < 0.0).all())
    return close


def _follow_currents(
    case: Case, slopes: Slopes, ends: Ints, now: Floats, p_kw: Floats, up: Floats, down: Floats
) -> Floats:
    """Excess of some currents at the corners that are farthest in some directions, %; `now` is that where `p_kw` is."""
    effect = slopes.current_percent[ends]
    there = slopes.at_state_percent[ends] + effect @ (p_kw - slopes.p_kw)
    turn = np.exp(-2j * np.pi * np.arange(DIRECTIONS) / DIRECTIONS)[:, None]
    along = (turn[:, :, None] * effect).real
    farthest = (turn * there).real + LARGER * (np.maximum(along, 0.0) @ up + np.maximum(-along, 0.0) @ down)
    limit = case.limits.max_end_percent[list_ends(case.limits)][ends]
    wrong = np.abs(now + limit - np.abs(there))
    return np.asarray(farthest.max(axis=0) / np.cos(np.pi / DIRECTIONS) + wrong - limit)


def list_ends(limits: Limits) -> Ints:
    """One end of each branch, and what is judged behind the ends, of all that has a limit."""
    n = limits.max_branch_percent.size
    return np.concatenate([np.arange(n), np.arange(2 * n, limits.max_end_percent.size)])
