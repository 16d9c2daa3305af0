"""Check of the fast power flow: pandapower solves a sample of the run's intervals again at its end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.case.solve import verify_meters
from cosim.curtailment.feasible import Outcome
from cosim.results.columns import is_named
from cosim.results.sums import METERS
from cosim.results.voltage_control import list_tap_columns
from market.exchanges import METER

_OFF = tuple(outcome.name.lower() for outcome in (Outcome.DE_ENERGISED, Outcome.ISLANDED))


def measure_agreement(case: Case, intervals: pa.Table, houses: pa.Table) -> dict[str, Any]:
    """Largest differences between the two engines over the sampled intervals in which the grid fed the feeder.

    Parameters
    ----------
    case
        What was run.
    intervals
        Its table of that name.
    houses
        Rows of its table `houses`, those of the intervals of `choose_sample` among them.

    Raises
    ------
    EngineDisagreementError
        If the engines differ by more than their tolerance.
    """
    chosen = choose_sample(case)
    sampled = intervals.take(pa.array(chosen))
    is_on = pc.invert(is_named(sampled["outcome"], *_OFF))
    sampled, chosen = sampled.filter(is_on), chosen[is_on.to_numpy()]
    solved = sampled["time"]
    if not len(solved):
        return {"intervals": 0}
    meters = read_meters(houses.filter(pc.is_in(houses["time"], solved.combine_chunks())), len(solved))
    names = list_tap_columns(case)
    tap_pos = np.stack([sampled[name].to_numpy() for name in names], axis=1) if names else None
    return verify_meters(case.at_each(chosen), meters, tap_pos, chosen)


def choose_sample(case: Case) -> npt.NDArray[np.int64]:
    """Numbers of evenly spread intervals, `engine.verify_sample` of them or all."""
    n_wanted = min(case.scenario.engine.verify_sample, case.n_intervals)
    return np.unique(np.linspace(0, case.n_intervals - 1, n_wanted).astype(np.int64))


def read_meters(houses: pa.Table, n_intervals: int) -> npt.NDArray[np.void]:
    """Rows of `METER`, (n_intervals, N), from rows of the table `houses` ordered by interval and house."""
    meters = np.zeros(len(houses), METER)
    for name in (*METERS, "q_var"):
        meters[name] = houses[name].to_numpy()
    return meters.reshape(n_intervals, -1)
