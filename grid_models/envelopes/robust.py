"""Boxes shrink until every critical corner is clean in AC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.corners import Background, Corners, Wires, join_corners, judge_corners, judge_rows
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.rows import Rows

CLOSE_PU = 1e-3
"""Corners this close to a limit are varied by one customer at a time."""

TIGHT_PU = 2e-5
"""A limit this close stops the customers who load it."""

HALVINGS = 14
"""Of the share by which a box shrinks: it is found to less than a ten-thousandth."""


class Robust(NamedTuple):
    """Boxes of K intervals, (K, 2M) kW, whether they are clean, what stops each room, and what fails where not."""

    room_kw: Floats
    clean: Mask
    limit: Ints
    failing_limit: Ints
    failing_corner: Mask


def make_robust(wires: Wires, customers: Customers, background: Background, rows: Rows, room_kw: Floats) -> Robust:
    """Shrink the boxes of `room_kw`, (K, 2M), as little as AC allows; where not even an empty one is clean, say what fails.

    `rows` are those of the last programme of each interval, ordered by interval.
    """
    n = len(room_kw)
    corners = _list_corners(wires, customers, background, rows, room_kw)

    def is_clean(share: Floats, intervals: Ints) -> Mask:
        mine = corners.select(np.isin(corners.interval, intervals))
        excess = judge_corners(wires, customers, background, mine, share[:, None] * room_kw)
        clean = np.ones(n, dtype=bool)
        np.logical_and.at(clean, mine.interval, excess.max(axis=1) <= 0.0)
        return clean

    share = np.ones(n)
    dirty = np.flatnonzero(~is_clean(share, np.arange(n)))
    low, high = np.zeros(n), np.ones(n)
    hopeless = dirty[~is_clean(low, dirty)[dirty]]
    dirty = np.setdiff1d(dirty, hopeless)
    share[hopeless] = 0.0
    for _ in range(HALVINGS if dirty.size else 0):
        share[dirty] = 0.5 * (low[dirty] + high[dirty])
        clean = is_clean(share, dirty)[dirty]
        low[dirty[clean]], high[dirty[~clean]] = share[dirty[clean]], share[dirty[~clean]]
    share[dirty] = low[dirty]
    room = share[:, None] * room_kw
    failing = _find_failing(wires, customers, background, corners, room, hopeless)
    clean = np.ones(n, dtype=bool)
    clean[hopeless] = False
    return Robust(room, clean, _find_stops(wires, customers, background, rows, room), *failing)


def _list_corners(
    wires: Wires, customers: Customers, background: Background, rows: Rows, room_kw: Floats
) -> Corners:
    """Corners of rows, those where all export or all import, and neighbours of those that are close to a limit."""
    n, two_m = room_kw.shape
    critical = Corners(rows.interval, rows.engine, rows.corner)
    all_one_way = np.stack([np.arange(two_m) < two_m // 2, np.arange(two_m) >= two_m // 2])
    interval, engine, way = (axis.ravel() for axis in np.indices((n, len(wires.engines), 2)))
    known = join_corners([critical, Corners(interval, engine, all_one_way[way])])
    close = judge_corners(wires, customers, background, known, room_kw).max(axis=1) > -CLOSE_PU
    return join_corners([known, _list_neighbours(known.select(close))])


def _list_neighbours(corners: Corners) -> Corners:
    """Corners at which one customer does something else."""
    m = corners.corner.shape[1] // 2
    parts = [corners]
    for customer in range(m):
        rooms = [customer, m + customer]
        for other in ([True, False], [False, True], [False, False]):
            changed = corners.corner.copy()
            changed[:, rooms] = other
            parts.append(corners._replace(corner=changed))
    return Corners._make(map(np.concatenate, zip(*parts, strict=True)))


def _find_stops(
    wires: Wires, customers: Customers, background: Background, rows: Rows, room_kw: Floats
) -> Ints:
    """Limit that stops each room, (K, 2M): of the tight ones that it loads the one that it loads most.

    The tightest of its interval where it loads none; -1 where the room is as large as can be.
    """
    stops = np.full(room_kw.shape, -1)
    excess = judge_rows(wires, customers, background, rows, room_kw)
    ends = np.searchsorted(rows.interval, np.arange(len(room_kw) + 1))
    full = room_kw >= customers.most_kw - 1e-6
    for k in range(len(room_kw)):
        mine = slice(ends[k], ends[k + 1])
        if ends[k] == ends[k + 1]:
            continue
        load = rows.slope[mine] * (excess[mine] >= excess[mine].max() - TIGHT_PU)[:, None]
        tightest = int(excess[mine].argmax())
        row = np.where(load.max(axis=0) > 0.0, load.argmax(axis=0), tightest)
        stops[k] = np.where(full[k], -1, rows.limit[mine][row])
    return stops


def _find_failing(
    wires: Wires, customers: Customers, background: Background, corners: Corners, room_kw: Floats, hopeless: Ints
) -> tuple[Ints, Mask]:
    """Limit that is exceeded most in intervals without any clean box, (K,), and the corner, (K, 2M)."""
    limit, corner = np.full(len(room_kw), -1), np.zeros(room_kw.shape, dtype=bool)
    for k in hopeless.tolist():
        mine = corners.select(corners.interval == k)
        excess = judge_corners(wires, customers, background, mine, room_kw)
        row, column = np.unravel_index(excess.argmax(), excess.shape)
        limit[k] = column if np.isfinite(excess[row, column]) else -1
        corner[k] = mine.corner[row] & (room_kw[k] > 0.0)
    return limit, corner
