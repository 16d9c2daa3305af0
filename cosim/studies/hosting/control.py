"""Inverters that set their reactive power, where many states differ in how many there are and how large.

The fixed point is that of `grid_models.response.reactive_control`. There each state gets a Newton step of its own, whose
matrix is as large as the feeder; here all states of a batch share one, so that it takes a few rounds more, each of them
a power flow alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid_models.arrays import Floats, Ints
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Flow
from grid_models.response.reactive_control import Control, response_to_q
from grid_models.response.sensitivity import AnyPowerFlow

TOLERANCE_KVAR = 1e-3
"""Largest mismatch that counts as converged: some 1e-6 pu."""
MAX_ROUNDS = 40
HALVE_EVERY = 10
"""Rounds after which the step length is halved."""


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
        flow = engine.solve(p[running], q[running] + beside[running])
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
    flow = engine.solve(p, q + beside)
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
