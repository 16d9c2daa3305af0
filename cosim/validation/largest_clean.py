"""The largest level that keeps every interval clean: bisection on a few intervals, verified on all.

The few are chosen by the state that is searched, and an answer is given only after it was solved in every interval:
those that it breaks join the few, and the search goes on, until it breaks none. So it is that of a bisection over all.
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
from grid_models.powerflow.limits import Judgement, Violation, check_limits, judge

ROUNDS = 24
"""Halvings of the range: 1000 kW are known to 0.1 W."""
JOINING = 8
"""Most intervals that join a search at a time: those in which its answer is furthest beyond a limit."""
VALUES_AT_ONCE = 4_000_000
"""Voltages and loadings in memory at once."""

Injections = Callable[[Ints, Ints, Floats], Floats]
"""From R searches, intervals and levels, (R,) each, to injections of the N houses, (R, N) kW."""


class Pairs(NamedTuple):
    """Searches and intervals that they must keep clean, (R,) each."""

    search: Ints
    interval: Ints

    def select(self, chosen: Mask) -> Pairs:
        """Those of a mask, (R,)."""
        return Pairs(self.search[chosen], self.interval[chosen])


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
        (K, N) reactive injections of the houses in each interval, whatever the level; none if left out.
    """

    case: Case
    inject: Injections
    n_intervals: int
    end: Floats
    q_kvar: Floats | None = None

    @cached_property
    def excess_at_zero(self) -> Floats:
        """How far level 0 is beyond the limits in each interval, (K,), as of `find_excess`."""
        pairs = Pairs(np.zeros(self.n_intervals, np.int64), np.arange(self.n_intervals))
        return self.find_excess(pairs, np.zeros(self.n_intervals))

    def find_excess(self, pairs: Pairs, levels: Floats) -> Floats:
        """How far the worst voltage, pu, or loading, 1, is beyond its limit at levels (R,); negative where clean."""
        net = self.case.feeder.net
        rows = max(1, VALUES_AT_ONCE // (len(net.bus) + len(net.line) + len(net.trafo)))
        parts = [slice(first, first + rows) for first in range(0, pairs.search.size, rows)]
        found = [self._find_excess(Pairs(*(column[part] for column in pairs)), levels[part]) for part in parts]
        return np.concatenate(found) if found else np.empty(0)

    def solve(self, pairs: Pairs, levels: Floats) -> Flow:
        """AC solution at levels (R,)."""
        q_kvar = None if self.q_kvar is None else self.q_kvar[pairs.interval]
        return self.case.engine.solve(self.inject(*pairs, levels), q_kvar)

    def _find_excess(self, pairs: Pairs, levels: Floats) -> Floats:
        verdicts = judge(self.solve(pairs, levels), self.case.limits)
        beyond = -np.fmin(verdicts.voltage_margin_pu, verdicts.loading_margin_percent / 100.0)
        beyond[verdicts.status == Judgement.NOT_SOLVED] = np.inf
        clean = verdicts.status == Judgement.OK
        return np.where(clean, -1.0, np.fmax(beyond, np.finfo(np.float64).tiny))


class LargestClean(NamedTuple):
    """Answers of Q searches.

    Attributes
    ----------
    level
        (Q,) largest levels that are clean in all intervals; 0 where even that is not.
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
        new_low, new_high = _bisect(searches, pairs.select(open_searches[pairs.search]))
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


def _bisect(searches: Searches, pairs: Pairs) -> tuple[Floats, Floats]:
    """Largest levels that are clean in these pairs, (Q,), and levels just above that are not."""

    def are_clean(levels: Floats) -> Mask:
        broken = searches.find_excess(pairs, levels[pairs.search]) > 0.0
        return np.asarray(np.bincount(pairs.search, broken, levels.size) == 0)

    low, high = np.zeros_like(searches.end), searches.end.copy()
    reached = are_clean(high)
    low[reached] = high[reached]
    high[~are_clean(low)] = 0.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2.0
        clean = are_clean(middle)
        low, high = np.where(clean, middle, low), np.where(clean, high, middle)
    return low, high


def _find_broken(searches: Searches, q: int, level: float) -> Pairs:
    """The worst of all intervals that a level breaks; those that the search does not touch are as at level 0."""
    every = np.arange(searches.n_intervals)
    search = np.full(every.size, q)
    at_level = searches.inject(search, every, np.full(every.size, level))
    touched = (at_level != searches.inject(search, every, np.zeros(every.size))).any(axis=1)
    excess = searches.excess_at_zero.copy()
    pairs = Pairs(search, every).select(touched)
    excess[touched] = searches.find_excess(pairs, np.full(pairs.search.size, level))
    worst = _list_worst(excess)
    return Pairs(np.full(worst.size, q), worst)


def _find_bound(searches: Searches, pairs: Pairs, level: float) -> Violation | None:
    """The limit that is broken most in some pairs at a level; None where there is no solution."""
    case = searches.case
    flow = searches.solve(pairs, np.full(pairs.search.size, level))
    rows = range(pairs.search.size)
    broken = [v for k in rows for v in check_limits(case.feeder, case.limits, flow, k).violations]
    return max(broken, key=lambda v: v.excess) if broken else None
