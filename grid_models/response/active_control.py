"""Power flow with inverters that reduce their active power at high voltage, beside a rule of reactive power.

Both are found together, `P = min(available, share(V)·rating)` and `Q = rule(P, V)`, by Newton's steps around the AC
power flow as in `grid_models.response.reactive_control`. The reduction found is rounded to a step (1 Wh in an
interval), Q to whole var, and the flow is that of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints, Mask
from grid_models.devices.volt_watt import VoltWatt
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Flow
from grid_models.ranges import check_field
from grid_models.response.reactive_control import (
    HALVE_EVERY,
    MAX_ROUNDS,
    TOLERANCE_KVAR,
    Control,
    change_at_injections,
    mark_unsolved,
)
from grid_models.response.sensitivity import AnyPowerFlow, sensitivity

_STEP_PU, _STEP_KW = 1e-7, 1e-4  # of finite differences

SolveAC = Callable[[Floats, Floats], Flow]
"""AC of active and reactive injections, (K, C) each."""


@dataclass(frozen=True, eq=False)
class ActiveControl:
    """P(V) of all PV inverters, and the rating of each.

    Attributes
    ----------
    curve
        The characteristic.
    rated_kw
        Rated active power of each injection's inverter, (C,), or of each interval's, (K, C); 0 without one.

    Raises
    ------
    GridError
        If a rating is negative.
    """

    curve: VoltWatt
    rated_kw: Floats

    def __post_init__(self) -> None:
        check_field("active control", self, "rated_kw", 0, remedy="give rated active powers")

    def select(self, rows: Ints) -> ActiveControl:
        """The control of some intervals, where each has ratings of its own."""
        return self if self.rated_kw.ndim == 1 else replace(self, rated_kw=self.rated_kw[rows])

    def passed_kw(self, available_kw: Floats, vm_pu: Floats) -> Floats:
        """Generation that passes the inverters, (…, C): all that is available, but for what P(V) takes.

        Examples
        --------
        >>> control = ActiveControl(VoltWatt(), np.array([5.0, 5.0]))
        >>> control.passed_kw(np.array([4.0, 2.0]), np.array([1.08, 1.08])).round(3).tolist()
        [3.0, 2.0]
        """
        limit = np.asarray(self.curve.share_at(vm_pu)) * self.rated_kw
        return np.where(self.rated_kw > 0.0, np.minimum(available_kw, limit), available_kw)

    def slope_kw_per_pu(self, available_kw: Floats, vm_pu: Floats) -> Floats:
        """Derivative of what passes by the voltage, (…, C); never positive, 0 where nothing is reduced."""
        above, below = (self.passed_kw(available_kw, vm_pu + change) for change in (_STEP_PU, -_STEP_PU))
        return (above - below) / (2.0 * _STEP_PU)


class ActivelyControlled(NamedTuple):
    """AC solution of K intervals under P(V).

    Attributes
    ----------
    flow
        Not converged, with `Engine.CONTROL`, where no fixed point was found.
    q_kvar
        Reactive injections of the inverters in whole var, (K, C).
    reduced_kw
        What P(V) takes of the generation, (K, C), in whole steps; 0 where there is no fixed point.
    rounds
        Power flows until it converged, (K,); 0 where it did not.
    """

    flow: Flow
    q_kvar: Floats
    reduced_kw: Floats
    rounds: Ints


class _Targets(NamedTuple):
    """What the rules ask for at a state, and how that follows the voltages: (k, C) each."""

    p_kw: Floats
    q_kvar: Floats
    p_by_v: Floats
    q_by_v: Floats
    q_by_p: Floats


def _ask_rules(active: ActiveControl, reactive: Control | None, pv_kw: Floats, passed: Floats, vm: Floats) -> _Targets:
    p, p_by_v = active.passed_kw(pv_kw, vm), active.slope_kw_per_pu(pv_kw, vm)
    if reactive is None:
        nothing = np.zeros_like(p)
        return _Targets(p, nothing, p_by_v, nothing, nothing)
    q = reactive.q_kvar(passed, vm)
    less = np.maximum(passed - _STEP_KW, 0.0)
    return _Targets(p, q, p_by_v, reactive.slope_kvar_per_pu(passed, vm), (q - reactive.q_kvar(less, vm)) / _STEP_KW)


def solve_actively_controlled(
    engine: AnyPowerFlow,
    active: ActiveControl,
    reactive: Control | None,
    p_kw: Floats,
    pv_kw: Floats,
    other_q_kvar: Floats | None = None,
    step_kw: float = 0.001,
    solve_ac: SolveAC | None = None,
) -> ActivelyControlled:
    """Solve K intervals with the powers that the inverters set at the voltages which follow from them.

    An interval is solved the same whatever other intervals are solved with it.

    Parameters
    ----------
    engine
        Engine of the network.
    active, reactive
        Rules and ratings; no reactive power if None.
    p_kw, pv_kw
        Injections of the participants as if nothing were reduced, (K, C), and the part of them that is from PV.
    other_q_kvar
        Reactive injections beside those of the inverters, (K, C); none if left out.
    step_kw
        What reductions are rounded to.
    solve_ac
        Power flow of injections, (k, C) kW and kvar, in place of the engine's: one that reads out less of it.
    """
    ac = engine.solve if solve_ac is None else solve_ac
    inverters = _list_inverters(pv_kw)
    beside = np.zeros_like(p_kw) if other_q_kvar is None else other_q_kvar
    passed, q, last = pv_kw.copy(), np.zeros_like(p_kw), np.zeros((2, *p_kw.shape))
    position, by_p_and_q = find_injection_rows(engine.feeder), respond_to_p_and_q(engine)
    rounds, running = np.zeros(p_kw.shape[0], np.int64), np.arange(p_kw.shape[0])
    # Where what passes has no solution, less may have one: half of the way back to what had one, at first to nothing.
    solved, was_solved = (np.zeros_like(passed), np.zeros_like(q)), np.zeros(p_kw.shape[0], dtype=bool)

    def solve(rows: Ints | slice) -> Flow:
        return ac(p_kw[rows] - pv_kw[rows] + passed[rows], q[rows] + beside[rows])

    for number in range(1, MAX_ROUNDS + 1):
        flow = solve(running)
        vm_pu = flow.vm_pu[:, position].mean(axis=2)
        of_rows = active.select(running), None if reactive is None else reactive.select(running)
        asked = _ask_rules(*of_rows, pv_kw[running], passed[running], vm_pu)
        mismatch = np.hstack([asked.p_kw - passed[running], asked.q_kvar - q[running]])
        settled = flow.converged & (np.abs(mismatch).max(axis=1, initial=0.0) <= TOLERANCE_KVAR)
        rounds[running[settled]] = number
        lost = running[~flow.converged]
        for values, before in zip((passed, q), solved, strict=True):
            values[lost] = 0.5 * (values[lost] + before[lost])
        goes_on, still = flow.converged & ~settled, np.flatnonzero(~settled)
        every, running = running[still], running[goes_on]
        if every.size == 0:
            break
        for values, before in zip((passed, q), solved, strict=True):
            before[running] = values[running]
        was_solved[running] = True
        asked = _Targets(*(part[goes_on] for part in asked))
        steeper = asked._replace(
            p_by_v=np.minimum(asked.p_by_v, last[0, running]), q_by_v=np.minimum(asked.q_by_v, last[1, running])
        )
        step = _find_newton_step(steeper, by_p_and_q, mismatch[goes_on], inverters[running])
        step *= 0.5 ** (number // HALVE_EVERY)
        n = p_kw.shape[1]
        passed[running], q[running] = passed[running] + step[:, :n], q[running] + step[:, n:]
        last[:, running] = asked.p_by_v, asked.q_by_v
        running = every
    found = _round_solution(pv_kw, passed, q, rounds > 0, step_kw)
    passed, q = pv_kw - found[0], found[1]
    hunting = np.flatnonzero((rounds == 0) & was_solved)
    return ActivelyControlled(mark_unsolved(solve(slice(None)), hunting), q, found[0], rounds)


def _list_inverters(pv_kw: Floats) -> Ints:
    """Injections of each interval that generate, (K, A); where it has fewer than others, some that do not.

    No other sets anything, so that steps are as large as an interval has inverters.
    """
    generates = pv_kw > 0.0
    return np.argsort(~generates, axis=1, kind="stable")[:, : int(generates.sum(axis=1).max(initial=0))]


def _find_newton_step(rules: _Targets, by: tuple[Floats, Floats], mismatch: Floats, column: Ints) -> Floats:
    """Change of what passes and of Q, (k, 2C), that removes a mismatch of both, to first order.

    With `dV = V_p·dp + V_q·dq`: `dp - P_v·dV = m_p` and `dq - Q_v·dV - Q_p·dp = m_q`. Of others than the injections
    `column`, (k, A), nothing changes.
    """
    (k, n), rows = column.shape, np.arange(len(column))[:, None]
    matrix = np.zeros((k, 2 * n, 2 * n))
    for first, slope in ((0, rules.p_by_v), (n, rules.q_by_v)):
        for at, response in zip((0, n), by, strict=True):
            among = response[column[:, :, None], column[:, None, :]]
            matrix[:, first : first + n, at : at + n] = -slope[rows, column][:, :, None] * among
    place = np.arange(n)
    matrix[:, n + place, place] -= rules.q_by_p[rows, column]
    matrix += np.eye(2 * n)
    both = np.hstack([column, column + rules.p_kw.shape[1]])
    step = np.zeros_like(mismatch)
    step[rows, both] = np.linalg.solve(matrix, mismatch[rows, both][:, :, None])[:, :, 0]
    return step


def _round_solution(pv_kw: Floats, passed: Floats, q: Floats, converged: Mask, step_kw: float) -> tuple[Floats, Floats]:
    """Reductions in whole steps, never more than what is generated, and reactive powers in whole var."""
    steps = np.rint(np.clip(pv_kw - passed, 0.0, None) / step_kw)
    reduced = np.minimum(steps, np.floor(pv_kw / step_kw + 1e-6)) * step_kw
    keep = converged[:, None]
    return np.where(keep, reduced, 0.0), np.where(keep, np.rint(1000.0 * q) / 1000.0, 0.0)


@lru_cache(maxsize=8)
def respond_to_p_and_q(engine: AnyPowerFlow) -> tuple[Floats, Floats]:
    """Change of each injection's voltage by each one's P and Q without any injection, (C, C) pu per kW and kvar."""
    nothing = np.zeros(engine.feeder.injection_bus.size)
    response = sensitivity(engine, nothing, nothing)
    if response is None:
        none = np.zeros((nothing.size, nothing.size))
        return none, none
    position = find_injection_rows(engine.feeder)
    return change_at_injections(response.by_p, position), change_at_injections(response.by_q, position)
