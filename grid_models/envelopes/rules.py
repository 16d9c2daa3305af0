"""Rules by which customers share what the network can carry.

A rule gets rows `slope @ room <= bound`, every slope at least 0, and the largest value of each of the 2M rooms. It
returns the rooms, (2M,) kW, that keep all rows. A row that not even empty rooms keep, its bound below 0, is taken as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.highs import ManyRows

STRONG = 0.001
"""A group loads a row if its slope is at least this share of the strongest group's."""

KEPT_PU = 1e-5
"""Excess that a row may have where rooms stay as they are."""

MAX_RAISES, NEGLIGIBLE_PU = 6, 1e-7
"""How often all levels are raised anew at most, and the excess of a row that is none."""


class Slack(NamedTuple):
    """How far within its rows `max_total` aims, pu, and the share of the sum that another programme must promise."""

    aim_pu: float
    worth: float


EXACT, CLOSE = Slack(0.0, 5e-4), Slack(1e-4, 2e-3)
"""For intervals that are solved by themselves, and for those that follow: nearly all of these need not shrink then."""


class Packing(NamedTuple):
    """What a rule shares among 2M rooms.

    Attributes
    ----------
    slope, bound
        (R, 2M) and (R,): rows `slope @ room <= bound`.
    most_kw
        (2M,) largest rooms.
    weight
        (2M,) weights of `proportional`.
    now_kw, radius
        (2M,) rooms now, and the share of the largest ones by which `max_total` may change them: where customers load a
        limit much alike, the best box is no vertex, and programmes would swing between two for ever.
    slack
        What `max_total` may leave.
    programme
        That of `max_total` with these slopes, if it was solved with other bounds before.
    """

    slope: Floats
    bound: Floats
    most_kw: Floats
    weight: Floats
    now_kw: Floats
    radius: float
    slack: Slack = EXACT
    programme: ManyRows | None = None


def make_programme(slope: Floats) -> ManyRows:
    """Programme of the largest sum of all rooms, by slopes, (R, 2M)."""
    return ManyRows(-np.ones(slope.shape[1]), slope)


def max_total(packing: Packing) -> Floats:
    """The largest sum of all ranges, whoever gets them; the rooms as they are where they are almost that, and kept."""
    most, bound, now = packing.most_kw, np.maximum(packing.bound, 0.0), packing.now_kw
    change, aim = packing.radius * most, np.maximum(bound - packing.slack.aim_pu, 0.0)
    upper, lower = np.minimum(now + change, most), np.maximum(now - change, 0.0)
    kept = bool((packing.slope @ now <= aim + max(packing.slack.aim_pu, KEPT_PU)).all())
    enough = (1.0 + packing.slack.worth) * now.sum()
    programme = packing.programme or make_programme(packing.slope)
    if kept and -programme.find_least_cost(aim, upper, lower) <= enough:
        return now.copy()
    for least in (lower, 0.0 * lower):  # where nothing near keeps all rows, rooms become as small as they must
        best = programme.minimise(aim, upper, least, now)
        if best is not None:
            break
    best = np.zeros(most.size) if best is None else np.clip(best, 0.0, most)
    return now.copy() if kept and best.sum() <= enough else best


def max_min(packing: Packing) -> Floats:
    """The smallest room as large as possible, then the next smallest, and so on."""
    n = packing.most_kw.size
    return _fill(packing, np.ones(n), np.arange(n))


def equal(packing: Packing) -> Floats:
    """The same export for all, and the same import; less only where a connection cannot do more."""
    n = packing.most_kw.size
    return _fill(packing, np.ones(n), np.repeat([0, 1], n // 2))


def proportional(packing: Packing) -> Floats:
    """The same share of their weights for all exports, and for all imports."""
    return _fill(packing, packing.weight, np.repeat([0, 1], packing.most_kw.size // 2))


def _fill(packing: Packing, weight: Floats, group: Ints) -> Floats:
    """Raise all groups' levels together; those that load a full row stay, the others go on rising.

    A room is its group's level times its weight, and never more than its largest value (progressive filling, Bertsekas
    and Gallager 1992, Data Networks, §6.5.2). Groups that hardly load a full row go on, too: what they take of it is
    reserved when all are raised anew.
    """
    bound = np.maximum(packing.bound, 0.0)
    reserved = np.zeros(bound.size)
    for _ in range(MAX_RAISES):
        room = _fill_once(packing, bound - reserved, weight, group)
        over = packing.slope @ room - bound
        if over.max(initial=0.0) <= NEGLIGIBLE_PU:
            break
        reserved += np.maximum(over, 0.0)
    return room


def _fill_once(packing: Packing, bound: Floats, weight: Floats, group: Ints) -> Floats:
    n_groups = int(group.max(initial=-1)) + 1
    level, free = np.zeros(n_groups), np.ones(n_groups, dtype=bool)
    open_rows, most = np.ones(bound.size, dtype=bool), packing.most_kw
    while free.any():
        moves, at = free[group], np.flatnonzero(open_rows)
        held = np.where(moves, 0.0, np.minimum(most, weight * level[group]))
        rest = bound[at] - packing.slope[at] @ held
        rise, full = _raise_together(packing.slope[np.ix_(at, moves)], rest, most[moves], weight[moves])
        level[free] = max(rise, level[free].max())
        if full < 0:
            break
        load = np.bincount(group, packing.slope[at[full]] * weight, n_groups)
        free &= load < STRONG * load.max()
        open_rows[at[full]] = False
    return np.minimum(most, weight * level[group])


def _raise_together(slope: Floats, rest: Floats, most: Floats, weight: Floats) -> tuple[float, int]:
    """Largest common level at which `slope @ min(most, level * weight) <= rest`, and the row full there, -1 if none.

    The left side is piecewise linear in the level, with a bend where a room is as large as can be.
    """
    bends = np.unique(most[weight > 0.0] / weight[weight > 0.0])
    if bends.size == 0:
        return 0.0, -1
    bends = np.concatenate([[0.0], bends])
    load = slope @ np.minimum(most[:, None], weight[:, None] * bends)  # (R, b)
    over = load > rest[:, None]
    first = np.where(over.any(axis=1), over.argmax(axis=1), bends.size)
    rows = np.flatnonzero((first < bends.size) & (slope @ weight > 0.0))
    if rows.size == 0:
        return float(bends[-1]), -1
    at = np.maximum(first[rows], 1)
    before, after = load[rows, at - 1], load[rows, at]
    share = np.clip((rest[rows] - before) / np.maximum(after - before, 1e-300), 0.0, 1.0)
    reached = bends[at - 1] + share * (bends[at] - bends[at - 1])
    tightest = int(reached.argmin())
    return float(reached[tightest]), int(rows[tightest])


Rule = Callable[[Packing], Floats]

RULES: dict[str, Rule] = {
    "equal": equal,
    "proportional": proportional,
    "max_total": max_total,
    "max_min": max_min,
}
"""Every rule by its name."""
