"""Hosting capacity: the largest PV that keeps every limit over a set of intervals, by batched bisection on AC.

Batteries are idle and nothing is curtailed: the result is what the wires alone can take. In a round of bisection all
houses, each by itself, and all intervals are solved in one batch of power flows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.case.case import Case, build_case
from cosim.case.community import sun_shape
from cosim.delivery.setpoints import mean_kw
from cosim.results.tables import list_bus_names
from cosim.scenario.model import Scenario
from cosim.validation.tables import describe_violation
from grid_models.arrays import Floats
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Judgement, Violation, check_limits, judge

LARGEST_SCALING = 100.0
ROUNDS = 24
"""Halvings of the range: 1000 kW are known to 0.1 W."""


Bound = Violation | str
"""What ends a search: the limit that the next level breaks, or in words what it was if not a limit."""

Injections = Callable[[Floats], Floats]
"""From the levels of Q searches, (Q,), to injections over K intervals and N houses, (Q, K, N) kW."""


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


def find_hosting(scenario: Scenario, *, n_intervals: int = 24, largest_kw: float = 1000.0) -> Hosting:
    """Hosting capacity of a scenario's feeder over its intervals with most generation beyond load.

    Parameters
    ----------
    scenario
        Network, limits, load and generation.
    n_intervals
        How many of them must stay clean.
    largest_kw
        Largest PV at a house that is looked for, kW.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError, market.errors.MarketError
        If an input cannot be used.
    """
    case = build_case(scenario)
    surplus = (case.profiles.pv_wh - case.profiles.load_wh).sum(axis=1)
    chosen = np.sort(np.argsort(-surplus, kind="stable")[:n_intervals])
    return find_hosting_capacity(case, chosen, largest_kw=largest_kw)


def find_hosting_capacity(
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
        Where the search ends, kW and as a factor.

    Returns
    -------
    Hosting
        A house's PV follows the sum of the profiles' generation, and is rated at its largest value of all intervals.
        Where a limit is broken without any PV, a capacity is 0, unless the end of the search is clean.

    Notes
    -----
    Bisection assumes that a limit broken by some PV stays broken with more. That holds for overvoltage and overload by
    reverse flow; not where PV raises a voltage that is too low without it.
    """
    load = mean_kw(case.profiles.load_wh[intervals], case.interval_minutes)
    pv = mean_kw(case.profiles.pv_wh[intervals], case.interval_minutes)
    shape = sun_shape(case.profiles.pv_wh)
    sun = shape[intervals] if shape.any() else np.ones(len(intervals))

    def scaled(levels: Floats) -> Floats:
        return levels[:, None, None] * pv - load

    def at_each(levels: Floats) -> Floats:
        injections = np.repeat(-load[None], levels.size, axis=0)
        each = np.arange(levels.size)
        injections[each, :, each] += levels[:, None] * sun
        return injections

    factor, factor_bound = _find_largest_clean(case, scaled, np.array([largest_scaling]))
    kw, kw_bound = _find_largest_clean(case, at_each, np.full(case.feeder.bus.size, largest_kw))
    houses = _make_houses_frame(case, kw, kw_bound)
    return Hosting(float(factor[0]), str(factor_bound[0]), len(intervals), houses)


def _find_largest_clean(case: Case, inject: Injections, largest: Floats) -> tuple[Floats, list[Bound]]:
    """Largest level of each of Q searches at which all intervals are clean, (Q,), and what binds it."""
    low, high = np.zeros_like(largest), largest.copy()
    reached = _are_clean(case, inject, largest)
    low[reached] = largest[reached]
    high[~_are_clean(case, inject, low)] = 0.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2.0
        clean = _are_clean(case, inject, middle)
        low, high = np.where(clean, middle, low), np.where(clean, high, middle)
    flow = _solve(case, inject, high)
    rows = np.arange(flow.converged.size).reshape(largest.size, -1)
    return low, [
        "the end of the search" if reached[q] else _find_bound(case, flow, rows[q]) for q in range(largest.size)
    ]


def _solve(case: Case, inject: Injections, levels: Floats) -> Flow:
    injections = inject(levels)
    return case.engine.solve(injections.reshape(-1, injections.shape[2]))


def _are_clean(case: Case, inject: Injections, levels: Floats) -> npt.NDArray[np.bool_]:
    """Which searches are clean in all intervals at these levels, (Q,)."""
    status = judge(_solve(case, inject, levels), case.limits).status.reshape(levels.size, -1)
    return np.asarray((status == Judgement.OK).all(axis=1))


def _find_bound(case: Case, flow: Flow, rows: npt.NDArray[np.int64]) -> Bound:
    """The limit that is broken most in some rows of a flow."""
    broken = [v for k in rows for v in check_limits(case.feeder, case.limits, flow, int(k)).violations]
    return max(broken, key=lambda v: v.excess) if broken else "the power flow, which has no solution"


def _make_houses_frame(case: Case, largest_kw: Floats, bounds: list[Bound]) -> pd.DataFrame:
    names = list_bus_names(case)
    buses = case.feeder.net.bus.index.get_indexer(case.feeder.bus)
    rows = [
        {
            "house": house,
            "bus": names[bus],
            "largest_kw": kw,
            "bound_by": str(bound),
            **describe_violation(None if isinstance(bound, str) else bound),
        }
        for house, bus, kw, bound in zip(case.feeder.participants, buses, largest_kw, bounds, strict=True)
    ]
    return pd.DataFrame(rows).drop(columns=["quantity", "value"]).astype({"element": "Int64"})
