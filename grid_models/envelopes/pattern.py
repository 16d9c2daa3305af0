"""What one interval has found, followed by others that are like it.

They take its rooms to begin with, and its rows for good: a row's bound is what AC leaves at its own corner in their own
state, so that only its slopes are borrowed. All of its critical corners are judged in each of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.approach import MARGIN_PU, MAX_ROUNDS, MAX_WHOLE, Share, move
from grid_models.envelopes.corners import Corners, Critical, Setting, judge_critical, list_critical
from grid_models.envelopes.rows import Rows

HOT_PU = 0.01
"""Rows this close to their limits where they were found are what others are led by first."""


class Pattern(NamedTuple):
    """What one interval has found.

    Attributes
    ----------
    room_kw
        (2M,) its rooms.
    critical
        Its limits at their corners.
    hot
        (R,) which of these were close.
    """

    room_kw: Floats
    critical: Critical
    hot: Mask


def make_pattern(setting: Setting, rows: Rows, room_kw: Floats) -> Pattern:
    """Pattern of the one interval of a setting, by its rows and rooms, (1, 2M)."""
    critical = list_critical(rows)
    return Pattern(room_kw[0], critical, judge_critical(setting, critical, room_kw).excess > -HOT_PU)


def repeat(pattern: Pattern, intervals: Ints) -> Critical:
    """The pattern's critical corners in each of some intervals."""
    corners, place, _, row, rows = pattern.critical
    n, size = intervals.size, corners.engine.size
    several = Corners(np.repeat(intervals, size), np.tile(corners.engine, n), np.tile(corners.corner, (n, 1)))
    places = (size * np.arange(n)[:, None] + place).ravel()
    return Critical(several, places, np.repeat(intervals, row.size), np.tile(row, n), rows)


def lead(setting: Setting, share: Share, rows: Rows, room: Floats, intervals: Ints) -> Ints:
    """Set the rooms, (K, 2M) kW, of some intervals by the rows of another; returns those without a solution.

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
    pattern, slope = Pattern(room[:0], list_critical(rows), np.zeros(0, dtype=bool)), rows.slope
    lost = np.zeros(0, np.int64)
    for number in range(MAX_ROUNDS if rows.limit.size else 0):
        excess = judge_critical(setting, repeat(pattern, intervals), room).excess.reshape(intervals.size, -1)
        solved = np.isfinite(excess).all(axis=1)
        lost = np.concatenate([lost, intervals[~solved]])
        intervals, excess = intervals[solved], excess[solved]
        bound = room[intervals] @ slope.T - excess - MARGIN_PU
        radius = 0.5 ** max(0, number + 1 - MAX_WHOLE)
        moved = [move(share, slope, bound[i], room[k], radius) for i, k in enumerate(intervals.tolist())]
        intervals = intervals[np.array(moved, dtype=bool)]
        if intervals.size == 0:
            break
    return lost
