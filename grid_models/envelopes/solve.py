"""Operating envelopes of many intervals by successive programmes, every corner of the box judged by AC.

Some intervals are solved by themselves (`grid_models.envelopes.approach`); all others follow the one that they are most
like (`grid_models.envelopes.pattern`). Where AC finds an unclean corner in one of these that this does not mend, it is
solved by itself, too. At last the boxes shrink until AC finds every critical corner clean, and every corner that
differs from one of them by one customer.

Law: a box is *robust* only if AC says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.envelopes.approach import Share, approach
from grid_models.envelopes.corners import Background, Corners, Setting, join_corners, list_critical, list_no_corners
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.pattern import Pattern, choose, lead, make_pattern, solve_bases, with_cuts
from grid_models.envelopes.robust import (
    Judged,
    Robust,
    Searched,
    find_nothing,
    judge_worst,
    make_robust,
    search_corners,
)
from grid_models.envelopes.rows import NEAR_PU, Rows, make_no_rows
from grid_models.envelopes.rules import RULES, Packing, Slack
from grid_models.envelopes.wires import Wires
from grid_models.highs import ManyRows

BLOCK = 512
"""Intervals that are solved together: so memory is bounded."""

MAX_CUTS = 4
"""Searches for unclean corners that no row stands for; after the last one the box shrinks."""

MAX_PATTERNS, FOLLOWERS = 8, 64
"""Intervals that others follow at most, and how many follow each at least."""

ALONE = 4
"""So many intervals or fewer are solved each by itself: what others could follow costs as much as two of them."""

MAX_PASSES = 6
"""Searches for unclean corners in all who follow one interval; what it has found grows by them."""

PUPILS = 12
"""So many intervals follow a pattern before all others do, and it learns what they find."""

FAR_PU = 2e-3
"""Who is beyond a limit by more after all searches is solved alone."""

CUT_PU = 1e-4
"""An excess that is worth another search; by a smaller one a box shrinks by less than a thousandth."""


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
    failing_engine
        (K,) engine that says so, which is a voltage of the head; -1 in all others.
    """

    import_kw: Floats
    export_kw: Floats
    robust: Mask
    import_limit: Ints
    export_limit: Ints
    failing_limit: Ints
    failing_engine: Ints

    def set_some(self, intervals: Ints, found: Robust) -> None:
        """Set the boxes of some intervals."""
        rooms, limits = (np.split(part, 2, axis=1) for part in found)
        self.export_kw[intervals], self.import_kw[intervals] = rooms[0], 0.0 - rooms[1]
        self.export_limit[intervals], self.import_limit[intervals] = limits


class Part(NamedTuple):
    """Intervals that are solved together, by a rule of `RULES` and (2M,) weights."""

    setting: Setting
    rule: str
    weight_kw: Floats

    def share(
        self,
        slope: Floats,
        bound: Floats,
        now_kw: Floats,
        radius: float,
        slack: Slack,
        programme: ManyRows | None,
    ) -> Floats:
        """Rooms by the rule; see `grid_models.envelopes.approach.Share`."""
        most_kw = self.setting.customers.most_kw
        return RULES[self.rule](Packing(slope, bound, most_kw, self.weight_kw, now_kw, radius, slack, programme))


Each = Callable[[Callable[[Part], Robust], Sequence[Part]], Iterable[Robust]]
"""How parts are solved: what `map` does, here or in other processes."""


def find_envelopes(
    wires: Wires,
    customers: Customers,
    background: Background,
    rule: str,
    weight_kw: Floats | None = None,
    each: Each = map,
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
    each
        How the parts are solved that do not depend on one another; it changes no envelope.
    """
    weight = customers.most_kw if weight_kw is None else weight_kw
    setting, n = Setting(wires, customers, background), len(background.p_kw)
    nobody = _judge_nobody(setting)
    found = _make_empty(nobody, weight.size // 2)
    clean = np.flatnonzero(found.robust)
    order = clean[np.argsort(background.p_kw[clean].sum(axis=1), kind="stable")]
    # Those with most generation take longest, and come first, so that no process waits for them in the end.
    chosen = [mine for mine in np.array_split(order, min(MAX_PATTERNS, 1 + n // FOLLOWERS)) if mine.size][::-1]
    parts = [Part(setting.select(mine), rule, weight) for mine in chosen]
    for mine, solved in zip(chosen, each(solve_part, parts), strict=True):
        found.set_some(mine, solved)
    return found


def solve_part(part: Part) -> Robust:
    """Boxes of the intervals of a part, whose order is that of what all others inject."""
    setting, share, n = part.setting, part.share, len(part.setting.background.p_kw)
    if n <= ALONE:
        return _solve_few(setting, share)
    pattern = _learn(setting, share, _find_pattern(setting.select(np.array([n // 2])), share))
    blocks = [np.arange(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK)]
    solved = [_solve_block(setting.select(at), share, pattern) for at in blocks]
    return Robust._make(map(np.concatenate, zip(*solved, strict=True)))


def _solve_few(setting: Setting, share: Share) -> Robust:
    """Boxes of some intervals, each by itself."""
    n, size = len(setting.background.p_kw), setting.customers.most_kw.size
    room = np.zeros((n, size))
    _, searched = _solve_alone(setting, share, room, np.arange(n), list_no_corners(size), make_no_rows(size))
    return make_robust(setting, searched, room)


def _find_pattern(setting: Setting, share: Share) -> Pattern:
    """What one interval finds by itself."""
    room, none = np.zeros((1, setting.customers.most_kw.size)), make_no_rows(setting.customers.most_kw.size)
    rows, _ = _solve_alone(setting, share, room, np.zeros(1, np.int64), list_no_corners(room.shape[1]), none)
    return make_pattern(setting, rows, room)


def _solve_block(setting: Setting, share: Share, pattern: Pattern) -> Robust:
    """Boxes of some intervals that follow a pattern."""
    room = np.repeat(pattern.room_kw, len(setting.background.p_kw), axis=0)
    _, searched = _follow(setting, share, pattern, room)
    return make_robust(setting, searched, room)


def _learn(setting: Setting, share: Share, pattern: Pattern) -> Pattern:
    """Pattern with what some who follow it find."""
    n = len(setting.background.p_kw)
    some = setting.select(np.unique(np.linspace(0, n - 1, min(n, PUPILS)).astype(np.int64)))
    return _follow(some, share, pattern, np.repeat(pattern.room_kw, len(some.background.p_kw), axis=0))[0]


def _follow(setting: Setting, share: Share, pattern: Pattern, room: Floats) -> tuple[Pattern, Searched]:
    """Set the rooms, (K, 2M), of all intervals by a pattern; returns it with what they find, and what is searched."""
    bases, going, searched = solve_bases(setting), np.arange(len(room)), find_nothing(room.shape[1])
    for _ in range(MAX_PASSES):
        predicted = pattern.predict(bases.select(going), room[going])
        chosen = np.flatnonzero((~(predicted <= -NEAR_PU)).any(axis=0))
        lost = lead(setting, share, pattern.rows.select(chosen), predicted[:, chosen], room, going)
        near = pattern.find_near(bases.select(going), room[going])
        critical = choose(list_critical(pattern.rows), going, near)
        searched = searched.renew(search_corners(setting, critical, room, going), going)
        going = np.union1d(searched.judged.list_dirty(CUT_PU), lost)
        if going.size == 0:
            break
        pattern = with_cuts(pattern, setting, _choose_cuts(searched.judged, going), room)
    far = np.union1d(searched.judged.list_dirty(FAR_PU), lost)
    if far.size:
        room[lost] = 0.0
        near = pattern.find_near(bases.select(far), room[far])
        own = choose(list_critical(pattern.rows), far, near)
        rows = own.select_rows(np.ones(own.row.size, dtype=bool))
        _, more = _solve_alone(setting, share, room, far, _choose_cuts(searched.judged, far), rows)
        searched = searched.renew(more, far)
    return pattern, searched


def _solve_alone(
    setting: Setting, share: Share, room: Floats, going: Ints, cuts: Corners, rows: Rows
) -> tuple[Rows, Searched]:
    """Set the rooms, (K, 2M), of some intervals, each by itself; returns their rows and what the last search found.

    Where AC finds an unclean corner that no row stands for, the limits are linearised there, too.
    """
    every = find_nothing(room.shape[1])
    for _ in range(MAX_CUTS):
        rows = approach(setting, share, room, going, cuts, rows)
        mine = rows.select(np.isin(rows.interval, going))
        every = every.renew(search_corners(setting, list_critical(mine), room, going), going)
        going = every.judged.list_dirty(CUT_PU)
        if going.size == 0:
            break
        cuts = join_corners([cuts, _choose_cuts(every.judged, going)])
    return rows, every


def _choose_cuts(judged: Judged, going: Ints) -> Corners:
    """The worst corner of each of some intervals, if it is worth a cut."""
    worst = judged.select(np.isin(judged.corners.interval, going)).choose_worst()
    return worst.corners.select(worst.worst > CUT_PU)


def _judge_nobody(setting: Setting) -> Judged:
    """What is worst in each interval where no customer acts, at any voltage of the head."""
    n, rooms = len(setting.background.p_kw), setting.customers.most_kw.size
    interval, engine = (axis.ravel() for axis in np.indices((n, len(setting.wires.engines))))
    empty = Corners(interval, engine, np.zeros((interval.size, rooms), dtype=bool))
    return judge_worst(setting, empty, np.zeros((n, rooms))).choose_worst()


def _make_empty(nobody: Judged, m: int) -> Envelopes:
    """Empty boxes of all intervals; those are robust that are clean."""
    dirty = nobody.worst > 0.0
    zero, limit = np.zeros((dirty.size, m)), np.repeat(nobody.limit[:, None], m, axis=1)
    failing = (np.where(dirty, found, -1) for found in (nobody.limit, nobody.corners.engine))
    return Envelopes(zero, zero.copy(), ~dirty, limit, limit.copy(), *failing)
