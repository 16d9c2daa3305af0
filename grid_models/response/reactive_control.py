"""Power flow with inverters that set their reactive power by a rule: an outer fixed point around the AC solution.

The reactive power that is found is rounded to whole var, as it is metered, and the state is that of the rounded power.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats
from grid_models.devices.inverter import Inverter, reactive_power_kvar
from grid_models.powerflow.admittance import find_bus_rows
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Engine, Flow, not_solved
from grid_models.ranges import check_range
from grid_models.response.response import ALL, InjectionChange, Response, Rows
from grid_models.response.sensitivity import sensitivity

TOLERANCE_KVAR = 1e-5
"""Largest change of a house's reactive power at the fixed point; a hundredth of what rounding then adds."""
MAX_ROUNDS, HALVE_EVERY = 60, 15
"""Power flows until the control counts as not converged, and after how many each step is halved."""
_STEP_KW, _STEP_PU = 1e-4, 1e-7


@dataclass(frozen=True, eq=False)
class Control:
    """Rule of all PV inverters, and the rating of each.

    Attributes
    ----------
    inverter
        The rule; its own rating is 1 kVA, so that its powers are shares of the ratings.
    s_kva
        Rated apparent power of each participant's inverter, (N,); 0 without one.
    min_cos_phi
        Smallest power factor: `|Q| <= P·tan(arccos(min_cos_phi))`, so that reactive power ends with the sun.

    Raises
    ------
    GridError
        If a rating is negative or the power factor not in (0, 1].
    """

    inverter: Inverter
    s_kva: Floats
    min_cos_phi: float = 0.9

    def __post_init__(self) -> None:
        check_range("reactive control, s_kva", self.s_kva, 0, remedy="give rated apparent powers")
        check_range(
            "reactive control, min_cos_phi", self.min_cos_phi, 0, 1, above=True, remedy="give one such as 0.9"
        )

    def slope_kvar_per_pu(self, pv_kw: Floats, vm_pu: Floats) -> Floats:
        """Derivative of the rule by the voltage, (…, N); 0 or below, and 0 where a limit binds."""
        above, below = (self.q_kvar(pv_kw, vm_pu + change) for change in (_STEP_PU, -_STEP_PU))
        return (above - below) / (2.0 * _STEP_PU)

    def only(self, inside: npt.NDArray[np.bool_]) -> Control:
        """The same for some participants, (N,); the inverters of all others are idle."""
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
        Power flows until the control stood still, (K,); 0 where it never did.
    """

    flow: Flow
    q_kvar: Floats
    rounds: npt.NDArray[np.int64]


def solve_controlled(
    engine: PowerFlow, control: Control, p_kw: Floats, pv_kw: Floats, max_rounds: int = MAX_ROUNDS
) -> Controlled:
    """Solve K intervals with the reactive power that the inverters set at the voltages which follow from it.

    Newton's steps on `q = q(V(q))`, with the voltages' response to Q of the network without injections, and of the
    characteristic the steeper of the two slopes seen last, so that steps do not jump across a corner for ever. An
    interval is solved the same whatever other intervals are solved with it.

    Parameters
    ----------
    engine
        Engine of the network.
    control
        Rule and ratings of the inverters.
    p_kw, pv_kw
        Injections of the participants, (K, N), and what of them comes from PV, >= 0.
    max_rounds
        Power flows after which the control counts as not converged.
    """
    n_intervals = p_kw.shape[0]
    position = find_bus_rows(engine.feeder.net, engine.feeder.bus)
    v_q = response_to_q(engine)
    q, last_slope = np.zeros_like(p_kw), np.zeros_like(p_kw)
    rounds, moving = np.zeros(n_intervals, np.int64), np.arange(n_intervals)
    for number in range(1, max_rounds + 1):
        flow = engine.solve(p_kw[moving], q[moving])
        vm_pu = flow.vm_pu[:, position]
        miss_kvar = control.q_kvar(pv_kw[moving], vm_pu) - q[moving]
        largest = np.abs(miss_kvar).max(axis=1, initial=0.0)
        still = largest <= TOLERANCE_KVAR
        rounds[moving[still]] = number
        goes_on = ~still & flow.converged
        # What has no AC solution at these reactive powers is asked once more, without control, at the end.
        rounds[moving[~still & ~flow.converged]] = number
        moving = moving[goes_on]
        if moving.size == 0:
            break
        slope = control.slope_kvar_per_pu(pv_kw[moving], vm_pu[goes_on])
        steeper = np.minimum(slope, last_slope[moving])
        newton = np.linalg.solve(
            np.eye(v_q.shape[0]) - steeper[:, :, None] * v_q, miss_kvar[goes_on, :, None]
        )
        q[moving] += newton[:, :, 0] * 0.5 ** (number // HALVE_EVERY)
        last_slope[moving] = slope
    q = np.rint(1000.0 * q) / 1000.0
    q[rounds == 0] = 0.0
    return Controlled(_without(engine.solve(p_kw, q), np.flatnonzero(rounds == 0)), q, rounds)


@lru_cache(maxsize=4)
def response_to_q(engine: PowerFlow) -> Floats:
    """Change of each participant's voltage by each one's Q where nobody injects, (N, N) pu per kvar; 0 in the dark."""
    nothing = np.zeros(engine.feeder.bus.size)
    response = sensitivity(engine, nothing, nothing)
    if response is None:
        return np.zeros((nothing.size, nothing.size))
    return np.nan_to_num(response.by_q.vm_pu(find_bus_rows(engine.feeder.net, engine.feeder.bus)))


def _without(flow: Flow, intervals: npt.NDArray[np.intp]) -> Flow:
    """The flow with some intervals marked as those whose control found no fixed point."""
    if intervals.size == 0:
        return flow
    shapes = (flow.vm_pu, flow.line_loading_percent, flow.trafo_loading_percent, flow.p_slack_kw)
    blank = not_solved(intervals.size, *(values.shape[1] for values in shapes))
    return flow.replaced(intervals, blank._replace(engine=np.full(intervals.size, Engine.CONTROL, np.int8)))


def controlled_sensitivity(
    engine: PowerFlow, control: Control, p_kw: Floats, pv_kw: Floats
) -> Response | None:
    """Linear response of the network whose inverters follow their rule, around the state of one interval, (N,).

    A change of a participant's active injection counts as one of its PV where it generates. With K_V and K_P the
    derivatives of the rule, `dq = K_V·dV + K_P·dp` and `dV = V_p·dp + V_q·dq` give `dq = (1 - K_V·V_q)⁻¹(K_V·V_p +
    K_P)·dp`, by which every derivative by Q is added to that by P. None where there is no solution.
    """
    solved = solve_controlled(engine, control, p_kw[None], pv_kw[None])
    response = sensitivity(engine, p_kw, solved.q_kvar[0]) if solved.flow.converged[0] else None
    if response is None:
        return None
    position = find_bus_rows(engine.feeder.net, engine.feeder.bus)
    vm_pu = response.vm_pu[position]
    by_v = control.slope_kvar_per_pu(pv_kw, vm_pu)
    less_kw = np.maximum(pv_kw - _STEP_KW, 0.0)
    by_p = (control.q_kvar(pv_kw, vm_pu) - control.q_kvar(less_kw, vm_pu)) / _STEP_KW
    v_p, v_q = (np.nan_to_num(by.vm_pu(position)) for by in (response.by_p, response.by_q))
    wanted = by_v[:, None] * v_p + np.diag(by_p)
    dq = np.asarray(np.linalg.solve(np.eye(p_kw.size) - by_v[:, None] * v_q, wanted), dtype=np.float64)
    return replace(response, by_p=FollowedChange(response.by_p, response.by_q, dq))


@dataclass(frozen=True, eq=False)
class FollowedChange:
    """Change by active power that reactive power follows: `dq` kvar of each participant by 1 kW of each, (N, N)."""

    by_p: InjectionChange
    by_q: InjectionChange
    dq: Floats

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """Voltage magnitudes of b buses, (b, N)."""
        return self.by_p.vm_pu(buses) + self.by_q.vm_pu(buses) @ self.dq

    def current_percent(self, ends: Rows = ALL) -> npt.NDArray[np.complex128]:
        """Complex currents at e branch ends, (e, N)."""
        return np.asarray(self.by_p.current_percent(ends) + self.by_q.current_percent(ends) @ self.dq)

    def slack_kva(self) -> npt.NDArray[np.complex128]:
        """P + jQ out of each source, (G, N)."""
        return np.asarray(self.by_p.slack_kva() + self.by_q.slack_kva() @ self.dq)
