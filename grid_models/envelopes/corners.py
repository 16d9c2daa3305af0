"""Corners of boxes, solved by AC: all of all intervals in one batch for each engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.excess import count_limits, list_excess
from grid_models.envelopes.rows import Rows, find_first_bytes
from grid_models.envelopes.wires import Wires


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


def join_corners(parts: list[Corners]) -> Corners:
    """All corners of several lists, each once, ordered by interval."""
    every = Corners._make(map(np.concatenate, zip(*parts, strict=True)))
    return every.select(find_first_corners(every)[0])


def judge_rows(setting: Setting, rows: Rows, room_kw: Floats) -> Floats:
    """Excess of each row's limit at its corner of the boxes of `room_kw`, (K, 2M), by AC: (R,) pu."""
    corners = Corners(rows.interval, rows.engine, rows.corner)
    first, place = find_first_corners(corners)
    excess = judge_corners(setting, corners.select(first), room_kw)
    return excess[place, rows.limit]


def judge_corners(setting: Setting, corners: Corners, room_kw: Floats) -> Floats:
    """Excess over every limit at corners of the boxes of `room_kw`, (K, 2M), by AC: (S, 2B + …) pu."""
    (wires, customers, background), at = setting, corners.interval
    p, q = customers.inject(background.p_kw[at], corners.corner, room_kw[at]), background.q_kvar[at]
    excess = np.zeros((at.size, count_limits(wires.limits)))
    for e, engine in enumerate(wires.engines):
        mine = np.flatnonzero(corners.engine == e)
        if mine.size:
            excess[mine] = list_excess(engine.solve(p[mine], q[mine]), wires.limits)
    return excess


def find_first_corners(corners: Corners) -> tuple[Ints, Ints]:
    """Place of the first of each kind of corner, ordered by interval, and the kind of each, (S,)."""
    key = (corners.interval, corners.engine)
    return find_first_bytes(key, corners.corner)
