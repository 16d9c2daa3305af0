"""Operating envelopes of many intervals by successive programmes, every corner of the box judged by AC.

Each round linearises the limits around corners of the present boxes, has the rule share what the rows leave, and solves
all critical corners of all intervals in one AC batch: how far each is from its limit is what the next round starts
from. At last the boxes shrink until AC finds every critical corner clean, and every corner that differs from one of
them by one customer.

Law: a box is *robust* only if AC says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.corners import Background, Wires, judge_rows
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.robust import Robust, make_robust
from grid_models.envelopes.rows import Rows, State, linearise_limits
from grid_models.envelopes.rules import RULES, Packing
from grid_models.response.sensitivity import sensitivity

MAX_ROUNDS = 10
"""Programmes at most. Two to four are the rule."""

MARGIN_PU = 4e-6
"""Distance kept from every limit."""

ALMOST_KW = 1e-3
"""A box that changes less from round to round is found."""


BLOCK = 512
"""Intervals that are solved together: so memory is bounded."""

Share = Callable[[Floats, Floats], Floats]
"""A rule for given customers: rooms from the slopes and bounds of one interval's rows."""


class Envelopes(NamedTuple):
    """Ranges of M customers in K intervals.

    Attributes
    ----------
    import_kw, export_kw
        (K, M) least power, at most 0, and largest, at least 0.
    robust
        (K,) whether AC found every critical corner clean.
    import_limit, export_limit
        (K, M) number of the limit that stops each customer, as in `grid_models.envelopes.excess`; -1 where it is the
        connection.
    failing_limit, failing_corner
        (K,) and (K, 2M): what is beyond its limit, and where, in an interval that is not robust; -1 else.
    """

    import_kw: Floats
    export_kw: Floats
    robust: Mask
    import_limit: Ints
    export_limit: Ints
    failing_limit: Ints
    failing_corner: Mask


def find_envelopes(
    wires: Wires, customers: Customers, background: Background, rule: str, weight_kw: Floats | None = None
) -> Envelopes:
    """Envelopes of K intervals by a rule of `RULES`.

    Parameters
    ----------
    wires
        The network at each voltage of its head.
    customers
        Who takes part.
    background
        What all others do.
    rule
        Name of the rule.
    weight_kw
        (2M,) weights of `proportional`; what the customers can do at most if left out.
    """
    weight = customers.most_kw if weight_kw is None else weight_kw

    def share(slope: Floats, bound: Floats) -> Floats:
        return RULES[rule](Packing(slope, bound, customers.most_kw, weight))

    n = len(background.p_kw)
    middle = np.argsort(background.p_kw.sum(axis=1))[n // 2 : n // 2 + 1]
    network = (wires, customers)
    start, _ = _approach(*network, background.select(middle), share, np.zeros((middle.size, weight.size)))
    parts = []
    for first in range(0, n, BLOCK):
        block = background.select(np.arange(first, min(first + BLOCK, n)))
        room, rows = _approach(*network, block, share, np.repeat(start, len(block.p_kw), axis=0))
        parts.append(_answer(make_robust(*network, block, rows, room)))
    return Envelopes._make(map(np.concatenate, zip(*parts, strict=True)))


def _approach(
    wires: Wires, customers: Customers, background: Background, share: Share, start_kw: Floats
) -> tuple[Floats, Rows]:
    """Rooms, (K, 2M) kW, and the rows that they keep, ordered by interval, from the rooms `start_kw`.

    Rows are linearised anew in every other round only: between, AC says how far they are from their limits, and what
    their slopes are wrong by is small. Where AC has no solution at a corner, the way there is halved.
    """
    room, solved = start_kw.copy(), np.zeros_like(start_kw)
    going, rows = np.arange(len(room)), _no_rows(room.shape[1])
    for number in range(MAX_ROUNDS):
        if number % 2 == 0:
            rows = _replace(rows, _linearise(wires, customers, background, room, going), going)
        mine = rows.select(np.isin(rows.interval, going))
        excess = judge_rows(wires, customers, background, mine, room)
        lost = np.unique(mine.interval[np.isinf(excess)])
        lost = lost[(room[lost] > 0.0).any(axis=1)]
        room[lost] = 0.5 * (room[lost] + solved[lost])
        reached = np.setdiff1d(going, lost)
        solved[reached] = room[reached]
        keep = ~np.isin(mine.interval, lost)
        moved = _share_anew(share, mine.select(keep), excess[keep], room, reached)
        going = np.union1d(lost, reached[moved])
        if going.size == 0:
            break
    return room, rows


def _replace(rows: Rows, new: Rows, intervals: Ints) -> Rows:
    """Rows with those of some intervals replaced, ordered by interval."""
    every = Rows.concatenate([rows.select(~np.isin(rows.interval, intervals)), new])
    return every.select(np.argsort(every.interval, kind="stable"))


def _no_rows(n_rooms: int) -> Rows:
    none, corner = np.zeros(0, np.int64), np.zeros((0, n_rooms), dtype=bool)
    return Rows(none, none, none, corner, corner.astype(np.float64))


def _linearise(wires: Wires, customers: Customers, background: Background, room: Floats, intervals: Ints) -> Rows:
    """Rows of some intervals, from the corners where all export, and where all import."""
    m = customers.export_at.size
    corners = np.arange(2 * m) < m, np.arange(2 * m) >= m
    parts = [_no_rows(2 * m)]
    for k in intervals.tolist():
        for e, engine in enumerate(wires.engines):
            for corner in corners if room[k].any() else corners[:1]:
                p = customers.inject(background.p_kw[k][None], corner[None], room[k][None])[0]
                response = sensitivity(engine, p, background.q_kvar[k])
                if response is not None:
                    parts.append(linearise_limits(State(k, e, corner, room[k], response), wires.limits, customers))
    return Rows.concatenate(parts)


def _share_anew(share: Share, rows: Rows, excess: Floats, room: Floats, intervals: Ints) -> Mask:
    """Set the rooms of some intervals by their rows; returns which of them changed."""
    bound = (rows.slope * room[rows.interval]).sum(axis=1) - excess - MARGIN_PU
    first, last = (np.searchsorted(rows.interval, intervals, side) for side in ("left", "right"))
    moved = np.zeros(intervals.size, dtype=bool)
    for i, (k, a, b) in enumerate(zip(intervals.tolist(), first.tolist(), last.tolist(), strict=True)):
        found = share(rows.slope[a:b], bound[a:b])
        moved[i] = bool(np.abs(found - room[k]).max(initial=0.0) > ALMOST_KW)
        room[k] = found
    return moved


def _answer(found: Robust) -> Envelopes:
    export, imported = np.split(found.room_kw, 2, axis=1)
    export_limit, import_limit = np.split(found.limit, 2, axis=1)
    return Envelopes(
        0.0 - imported, export, found.clean, import_limit, export_limit, found.failing_limit, found.failing_corner
    )
