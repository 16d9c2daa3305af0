"""A sample of a run, solved again by pandapower at its end: the fast engine never goes unwatched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case import Case
from cosim.curtailment import Outcome
from cosim.setpoints import injection_kw
from market.exchanges import METER

_OFF = tuple(outcome.name.lower() for outcome in (Outcome.DE_ENERGISED, Outcome.ISLANDED))


def agreement(case: Case, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Largest differences between the engines over evenly spread intervals in which the grid fed the feeder.

    Parameters
    ----------
    case
        What was run; `engine.verify_sample` says how many intervals.
    tables
        Its tables `houses` and `intervals`.

    Raises
    ------
    EngineDisagreementError
        If the engines differ by more than their tolerance.
    """
    sampled = sampled_intervals(case.n_intervals, case.scenario.engine.verify_sample)
    outcome = tables["intervals"]["outcome"].take(pa.array(sampled)).cast(pa.string()).to_pylist()
    sampled = sampled[[name not in _OFF for name in outcome]]
    if not sampled.size:
        return {"intervals": 0}
    meters = meters_of(tables["houses"], sampled, case.opening.own_wh.size)
    found = case.engine.verify(injection_kw(meters, case.interval_minutes), meters["q_var"] / 1000.0)
    return {
        "intervals": found.n,
        "max_vm_error_pu": found.max_vm_error_pu,
        "max_loading_error_percent": found.max_loading_error_percent,
    }


def sampled_intervals(n_intervals: int, n_wanted: int) -> npt.NDArray[np.int64]:
    """At most `n_wanted` evenly spread intervals.

    Examples
    --------
    >>> sampled_intervals(24, 3).tolist()
    [0, 11, 23]
    """
    return np.unique(np.linspace(0, n_intervals - 1, min(n_wanted, n_intervals)).astype(np.int64))


def meters_of(houses: pa.Table, intervals: npt.NDArray[np.int64], n_houses: int) -> npt.NDArray[np.void]:
    """Meter rows of some intervals, (K, N), from the table `houses`, whose rows run by interval and house."""
    rows = (intervals[:, None] * n_houses + np.arange(n_houses)).reshape(-1)
    chosen = houses.take(pa.array(rows))
    meters = np.zeros(rows.size, METER)
    for name in METER.names or ():
        if name.endswith("_wh") or name == "q_var":
            meters[name] = chosen[name].to_numpy()
    return meters.reshape(intervals.size, n_houses)
