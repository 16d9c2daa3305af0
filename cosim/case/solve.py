"""What the inverters' reactive power adds to an interval: the AC state under control, and how it answers to changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.delivery.setpoints import injection_kw, mean_kw
from grid_models.powerflow.flow import Flow
from grid_models.response.reactive_control import controlled_sensitivity, solve_controlled
from grid_models.response.response import Response
from grid_models.response.sensitivity import sensitivity
from market.exchanges import Rows

if TYPE_CHECKING:
    from cosim.case.case import Case


class Solved(NamedTuple):
    """AC solution of K metered intervals, and their (K, N) meters with the reactive power of that solution."""

    flow: Flow
    meters: Rows


def generation_kw(meters: Rows, interval_minutes: int) -> npt.NDArray[np.float64]:
    """PV that is injected or used, of meter rows, kW: what is spilled never passes the inverter."""
    return mean_kw(np.maximum(meters["pv_wh"].astype(np.int64) - meters["spilled_wh"], 0), interval_minutes)


def solve_meters(case: Case, meters: Rows, inside: npt.NDArray[np.bool_] | None = None) -> Solved:
    """Solve K metered intervals, (K, N) meter rows; `inside`, (N,): whose inverters are under control, all if None."""
    p_kw = injection_kw(meters, case.interval_minutes)
    if case.control is None:
        return Solved(case.engine.solve(p_kw, None), meters)
    control = case.control if inside is None else case.control.only(inside)
    flow, q_kvar, _ = solve_controlled(
        case.engine, control, p_kw, generation_kw(meters, case.interval_minutes)
    )
    metered = meters.copy()
    metered["q_var"] = np.rint(1000.0 * q_kvar)
    return Solved(flow, metered)


def response_at(case: Case, meters: Rows) -> Response | None:
    """Linear response of the network around a metered interval, (N,) meter rows; None where it has no solution."""
    p_kw = injection_kw(meters[None, :], case.interval_minutes)[0]
    if case.control is None:
        return sensitivity(case.engine, p_kw)
    pv_kw = generation_kw(meters, case.interval_minutes)
    return controlled_sensitivity(case.engine, case.control, p_kw, pv_kw)
