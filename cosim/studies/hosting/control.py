"""Inverters that set their reactive power, where many states differ in how many there are and how large.

The fixed point is that of `grid_models.response.reactive_control`. There each step of
Newton is as large as the feeder and followed by a power flow. Here it is as large as a state has inverters, and several
steps are in the network's linear response, so that most states need three power flows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask
from grid_models.devices.inverter import Characteristic, reactive_limit_kvar
from grid_models.phases.feeder_engine import SLICE, FeederPhaseFlow
from grid_models.phases.readout import read_limited
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Engine, Flow, make_unsolved_flow
from grid_models.response.reactive_control import Control, response_to_q
from grid_models.response.sensitivity import AnyPowerFlow

TOLERANCE_KVAR = 1e-3
"""Largest mismatch that counts as converged: some 1e-6 pu."""
MAX_ROUNDS, INNER_ROUNDS = 20, 12
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
    found, n = engine.engine.solve(drawn), len(drawn)
    blank = make_unsolved_flow(n, 0, 0, 0, 0)
    return blank._replace(
        **read_limited(engine.readout, found)._asdict(),
        iterations=found.iterations,
        engine=np.full(n, Engine.FAST, np.int8),
    )


class Inverters(NamedTuple):
    """Inverters at A injections of each of R states, those that are there and those that are placed: two an injection.

    Attributes
    ----------
    column
        (R, A) injections of each state that have any; where it has fewer, some without.
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
        return Inverters(self.column[rows], self.rated[:, rows], self.largest[:, rows])

    def inject(self, curve: Characteristic, vm_pu: Floats) -> Floats:
        """Reactive power at voltages, (R, A) kvar."""
        share = np.asarray(curve.q_at(vm_pu))
        return np.asarray(np.clip(self.rated * share, -self.largest, self.largest).sum(axis=0))

    def slope(self, curve: Characteristic, vm_pu: Floats) -> Floats:
        """Its derivative by the voltage, (R, A) kvar per pu; 0 where a limit binds."""
        by_piece = np.concatenate([[0.0], np.diff(curve.q_pu) / np.diff(curve.vm_pu), [0.0]])
        free = np.abs(self.rated * np.asarray(curve.q_at(vm_pu))) < self.largest
        return np.asarray((self.rated * free).sum(axis=0) * by_piece[np.searchsorted(curve.vm_pu, vm_pu)])


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
    if inverters.column.shape[1] == 0:
        return solve_judged(engine, p, other)
    return _iterate(engine, control.inverter.characteristic, p, beside, inverters)


def _list_inverters(control: Control, own_kw: Floats, placed: tuple[Floats, Floats]) -> Inverters:
    """Inverters that can inject anything: what a rating leaves beside active power, and a least power factor allow."""
    there = (own_kw > 0.0) | (placed[0] > 0.0)
    column = np.argsort(~there, axis=1, kind="stable")[:, : int(there.sum(axis=1).max(initial=0))]
    rows = np.arange(len(column))[:, None]
    kw = np.stack([own_kw[rows, column], placed[0][rows, column]])
    rated = np.stack([control.s_kva[column], placed[1][rows, column]])
    beside = np.asarray(reactive_limit_kvar(rated, kw))
    return Inverters(column, rated, np.minimum(beside, kw * np.tan(np.arccos(control.min_cos_phi))))


def _iterate(engine: AnyPowerFlow, curve: Characteristic, p: Floats, beside: Floats, inverters: Inverters) -> Flow:
    """AC at the fixed point of `q = q(V(q))`.

    After each power flow the fixed point is looked for in the network's linear response, where a round costs little.
    """
    position, v_q = find_injection_rows(engine.feeder), response_to_q(engine)
    q, running, flows = np.zeros(inverters.column.shape), np.arange(len(p)), list[tuple[Ints, Flow]]()
    for _ in range(MAX_ROUNDS):
        some, total = inverters.select(running), beside[running]
        rows = np.arange(running.size)[:, None]
        total[rows, some.column] += q[running]
        flow = solve_judged(engine, p[running], total)
        vm_pu = np.nan_to_num(flow.vm_pu[rows[:, :, None], position[some.column]].mean(axis=2), nan=1.0)
        mismatch = np.abs(some.inject(curve, vm_pu) - q[running]).max(axis=1)
        goes_on = flow.converged & (mismatch > TOLERANCE_KVAR)
        flows.append((running[~goes_on], _take_rows(flow, ~goes_on)))
        running = running[goes_on]
        if running.size == 0:
            return _put_together(flows)
        q[running] = _follow(curve, some.select(np.flatnonzero(goes_on)), vm_pu[goes_on], q[running], v_q)
    hunting = np.full(running.size, Engine.CONTROL, np.int8)
    flow = _take_rows(flow, goes_on)._replace(converged=np.zeros(running.size, bool), engine=hunting)
    return _put_together([*flows, (running, flow)])


def _follow(curve: Characteristic, inverters: Inverters, vm_pu: Floats, q: Floats, v_q: Floats) -> Floats:
    """Reactive power at the fixed point of the linear response around voltages and reactive powers, (R, A) each.

    Newton's steps; the slope is the steeper of the latest two, so that they do not oscillate across a corner.
    """
    by_q = v_q[inverters.column[:, :, None], inverters.column[:, None, :]]
    found, last, unit = q.copy(), np.zeros_like(q), np.eye(q.shape[1])
    for _ in range(INNER_ROUNDS):
        then = vm_pu + (by_q @ (found - q)[:, :, None])[:, :, 0]
        mismatch, slope = inverters.inject(curve, then) - found, inverters.slope(curve, then)
        if np.abs(mismatch).max() <= TOLERANCE_KVAR / 10.0:
            break
        steeper = np.minimum(slope, last)
        found += np.linalg.solve(unit - steeper[:, :, None] * by_q, mismatch[:, :, None])[:, :, 0]
        last = slope
    return found


def _take_rows(flow: Flow, chosen: Mask) -> Flow:
    return Flow._make(column[chosen] for column in flow)


def _put_together(flows: list[tuple[Ints, Flow]]) -> Flow:
    """Flows of some rows each as one, in the order of the rows."""
    order = np.argsort(np.concatenate([rows for rows, _ in flows]))
    joined = Flow.concatenate([flow for _, flow in flows])
    return Flow._make(column[order] for column in joined)
