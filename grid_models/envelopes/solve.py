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
from grid_models.envelopes.corners import Background, Corners, Setting, join_corners, judge_rows
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.robust import Judged, Robust, judge_worst, make_robust, search_corners
from grid_models.envelopes.rows import Rows, State, find_first_bytes, join_rows, linearise_limits, make_no_rows
from grid_models.envelopes.rules import RULES, Packing
from grid_models.envelopes.wires import Wires
from grid_models.response.sensitivity import sensitivity

MAX_ROUNDS = 14
"""Programmes at most. Two to four are the rule."""

MAX_WHOLE = 6
"""Programmes after which rooms change by half of what they can be at most, then a quarter, and so on."""

MARGIN_PU = 4e-6
"""Distance kept from every limit."""

ALMOST_KW = 1e-3
"""A box that changes less from round to round is found."""


BLOCK = 512
"""Intervals that are solved together: so memory is bounded."""

MAX_CUTS = 4
"""Searches for unclean corners that no row stands for; after the last one the box shrinks."""

LENT_ROUNDS = 4
"""Programmes that an interval tries with the slopes of the middle one."""

CUT_PU = 1e-4
"""An excess that is worth another search; by a smaller one a box shrinks by less than a thousandth."""

Share = Callable[[Floats, Floats, Floats, float], Floats]
"""A rule for given customers: rooms from slopes and bounds of one interval's rows, rooms now, and a radius."""


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
    failing_limit
        (K,) limit that is exceeded most where nobody acts at all, in an interval that is not robust: no box with 0 in
        it is clean there. -1 in all others, and where AC has no solution.
    """

    import_kw: Floats
    export_kw: Floats
    robust: Mask
    import_limit: Ints
    export_limit: Ints
    failing_limit: Ints


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

    def share(slope: Floats, bound: Floats, now_kw: Floats, radius: float) -> Floats:
        return RULES[rule](Packing(slope, bound, customers.most_kw, weight, now_kw, radius))

    setting, n = Setting(wires, customers, background), len(background.p_kw)
    middle = setting.select(np.argsort(background.p_kw.sum(axis=1))[n // 2 : n // 2 + 1])
    start, none = np.zeros((len(middle.background.p_kw), weight.size)), make_no_rows(weight.size)
    rows = _approach(middle, share, start, np.arange(len(start)), _list_empty(wires, start[:0]), none)
    parts = []
    for first in range(0, n, BLOCK):
        block = setting.select(np.arange(first, min(first + BLOCK, n)))
        parts.append(_solve_block(block, share, np.repeat(start, len(block.background.p_kw), axis=0), rows))
    return Envelopes._make(map(np.concatenate, zip(*parts, strict=True)))


def _solve_block(setting: Setting, share: Share, start_kw: Floats, start_rows: Rows) -> Envelopes:
    """Envelopes of some intervals, from the rooms `start_kw`, (K, 2M), and the rows of another interval.

    The rows of the other one are kept for some rounds: AC says how far they are from their limits here. Where AC finds
    an unclean corner that no row stands for, the limits are linearised there, too.
    """
    room, wires = start_kw.copy(), setting.wires
    nobody = judge_worst(setting, _list_empty(wires, room), np.zeros_like(room)).choose_worst()
    hopeless = nobody.list_dirty()
    room[hopeless] = 0.0
    going, cuts = np.setdiff1d(np.arange(len(room)), hopeless), _list_empty(wires, room[:0])
    rows, judged = _repeat(start_rows, going), nobody.select(np.zeros(0, np.int64))
    for number in range(MAX_CUTS):
        rows = _approach(setting, share, room, going, cuts, rows, LENT_ROUNDS if number == 0 else 0)
        judged = judged.select(~np.isin(judged.corners.interval, going))
        judged = judged.with_more(search_corners(setting, rows, room, going))
        going = judged.list_dirty(CUT_PU)
        if going.size == 0:
            break
        worst = judged.choose_worst()
        cuts = join_corners([cuts, worst.corners.select(worst.worst > CUT_PU)])
    found = make_robust(setting, rows, judged, room)
    return _answer(found, nobody)


def _list_empty(wires: Wires, room: Floats) -> Corners:
    """The corner of each box where nobody acts, for each engine."""
    interval, engine = (axis.ravel() for axis in np.indices((len(room), len(wires.engines))))
    return Corners(interval, engine, np.zeros((interval.size, room.shape[1]), dtype=bool))


def _approach(
    setting: Setting,
    share: Share,
    room: Floats,
    going: Ints,
    cuts: Corners,
    rows: Rows,
    lent_rounds: int = 0,
) -> Rows:
    """Set the rooms, (K, 2M) kW, of the intervals `going`; returns the rows that they keep, ordered by interval.

    Rows are linearised anew in every other round only, and not in the first `lent_rounds`: between, AC says how far
    they are from their limits, and what their slopes are wrong by is small. Where AC has no solution at a corner, the
    way there is halved.
    """
    solved = np.zeros_like(room)
    for number in range(MAX_ROUNDS):
        if number % 2 == 0 and number >= lent_rounds:
            rows = _renew(rows, _linearise(setting, room, going, cuts))
        mine = rows.select(np.isin(rows.interval, going))
        excess = judge_rows(setting, mine, room)
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


def _repeat(rows: Rows, intervals: Ints) -> Rows:
    """Rows of one interval for each of some others."""
    n = intervals.size
    every = Rows._make(np.concatenate([column] * n) if n else column[:0] for column in rows)
    return every._replace(interval=np.repeat(intervals, rows.limit.size))


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


def _find_state(setting: Setting, room: Floats, k: int, engine: int, corner: Mask) -> State | None:
    """AC state of interval `k` at a corner of its box; None where there is none."""
    p = setting.customers.inject(setting.background.p_kw[k][None], corner[None], room[None])[0]
    response = sensitivity(setting.wires.engines[engine], p, setting.background.q_kvar[k])
    return None if response is None else State(k, engine, corner, room, response)


def _share_anew(share: Share, rows: Rows, excess: Floats, room: Floats, intervals: Ints, radius: float) -> Mask:
    """Set the rooms of some intervals by their rows; returns which of them changed."""
    bound = (rows.slope * room[rows.interval]).sum(axis=1) - excess - MARGIN_PU
    first, last = (np.searchsorted(rows.interval, intervals, side) for side in ("left", "right"))
    moved = np.zeros(intervals.size, dtype=bool)
    for i, (k, a, b) in enumerate(zip(intervals.tolist(), first.tolist(), last.tolist(), strict=True)):
        found = share(rows.slope[a:b], bound[a:b], room[k], radius)
        moved[i] = bool(np.abs(found - room[k]).max(initial=0.0) > ALMOST_KW)
        room[k] = found
    return moved


def _answer(found: Robust, nobody: Judged) -> Envelopes:
    hopeless = nobody.worst > 0.0
    limit = np.where(hopeless[:, None], nobody.limit[:, None], found.limit)
    (export, imported), (export_limit, import_limit) = (np.split(part, 2, axis=1) for part in (found.room_kw, limit))
    failing = np.where(hopeless, nobody.limit, -1)
    return Envelopes(0.0 - imported, export, ~hopeless, import_limit, export_limit, failing)
