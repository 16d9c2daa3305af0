"""AC power flow of metered intervals, with the reactive power of the loads and of inverters under control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.delivery.setpoints import at_device, injection_kw, mean_kw, metered_injections
from grid_models.phases.judge import name_judge
from grid_models.powerflow.flow import Flow
from grid_models.response.reactive_control import Control, controlled_sensitivity, solve_controlled
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
    p_kw, of_loads = injection_kw(meters, case.interval_minutes, case.feeder.connections), load_q_kvar(case, meters)
    at_loads = None if of_loads is None else at_device(of_loads, "load", case.feeder.connections)
    if case.control is None:
        flow = case.engine.solve(p_kw, at_loads)
        return Solved(flow, meters if of_loads is None else _with_reactive(meters, of_loads))
    control = case.control if inside is None else case.control.with_only(inside)
    flow, q_kvar, _ = solve_controlled(case.engine, _at_panels(case, control), p_kw, _pv_kw(case, meters), at_loads)
    if case.feeder.connections is not None:
        q_kvar = q_kvar[:, case.feeder.connections.column("pv")]
    return Solved(flow, _with_reactive(meters, q_kvar if of_loads is None else q_kvar + of_loads))


def _at_panels(case: Case, control: Control) -> Control:
    """The control of the injections at which the houses' panels are."""
    return replace(control, s_kva=at_device(control.s_kva, "pv", case.feeder.connections))


def _pv_kw(case: Case, meters: Rows) -> npt.NDArray[np.float64]:
    """`generation_kw` of the injections at which the houses' panels are."""
    return at_device(generation_kw(meters, case.interval_minutes), "pv", case.feeder.connections)


def load_q_kvar(case: Case, meters: Rows) -> npt.NDArray[np.float64] | None:
    """Reactive injection of the loads of metered intervals, kvar, in their shape; None where there is none."""
    return None if case.load_reactive is None else case.load_reactive.metered_var(meters) / -1000.0


def _with_reactive(meters: Rows, q_kvar: npt.NDArray[np.float64]) -> Rows:
    metered = meters.copy()
    metered["q_var"] = np.rint(1000.0 * q_kvar)
    return metered


def linearise(case: Case, meters: Rows) -> Response | None:
    """Linear response of the network around a metered interval, (N,) meter rows; None where it has no solution."""
    connections, of_loads = case.feeder.connections, load_q_kvar(case, meters)
    p_kw = injection_kw(meters[None, :], case.interval_minutes, connections)[0]
    at_loads = None if of_loads is None else at_device(of_loads, "load", connections)
    if case.control is None:
        return sensitivity(case.engine, p_kw, at_loads)
    return controlled_sensitivity(case.engine, _at_panels(case, case.control), p_kw, _pv_kw(case, meters), at_loads)


def verify_meters(case: Case, meters: Rows) -> dict[str, Any]:
    """Largest differences between the engine and its judge over K metered intervals, (K, N) meter rows, JSON-ready.

    In an unbalanced model with the name of the judge, and where it could not be asked with the reason.

    Raises
    ------
    EngineDisagreementError
        If the two differ by more than their tolerance.
    """
    load_var = None if case.load_reactive is None else case.load_reactive.metered_var(meters)
    connections = case.feeder.connections
    found = case.engine.verify(*metered_injections(meters, case.interval_minutes, connections, load_var))
    return {
        **({} if connections is None else {"judge": name_judge(case.feeder)}),
        **({"why_not": found.why_not} if found.why_not else {}),
        "intervals": found.n,
        "max_vm_error_pu": found.max_vm_error_pu,
        "max_loading_error_percent": found.max_loading_error_percent,
    }
