"""Power flow with inverters that set their reactive power by a rule: an iteration around the AC power flow.

Reactive power is metered in whole var: the control's solution is rounded, and the flow is solved for what is metered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints, Mask, Places
from grid_models.devices.inverter import Inverter, reactive_power_kvar
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.flow import Engine, Flow, make_unsolved_flow
from grid_models.ranges import check_field
from grid_models.response.response import ALL, InjectionChange, Response, Rows
from grid_models.response.sensitivity import AnyPowerFlow, sensitivity

TOLERANCE_KVAR = 1e-5
"""Largest mismatch of a house's reactive power that counts as converged; a fiftieth of the error by rounding."""
MAX_ROUNDS, HALVE_EVERY = 60, 15
"""Power flows until the control counts as not converged, and after how many the step length is halved."""
_STEP_KW, _STEP_PU = 1e-4, 1e-7  # of finite differences


@dataclass(frozen=True, eq=False)
class Control:
    """Rule of all PV inverters, and the rating of each.

    Attributes
    ----------
    inverter
        The rule; its own rating is 1 kVA, so that its powers are shares of the ratings.
    s_kva
        Rated apparent power of each participant's inverter, (N,), or of each interval's, (K, N); 0 without one.
    min_cos_phi
        Smallest power factor: `|Q| <= P·tan(arccos(min_cos_phi))`, so that no reactive power flows at night.

    Raises
    ------
    GridError
        If a rating is negative or the power factor not in (0, 1].
    """

    inverter: Inverter
    s_kva: Floats
    min_cos_phi: float = 0.9

    def __post_init__(self) -> None:
        check = partial(check_field, "reactive control", self)
        check("s_kva", 0, remedy="give rated apparent powers")
        check("min_cos_phi", 0, 1, above=True, remedy="give one such as 0.9")

    def slope_kvar_per_pu(self, pv_kw: Floats, vm_pu: Floats) -> Floats:
        """Derivative of the rule by the voltage, (…, N); never positive, and 0 where a limit binds."""
        above, below = (self.q_kvar(pv_kw, vm_pu + change) for change in (_STEP_PU, -_STEP_PU))
        return (above - below) / (2.0 * _STEP_PU)

    def select(self, rows: Ints) -> Control:
        """The control of some intervals, where each has ratings of its own."""
        return self if self.s_kva.ndim == 1 else replace(self, s_kva=self.s_kva[rows])

    def with_only(self, inside: Mask) -> Control:
        """Copy in which only the inverters of the participants `inside`, (N,), inject reactive power."""
        return replace(self, s_kva=np.where(inside, self.s_kva, 0.0))

    def q_kvar(self, pv_kw: Floats, vm_pu: Floats) -> Floats:
        """Reactive injections at generations and voltages, (…, N) each; 0 where a bus is dark.

        Examples
        --------
        >>> control = Control(Inverter(1.0, "q_v"), np.array([5.0, 5.0, 0.0]))
        >>> control.q_kvar(np.array([4.0, 0.0, 2.0]), np.full(3, 1.05)).round(3).tolist()
        [-1.09, 0.0, 0.0]
        """
        rated = np.where(self.s_kva > 0.0, self.s_kva, 1.0)
        share = np.asarray(reactive_power_kvar(self.inverter, pv_kw / rated, vm_pu)) * self.s_kva
        largest = pv_kw * np.tan(np.arccos(self.min_cos_phi))
        return np.clip(share, -largest, largest)


class Controlled(NamedTuple):
    """AC solution of K intervals with reactive control.

    Attributes
    ----------
    flow
        Not converged, with `Engine.CONTROL`, where the control found no fixed point.
    q_kvar
        Reactive injections of the participants in whole var, (K, N); 0 where there is no fixed point.
    rounds
        Power flows until the control converged, (K,); 0 where it did not.
    """

    flow: Flow
    q_kvar: Floats
    rounds: Ints


def solve_controlled(
    engine: AnyPowerFlow, control: Control, p_kw: Floats, pv_kw: Floats, other_q_kvar: Floats | None = None
) -> Controlled:
    """Solve K intervals with the reactive power that the inverters set at the voltages which follow from it.

    Newton's steps on `q = q(V(q))`. The voltages' response to Q is that of the network without injections. The slope of
    the characteristic is the steeper of the latest two, so that steps do not oscillate across a corner of it. An
    interval is solved the same whatever other intervals are solved with it.

    Parameters
    ----------
    engine
        Engine of the network.
    control
        Rule and ratings of the inverters.
    p_kw, pv_kw
        Injections of the participants, (K, N), and the part of them that comes from PV, >= 0.
    other_q_kvar
        Reactive injections beside those of the inverters, (K, N): of loads, in whole var; none if left out.
    """

    def solve(intervals: Ints | slice) -> Flow:
        beside = 0.0 if other_q_kvar is None else other_q_kvar[intervals]
        return engine.solve(p_kw[intervals], q[intervals] + beside)

    position = find_injection_rows(engine.feeder)
    v_q = response_to_q(engine)
    q, last_slope = np.zeros_like(p_kw), np.zeros_like(p_kw)
    rounds, running = np.zeros(p_kw.shape[0], np.int64), np.arange(p_kw.shape[0])
    for number in range(1, MAX_ROUNDS + 1):
        flow = solve(running)
        vm_pu = flow.vm_pu[:, position].mean(axis=2)
        mismatch = control.q_kvar(pv_kw[running], vm_pu) - q[running]
        goes_on = flow.converged & ~(np.abs(mismatch).max(axis=1, initial=0.0) <= TOLERANCE_KVAR)
        # An interval without an AC solution at these reactive powers is solved once more at the end.
        rounds[running[~goes_on]] = number
        running = running[goes_on]
        if running.size == 0:
            break
        slope = control.slope_kvar_per_pu(pv_kw[running], vm_pu[goes_on])
        steeper = np.minimum(slope, last_slope[running])
        newton = np.linalg.solve(np.eye(v_q.shape[0]) - steeper[:, :, None] * v_q, mismatch[goes_on, :, None])
        q[running] += newton[:, :, 0] * 0.5 ** (number // HALVE_EVERY)
        last_slope[running] = slope
    q = np.rint(1000.0 * q) / 1000.0
    q[rounds == 0] = 0.0
    return Controlled(mark_unsolved(solve(ALL), np.flatnonzero(rounds == 0)), q, rounds)


@lru_cache(maxsize=4)
def response_to_q(engine: AnyPowerFlow) -> Floats:
    """Change of each participant's voltage by each one's Q, without any injection, (N, N) pu per kvar.

    0 for participants without supply.
    """
    nothing = np.zeros(engine.feeder.injection_bus.size)
    response = sensitivity(engine, nothing, nothing)
    if response is None:
        return np.zeros((nothing.size, nothing.size))
    return change_at_injections(response.by_q, find_injection_rows(engine.feeder))


def change_at_injections(by: InjectionChange, position: Ints) -> Floats:
    """Change of the injections' own voltages, (C, C); `position` as `find_injection_rows`. 0 without supply."""
    of_rows = np.nan_to_num(by.vm_pu(position.ravel()))
    return np.asarray(of_rows.reshape(*position.shape, -1).mean(axis=1))


def mark_unsolved(flow: Flow, intervals: Places) -> Flow:
    """Copy of the flow in which the control of these intervals has not converged; tap changers stay where they are."""
    if intervals.size == 0:
        return flow
    shapes = (flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent, flow.p_slack_kw)
    more = {"n_power": flow.trafo_p_kw, "n_unbalance": flow.vuf_percent, "n_neutral": flow.neutral_v}
    widths = (values.shape[1] for values in shapes)
    blank = make_unsolved_flow(intervals.size, *widths, **{name: values.shape[1] for name, values in more.items()})
    blank.engine[:] = Engine.CONTROL
    return flow.with_intervals(intervals, blank.at_taps(flow.tap_pos[intervals]))


def controlled_sensitivity(
    engine: AnyPowerFlow, control: Control, p_kw: Floats, pv_kw: Floats, other_q_kvar: Floats | None = None
) -> Response | None:
    """Linear response of the network whose inverters follow their rule, around the state of one interval, (N,).

    Where a participant generates, a change of its active injection is taken as a change of its PV. With K_V and K_P the
    derivatives of the rule, `dq = K_V·dV + K_P·dp` and `dV = V_p·dp + V_q·dq` give `dq = (1 - K_V·V_q)⁻¹(K_V·V_p +
    K_P)·dp`. A derivative by P is then its own plus `dq` times that by Q. None where there is no solution.
    Reactive injections beside those of the inverters, (N,), are `other_q_kvar`.
    """
    other = np.zeros_like(p_kw) if other_q_kvar is None else other_q_kvar
    solved = solve_controlled(engine, control, p_kw[None], pv_kw[None], other[None])
    response = sensitivity(engine, p_kw, solved.q_kvar[0] + other) if solved.flow.converged[0] else None
    if response is None:
        return None
    position = find_injection_rows(engine.feeder)
    vm_pu = response.vm_pu[position].mean(axis=1)
    by_v = control.slope_kvar_per_pu(pv_kw, vm_pu)
    less_kw = np.maximum(pv_kw - _STEP_KW, 0.0)
    by_p = (control.q_kvar(pv_kw, vm_pu) - control.q_kvar(less_kw, vm_pu)) / _STEP_KW
    v_p, v_q = (change_at_injections(by, position) for by in (response.by_p, response.by_q))
    wanted = by_v[:, None] * v_p + np.diag(by_p)
    dq = np.asarray(np.linalg.solve(np.eye(p_kw.size) - by_v[:, None] * v_q, wanted), dtype=np.float64)
    return replace(response, by_p=ControlledChange(response.by_p, response.by_q, dq))


@dataclass(frozen=True, eq=False)
class ControlledChange:
    """`InjectionChange` by active power and the reactive power that follows it: `dq` kvar by 1 kW, (N, N)."""

    by_p: InjectionChange
    by_q: InjectionChange
    dq: Floats

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """Voltage magnitudes of b buses, (b, N)."""
        return self.by_p.vm_pu(buses) + self.by_q.vm_pu(buses) @ self.dq

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Complex currents at e branch ends, (e, N)."""
        return np.asarray(self.by_p.current_percent(ends) + self.by_q.current_percent(ends) @ self.dq)

    def along(self, power: Floats) -> tuple[Floats, Complex]:
        """Voltages (B,) and currents (E,) by all injections together."""
        (of_p, i_p), (of_q, i_q) = self.by_p.along(power), self.by_q.along(self.dq @ power)
        return of_p + of_q, i_p + i_q

    def slack_kva(self) -> Complex:
        """P + jQ out of each source, (G, N)."""
        return np.asarray(self.by_p.slack_kva() + self.by_q.slack_kva() @ self.dq)
