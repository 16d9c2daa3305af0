"""AC of states whose inverters and tap changers hold the voltage, as those of a run do.

Reductions by P(V) are found by `grid_models.response.active_control`, as in a run, wherever they are not nothing; the
tap changers step by `grid_models.response.tap_changer`. A state stands for itself: changers begin where the net has
them, and have the time of one interval.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from cosim.studies.hosting.control import solve_judged, solve_with_control
from grid_models.arrays import Floats, Ints
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Flow
from grid_models.response.active_control import ActiveControl, solve_actively_controlled
from grid_models.response.reactive_control import TOLERANCE_KVAR, Control, mark_unsolved
from grid_models.response.sensitivity import AnyPowerFlow
from grid_models.response.tap_changer import TapChangers, TapState, follow_taps, group_by_position


class Controls(NamedTuple):
    """What holds the voltage; None where nothing does.

    Attributes
    ----------
    reactive, active
        Rules of all inverters, and ratings of those that are there, (C,).
    taps
        Tap changers.
    rating_kva_per_kw
        Rated apparent power of inverters that are placed.
    step_kw
        What reductions are rounded to: 1 Wh in an interval.
    interval_s
        Time for steps of tap changers.
    """

    reactive: Control | None
    active: ActiveControl | None
    taps: TapChangers | None
    rating_kva_per_kw: float
    step_kw: float
    interval_s: float


class States(NamedTuple):
    """R states, (R, C) each.

    Attributes
    ----------
    p_kw, q_kvar
        Injections, and reactive ones of loads; q_kvar is None where loads have none.
    own_kw, placed_kw
        The parts of p_kw from panels that are there, and from those that are placed.
    placed_rated_kw
        Rated power of the panels that are placed. All three are (R, 0) where no inverter has a rule.
    """

    p_kw: Floats
    q_kvar: Floats | None
    own_kw: Floats
    placed_kw: Floats
    placed_rated_kw: Floats

    def select(self, rows: Ints) -> States:
        """Some of the states."""
        return States._make(None if part is None else part[rows] for part in self)


class Held(NamedTuple):
    """AC of R states, and what P(V) takes of generation at each injection, (R, C) kW.

    A state whose control finds no rest is not converged, with `Engine.CONTROL`.
    """

    flow: Flow
    lost_kw: Floats


def solve_held_voltages(engine: AnyPowerFlow, controls: Controls, states: States) -> Held:
    """AC of states under control."""
    if controls.taps is None:
        return _solve_at(engine, controls, states)
    opening = TapState(controls.taps.opening, np.zeros(controls.taps.opening.size))
    found = follow_taps(
        controls.taps,
        opening,
        len(states.p_kw),
        controls.interval_s,
        lambda at, rows: _solve_at(at, controls, states.select(rows)).flow,
    )
    groups = group_by_position(found.position)
    parts = [_solve_at(controls.taps.engine(position), controls, states.select(rows)) for position, rows in groups]
    flows = [part.flow.at_taps(position) for part, (position, _) in zip(parts, groups, strict=True)]
    order = np.argsort(np.concatenate([rows for _, rows in groups]), kind="stable")
    flow = Flow._make(column[order] for column in Flow.concatenate(flows))
    lost = np.concatenate([part.lost_kw for part in parts])[order]
    lost[found.hunts] = 0.0
    return Held(mark_unsolved(flow, np.flatnonzero(found.hunts)), lost)


def _solve_at(engine: AnyPowerFlow, controls: Controls, states: States) -> Held:
    """AC at one position of the tap changers: without P(V) first, and with it where it takes anything."""
    flow = _solve_unreduced(engine, controls, states)
    lost = np.zeros_like(states.p_kw)
    if controls.active is None:
        return Held(flow, lost)
    pv_kw, active = states.own_kw + states.placed_kw, _join_active(controls.active, states)
    vm_pu = flow.vm_pu[:, find_injection_rows(engine.feeder)].mean(axis=2)
    taken = (pv_kw - active.passed_kw(pv_kw, vm_pu)).max(axis=1, initial=0.0)
    rows = np.flatnonzero(~(flow.converged & (taken <= TOLERANCE_KVAR)))
    if rows.size == 0:
        return Held(flow, lost)
    some, ratings = states.select(rows), active.select(rows)
    reactive = None if controls.reactive is None else _join_reactive(controls, controls.reactive, some)
    solve_ac = partial(solve_judged, engine)
    found = solve_actively_controlled(
        engine, ratings, reactive, some.p_kw, pv_kw[rows], some.q_kvar, controls.step_kw, solve_ac
    )
    lost[rows] = found.reduced_kw
    return Held(flow.with_intervals(rows, found.flow), lost)


def _solve_unreduced(engine: AnyPowerFlow, controls: Controls, states: States) -> Flow:
    if controls.reactive is None:
        return solve_judged(engine, states.p_kw, states.q_kvar)
    of_base = states.p_kw, states.own_kw, states.q_kvar
    placed = states.placed_kw, controls.rating_kva_per_kw * states.placed_rated_kw
    return solve_with_control(engine, controls.reactive, of_base, placed)


def _join_active(active: ActiveControl, states: States) -> ActiveControl:
    """P(V) of what generates in each state: panels at one injection are one inverter, as they are in a run."""
    return replace(active, rated_kw=_join(active.rated_kw, states, states.placed_rated_kw))


def _join_reactive(controls: Controls, reactive: Control, states: States) -> Control:
    s_kva = controls.rating_kva_per_kw * states.placed_rated_kw
    return replace(reactive, s_kva=_join(reactive.s_kva, states, s_kva))


def _join(own: Floats, states: States, placed: Floats) -> Floats:
    return np.asarray(np.where(states.own_kw > 0.0, own, 0.0) + placed)
