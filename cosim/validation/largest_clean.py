"""The largest level that keeps every interval clean: bisection on a few intervals, verified on all.

The few are chosen by the state that is searched, and an answer is given only after it was solved in every interval:
those that it breaks join the few, and the search goes on, until it breaks none. So it is that of a bisection over all.

A bisection takes for granted that more never mends what less breaks. Where phases differ that is not so: generation on
phase b lowers what phase a has too much of, or raises it. There the levels below an answer are tried as well, evenly
spaced: where one is not clean, the answer is below it. So what is answered is the end of the clean levels from 0 up, by
all that are tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from grid_models.arrays import Floats, Ints, Mask
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.verdicts import Judgement, Violation, check_limits, judge

ROUNDS = 24
"""Halvings of the range: 1000 kW are known to 0.1 W."""
JOINING = 8
"""Most intervals that join a search at a time: those in which its answer is furthest beyond a limit."""
STEPS = 64
"""Levels from 0 up to an answer that must be clean in the few intervals where more may mend what less breaks."""
STEPS_IN_ALL = 4
"""Those of them that must be clean in every interval."""
VALUES_AT_ONCE = 4_000_000
"""Voltages and loadings in memory at once."""

Injections = Callable[[Ints, Ints, Floats], Floats]
"""From R searches, intervals and levels, (R,) each, to the C injections of the feeder, (R, C) kW."""


class Pairs(NamedTuple):
    """Searches and intervals that they must keep clean, (R,) each."""

    search: Ints
    interval: Ints

    def select(self, chosen: Mask) -> Pairs:
        """Those of a mask, (R,)."""
        return Pairs(self.search[chosen], self.interval[chosen])

    def repeat(self, times: int) -> Pairs:
        """All of them `times` over, one after the other."""
        return Pairs(np.tile(self.search, times), np.tile(self.interval, times))


@dataclass(frozen=True, eq=False)
class Searches:
    """Q searches over the same K intervals.

    Attributes
    ----------
    case
        Feeder, engine and limits.
    inject
        What a search injects into an interval at a level; nothing of its own at level 0.
    n_intervals
        K.
    end
        (Q,) levels at which the searches end.
    q_kvar
        (K, C) reactive injections in each interval, whatever the level; none if left out.
    """

    case: Case
    inject: Injections
    n_intervals: int
    end: Floats
    q_kvar: Floats | None = None

    @property
    def may_mend(self) -> bool:
        """Whether a higher level may be clean though a lower one is not."""
        return self.case.feeder.connections is not None

    @cached_property
    def excess_at_zero(self) -> Floats:
        """How far level 0 is beyond the limits in each interval, (K,), as of `find_excess`."""
        pairs = Pairs(np.zeros(self.n_intervals, np.int64), np.arange(self.n_intervals))
        return self.find_excess(pairs, np.zeros(self.n_intervals))

    def find_excess(self, pairs: Pairs, levels: Floats) -> Floats:
        """How far the worst voltage, pu, loading or unbalance, 1, is beyond its limit at levels (R,), else negative.

        The voltage of a neutral counts in 100 V.
        """
        limits = self.case.limits
        rows = max(1, VALUES_AT_ONCE // (limits.max_vm_pu.size + limits.max_branch_percent.size))
        parts = [slice(first, first + rows) for first in range(0, pairs.search.size, rows)]
        found = [self._find_excess(Pairs(*(column[part] for column in pairs)), levels[part]) for part in parts]
        return np.concatenate(found) if found else np.empty(0)

    def solve(self, pairs: Pairs, levels: Floats) -> Flow:
        """AC solution at levels (R,)."""
        q_kvar = None if self.q_kvar is None else self.q_kvar[pairs.interval]
        return self.case.engine.solve(self.inject(*pairs, levels), q_kvar)

    def _find_excess(self, pairs: Pairs, levels: Floats) -> Floats:
        limits = self.case.limits
        verdicts = judge(self.solve(pairs, levels), limits)
        beyond = -np.fmin(verdicts.voltage_margin_pu, verdicts.loading_margin_percent / 100.0)
        for value, bus, largest in (
            (verdicts.highest_vuf_percent, verdicts.highest_vuf_bus, limits.max_vuf_percent),
            (verdicts.highest_neutral_v, verdicts.highest_neutral_bus, limits.max_neutral_v),
        ):
            if largest.size:
                beyond = np.fmax(beyond, np.where(bus >= 0, value / largest[bus] - 1.0, -np.inf))
        beyond[verdicts.status == Judgement.NOT_SOLVED] = np.inf
        clean = verdicts.status == Judgement.OK
        return np.where(clean, -1.0, np.fmax(beyond, np.finfo(np.float64).tiny))


class LargestClean(NamedTuple):
    """Answers of Q searches.

    Attributes
    ----------
    level
        (Q,) largest levels that are clean in all intervals, as are all below them; 0 where even that is not.
    reached_end
        (Q,) whether the end of the search is clean.
    bound_by
        The limit that the next level breaks the most; None if the end was reached, or there is no solution.
    """

    level: Floats
    reached_end: Mask
    bound_by: list[Violation | None]


def find_largest_clean(searches: Searches, n_first: int) -> LargestClean:
    """Largest level of each search at which all intervals are clean.

    Parameters
    ----------
    searches
        What is searched.
    n_first
        On how many intervals a search begins.
    """
    pairs = _choose_first(searches, n_first)
    low, high = np.zeros_like(searches.end), searches.end.copy()
    open_searches = np.ones(low.size, np.bool_)
    while open_searches.any():
        find = _climb if searches.may_mend else _bisect
        new_low, new_high = find(searches, pairs.select(open_searches[pairs.search]))
        low, high = np.where(open_searches, new_low, low), np.where(open_searches, new_high, high)
        answered = np.flatnonzero(open_searches & (low > 0.0)).tolist()
        joining = [_find_broken(searches, q, low[q]) for q in answered]
        pairs = Pairs(*(np.concatenate(columns) for columns in zip(pairs, *joining, strict=True)))
        open_searches = np.isin(np.arange(low.size), np.concatenate([[-1], *(p.search for p in joining)]))
    reached = low == searches.end
    bounds = [
        None if reached[q] else _find_bound(searches, pairs.select(pairs.search == q), high[q]) for q in range(low.size)
    ]
    return LargestClean(low, reached, bounds)


def _choose_first(searches: Searches, n_first: int) -> Pairs:
    """Intervals with the largest injections at the end of each search, and those that are worst without any."""
    every = np.arange(searches.n_intervals)
    worst = _list_worst(searches.excess_at_zero)

    def choose(q: int) -> Ints:
        injections = searches.inject(np.full(every.size, q), every, np.full(every.size, searches.end[q]))
        most = np.argsort(-injections.sum(axis=1), kind="stable")[:n_first]
        return np.union1d(most, worst)

    chosen = [choose(q) for q in range(searches.end.size)]
    search = np.repeat(np.arange(searches.end.size), [len(c) for c in chosen])
    return Pairs(search, np.concatenate(chosen))


def _list_worst(excess: Floats) -> Ints:
    """The intervals that are furthest beyond a limit, at most `JOINING`."""
    worst = np.argsort(-excess, kind="stable")[:JOINING]
    return np.asarray(worst[excess[worst] > 0.0])


def _are_clean(searches: Searches, pairs: Pairs, levels: Floats) -> Mask:
    """Whether levels (S, Q) are clean in all of these pairs, (S, Q)."""
    n_steps, n_searches = levels.shape
    every = pairs.repeat(n_steps)
    place = np.repeat(np.arange(n_steps), pairs.search.size) * n_searches + every.search
    broken = searches.find_excess(every, levels.ravel()[place]) > 0.0
    return np.asarray(np.bincount(place, broken, levels.size) == 0).reshape(levels.shape)


def _bisect(searches: Searches, pairs: Pairs) -> tuple[Floats, Floats]:
    """Largest levels that are clean in these pairs, (Q,), and levels just above that are not."""
    low, high = np.zeros_like(searches.end), searches.end.copy()
    reached = _are_clean(searches, pairs, high[None])[0]
    low[reached] = high[reached]
    high[~_are_clean(searches, pairs, low[None])[0]] = 0.0
    return _halve(searches, pairs, low, high)


def _halve(searches: Searches, pairs: Pairs, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Clean levels and levels above them that are not, (Q,), closer by `ROUNDS` halvings."""
    for _ in range(ROUNDS):
        middle = (low + high) / 2.0
        clean = _are_clean(searches, pairs, middle[None])[0]
        low, high = np.where(clean, middle, low), np.where(clean, high, middle)
    return low, high


def _climb(searches: Searches, pairs: Pairs) -> tuple[Floats, Floats]:
    """Levels up to which every one of `STEPS` is clean in these pairs, (Q,), and levels just above that are not.

    First as if nothing could mend, and from there down to below the first step that is not clean, again and again: so
    steps are fine even where the end of the search is far.
    """
    low, high = _bisect(searches, pairs)
    beyond_at_zero = np.logical_not(_are_clean(searches, pairs, np.zeros((1, low.size)))[0])
    low[beyond_at_zero] = high[beyond_at_zero] = 0.0
    while True:
        steps = low * (np.arange(1, STEPS + 1) / STEPS)[:, None]
        broken: Mask = np.logical_and(~_are_clean(searches, pairs, steps), low > 0.0)
        mended = broken.any(axis=0)
        if not mended.any():
            return low, high
        first, every = broken.argmax(axis=0), np.arange(low.size)
        below = np.where(first > 0, steps[first - 1, every], 0.0)
        chosen = pairs.select(np.asarray(mended)[pairs.search])
        new_low, new_high = _halve(searches, chosen, below, steps[first, every])
        low, high = np.where(mended, new_low, low), np.where(mended, new_high, high)


def _find_broken(searches: Searches, q: int, level: float) -> Pairs:
    """The worst of all intervals that a level breaks, or one of `STEPS_IN_ALL` below it where more may mend.

    Intervals that the search does not touch are as at level 0.
    """
    every = np.arange(searches.n_intervals)
    search = np.full(every.size, q)
    at_level = searches.inject(search, every, np.full(every.size, level))
    touched = (at_level != searches.inject(search, every, np.zeros(every.size))).any(axis=1)
    excess = searches.excess_at_zero.copy()
    pairs = Pairs(search, every).select(touched)
    for step in range(STEPS_IN_ALL, 0, -1) if searches.may_mend else (STEPS_IN_ALL,):
        excess[touched] = searches.find_excess(pairs, np.full(pairs.search.size, level * step / STEPS_IN_ALL))
        worst = _list_worst(excess)
        if worst.size:
            break
    return Pairs(np.full(worst.size, q), worst)


def _find_bound(searches: Searches, pairs: Pairs, level: float) -> Violation | None:
    """The limit that is broken most in some pairs at a level; None where there is no solution."""
    case = searches.case
    flow = searches.solve(pairs, np.full(pairs.search.size, level))
    rows = range(pairs.search.size)
    broken = [v for k in rows for v in check_limits(case.feeder, case.limits, flow, k).violations]
    return max(broken, key=lambda v: v.excess) if broken else None
