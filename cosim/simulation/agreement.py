"""A sample of a run, solved again by pandapower at its end: the fast engine never goes unwatched."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.curtailment.feasible import Outcome
from cosim.delivery.setpoints import injection_kw
from cosim.results.columns import is_named
from market.exchanges import METER

_OFF = tuple(outcome.name.lower() for outcome in (Outcome.DE_ENERGISED, Outcome.ISLANDED))


def measure_agreement(case: Case, intervals: pa.Table, houses: pa.Table) -> dict[str, Any]:
    """Largest differences between the engines over evenly spread intervals in which the grid fed the feeder.

    Parameters
    ----------
    case
        What was run.
    intervals
        Its table of that name.
    houses
        Rows of its table `houses`, those of the `choose_sample` among them.

    Raises
    ------
    EngineDisagreementError
        If the engines differ by more than their tolerance.
    """
    sampled = intervals.take(pa.array(choose_sample(case)))
    solved = sampled["time"].filter(pc.invert(is_named(sampled["outcome"], *_OFF)))
    if not len(solved):
        return {"intervals": 0}
    meters = read_meters(houses.filter(pc.is_in(houses["time"], solved.combine_chunks())), len(solved))
    found = case.engine.verify(injection_kw(meters, case.interval_minutes), meters["q_var"] / 1000.0)
    return {
        "intervals": found.n,
        "max_vm_error_pu": found.max_vm_error_pu,
        "max_loading_error_percent": found.max_loading_error_percent,
    }


def choose_sample(case: Case) -> npt.NDArray[np.int64]:
    """Evenly spread intervals, as many as `engine.verify_sample` says where there are."""
    return spread_evenly(case.n_intervals, case.scenario.engine.verify_sample)


def spread_evenly(n_intervals: int, n_wanted: int) -> npt.NDArray[np.int64]:
    """At most `n_wanted` evenly spread intervals.

    Examples
    --------
    >>> spread_evenly(24, 3).tolist()
    [0, 11, 23]
    """
    return np.unique(np.linspace(0, n_intervals - 1, min(n_wanted, n_intervals)).astype(np.int64))


def read_meters(houses: pa.Table, n_intervals: int) -> npt.NDArray[np.void]:
    """Meter rows, (n_intervals, N), of rows of the table `houses`, which run by interval and house."""
    meters = np.zeros(len(houses), METER)
    for name in METER.names or ():
        if name.endswith("_wh") or name == "q_var":
            meters[name] = houses[name].to_numpy()
    return meters.reshape(n_intervals, -1)
