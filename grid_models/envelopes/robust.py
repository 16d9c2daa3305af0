"""Boxes shrink until every critical corner is clean in AC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.corners import (
    Corners,
    Setting,
    find_first_corners,
    join_corners,
    judge_corners,
    judge_rows,
)
from grid_models.envelopes.rows import Rows

CLOSE_PU = 1e-3
"""Corners this close to a limit are varied by one customer at a time."""

TIGHT_PU = 2e-5
"""A limit this close stops the customers who load it."""

HALVINGS = 14
"""Of the share by which a box shrinks: it is found to less than a ten-thousandth."""

DOUBTFUL = 0.05
"""Customers who load a limit by less than this share of the strongest may load it the other way round elsewhere."""

MAX_CLIMBS = 6
"""Steps from an unclean corner to a worse neighbour."""


class Robust(NamedTuple):
    """Boxes of K intervals, (K, 2M) kW, and what stops each of their rooms, (K, 2M)."""

    room_kw: Floats
    limit: Ints


class Judged(NamedTuple):
    """S corners, how far the worst limit is exceeded at each, (S,) pu, and which one it is, (S,)."""

    corners: Corners
    worst: Floats
    limit: Ints

    def select(self, chosen: Mask | Ints) -> Judged:
        """Some of the corners."""
        return Judged(self.corners.select(chosen), self.worst[chosen], self.limit[chosen])

    def with_more(self, other: Judged) -> Judged:
        """These corners and others."""
        return Judged(
            Corners._make(map(np.concatenate, zip(self.corners, other.corners, strict=True))),
            np.concatenate([self.worst, other.worst]),
            np.concatenate([self.limit, other.limit]),
        )

    def choose_worst(self) -> Judged:
        """The worst corner of each interval, in their order."""
        order = np.lexsort((-self.worst, self.corners.interval))
        return self.select(order[np.unique(self.corners.interval[order], return_index=True)[1]])

    def list_dirty(self, allowed_pu: float = 0.0) -> Ints:
        """Intervals with a corner that is beyond a limit by more than is allowed."""
        return np.unique(self.corners.interval[self.worst > allowed_pu])


def judge_worst(setting: Setting, corners: Corners, room_kw: Floats) -> Judged:
    """Judge corners of the boxes of `room_kw`, (K, 2M), by AC; the limit is -1 where that has no solution."""
    excess = judge_corners(setting, corners, room_kw)
    worst = excess.max(axis=1)
    return Judged(corners, worst, np.where(np.isfinite(worst), excess.argmax(axis=1), -1))


def make_robust(setting: Setting, rows: Rows, judged: Judged, room_kw: Floats) -> Robust:
    """Shrink the boxes of `room_kw`, (K, 2M), as little as AC allows; empty ones must be clean.

    `rows` are those of the last programme of each interval, ordered by interval, `judged` what must be clean.
    """
    n = len(room_kw)
    low, high, share = np.zeros(n), np.ones(n), np.ones(n)
    shrinks = judged.list_dirty()
    corners = judged.corners.select(np.isin(judged.corners.interval, shrinks))
    for _ in range(HALVINGS if shrinks.size else 0):
        share[shrinks] = 0.5 * (low[shrinks] + high[shrinks])
        dirty = np.isin(shrinks, judge_worst(setting, corners, share[:, None] * room_kw).list_dirty())
        high[shrinks[dirty]], low[shrinks[~dirty]] = share[shrinks[dirty]], share[shrinks[~dirty]]
    share[shrinks] = low[shrinks]
    room = share[:, None] * room_kw
    return Robust(room, _find_stops(setting, rows, room))


def search_corners(setting: Setting, rows: Rows, room_kw: Floats, intervals: Ints) -> Judged:
    """Corners of some intervals' rows, those where all export or all import, and others that may be worse.

    A corner close to its limit is varied by each customer who hardly loads that, and whose sign may be wrong. From an
    unclean one on, neighbours of the worst are looked at as long as they are worse.
    """
    rows = rows.select(np.isin(rows.interval, intervals))
    first, place = find_first_corners(Corners(rows.interval, rows.engine, rows.corner))
    critical = Corners(rows.interval, rows.engine, rows.corner).select(first)
    excess = judge_corners(setting, critical, room_kw)
    worst = excess.max(axis=1)
    judged = Judged(critical, worst, np.where(np.isfinite(worst), excess.argmax(axis=1), -1))
    close = excess[place, rows.limit] > -CLOSE_PU
    new = join_corners([_list_one_way(setting, room_kw, intervals), _list_doubtful(setting, rows.select(close))])
    judged = _judge_new(setting, judged, new, room_kw)
    for _ in range(MAX_CLIMBS):
        top = judged.choose_worst()
        top, size = top.select(top.worst > 0.0), judged.worst.size
        if top.worst.size == 0:
            break
        judged = _judge_new(setting, judged, _list_neighbours(top.corners), room_kw)
        if judged.worst.size == size:
            break
    return judged


def _judge_new(setting: Setting, judged: Judged, corners: Corners, room_kw: Floats) -> Judged:
    """With those of some corners that are not judged yet."""
    every = Corners._make(map(np.concatenate, zip(judged.corners, corners, strict=True)))
    first = find_first_corners(every)[0]
    return judged.with_more(judge_worst(setting, every.select(first[first >= judged.worst.size]), room_kw))


def _list_one_way(setting: Setting, room_kw: Floats, intervals: Ints) -> Corners:
    """Corners where all export, and where all import."""
    exports = np.arange(room_kw.shape[1]) < room_kw.shape[1] // 2
    place, engine, way = (axis.ravel() for axis in np.indices((intervals.size, len(setting.wires.engines), 2)))
    return Corners(intervals[place], engine, np.stack([exports, ~exports])[way])


def _list_doubtful(setting: Setting, rows: Rows) -> Corners:
    """Corners of rows at which one customer does something else whose side there may be the wrong one.

    It may be where the customer hardly loads the limit, and where exports and imports are on different phases, so that
    both may load it: which one does so more changes with the rooms.
    """
    of_export, of_import = np.split(rows.slope, 2, axis=1)
    load = of_export + of_import
    hardly = load < DOUBTFUL * load.max(axis=1, keepdims=True, initial=0.0)
    apart = setting.customers.export_at != setting.customers.import_at
    return _vary(Corners(rows.interval, rows.engine, rows.corner), hardly | apart)


def _list_neighbours(corners: Corners) -> Corners:
    """Corners at which one customer does something else."""
    return _vary(corners, np.ones((len(corners.corner), corners.corner.shape[1] // 2), dtype=bool))


def _vary(corners: Corners, whom: Mask) -> Corners:
    """Corners at which one of some customers, (S, M), does something else: exports, imports, or nothing."""
    m, parts = whom.shape[1], [corners]
    for customer in range(m):
        chosen = corners.select(whom[:, customer])
        for other in ([True, False], [False, True], [False, False]):
            changed = chosen.corner.copy()
            changed[:, [customer, m + customer]] = other
            parts.append(chosen._replace(corner=changed))
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
