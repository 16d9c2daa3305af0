"""Inverters that set their reactive power, where many states differ in how many there are and how large.

The fixed point is that of `grid_models.response.reactive_control`. There each state gets a Newton step of its own,
whose matrix is as large as the feeder; here all states of a batch share one, in rounds that cost no power flow.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.devices.inverter import Characteristic, reactive_limit_kvar
from grid_models.phases.feeder_engine import SLICE, FeederPhaseFlow
from grid_models.phases.readout import conductor_percent, neutral_voltages, phase_to_neutral
from grid_models.phases.sequence import voltage_unbalance_percent
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Engine, Flow, make_unsolved_flow
from grid_models.response.reactive_control import Control, response_to_q
from grid_models.response.sensitivity import AnyPowerFlow

TOLERANCE_KVAR = 1e-3
"""Largest mismatch that counts as converged: some 1e-6 pu."""
MAX_ROUNDS, INNER_ROUNDS = 20, 25
"""Power flows until the control counts as not converged, and rounds in the linear response after each."""


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


class Inverters(NamedTuple):
    """Inverters at A injections in R states: those that are there, then those that are placed, two a injection.

    Attributes
    ----------
    column
        (A,) injections that have any.
    rated
        (2, R, A) apparent powers, kVA.
    largest
        (2, R, A) largest reactive power, kvar.
    """

    column: Ints
    rated: Floats
    largest: Floats

    def select(self, rows: Ints) -> Inverters:
        """Some of the states."""
        return Inverters(self.column, self.rated[:, rows], self.largest[:, rows])

    def inject(self, share: Floats) -> Floats:
        """Reactive power, kvar, where a characteristic asks for a share of the rating, (R, A)."""
        return np.asarray(np.clip(self.rated * share, -self.largest, self.largest).sum(axis=0))


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
    beside = np.zeros_like(p) if other is None else other
    if control.inverter.rule != "q_v":  # voltages have no part in it
        of_placed = replace(control, s_kva=placed[1]).q_kvar(placed[0], np.ones_like(p))
        return solve_judged(engine, p, beside + of_placed + control.q_kvar(own_kw, np.ones_like(p)))
    inverters = _list_inverters(control, own_kw, placed)
    if inverters.column.size == 0:
        return solve_judged(engine, p, other)
    return _iterate(engine, control.inverter.characteristic, p, beside, inverters)


def _list_inverters(control: Control, own_kw: Floats, placed: tuple[Floats, Floats]) -> Inverters:
    """Inverters that can inject anything: what a rating leaves beside active power, and a least power factor allow."""
    column = np.flatnonzero(((own_kw > 0.0) | (placed[0] > 0.0)).any(axis=0))
    kw = np.stack([own_kw[:, column], placed[0][:, column]])
    rated = np.stack([np.broadcast_to(control.s_kva[column], kw.shape[1:]), placed[1][:, column]])
    beside = reactive_limit_kvar(rated, kw)
    return Inverters(column, rated, np.minimum(beside, kw * np.tan(np.arccos(control.min_cos_phi))))


def _iterate(engine: AnyPowerFlow, curve: Characteristic, p: Floats, beside: Floats, inverters: Inverters) -> Flow:
    """AC at the fixed point of `q = q(V(q))`.

    After each power flow the fixed point is looked for in the network's linear response, where a round costs little.
    """
    at = inverters.column
    position, v_q = find_injection_rows(engine.feeder)[at], response_to_q(engine)[np.ix_(at, at)]
    q, running, flows = np.zeros((len(p), at.size)), np.arange(len(p)), list[tuple[Ints, Flow]]()
    for _ in range(MAX_ROUNDS):
        total = beside[running]
        total[:, at] += q[running]
        flow = solve_judged(engine, p[running], total)
        vm_pu = np.nan_to_num(flow.vm_pu[:, position].mean(axis=2), nan=1.0)
        some = inverters.select(running)
        mismatch = np.abs(some.inject(np.asarray(curve.q_at(vm_pu))) - q[running]).max(axis=1)
        goes_on = flow.converged & (mismatch > TOLERANCE_KVAR)
        flows.append((running[~goes_on], _take_rows(flow, ~goes_on)))
        running = running[goes_on]
        if running.size == 0:
            return _put_together(flows)
        q[running] = _follow(curve, some.select(np.flatnonzero(goes_on)), vm_pu[goes_on], q[running], v_q)
    flow = _take_rows(flow, goes_on)
    return _put_together([*flows, (running, flow._replace(converged=np.zeros(running.size, bool)))])


def _follow(curve: Characteristic, inverters: Inverters, vm_pu: Floats, q: Floats, v_q: Floats) -> Floats:
    """Reactive power at the fixed point of the linear response around voltages and reactive powers, (R, A) each."""
    steepest = np.diff(curve.q_pu).min() / np.diff(curve.vm_pu)[np.diff(curve.q_pu).argmin()]
    slope = steepest * np.where(inverters.largest > 0.0, inverters.rated, 0.0).sum(axis=0).max(axis=0)
    shared = np.linalg.inv(np.eye(v_q.shape[0]) - slope[:, None] * v_q).T
    found = q.copy()
    for _ in range(INNER_ROUNDS):
        mismatch = inverters.inject(np.asarray(curve.q_at(vm_pu + (found - q) @ v_q.T))) - found
        if np.abs(mismatch).max() <= TOLERANCE_KVAR / 10.0:
            break
        found += mismatch @ shared
    return found


def _take_rows(flow: Flow, chosen: Mask) -> Flow:
    return Flow._make(column[chosen] for column in flow)


def _put_together(flows: list[tuple[Ints, Flow]]) -> Flow:
    """Flows of some rows each as one, in the order of the rows."""
    order = np.argsort(np.concatenate([rows for rows, _ in flows]))
    joined = Flow.concatenate([flow for _, flow in flows])
    return Flow._make(column[order] for column in joined)
