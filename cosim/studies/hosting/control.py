"""Inverters that set their reactive power, where many states differ in how many there are and how large.

The fixed point is that of `grid_models.response.reactive_control`. There each state gets a Newton step of its own,
whose matrix is as large as the feeder; here all states of a batch share one, so that it takes a few rounds more, each
of them a power flow alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid_models.arrays import Complex, Floats, Ints
from grid_models.phases.feeder_engine import SLICE, FeederPhaseFlow
from grid_models.phases.readout import conductor_percent, neutral_voltages, phase_to_neutral
from grid_models.phases.sequence import voltage_unbalance_percent
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Engine, Flow, make_unsolved_flow
from grid_models.response.reactive_control import Control, response_to_q
from grid_models.response.sensitivity import AnyPowerFlow

TOLERANCE_KVAR = 1e-3
"""Largest mismatch that counts as converged: some 1e-6 pu."""
MAX_ROUNDS = 40
HALVE_EVERY = 10
"""Rounds after which the step length is halved."""


def solve_judged(engine: AnyPowerFlow, p_kw: Floats, q_kvar: Floats | None) -> Flow:
    """AC of R states as `engine.solve`, of which only what a verdict looks at is read where phases differ.

    That is half of the time. Powers of branches and sources have no columns then.
    """
    if not isinstance(engine, FeederPhaseFlow):
        return engine.solve(p_kw, q_kvar)
    drawn = engine.draw(p_kw, q_kvar)
    parts = [_read(engine, drawn[at : at + SLICE]) for at in range(0, max(len(drawn), 1), SLICE)]
    return parts[0] if len(parts) == 1 else Flow.concatenate(parts)


def _read(engine: FeederPhaseFlow, drawn: Complex) -> Flow:
    found, readout, n = engine.engine.solve(drawn), engine.readout, len(drawn)
    of_bus = phase_to_neutral(readout, found.v)
    dark = readout.node < 0
    vm_pu = np.where(dark, np.nan, _magnitudes(of_bus) / readout.base_v[:, None]).reshape(n, -1)
    percent = conductor_percent(readout, found.current_a)
    loading = np.sqrt((percent.real**2 + percent.imag**2).max(axis=2))
    n_lines = readout.n_lines
    blank = make_unsolved_flow(n, 0, 0, 0, 0)
    return blank._replace(
        converged=found.converged,
        vm_pu=vm_pu,
        line_loading_percent=loading[:, :n_lines].reshape(n, -1),
        trafo_loading_percent=loading[:, n_lines:, :3].reshape(n, -1),
        vuf_percent=np.where(dark[:, 0], np.nan, voltage_unbalance_percent(of_bus)),
        neutral_v=neutral_voltages(readout, found.v),
        iterations=found.iterations,
        engine=np.full(n, Engine.FAST, np.int8),
    )


def _magnitudes(values: Complex) -> Floats:
    return np.asarray(np.sqrt(values.real**2 + values.imag**2))


def solve_with_control(
    engine: AnyPowerFlow, control: Control, of_base: tuple[Floats, Floats, Floats | None], placed: tuple[Floats, Floats]
) -> Flow:
    """AC of R states in which inverters that are there and inverters that are placed follow one rule.

    Parameters
    ----------
    engine
        Power flow.
    control
        Rule, and ratings of the inverters that are there, (C,).
    of_base
        Injections of everything, kW, generation of the panels that are there, kW, and reactive injections of loads,
        kvar, (R, C) each; None where loads have none.
    placed
        Generation of panels that are placed, kW, and ratings of their inverters, kVA, (R, C) each.

    Returns
    -------
    Flow
        Not converged where the control finds no fixed point.
    """
    p, own_kw, other = of_base
    position, v_q = find_injection_rows(engine.feeder), response_to_q(engine)
    beside = np.zeros_like(p) if other is None else other
    q, running, lost = np.zeros_like(p), np.arange(len(p)), np.zeros(len(p), bool)
    for number in range(MAX_ROUNDS):
        flow = solve_judged(engine, p[running], q[running] + beside[running])
        vm_pu = np.nan_to_num(flow.vm_pu[:, position].mean(axis=2), nan=1.0)
        wanted, slope = _follow(control, own_kw[running], placed, running, vm_pu)
        mismatch = wanted - q[running]
        goes_on = flow.converged & (np.abs(mismatch).max(axis=1, initial=0.0) > TOLERANCE_KVAR)
        if number == 0 and not goes_on.any():
            return flow
        running = running[goes_on]
        if running.size == 0:
            break
        shared = np.linalg.inv(np.eye(v_q.shape[0]) - slope[goes_on].min(axis=0)[:, None] * v_q)
        q[running] += (mismatch[goes_on] @ shared.T) * 0.5 ** (number // HALVE_EVERY)
    lost[running] = True
    flow = solve_judged(engine, p, q + beside)
    return flow._replace(converged=flow.converged & ~lost)


def _follow(
    control: Control, own_kw: Floats, placed: tuple[Floats, Floats], rows: Ints, vm_pu: Floats
) -> tuple[Floats, Floats]:
    """Reactive power that all inverters set at some voltages, and its derivative by them, (R, C) each."""
    placed_kw, rating = placed[0][rows], placed[1][rows]
    new = replace(control, s_kva=rating)
    return (
        control.q_kvar(own_kw, vm_pu) + new.q_kvar(placed_kw, vm_pu),
        control.slope_kvar_per_pu(own_kw, vm_pu) + new.slope_kvar_per_pu(placed_kw, vm_pu),
    )
