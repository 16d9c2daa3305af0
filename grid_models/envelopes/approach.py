"""Boxes of intervals whose limits are linearised around their own states, again and again.

Each round linearises the limits around corners of the present boxes, has the rule share what the rows leave, and solves
all critical corners of all intervals in one AC batch: how far each is from its limit is what the next round starts
from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.corners import Corners, Setting, judge_critical, list_critical
from grid_models.envelopes.rows import (
    Rows,
    State,
    find_first_bytes,
    join_rows,
    linearise_limits,
    linearise_own,
    make_no_rows,
)
from grid_models.envelopes.rules import EXACT, Slack
from grid_models.highs import ManyRows
from grid_models.response.sensitivity import sensitivity

MAX_ROUNDS = 14
"""Programmes at most. Two to four are the rule."""

MAX_WHOLE = 6
"""Programmes after which rooms change by half of what they can be at most, then a quarter, and so on."""

MARGIN_PU = 4e-6
"""Distance kept from every limit."""

ALMOST_KW = 1e-3
"""A box that changes less from round to round is found."""

Share = Callable[[Floats, Floats, Floats, float, Slack, ManyRows | None], Floats]
"""A rule for given customers: rooms from what `grid_models.envelopes.rules.Packing` has of one interval's rows."""


def approach(
    setting: Setting,
    share: Share,
    room: Floats,
    going: Ints,
    cuts: Corners,
    rows: Rows,
) -> Rows:
    """Set the rooms, (K, 2M) kW, of the intervals `going`; returns the rows that they keep, ordered by interval.

    Rows are linearised anew in every other round only: between, AC says how far they are from their limits, and what
    their slopes are wrong by is small. Where AC has no solution at a corner, the way there is halved.
    """
    solved = np.zeros_like(room)
    for number in range(MAX_ROUNDS):
        if number % 2 == 0:
            rows = _renew(rows, _linearise(setting, room, going, cuts))
        mine = rows.select(np.isin(rows.interval, going))
        excess = judge_critical(setting, list_critical(mine), room).excess
        lost = np.unique(mine.interval[np.isinf(excess)])
        room[lost] = 0.5 * (room[lost] + solved[lost])
        reached = np.setdiff1d(going, lost)
        solved[reached] = room[reached]
        keep = ~np.isin(mine.interval, lost)
        radius = 0.5 ** max(0, number + 1 - MAX_WHOLE)
        moved = _share_anew(share, mine.select(keep), excess[keep], room, reached, radius)
        going = np.union1d(lost, reached[moved])
        if going.size == 0:
            break
    return rows


def _renew(rows: Rows, new: Rows) -> Rows:
    """Rows with those of some intervals renewed, ordered by interval.

    A row that is not found again stays: otherwise a box would grow at a corner that is critical only once it has grown.
    """
    every = Rows.concatenate([new, rows])
    return every.select(find_first_bytes((every.interval, every.engine, every.limit), every.corner)[0])


def _linearise(setting: Setting, room: Floats, intervals: Ints, cuts: Corners) -> Rows:
    """Rows of some intervals, from the corners where all export, where all import, and `cuts`."""
    exports, parts = np.arange(room.shape[1]) < room.shape[1] // 2, [make_no_rows(room.shape[1])]
    ends = [(e, corner) for e in range(len(setting.wires.engines)) for corner in (exports, ~exports)]
    for k in intervals.tolist():
        more = cuts.select(cuts.interval == k)
        at = [*ends, *zip(more.engine.tolist(), more.corner, strict=True)] if room[k].any() else ends[::2]
        found = [_find_state(setting, room[k], k, e, c) for e, c in at]
        states = [state for state in found if state is not None]
        if states:
            parts.append(
                join_rows([linearise_limits(s, setting.wires.limits, setting.customers) for s in states], states)
            )
    return Rows.concatenate(parts)


def linearise_all(setting: Setting, room: Floats) -> Rows:
    """Rows of every limit of the one interval of a setting, near or far, each at the corners where it is largest."""
    exports = np.arange(room.shape[1]) < room.shape[1] // 2
    ends = [(e, corner) for e in range(len(setting.wires.engines)) for corner in (exports, ~exports)]
    found = [_find_state(setting, room[0], 0, e, c) for e, c in ends]
    states = [state for state in found if state is not None]
    if not states:
        return make_no_rows(room.shape[1])
    wires, customers = setting.wires, setting.customers
    return join_rows([linearise_limits(s, wires.limits, customers, np.inf) for s in states], states)


def linearise_cuts(setting: Setting, cuts: Corners, room: Floats) -> Rows:
    """Rows of the limits that some corners of boxes are close to or beyond themselves, linearised at each of them."""
    parts = [make_no_rows(room.shape[1])]
    for k, engine, corner in zip(cuts.interval.tolist(), cuts.engine.tolist(), cuts.corner, strict=True):
        state = _find_state(setting, room[k], k, engine, corner)
        if state is not None:
            parts.append(linearise_own(state, setting.wires.limits, setting.customers))
    return Rows.concatenate(parts)


def _find_state(setting: Setting, room: Floats, k: int, engine: int, corner: Mask) -> State | None:
    """AC state of interval `k` at a corner of its box; None where there is none."""
    at = corner[None], room[None]
    p = setting.customers.inject(setting.background.p_kw[k][None], *at)[0]
    q = setting.customers.inject_reactive(setting.background.q_kvar[k][None], *at)[0]
    response = sensitivity(setting.wires.engines[engine], p, q)
    return None if response is None else State(k, engine, corner, room, response)


def _share_anew(share: Share, rows: Rows, excess: Floats, room: Floats, intervals: Ints, radius: float) -> Mask:
    """Set the rooms of some intervals by their rows; returns which of them changed."""
    slope = rows.slope
    bound = (slope * room[rows.interval]).sum(axis=1) - excess - MARGIN_PU
    first, last = (np.searchsorted(rows.interval, intervals, side) for side in ("left", "right"))
    moved = np.zeros(intervals.size, dtype=bool)
    for i, (k, a, b) in enumerate(zip(intervals.tolist(), first.tolist(), last.tolist(), strict=True)):
        moved[i] = move(share, slope[a:b], bound[a:b], room[k], radius)
    return moved


def move(
    share: Share,
    slope: Floats,
    bound: Floats,
    room: Floats,
    radius: float,
    slack: Slack = EXACT,
    programme: ManyRows | None = None,
) -> bool:
    """Set the rooms of one interval, (2M,), in place; returns whether they changed."""
    found = share(slope, bound, room, radius, slack, programme)
    changed = bool(np.abs(found - room).max(initial=0.0) > ALMOST_KW)
    room[:] = found
    return changed
