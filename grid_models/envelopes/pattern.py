"""What one interval has found, followed by others that are like it.

They take its rooms to begin with, and its rows for good: a row's bound is what AC leaves at its own corner in their own
state, so that only its slopes are borrowed. All of its critical corners are judged in each of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.envelopes.approach import MARGIN_PU, MAX_ROUNDS, MAX_WHOLE, Share, linearise_cuts, move
from grid_models.envelopes.corners import Corners, Critical, Setting, judge_critical, list_critical
from grid_models.envelopes.rows import Rows, find_first_bytes

HOT_PU = 0.01
"""Rows this close to their limits where they were found are what others are led by first."""


MAX_NEW = 16
"""Corners that are linearised for all who follow at once."""


class Pattern(NamedTuple):
    """What one interval has found.

    Attributes
    ----------
    room_kw
        (2M,) its rooms.
    critical
        Its limits at their corners.
    hot
        The rows of those that were close.
    """

    room_kw: Floats
    critical: Critical
    hot: Rows


def make_pattern(setting: Setting, rows: Rows, room_kw: Floats) -> Pattern:
    """Pattern of the one interval of a setting, by its rows and rooms, (1, 2M)."""
    critical = list_critical(rows)
    hot = judge_critical(setting, critical, room_kw).excess > -HOT_PU
    return Pattern(room_kw[0], critical, rows.select(hot))


def repeat(critical: Critical, intervals: Ints) -> Critical:
    """Critical corners of one interval in each of some others."""
    corners, place, _, row, rows = critical
    n, size = intervals.size, corners.engine.size
    several = Corners(np.repeat(intervals, size), np.tile(corners.engine, n), np.tile(corners.corner, (n, 1)))
    places = (size * np.arange(n)[:, None] + place).ravel()
    return Critical(several, places, np.repeat(intervals, row.size), np.tile(row, n), rows)


def lead(setting: Setting, share: Share, rows: Rows, room: Floats, intervals: Ints) -> Ints:
    """Set the rooms, (K, 2M) kW, of some intervals by the rows of another; returns those without a solution.

    From round to round only rows are looked at that have been close to their limits in one of the intervals.

    Parameters
    ----------
    setting, share
        All K intervals, and the rule.
    rows
        Rows of a pattern, or some of them.
    room
        Rooms to begin with; those of the intervals are set.
    intervals
        Whom to lead.
    """
    lost = np.zeros(0, np.int64)
    for number in range(MAX_ROUNDS):
        if intervals.size == 0 or rows.limit.size == 0:
            break
        excess = judge_critical(setting, repeat(list_critical(rows), intervals), room).excess.reshape(
            intervals.size, -1
        )
        solved = np.isfinite(excess).all(axis=1)
        lost = np.concatenate([lost, intervals[~solved]])
        intervals, excess = intervals[solved], excess[solved]
        hot = (excess > -HOT_PU).any(axis=0)
        slope = rows.slope
        bound = room[intervals] @ slope.T - excess - MARGIN_PU
        radius = 0.5 ** max(0, number + 1 - MAX_WHOLE)
        moved = np.zeros(intervals.size, dtype=bool)
        for i, k in enumerate(intervals.tolist()):
            moved[i] = move(share, slope, bound[i], room[k], radius)
        intervals = intervals[moved]
        hot |= (room[intervals] @ slope.T > bound[moved] - HOT_PU).any(axis=0)
        rows = rows.select(hot)
    return lost


def with_cuts(pattern: Pattern, setting: Setting, cuts: Corners, room: Floats) -> Pattern:
    """Pattern with the limits that some corners of some boxes are close to or beyond, linearised there.

    Each corner once, in one of the intervals where it is asked for; of many corners those that most ask for.
    """
    first, kind = find_first_bytes((cuts.engine,), cuts.corner)
    chosen = first[np.argsort(-np.bincount(kind), kind="stable")[:MAX_NEW]]
    new = linearise_cuts(setting, cuts.select(chosen), room)
    rows = Rows.concatenate([pattern.critical.rows, new._replace(interval=0 * new.interval)])
    rows = rows.select(find_first_bytes((rows.engine, rows.limit), rows.corner)[0])
    return pattern._replace(critical=list_critical(rows))
