"""Sensitivities by central differences of `pandapower.runpp`: slow, but for every net and state that `runpp` solves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.admittance import Matrices, branch_ratings
from grid_models.powerflow.runpp import Reference, Slacks
from grid_models.response.response import ALL, Response, Rows

STEP_KW = 0.05
"""Half the difference of power, kW or kvar."""


class _State(NamedTuple):
    """Voltages (B,), complex end currents in per cent (E,) and source powers (G,) of one solution."""

    vm_pu: Floats
    current_percent: Complex
    slack_kva: Complex


class _Derivatives(NamedTuple):
    """`InjectionChange` from whole arrays: (B, N), (E, N), (G, N)."""

    voltage: Floats
    current: Complex
    slack: Complex

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        return self.voltage[buses]

    def current_percent(self, ends: Rows = ALL) -> Complex:
        return self.current[ends]

    def along(self, power: Floats) -> tuple[Floats, Complex]:
        """Voltages (B,) and currents (E,) by all injections together."""
        return self.vm_pu() @ power, np.asarray(self.current_percent() @ power)

    def slack_kva(self) -> Complex:
        return self.slack


def sensitivity_by_differences(feeder: Feeder, matrices: Matrices, p_kw: Floats, q_kvar: Floats) -> Response | None:
    """Response of the network by 4·N + 1 runs of `runpp`; None where one of them does not converge.

    Parameters
    ----------
    feeder, matrices
        The network, and pandapower's internal model of it.
    p_kw, q_kvar
        Injections of the participants, (N,).
    """
    reference = Reference(feeder, matrices)
    zero, steps = np.zeros(p_kw.size), STEP_KW * np.eye(p_kw.size)

    def solve(dp: Floats, dq: Floats) -> _State | None:
        solved = reference.solve_one(p_kw + dp, q_kvar + dq)
        return _read_state(reference.net, reference.slacks) if solved else None

    centre = solve(zero, zero)
    by_p = _differentiate([(solve(step, zero), solve(-step, zero)) for step in steps])
    by_q = _differentiate([(solve(zero, step), solve(zero, -step)) for step in steps])
    if centre is None or by_p is None or by_q is None:
        return None
    return Response(*centre, by_p=by_p, by_q=by_q)


def _differentiate(pairs: list[tuple[_State | None, _State | None]]) -> _Derivatives | None:
    """Difference quotients of all participants' (state above, state below) as columns."""
    solved = [(above, below) for above, below in pairs if above is not None and below is not None]
    if len(solved) < len(pairs):
        return None

    def stack(field: int) -> Any:
        return np.stack([(above[field] - below[field]) / (2.0 * STEP_KW) for above, below in solved], axis=1)

    return _Derivatives(stack(0), stack(1), stack(2))


def _read_state(net: Any, slacks: Slacks) -> _State:
    line, trafo = net.line, net.trafo
    rated_line_ka, rated_mva = branch_ratings(net)
    ends: list[Complex] = []
    for line_end, line_bus, side in (("from", line.from_bus, "hv"), ("to", line.to_bus, "lv")):
        of_line = _current_ka(net, net.res_line, line_end, line_bus) / rated_line_ka
        rated_trafo_ka = rated_mva / (np.sqrt(3.0) * trafo[f"vn_{side}_kv"].to_numpy(np.float64))
        ends += [of_line, _current_ka(net, net.res_trafo, side, trafo[f"{side}_bus"]) / rated_trafo_ka]
    return _State(net.res_bus.vm_pu.to_numpy(np.float64), 100.0 * np.concatenate(ends), slacks.powers(net))


def _current_ka(net: Any, results: Any, end: str, bus: Any) -> Complex:
    """Complex current conj(S/V)/√3 into the branches at one end, from pandapower's results."""
    kv = net.bus.vn_kv.loc[bus].to_numpy(np.float64) * results[f"vm_{end}_pu"].to_numpy(np.float64)
    v = kv * np.exp(1j * np.deg2rad(results[f"va_{end}_degree"].to_numpy(np.float64)))
    s = results[f"p_{end}_mw"].to_numpy(np.float64) + 1j * results[f"q_{end}_mvar"].to_numpy(np.float64)
    current = np.zeros(s.size, np.complex128)
    live = np.isfinite(v)  # an end without supply has no voltage, and no current
    current[live] = np.conj(s[live] / v[live]) / np.sqrt(3.0)
    return current
