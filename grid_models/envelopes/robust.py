"""Boxes shrink until every critical corner is clean in AC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.corners import (
    Corners,
    Critical,
    Setting,
    find_first_corners,
    join_corners,
    judge_corners,
    judge_critical,
    list_critical,
    list_no_corners,
)
from grid_models.envelopes.rows import Rows, make_no_rows

CLOSE_PU = 1e-3
"""Corners this close to a limit are varied by one customer at a time."""

TIGHT_PU = 2e-4
"""A limit this close stops the customers who load it."""

MAX_TRIALS = 14
"""Of the share by which a box shrinks; three are the rule."""

AIM_PU = 4e-6
"""How far within its worst limit a box that shrinks is aimed."""

MOST_PU = 4.0
"""More than a whole box changes any limit: what is farther from its limit stays clean where a box shrinks a little."""

DRIFT = 0.03
"""By this share of the strongest customer's effect on a limit any effect may differ from its derivative."""

OTHERS = np.array([[True, False], [False, True], [False, False]])
"""What a customer can do at a corner: export, import, or nothing."""

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


class Searched(NamedTuple):
    """Corners that AC has judged, and the R rows of the limits that are close at theirs, ordered by interval.

    `excess`, (R,) pu, is how far these are exceeded.
    """

    judged: Judged
    close: Rows
    excess: Floats

    def renew(self, new: Searched, intervals: Ints) -> Searched:
        """With what was found anew for some intervals."""
        judged = self.judged.select(~np.isin(self.judged.corners.interval, intervals))
        stays = ~np.isin(self.close.interval, intervals)
        rows = Rows.concatenate([self.close.select(stays), new.close])
        excess, order = np.concatenate([self.excess[stays], new.excess]), np.argsort(rows.interval, kind="stable")
        return Searched(judged.with_more(new.judged), rows.select(order), excess[order])


def find_nothing(n_rooms: int) -> Searched:
    """Nothing searched yet."""
    return Searched(
        Judged(list_no_corners(n_rooms), np.zeros(0), np.zeros(0, np.int64)), make_no_rows(n_rooms), np.zeros(0)
    )


def judge_worst(setting: Setting, corners: Corners, room_kw: Floats) -> Judged:
    """Judge corners of the boxes of `room_kw`, (K, 2M), by AC; the limit is -1 where that has no solution."""
    none = np.zeros(0, np.int64)
    found = judge_corners(setting, corners, room_kw, none, none)
    return Judged(corners, found.worst, found.limit)


def make_robust(setting: Setting, searched: Searched, room_kw: Floats) -> Robust:
    """Shrink the boxes of `room_kw`, (K, 2M), as little as AC allows; empty ones must be clean."""
    room, judged = room_kw.copy(), searched.judged
    dirty, share = judged.select(judged.worst > 0.0), np.ones(len(room))
    for _ in range(MAX_TRIALS):
        if dirty.worst.size == 0:
            break
        shrinks = np.unique(dirty.corners.interval)
        share[shrinks] = _shrink(setting, dirty, room_kw, share[shrinks])
        room[shrinks] = share[shrinks, None] * room_kw[shrinks]
        mine = np.isin(judged.corners.interval, shrinks)
        near = judged.worst > -MOST_PU * (1.0 - share[judged.corners.interval])
        again = judge_worst(setting, judged.corners.select(mine & near), room)
        more = again.select(again.worst > 0.0)
        dirty = more.with_more(dirty.select(np.isin(dirty.corners.interval, more.corners.interval)))
    room[np.unique(dirty.corners.interval)] = 0.0  # none, unless corners keep turning up
    return Robust(room, _find_stops(setting, searched.close, _judge_again(setting, searched, room, share < 1.0), room))


def _judge_again(setting: Setting, searched: Searched, room_kw: Floats, shrunk: Mask) -> Floats:
    """How far close rows are exceeded, (R,) pu, with those of boxes that have shrunk, (K,), judged anew."""
    excess, again = searched.excess.copy(), shrunk[searched.close.interval]
    excess[again] = judge_critical(setting, list_critical(searched.close.select(again)), room_kw).excess
    return excess


def _shrink(setting: Setting, dirty: Judged, room_kw: Floats, at_most: Floats) -> Floats:
    """Largest shares of the boxes of some intervals at which AC finds dirty corners clean, (n,), below `at_most`, (n,).

    Between a clean share and an unclean one the worst excess is nearly a straight line.
    """
    corners, worst = dirty.corners, dirty.choose_worst()
    intervals, low, high = worst.corners.interval, np.zeros(at_most.size), at_most
    at_low, at_high = _judge_shares(setting, _list_empty(corners), room_kw, intervals, low), worst.worst
    for trial in range(MAX_TRIALS):
        open_ = at_low < -2.0 * AIM_PU
        if not open_.any():
            break
        rise = np.where(np.isfinite(at_high), at_high, np.inf) - at_low
        share = np.clip((-AIM_PU - at_low) / rise, 0.0, 1.0)
        share = low + (high - low) * np.where(np.isfinite(rise) & (trial % 4 < 3) & (share > 0.0), share, 0.5)
        going = np.flatnonzero(open_)
        mine = corners.select(np.isin(corners.interval, intervals[going]))
        found = _judge_shares(setting, mine, room_kw, intervals[going], share[going])
        clean = found <= 0.0
        low[going[clean]], at_low[going[clean]] = share[going[clean]], found[clean]
        high[going[~clean]], at_high[going[~clean]] = share[going[~clean]], found[~clean]
    return low


def _list_empty(corners: Corners) -> Corners:
    """Where no customer acts, in the intervals of some corners, by their engines."""
    return join_corners([corners._replace(corner=np.zeros_like(corners.corner))])


def _judge_shares(setting: Setting, corners: Corners, room_kw: Floats, intervals: Ints, share: Floats) -> Floats:
    """Worst excess of some intervals' corners, (n,) pu, at shares, (n,), of their boxes."""
    room = room_kw.copy()
    room[intervals] *= share[:, None]
    return judge_worst(setting, corners, room).choose_worst().worst


def search_corners(setting: Setting, critical: Critical, room_kw: Floats, intervals: Ints) -> Searched:
    """Critical corners of some intervals, those where all export or all import, and others that may be worse.

    Of the corners at which a limit is close the closest one is varied, by each customer whose side there may be the
    wrong one: most of the others differ from it by one customer. From an unclean one on, neighbours of the worst are
    looked at as long as they are worse.
    """
    found = judge_critical(setting, critical, room_kw)
    judged = Judged(critical.corners, found.worst, found.limit)
    close = _find_close(critical, found.excess)
    rows = critical.select_rows(close)
    closest = _find_closest(rows, found.excess[close])
    doubtful = _list_doubtful(setting, rows.select(closest), found.excess[close][closest], room_kw)
    judged = _judge_new(setting, judged, join_corners([_list_one_way(setting, room_kw, intervals), doubtful]), room_kw)
    for _ in range(MAX_CLIMBS):
        top = judged.choose_worst()
        top, size = top.select(top.worst > 0.0), judged.worst.size
        if top.worst.size == 0:
            break
        judged = _judge_new(setting, judged, _list_neighbours(top.corners), room_kw)
        if judged.worst.size == size:
            break
    return Searched(judged, rows, found.excess[close])


def _find_close(critical: Critical, excess: Floats) -> Mask:
    """Which limits are close, (Q,), and in every interval the closest one."""
    if excess.size == 0:
        return np.zeros(0, dtype=bool)
    _, first, count = np.unique(critical.interval, return_index=True, return_counts=True)
    closest = np.repeat(np.maximum.reduceat(excess, first), count)
    return np.asarray((excess > -CLOSE_PU) | (excess == closest))


def _find_closest(rows: Rows, excess: Floats) -> Ints:
    """Of the rows of each limit in each interval the one that is closest, by its excess, (R,)."""
    order = np.lexsort((-excess, rows.limit, rows.interval))
    interval, limit = rows.interval[order], rows.limit[order]
    new = (np.diff(interval, prepend=-1) != 0) | (np.diff(limit, prepend=-1) != 0)
    return np.sort(order[new])


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


def _list_doubtful(setting: Setting, rows: Rows, excess: Floats, room_kw: Floats) -> Corners:
    """Corners of rows with an excess, (R,), at which one customer does something else and the limit may be exceeded.

    It may be where the customer hardly loads the limit, and where exports and imports are on different phases, so that
    both may load it: which one does so more changes with the rooms.
    """
    room = room_kw[rows.interval]
    export, imported = np.split(rows.effect * room, 2, axis=1)
    now = np.where(rows.corner, rows.effect * room, 0.0)
    now = now[:, : export.shape[1]] + now[:, export.shape[1] :]
    drift = DRIFT * np.abs(rows.effect).max(axis=1, keepdims=True, initial=0.0) * np.maximum(*np.split(room, 2, axis=1))
    others = np.stack([export, imported, np.zeros_like(now)])
    return _vary(Corners(rows.interval, rows.engine, rows.corner), excess[:, None] + others - now + drift > 0.0)


def _list_neighbours(corners: Corners) -> Corners:
    """Corners at which one customer does something else."""
    return _vary(corners, np.ones((len(OTHERS), len(corners.corner), corners.corner.shape[1] // 2), dtype=bool))


def _vary(corners: Corners, whom: Mask) -> Corners:
    """Corners at which one customer does something else: exports, imports, or nothing, by (3, S, M) which of these."""
    other, at, customer = np.nonzero(whom)
    changed = corners.select(at)
    changed.corner[np.arange(at.size), customer] = OTHERS[other, 0]
    changed.corner[np.arange(at.size), whom.shape[2] + customer] = OTHERS[other, 1]
    return changed


def _find_stops(setting: Setting, rows: Rows, excess: Floats, room_kw: Floats) -> Ints:
    """Limit that stops each room, (K, 2M): of the tight rows, by (R,) excess, that it loads the one it loads most.

    The tightest of its interval where it loads none; -1 where the room is as large as can be.
    """
    stops = np.full(room_kw.shape, -1)
    slope = rows.slope
    ends = np.searchsorted(rows.interval, np.arange(len(room_kw) + 1))
    full = room_kw >= setting.customers.most_kw - 1e-6
    for k in np.flatnonzero(ends[1:] > ends[:-1]):
        mine = slice(ends[k], ends[k + 1])
        load = slope[mine] * (excess[mine] >= excess[mine].max() - TIGHT_PU)[:, None]
        tightest = int(excess[mine].argmax())
        row = np.where(load.max(axis=0) > 0.0, load.argmax(axis=0), tightest)
        stops[k] = np.where(full[k], -1, rows.limit[mine][row])
    return stops
