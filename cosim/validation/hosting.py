"""Hosting capacity: the largest PV that keeps every limit over a set of intervals, by batched bisection on AC.

Batteries stand still and nothing is curtailed: what remains is what the wires alone can take. All questions of a round,
one per house, times all intervals are one batch of power flows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.delivery.setpoints import mean_kw
from cosim.results.tables import list_bus_names
from cosim.scenario.model import Scenario
from grid_models.arrays import Floats
from grid_models.powerflow.engine import Flow
from grid_models.powerflow.limits import Judgement, Violation, check_limits, judge

LARGEST_SCALING = 100.0
ROUNDS = 24
"""Halvings of the range: 1000 kW are known to 0.1 W."""


class Bound(NamedTuple):
    """What ends a search, in words, and the limit where it is one."""

    words: str
    violation: Violation | None


Injections = Callable[[Floats], Floats]
"""From the levels of Q questions, (Q,), to injections over K intervals and N houses, (Q, K, N) kW."""


@dataclass(frozen=True, eq=False)
class Hosting:
    """How much PV a feeder holds.

    Attributes
    ----------
    scaling
        Largest factor on the PV of all houses.
    bound_by
        The limit that the next larger factor breaks.
    n_intervals
        Intervals that were kept clean.
    houses
        One row per house: bus, largest rated PV there with none anywhere else, and what binds it.
    """

    scaling: float
    bound_by: str
    n_intervals: int
    houses: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "scaling": self.scaling,
            "bound_by": self.bound_by,
            "intervals": self.n_intervals,
            "houses": self.houses.to_dict(orient="records"),
        }


def find_hosting(
    scenario: Scenario, *, n_intervals: int = 24, largest_kw: float = 1000.0
) -> Hosting:
    """Hosting capacity of a scenario's feeder over its intervals with most generation beyond load.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    case = build_case(scenario)
    surplus = (case.profiles.pv_wh - case.profiles.load_wh).sum(axis=1)
    chosen = np.sort(np.argsort(-surplus, kind="stable")[:n_intervals])
    return hosting_capacity(case, chosen, largest_kw=largest_kw)


def hosting_capacity(
    case: Case,
    intervals: npt.NDArray[np.integer[Any]],
    *,
    largest_kw: float = 1000.0,
    largest_scaling: float = LARGEST_SCALING,
) -> Hosting:
    """Largest uniform PV scaling, and largest PV at each house by itself, that keep `intervals` clean.

    Parameters
    ----------
    case
        Feeder, limits and profiles.
    intervals
        Intervals of the profiles, (K,).
    largest_kw, largest_scaling
        Ends of the search.

    Returns
    -------
    Hosting
        A house's PV is rated at the sun's strongest interval of the whole profiles and follows the sum of their
        generation. A capacity is 0 where a limit is broken without any PV.

    Notes
    -----
    Bisection takes for granted that more PV never mends what less PV breaks. That holds for overvoltage and reverse
    overload; where PV relieves a low voltage, only levels above one that is clean count.
    """
    load = mean_kw(case.profiles.load_wh[intervals], case.interval_minutes)
    pv = mean_kw(case.profiles.pv_wh[intervals], case.interval_minutes)
    sun = _sunshine(case.profiles.pv_wh)[intervals]

    def scaled(levels: Floats) -> Floats:
        return levels[:, None, None] * pv - load

    def at_each(levels: Floats) -> Floats:
        injections = np.repeat(-load[None], levels.size, axis=0)
        each = np.arange(levels.size)
        injections[each, :, each] += levels[:, None] * sun
        return injections

    factor, factor_bound = _largest_clean(case, scaled, np.array([largest_scaling]))
    kw, kw_bound = _largest_clean(case, at_each, np.full(case.feeder.bus.size, largest_kw))
    return Hosting(float(factor[0]), factor_bound[0].words, len(intervals), _houses(case, kw, kw_bound))


def _sunshine(pv_wh: npt.NDArray[np.int64]) -> Floats:
    """Generation of each interval in parts of the strongest, (T,); 1 throughout where there is none at all."""
    total = pv_wh.sum(axis=1)
    return np.asarray(total / total.max()) if total.max() > 0 else np.ones(total.size)


def _largest_clean(case: Case, at: Injections, largest: Floats) -> tuple[Floats, list[Bound]]:
    """Largest level of each question at which all intervals are clean, (Q,), and what binds it."""
    low, high = np.zeros_like(largest), largest.copy()
    reached = _clean(case, at, largest)
    low[reached] = largest[reached]
    high[~_clean(case, at, low)] = 0.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2.0
        clean = _clean(case, at, middle)
        low, high = np.where(clean, middle, low), np.where(clean, high, middle)
    flow, n_intervals = _solved(case, at, high)
    return low, [
        Bound("the end of the search", None) if reached[q] else _bound(case, flow, q, n_intervals)
        for q in range(largest.size)
    ]


def _solved(case: Case, at: Injections, levels: Floats) -> tuple[Flow, int]:
    injections = at(levels)
    return case.engine.solve(injections.reshape(-1, injections.shape[2])), injections.shape[1]


def _clean(case: Case, at: Injections, levels: Floats) -> npt.NDArray[np.bool_]:
    """Which questions are clean in all intervals at these levels, (Q,)."""
    flow, n_intervals = _solved(case, at, levels)
    status = judge(flow, case.limits).status.reshape(-1, n_intervals)
    return np.asarray((status == Judgement.OK).all(axis=1))


def _bound(case: Case, flow: Flow, question: int, n_intervals: int) -> Bound:
    """The limit that is broken most over a question's intervals."""
    of_question = range(question * n_intervals, (question + 1) * n_intervals)
    broken = [v for k in of_question for v in check_limits(case.feeder, case.limits, flow, k).violations]
    if not broken:
        return Bound("the power flow, which has no solution", None)
    worst = max(broken, key=lambda violation: violation.excess)
    return Bound(str(worst), worst)


def _houses(case: Case, kw: Floats, bound: list[Bound]) -> pd.DataFrame:
    names = list_bus_names(case)
    rows = case.feeder.net.bus.index.get_indexer(case.feeder.bus)
    limits = [one.violation for one in bound]
    return pd.DataFrame(
        {
            "house": list(case.feeder.participants),
            "bus": [names[row] for row in rows],
            "largest_kw": kw,
            "bound_by": [one.words for one in bound],
            "element_type": ["" if v is None else v.element_type for v in limits],
            "element": pd.array([pd.NA if v is None else v.element for v in limits], dtype="Int64"),
            "element_name": ["" if v is None else v.name for v in limits],
            "limit": [np.nan if v is None else v.limit for v in limits],
        }
    )
