"""AC power flow of metered intervals, with the reactive power of the inverters where a scenario controls it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.delivery.setpoints import injection_kw, mean_kw
from grid_models.powerflow.flow import Flow
from grid_models.response.reactive_control import controlled_sensitivity, solve_controlled
from grid_models.response.response import Response
from grid_models.response.sensitivity import sensitivity
from market.exchanges import Rows


class Solved(NamedTuple):
    """AC solution of K metered intervals, and their (K, N) meters with the reactive power of that solution."""

    flow: Flow
    meters: Rows


def generation_kw(meters: Rows, interval_minutes: int) -> npt.NDArray[np.float64]:
    """PV generation that passes the inverters, kW, in the shape of the meters: what is spilled does not."""
    return mean_kw(np.maximum(meters["pv_wh"].astype(np.int64) - meters["spilled_wh"], 0), interval_minutes)


def solve_meters(case: Case, meters: Rows, inside: npt.NDArray[np.bool_] | None = None) -> Solved:
    """Solve K metered intervals.

    Parameters
    ----------
    case
        Network and control.
    meters
        (K, N) meter rows.
    inside
        (N,) houses whose inverters are under control; all if left out.
    """
    p_kw = injection_kw(meters, case.interval_minutes)
    if case.control is None:
        return Solved(case.engine.solve(p_kw, None), meters)
    control = case.control if inside is None else case.control.with_only(inside)
    flow, q_kvar, _ = solve_controlled(case.engine, control, p_kw, generation_kw(meters, case.interval_minutes))
    metered = meters.copy()
    metered["q_var"] = np.rint(1000.0 * q_kvar)
    return Solved(flow, metered)


def linearise(case: Case, meters: Rows) -> Response | None:
    """Linear response of the network around a metered interval, (N,) meter rows; None where it has no solution."""
    p_kw = injection_kw(meters[None, :], case.interval_minutes)[0]
    if case.control is None:
        return sensitivity(case.engine, p_kw)
    pv_kw = generation_kw(meters, case.interval_minutes)
    return controlled_sensitivity(case.engine, case.control, p_kw, pv_kw)
