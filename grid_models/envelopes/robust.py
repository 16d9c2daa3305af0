"""Boxes shrink until every critical corner is clean in AC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.corners import Corners, Setting, join_corners, judge_corners, judge_rows
from grid_models.envelopes.rows import Rows

CLOSE_PU = 1e-3
"""Corners this close to a limit are varied by one customer at a time."""

TIGHT_PU = 2e-5
"""A limit this close stops the customers who load it."""

HALVINGS = 14
"""Of the share by which a box shrinks: it is found to less than a ten-thousandth."""

MAX_CLIMBS = 6
"""Steps from an unclean corner to a worse neighbour."""


class Robust(NamedTuple):
    """Boxes of K intervals, (K, 2M) kW, and what stops each of their rooms, (K, 2M)."""

    room_kw: Floats
    limit: Ints


class Failing(NamedTuple):
    """Whether each of K intervals is unclean at a corner: the worst one, its engine, and the limit, -1 without AC."""

    dirty: Mask
    limit: Ints
    engine: Ints
    corner: Mask


def find_failing(setting: Setting, corners: Corners, room_kw: Floats, allowed_pu: float = 0.0) -> Failing:
    """Worst of some corners, ordered by interval, of the boxes of `room_kw`, (K, 2M); up to `allowed_pu` none is."""
    excess, n = judge_corners(setting, corners, room_kw), len(room_kw)
    worst, limit = excess.max(axis=1), excess.argmax(axis=1)
    order = np.lexsort((-worst, corners.interval))
    interval, first = np.unique(corners.interval[order], return_index=True)
    at = order[first]
    none = np.zeros(n, dtype=bool), np.full(n, -1), np.zeros(n, np.int64), np.zeros(room_kw.shape, dtype=bool)
    found = Failing(*none)
    found.dirty[interval] = worst[at] > allowed_pu
    found.limit[interval] = np.where(np.isfinite(worst[at]), limit[at], -1)
    found.engine[interval], found.corner[interval] = corners.engine[at], corners.corner[at]
    return found


def make_robust(setting: Setting, rows: Rows, corners: Corners, room_kw: Floats) -> Robust:
    """Shrink the boxes of `room_kw`, (K, 2M), as little as AC allows; empty ones must be clean.

    `rows` are those of the last programme of each interval, `corners` what must be clean, both ordered by interval.
    """
    n = len(room_kw)

    def list_dirty(share: Floats, intervals: Ints) -> Mask:
        mine = corners.select(np.isin(corners.interval, intervals))
        return find_failing(setting, mine, share[:, None] * room_kw).dirty

    low, high, share = np.zeros(n), np.ones(n), np.ones(n)
    shrinks = np.flatnonzero(list_dirty(share, np.arange(n)))
    for _ in range(HALVINGS if shrinks.size else 0):
        share[shrinks] = 0.5 * (low[shrinks] + high[shrinks])
        dirty = list_dirty(share, shrinks)[shrinks]
        high[shrinks[dirty]], low[shrinks[~dirty]] = share[shrinks[dirty]], share[shrinks[~dirty]]
    share[shrinks] = low[shrinks]
    room = share[:, None] * room_kw
    return Robust(room, _find_stops(setting, rows, room))


def list_corners(setting: Setting, rows: Rows, room_kw: Floats) -> Corners:
    """Corners of rows, those where all export or all import, and neighbours of those that are close to a limit.

    From an unclean corner on, neighbours of the worst neighbour are looked at, too, as long as it is worse.
    """
    n, two_m = room_kw.shape
    critical = Corners(rows.interval, rows.engine, rows.corner)
    all_one_way = np.stack([np.arange(two_m) < two_m // 2, np.arange(two_m) >= two_m // 2])
    interval, engine, way = (axis.ravel() for axis in np.indices((n, len(setting.wires.engines), 2)))
    known = join_corners([critical, Corners(interval, engine, all_one_way[way])])
    close = judge_corners(setting, known, room_kw).max(axis=1) > -CLOSE_PU
    known = join_corners([known, _list_neighbours(known.select(close))])
    for _ in range(MAX_CLIMBS):
        found = find_failing(setting, known, room_kw)
        top = np.flatnonzero(found.dirty)
        if top.size == 0:
            break
        new = _list_neighbours(Corners(top, found.engine[top], found.corner[top]))
        known, before = join_corners([known, new]), known
        if known.interval.size == before.interval.size:
            break
    return known


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


def _find_stops(setting: Setting, rows: Rows, room_kw: Floats) -> Ints:
    """Limit that stops each room, (K, 2M): of the tight ones that it loads the one that it loads most.

    The tightest of its interval where it loads none; -1 where the room is as large as can be.
    """
    stops = np.full(room_kw.shape, -1)
    excess = judge_rows(setting, rows, room_kw)
    ends = np.searchsorted(rows.interval, np.arange(len(room_kw) + 1))
    full = room_kw >= setting.customers.most_kw - 1e-6
    for k in range(len(room_kw)):
        mine = slice(ends[k], ends[k + 1])
        if ends[k] == ends[k + 1]:
            continue
        load = rows.slope[mine] * (excess[mine] >= excess[mine].max() - TIGHT_PU)[:, None]
        tightest = int(excess[mine].argmax())
        row = np.where(load.max(axis=0) > 0.0, load.argmax(axis=0), tightest)
        stops[k] = np.where(full[k], -1, rows.limit[mine][row])
    return stops
