"""Corners of boxes, solved by AC: all of all intervals in one batch for each engine."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.excess import list_excess
from grid_models.envelopes.rows import Rows, find_first_bytes
from grid_models.envelopes.wires import Wires
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.response.sensitivity import AnyPowerFlow

SLICE = 256
"""Corners whose solutions are compared with the limits at once: so many stay in the nearer caches."""

TOLERANCE_PU, DOUBT_PU = 1e-8, 2e-7
"""Where phases differ: last change of a corner's voltages, and what is added to each excess for what is left then."""

LED_PU = 1e-6
"""The same last change where rooms are led only, and judged later."""


class Background(NamedTuple):
    """What all others do: injections of K intervals, (K, C) kW and kvar."""

    p_kw: Floats
    q_kvar: Floats

    def select(self, chosen: Ints) -> Background:
        """Some of the intervals."""
        return Background(self.p_kw[chosen], self.q_kvar[chosen])


class Setting(NamedTuple):
    """What envelopes are found for."""

    wires: Wires
    customers: Customers
    background: Background

    def select(self, chosen: Ints) -> Setting:
        """Some of the intervals."""
        return self._replace(background=self.background.select(chosen))


class Corners(NamedTuple):
    """S corners: (S,) interval and engine of each, and the corner itself, (S, 2M)."""

    interval: Ints
    engine: Ints
    corner: Mask

    def select(self, chosen: Mask | Ints) -> Corners:
        """Some of them."""
        return Corners._make(column[chosen] for column in self)


def list_no_corners(n_rooms: int) -> Corners:
    """None."""
    none = np.zeros(0, np.int64)
    return Corners(none, none, np.zeros((0, n_rooms), dtype=bool))


def join_corners(parts: list[Corners]) -> Corners:
    """All corners of several lists, each once, ordered by interval."""
    every = Corners._make(map(np.concatenate, zip(*parts, strict=True)))
    return every.select(find_first_corners(every)[0])


class Found(NamedTuple):
    """What AC finds at S corners, and of R limits at some of them.

    Attributes
    ----------
    worst, limit
        (S,) how far the worst limit is exceeded, pu, negative within, and which one it is; -1 without a solution.
    excess
        (R,) excess of the limits asked for, pu.
    """

    worst: Floats
    limit: Ints
    excess: Floats


class Critical(NamedTuple):
    """Limits at the corners of the boxes of some intervals where they are closest, ordered by interval.

    Attributes
    ----------
    corners
        S corners, each once.
    place, interval, row
        (Q,) corner, interval and row of each limit.
    rows
        The rows, (R,); intervals may share them.
    """

    corners: Corners
    place: Ints
    interval: Ints
    row: Ints
    rows: Rows

    def select_rows(self, chosen: Mask) -> Rows:
        """Rows of some of the limits, (Q,), each with its own interval."""
        return self.rows.select(self.row[chosen])._replace(interval=self.interval[chosen])


def list_critical(rows: Rows) -> Critical:
    """Critical corners of rows that each belong to one interval, ordered by interval."""
    corners = Corners(rows.interval, rows.engine, rows.corner)
    first, place = find_first_corners(corners)
    return Critical(corners.select(first), place, rows.interval, np.arange(place.size), rows)


def judge_critical(setting: Setting, critical: Critical, room_kw: Floats, tolerance_pu: float = TOLERANCE_PU) -> Found:
    """Judge critical corners of the boxes of `room_kw`, (K, 2M), by AC, and each limit at its own, (Q,)."""
    corners, place, limit = critical.corners, critical.place, critical.rows.limit[critical.row]
    return judge_corners(setting, corners, room_kw, place, limit, tolerance_pu)


def judge_corners(
    setting: Setting,
    corners: Corners,
    room_kw: Floats,
    place: Ints,
    limit: Ints,
    tolerance_pu: float = TOLERANCE_PU,
) -> Found:
    """Judge corners of the boxes of `room_kw`, (K, 2M), by AC.

    Parameters
    ----------
    setting, corners, room_kw
        The network, S corners, and the rooms of all K intervals.
    place, limit
        (R,) corner and number of each limit whose excess is asked for.
    tolerance_pu
        Last change of a corner's voltages where phases differ.
    """
    found = Found(np.zeros(corners.interval.size), np.zeros(corners.interval.size, np.int64), np.zeros(limit.size))
    order = np.argsort(corners.engine, kind="stable")
    rank = np.argsort(order)[place]
    asked = np.argsort(rank, kind="stable")
    rank = rank[asked]
    ends = np.searchsorted(corners.engine[order], np.arange(len(setting.wires.engines) + 1))
    for engine, (start, stop) in zip(setting.wires.engines, pairwise(ends.tolist()), strict=True):
        for first in range(start, stop, SLICE):
            at = order[first : min(first + SLICE, stop)]
            excess = _solve_corners(setting, engine, corners.select(at), room_kw, tolerance_pu)
            found.worst[at] = worst = excess.max(axis=1)
            found.limit[at] = np.where(np.isfinite(worst), excess.argmax(axis=1), -1)
            mine = slice(*np.searchsorted(rank, [first, first + at.size]))
            found.excess[asked[mine]] = excess[rank[mine] - first, limit[asked[mine]]]
    return found


def _solve_corners(
    setting: Setting, engine: AnyPowerFlow, corners: Corners, room_kw: Floats, tolerance_pu: float
) -> Floats:
    """Excess over every limit, (S, 2B + …) pu."""
    (wires, customers, background), at = setting, corners.interval
    p = customers.inject(background.p_kw[at], corners.corner, room_kw[at])
    q = customers.inject_reactive(background.q_kvar[at], corners.corner, room_kw[at])
    if isinstance(engine, FeederPhaseFlow):
        excess = list_excess(engine.solve_limited(p, q, tolerance_pu), wires.limits)
        excess += DOUBT_PU
        return excess
    return list_excess(engine.solve(p, q), wires.limits)


def find_first_corners(corners: Corners) -> tuple[Ints, Ints]:
    """Place of the first of each kind of corner, ordered by interval, and the kind of each, (S,)."""
    key = (corners.interval, corners.engine)
    return find_first_bytes(key, corners.corner)
