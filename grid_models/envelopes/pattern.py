"""What one interval has found, followed by others that are like it.

They take its rooms to begin with, and its rows: a row's bound is what AC leaves at its own corner in their own state,
so that only its slopes are borrowed. The rows are those of *every* limit, near or far. How near one is in another
interval follows from AC in the first one, its slopes, and what the others draw in both; AC judges all that may be near.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.envelopes.approach import MARGIN_PU, Share, linearise_all, linearise_cuts, move
from grid_models.envelopes.corners import LED_PU, Corners, Critical, Setting, judge_critical, list_critical
from grid_models.envelopes.excess import PU_PER_PERCENT
from grid_models.envelopes.rows import NEAR_PU, Rows, find_first_bytes, list_one_end
from grid_models.envelopes.rules import CLOSE, make_programme
from grid_models.response.sensitivity import sensitivity

HOT_PU = 0.002
"""Rows as close to their limits as this lead first."""

MAX_LED = 8
"""Programmes of a follower at most; from one to the next its rooms change by half as much at most."""

DOUBT = 0.15
"""Share of a predicted change by which it may be wrong."""

SLICE = 16
"""Intervals whose rows are predicted at once: so many stay in the nearer caches."""

MAX_NEW = 16
"""Corners that are linearised for all who follow at once."""


class Bases(NamedTuple):
    """What all others do to the network in K intervals, by each of G engines, no customer acting.

    Attributes
    ----------
    vm_pu
        (G, K, B) voltages.
    percent
        (G, K, E) complex currents, and what is judged in per cent behind them.
    """

    vm_pu: Floats
    percent: Complex

    def select(self, chosen: Ints) -> Bases:
        """Some of the intervals."""
        return Bases(self.vm_pu[:, chosen], self.percent[:, chosen])


def solve_bases(setting: Setting) -> Bases:
    """Solve all intervals of a setting without customers; NaN where there is no solution."""
    (engines, limits), (p_kw, q_kvar) = setting.wires, setting.background
    n_behind = limits.max_branch_percent.size + limits.max_vuf_percent.size + limits.max_neutral_v.size
    vm = np.full((len(engines), len(p_kw), limits.max_vm_pu.size), np.nan)
    percent = np.full((len(engines), len(p_kw), n_behind), np.nan, np.complex128)
    for e, k in np.ndindex(vm.shape[:2]):
        response = sensitivity(engines[e], p_kw[k], q_kvar[k])
        if response is not None:
            vm[e, k], percent[e, k] = response.vm_pu, response.current_percent[list_one_end(response, limits)]
    return Bases(vm, percent)


class Pattern(NamedTuple):
    """What one interval has found.

    Attributes
    ----------
    alone
        That interval.
    bases
        What all others do in it.
    room_kw
        (1, 2M) its rooms.
    rows
        Its limits, each at the corners where it is largest.
    excess
        (R,) how far each is exceeded there, pu.
    """

    alone: Setting
    bases: Bases
    room_kw: Floats
    rows: Rows
    excess: Floats

    def with_rows(self, rows: Rows) -> Pattern:
        """With those of more rows that are new."""
        every = Rows.concatenate([self.rows, rows._replace(interval=0 * rows.interval)])
        first = find_first_bytes((every.engine, every.limit), every.corner)[0]
        new = every.select(np.sort(first[first >= self.excess.size]))
        excess = judge_critical(self.alone, list_critical(new), self.room_kw).excess
        return self._replace(rows=Rows.concatenate([self.rows, new]), excess=np.concatenate([self.excess, excess]))

    def predict(self, bases: Bases, room_kw: Floats) -> Floats:
        """How far rows may be exceeded at most in n intervals, (n, R) pu, with rooms of (n, 2M)."""
        move_kw = room_kw - self.room_kw
        most: Floats = (move_kw + DOUBT * np.abs(move_kw)) @ self.rows.slope.T
        most += self.excess
        for e, (vm, percent) in enumerate(zip(*bases, strict=True)):
            mine = np.flatnonzero(self.rows.engine == e)
            at = slice(None) if mine.size == self.excess.size else mine
            for first in range(0, len(vm), SLICE):
                here = slice(first, first + SLICE)
                rise = vm[here] - self.bases.vm_pu[e]
                other = PU_PER_PERCENT * np.abs(percent[here] - self.bases.percent[e])
                change = np.hstack([rise, -rise, other])
                change += DOUBT * np.abs(change)
                most[here, at] += change[:, self.rows.limit[mine]]
        return most

    def find_near(self, bases: Bases, room_kw: Floats, near_pu: float = NEAR_PU) -> Mask:
        """Which rows may come as close to their limits as `near_pu` in n intervals, (n, R), with rooms of (n, 2M)."""
        return np.asarray(~(self.predict(bases, room_kw) <= -near_pu))


def make_pattern(alone: Setting, rows: Rows, room_kw: Floats) -> Pattern:
    """Pattern of the one interval of a setting, by its own rows and its rooms, (1, 2M)."""
    none = Pattern(alone, solve_bases(alone), room_kw, rows.select(slice(0)), np.zeros(0))
    return none.with_rows(rows).with_rows(linearise_all(alone, room_kw))


def choose(critical: Critical, intervals: Ints, chosen: Mask) -> Critical:
    """Limits of one interval at their critical corners, (R,), in each of n others those chosen, (n, R)."""
    corners, kind, _, _, rows = critical
    at, row = np.nonzero(chosen)
    used = np.zeros((intervals.size, corners.engine.size), dtype=bool)
    used[at, kind[row]] = True
    k, corner = np.nonzero(used)
    number = np.zeros(used.shape, np.int64)
    number[k, corner] = np.arange(k.size)
    several = Corners(intervals[k], corners.engine[corner], corners.corner[corner])
    return Critical(several, number[at, kind[row]], intervals[at], row, rows)


def lead(setting: Setting, share: Share, rows: Rows, predicted: Floats, room: Floats, intervals: Ints) -> Ints:
    """Set the rooms, (K, 2M) kW, of some intervals by the rows of another; returns those without a solution.

    A row that is not close in an interval keeps the bound that it had there when AC last looked at it, or the one that
    is predicted.

    Parameters
    ----------
    setting, share
        All K intervals, and the rule.
    rows, predicted
        Rows of a pattern, or some of them, and how far they may be exceeded in the intervals, (n, R) pu.
    room
        Rooms to begin with; those of the intervals are set.
    intervals
        Whom to lead, (n,).
    """
    lost, critical, slope = np.zeros(0, np.int64), list_critical(rows), rows.slope
    programmes = {k: make_programme(slope) for k in intervals.tolist()}
    load = room[intervals] @ slope.T
    bound, near = load - predicted, ~(predicted <= -HOT_PU)
    for number in range(MAX_LED):
        if intervals.size == 0 or rows.limit.size == 0:
            break
        excess = judge_critical(setting, choose(critical, intervals, near), room, LED_PU).excess
        moved = np.ones(intervals.size, dtype=bool)
        moved[np.nonzero(near)[0][np.isinf(excess)]] = False
        lost = np.concatenate([lost, intervals[~moved]])
        bound[near] = load[near] - excess - MARGIN_PU
        radius = 0.5 ** (2 + number)
        for i in np.flatnonzero(moved).tolist():
            k = int(intervals[i])
            moved[i] = move(share, slope, bound[i], room[k], radius, CLOSE, programmes[k])
        intervals, bound = intervals[moved], bound[moved]
        load = room[intervals] @ slope.T
        near = load > bound - HOT_PU
    return lost


def with_cuts(pattern: Pattern, setting: Setting, cuts: Corners, room: Floats) -> Pattern:
    """Pattern with the limits that some corners of some boxes are close to or beyond, linearised there.

    Each corner once, in one of the intervals where it is asked for; of many corners those that most ask for.
    """
    first, kind = find_first_bytes((cuts.engine,), cuts.corner)
    chosen = first[np.argsort(-np.bincount(kind), kind="stable")[:MAX_NEW]]
    return pattern.with_rows(linearise_cuts(setting, cuts.select(chosen), room))
