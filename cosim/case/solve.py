"""AC power flow of metered intervals, with the reactive power of the loads and of inverters under control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.delivery.setpoints import at_device, injection_kw, mean_kw, metered_injections
from grid_models.phases.judge import name_judge
from grid_models.powerflow.engine import join_agreements
from grid_models.powerflow.flow import Flow
from grid_models.response.active_control import solve_actively_controlled
from grid_models.response.reactive_control import Control, controlled_sensitivity, mark_unsolved, solve_controlled
from grid_models.response.response import Response
from grid_models.response.sensitivity import AnyPowerFlow, sensitivity
from grid_models.response.tap_changer import TapChangers, follow_taps, group_by_position
from market.exchanges import Rows


class Solved(NamedTuple):
    """AC solution of K metered intervals.

    Attributes
    ----------
    flow
        The solution.
    meters
        The (K, N) meters with the reactive power of that solution.
    reduced_wh
        What P(V) takes of each house's generation at that solution, (K, N); the meters are without that. None where
        inverters do not reduce their power.
    acts
        (K,) whether a tap changer hunts, in `solve_meters`; in `solve_held` whether one wants to step.
    """

    flow: Flow
    meters: Rows
    reduced_wh: npt.NDArray[np.int64] | None = None
    acts: npt.NDArray[np.bool_] | None = None

    def is_disturbed(self, n_intervals: int) -> npt.NDArray[np.bool_]:
        """Which intervals cannot be final as cleared: inverters reduce their power in them, or taps are to change."""
        found = np.zeros(n_intervals, bool) if self.acts is None else self.acts.copy()
        return found if self.reduced_wh is None else found | self.reduced_wh.any(axis=1)


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

    Notes
    -----
    Tap changers step from where they stand in the case; with them, and with P(V), all houses are under control.
    """
    if case.taps is not None:
        return _solve_with_taps(case, meters, case.taps)
    if case.active is not None:
        return _solve_reduced(case, meters, case.engine)
    return _solve_by(case, meters, case.engine, inside)


def solve_held(case: Case, meters: Rows) -> Solved:
    """`solve_meters` with tap changers held where they stand: of K intervals that follow one another."""
    if case.taps is None:
        return solve_meters(case, meters)
    taps, position = case.taps, case.tap_state.position
    solved = _solve_untapped(case, meters, taps.engine(position))
    wants = ~taps.is_at_rest(position, solved.flow)
    return solved._replace(flow=solved.flow.at_taps(position), acts=wants)


def _solve_untapped(case: Case, meters: Rows, engine: AnyPowerFlow) -> Solved:
    """Solve by an engine whose taps do not move."""
    return _solve_by(case, meters, engine) if case.active is None else _solve_reduced(case, meters, engine)


def _solve_with_taps(case: Case, meters: Rows, taps: TapChangers) -> Solved:
    """Solve K alternatives of one interval, each with the tap positions that follow from it."""
    seconds, n = 60.0 * case.interval_minutes, meters.shape[0]
    found = follow_taps(
        taps, case.tap_state, n, seconds, lambda engine, rows: _solve_untapped(case, meters[rows], engine).flow
    )
    groups = group_by_position(found.position)
    parts = [_solve_untapped(case, meters[rows], taps.engine(position)) for position, rows in groups]
    flows = [part.flow.at_taps(position) for part, (position, _) in zip(parts, groups, strict=True)]
    order = np.argsort(np.concatenate([rows for _, rows in groups]), kind="stable")
    flow = Flow._make(column[order] for column in Flow.concatenate(flows))
    metered = np.concatenate([part.meters for part in parts])[order]
    reduced = None if case.active is None else np.concatenate([_reduction(part) for part in parts])[order]
    if reduced is not None:
        reduced[found.hunts] = 0
    return Solved(mark_unsolved(flow, np.flatnonzero(found.hunts)), metered, reduced, found.hunts)


def _reduction(solved: Solved) -> npt.NDArray[np.int64]:
    """What P(V) takes in a solution with it."""
    assert solved.reduced_wh is not None
    return solved.reduced_wh


def _solve_reduced(case: Case, meters: Rows, engine: AnyPowerFlow) -> Solved:
    """Solve with inverters that reduce their active power by the voltage, in whole Wh."""
    assert case.active is not None
    connections, step_kw = case.feeder.connections, mean_kw(np.ones(1, np.int64), case.interval_minutes)[0]
    p_kw, of_loads = injection_kw(meters, case.interval_minutes, connections), load_q_kvar(case, meters)
    at_loads = None if of_loads is None else at_device(of_loads, "load", connections)
    reactive = None if case.control is None else _at_panels(case, case.control)
    active = replace(case.active, rated_kw=at_device(case.active.rated_kw, "pv", connections))
    flow, q_kvar, reduced_kw, _ = solve_actively_controlled(
        engine, active, reactive, p_kw, _pv_kw(case, meters), at_loads, float(step_kw)
    )
    if connections is not None:
        q_kvar, reduced_kw = (values[:, connections.column("pv")] for values in (q_kvar, reduced_kw))
    metered = _with_reactive(meters, q_kvar if of_loads is None else q_kvar + of_loads)
    return Solved(flow, metered, np.rint(reduced_kw / step_kw).astype(np.int64))


def _solve_by(case: Case, meters: Rows, engine: AnyPowerFlow, inside: npt.NDArray[np.bool_] | None = None) -> Solved:
    """Solve by an engine, with reactive power under control."""
    p_kw, of_loads = injection_kw(meters, case.interval_minutes, case.feeder.connections), load_q_kvar(case, meters)
    at_loads = None if of_loads is None else at_device(of_loads, "load", case.feeder.connections)
    if case.control is None:
        flow = engine.solve(p_kw, at_loads)
        return Solved(flow, meters if of_loads is None else _with_reactive(meters, of_loads))
    flow, q_kvar = solve_inverters(case, engine, p_kw, generation_kw(meters, case.interval_minutes), at_loads, inside)
    if case.feeder.connections is not None:
        q_kvar = q_kvar[:, case.feeder.connections.column("pv")]
    return Solved(flow, _with_reactive(meters, q_kvar if of_loads is None else q_kvar + of_loads))


def solve_inverters(
    case: Case,
    engine: AnyPowerFlow,
    p_kw: npt.NDArray[np.float64],
    generation_kw: npt.NDArray[np.float64],
    other_q_kvar: npt.NDArray[np.float64] | None,
    inside: npt.NDArray[np.bool_] | None,
) -> tuple[Flow, npt.NDArray[np.float64]]:
    """Flow of K intervals and what the houses' inverters inject, whole var in kvar, (K, C).

    Parameters
    ----------
    case
        Network and control, which must have one.
    engine
        Power flow of the network as it is switched.
    p_kw, other_q_kvar
        Injections, (K, C), and those of reactive power beside the inverters'; None for none.
    generation_kw
        Of the houses' panels, (K, N).
    inside
        (N,) houses whose inverters are under control; all if None.
    """
    assert case.control is not None
    control = _at_panels(case, case.control if inside is None else case.control.with_only(inside))
    at_panels = at_device(generation_kw, "pv", case.feeder.connections)
    flow, q_kvar, _ = solve_controlled(engine, control, p_kw, at_panels, other_q_kvar)
    return flow, q_kvar


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
    engine = case.engine if case.taps is None else _find_engine(case, meters, case.taps)
    if case.control is None:
        return sensitivity(engine, p_kw, at_loads)
    return controlled_sensitivity(engine, _at_panels(case, case.control), p_kw, _pv_kw(case, meters), at_loads)


def _find_engine(case: Case, meters: Rows, taps: TapChangers) -> AnyPowerFlow:
    """Engine at the tap positions that follow from a metered interval, (N,) meter rows."""
    return taps.engine(_solve_with_taps(case, meters[None], taps).flow.tap_pos[0])


def verify_meters(
    case: Case,
    meters: Rows,
    tap_pos: npt.NDArray[np.int64] | None = None,
    numbers: npt.NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Largest differences between the engine and its judge over K metered intervals, (K, N) meter rows, JSON-ready.

    In an unbalanced model with the name of the judge, and where it could not be asked with the reason. Positions of tap
    changers are `tap_pos`, (K, M). Messages call the intervals by their `numbers`, (K,).

    Raises
    ------
    EngineDisagreementError
        If the two differ by more than their tolerance.
    """
    load_var = None if case.load_reactive is None else case.load_reactive.metered_var(meters)
    connections = case.feeder.connections
    p_kw, q_kvar = metered_injections(meters, case.interval_minutes, connections, load_var)
    if case.taps is None or tap_pos is None:
        found = case.engine.verify(p_kw, q_kvar, numbers=numbers)
    else:
        groups = group_by_position(tap_pos)
        called = np.arange(len(meters)) if numbers is None else numbers
        found = join_agreements(
            [case.taps.engine(at).verify(p_kw[rows], q_kvar[rows], numbers=called[rows]) for at, rows in groups]
        )
    return {
        **({} if connections is None else {"judge": name_judge(case.feeder)}),
        **({"why_not": found.why_not} if found.why_not else {}),
        "intervals": found.n,
        "max_vm_error_pu": found.max_vm_error_pu,
        "max_loading_error_percent": found.max_loading_error_percent,
    }
