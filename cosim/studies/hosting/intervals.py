"""In which intervals draws are judged, what stands there before any device, and what draws break in all others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cosim.studies.hosting.draws import PV, TECHNOLOGIES, Draws
from cosim.studies.hosting.first import First, find_first, make_window, solve_base
from cosim.studies.hosting.judged import Bounds, find_excess, make_bounds, name_worst
from cosim.studies.hosting.street import Added, Base, Street
from grid_models.arrays import Floats, Ints
from grid_models.powerflow.verdicts import Violation

AT_ONCE = 4096
"""Intervals that are read and solved at a time."""
KEPT = 10_000
"""Intervals up to which all of them are kept in memory."""
PILOTS, JOINING = 8, 4
"""Draws that look for intervals which net power alone does not tell, and how many of these join at a time."""
SEARCHED = 2000
"""Intervals in which pilots look, by net power: half of a kind each."""
CLOSE = 200
"""Intervals in which every number of devices of a draw at a percentile is solved."""
FEED_IN, LOAD, PILOT = "net feed-in", "net load", "broken by pilots"


class Standing(NamedTuple):
    """All T intervals without any device that is placed.

    Attributes
    ----------
    net_kw
        (T,) sum of all injections.
    excess
        (T,) how far each is beyond its limits, above 0 where it is not clean.
    worst
        The violation that is furthest beyond; None where all is clean, or there is no solution.
    """

    net_kw: Floats
    excess: Floats
    worst: Violation | None


class Chosen(NamedTuple):
    """Intervals in which draws are judged, (K,), and why each was chosen."""

    interval: Ints
    why: list[str]

    def join(self, others: Ints, why: str) -> Chosen:
        """These and others, in the order of time."""
        known = dict.fromkeys(others.tolist(), why) | dict(zip(self.interval.tolist(), self.why, strict=True))
        return Chosen(np.array(sorted(known), np.int64), [known[k] for k in sorted(known)])


def _slices(intervals: Ints) -> Iterator[Ints]:
    for at in range(0, intervals.size, AT_ONCE):
        yield intervals[at : at + AT_ONCE]


def find_standing(street: Street) -> Standing:
    """What there is in all intervals before any device is placed."""
    limits, parts = street.case.limits, list[tuple[Floats, Floats]]()
    worst: tuple[float, Violation | None] = (0.0, None)
    for intervals in _slices(np.arange(street.case.n_intervals)):
        base = street.read_base(intervals)
        flow = solve_base(street, base)
        bounds = make_bounds(limits, flow, judge_all=True)
        excess = find_excess(limits, bounds, np.arange(intervals.size), flow)
        parts.append((base.p_kw.sum(axis=1), excess))
        k = int(np.argmax(excess))
        if excess[k] > worst[0]:
            worst = float(excess[k]), name_worst(street.feeder, limits, bounds, k, flow, k)
    net, every = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Standing(net, every, worst[1])


def _read_slices(street: Street, intervals: Ints, *, judge_all: bool) -> Iterator[tuple[Base, Bounds]]:
    """Some intervals, part by part, and where violations begin in them; all of a year of hours are kept."""
    if intervals.size == street.case.n_intervals <= KEPT:
        yield from _keep_slices(street, judge_all)
        return
    for some in _slices(intervals):
        base = street.read_base(some)
        yield base, make_bounds(street.case.limits, solve_base(street, base), judge_all=judge_all)


@lru_cache(maxsize=1)
def _keep_slices(street: Street, judge_all: bool) -> list[tuple[Base, Bounds]]:
    bases = [street.read_base(some) for some in _slices(np.arange(street.case.n_intervals))]
    return [(base, make_bounds(street.case.limits, solve_base(street, base), judge_all=judge_all)) for base in bases]


def scan(street: Street, draws: Draws, n_placed: Ints, intervals: Ints, *, judge_all: bool) -> Floats:
    """How far draws with some of their devices are beyond their bounds in many intervals, (D, K)."""
    found = []
    for base, bounds in _read_slices(street, intervals, judge_all=judge_all):
        excess = np.full((len(draws.kw), base.interval.size), -np.inf)
        for d, n in enumerate(n_placed.tolist()):
            added = add_over(street, base, draws.select_one(d), n)
            k = np.flatnonzero((added.p_kw != 0.0).any(axis=1))
            if k.size:
                flow = street.solve(base, k, added.select(k))
                excess[d, k] = find_excess(street.case.limits, bounds, k, flow)
        found.append(excess)
    return np.hstack(found)


def find_broken(street: Street, draws: Draws, n_clean: Ints, judged: Ints, *, judge_all: bool) -> Floats:
    """How far draws are beyond their bounds in all intervals with what they host, or less of it, (D, T).

    With half of their devices and all of them in every interval; with every number of them in those that are closest
    to a limit then, but for the intervals that have been judged already.
    """
    every = np.arange(street.case.n_intervals)
    levels = (-(-n_clean // 2), n_clean)
    excess = np.max([scan(street, draws, n, every, judge_all=judge_all) for n in levels], axis=0)
    rest = np.setdiff1d(every, judged)
    close = rest[np.argsort(-excess[:, rest].max(axis=0), kind="stable")[:CLOSE]]
    if close.size:
        known = First(n_clean, np.full(n_clean.size, -1), np.full(n_clean.size, -np.inf))
        found = find_first(street, make_window(street, close, judge_all=judge_all), draws, known)
        earlier = np.flatnonzero(found.n_clean < n_clean)
        excess[earlier, close[found.interval[earlier]]] = found.excess[earlier]
    return np.asarray(excess)


def add_over(street: Street, base: Base, draw: Draws, n: int) -> Added:
    """What the first n devices of one draw add together in each interval of a base, (K, C)."""
    technology, house, code, kw = draw.technology[0, :n], draw.house[0, :n], draw.code[0, :n], draw.kw[0, :n]
    profile = street.library.choose(draw)[0, :n]
    is_pv = technology == TECHNOLOGIES.index(PV)
    columns = street.column(house, code).tolist()
    power = base.unit[:, profile] * kw
    signed, drawn = np.where(is_pv, power, -power), np.where(is_pv, 0.0, power)
    every = signed, -drawn * base.tan_phi[:, house], np.where(is_pv, power, 0.0)
    found = street.add_nothing(base.interval.size)
    for total, values in zip(found, every, strict=True):
        if total is not None:
            for device, column in enumerate(columns):
                total[:, column] += values[:, device]
    return found


def choose_intervals(street: Street, standing: Standing, pilots: Draws, n: int, *, judge_all: bool) -> Chosen:
    """The intervals in which draws are judged.

    Two thirds are those of the highest net load and of the highest net feed-in, with the mean of all devices placed:
    of both kinds where both are placed. Then pilot draws are solved, as far as those let them come, in the
    intervals that follow by net power; those that they break join. Where they break none, net power fills the rest.

    Parameters
    ----------
    street, standing
        The feeder, and what it carries without any device.
    pilots
        Draws that no answer is made of.
    n
        Number of intervals.
    judge_all
        As of `make_bounds`.
    """
    orders = _rank(street, standing, pilots)
    ranked = _alternate(orders)
    n = min(n, street.case.n_intervals)
    why = dict(ranked[: n - n // 3])
    searched = np.unique(np.concatenate([order[: SEARCHED // len(orders)] for order in orders.values()]))
    while len(why) < n:
        window = make_window(street, np.array(sorted(why)), judge_all=judge_all)
        reached = find_first(street, window, pilots).n_clean
        worst = scan(street, pilots, reached, searched, judge_all=judge_all).max(axis=0)
        worst[np.isin(searched, list(why))] = -np.inf
        broken = [k for k in np.argsort(-worst, kind="stable").tolist()[:JOINING] if worst[k] > 0.0]
        if not broken:
            break
        why.update((int(searched[k]), PILOT) for k in broken[: n - len(why)])
    for k, word in ranked:
        if len(why) >= n:
            break
        why.setdefault(k, word)
    return Chosen(np.array(sorted(why)), [why[k] for k in sorted(why)])


def _rank(street: Street, standing: Standing, pilots: Draws) -> dict[str, Ints]:
    """Intervals by net feed-in with all panels and by net load with all other devices, as far as they are placed."""
    is_pv = pilots.technology == TECHNOLOGIES.index(PV)
    profile, unit, n = street.library.choose(pilots), street.library.unit, len(pilots.kw)
    weight = [np.bincount(profile[kind], pilots.kw[kind] / n, unit.shape[1]) for kind in (is_pv, ~is_pv)]
    generated, drawn = (unit @ kw for kw in weight)
    found = {}
    if is_pv.any():
        found[FEED_IN] = np.argsort(-(standing.net_kw + generated), kind="stable")
    if not is_pv.all():
        found[LOAD] = np.argsort(standing.net_kw - drawn, kind="stable")
    return found


def _alternate(orders: dict[str, Ints]) -> list[tuple[int, str]]:
    """Intervals of several orders in turn, each once, with the name of its order."""
    found: dict[int, str] = {}
    for row in zip(*(order.tolist() for order in orders.values()), strict=True):
        for name, k in zip(orders, row, strict=True):
            found.setdefault(k, name)
    return list(found.items())
