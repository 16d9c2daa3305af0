"""Sensitivities by central differences of `pandapower.runpp`: slow, and right for every net that `runpp` solves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Floats
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.pandapower_tables import with_injection_elements, write_injections
from grid_models.powerflow.admittance import Complex, Matrices
from grid_models.powerflow.runpp import Slacks, find_slacks, runs
from grid_models.response.response import ALL, Response, Rows

STEP_KW = 0.05


class _Point(NamedTuple):
    """Voltages (B,), complex end currents in per cent (E,) and source powers (G,) of one solution."""

    vm_pu: Floats
    current_percent: Complex
    slack_kva: Complex


class _Slopes(NamedTuple):
    """`Change` from whole arrays: (B, N), (E, N), (G, N)."""

    voltage: Floats
    current: Complex
    slack: Complex

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """Rows of the array."""
        return self.voltage[buses]

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Rows of the array."""
        return self.current[ends]

    def slack_kva(self) -> Complex:
        """All of the array."""
        return self.slack


def sensitivity_by_differences(
    feeder: Feeder, matrices: Matrices, p_kw: Floats, q_kvar: Floats, step_kw: float = STEP_KW
) -> Response | None:
    """Response of the network by 4·N + 1 runs of `runpp`; None where one of them does not converge.

    Parameters
    ----------
    feeder, matrices
        The network, and pandapower's internal model of it.
    p_kw, q_kvar
        Injections of the participants, (N,).
    step_kw
        Half the difference of power, kW or kvar.
    """
    net, index = with_injection_elements(feeder)
    slacks = find_slacks(net, matrices)
    n = p_kw.size

    def point(dp: Floats, dq: Floats) -> _Point | None:
        write_injections(net, index, p_kw + dp, q_kvar + dq)
        return _read(net, slacks) if runs(net) else None

    none, steps = np.zeros(n), step_kw * np.eye(n)
    centre = point(none, none)
    by_p = _slopes([(point(step, none), point(-step, none)) for step in steps], 2.0 * step_kw)
    by_q = _slopes([(point(none, step), point(none, -step)) for step in steps], 2.0 * step_kw)
    if centre is None or by_p is None or by_q is None:
        return None
    return Response(
        vm_pu=centre.vm_pu,
        current_percent=centre.current_percent,
        slack_kva=centre.slack_kva,
        by_p=by_p,
        by_q=by_q,
    )


def _slopes(pairs: list[tuple[_Point | None, _Point | None]], width: float) -> _Slopes | None:
    """Difference quotients of all participants as the columns of (B, N), (E, N), (G, N)."""
    above = [point for point, _ in pairs if point is not None]
    below = [point for _, point in pairs if point is not None]
    if len(above) + len(below) < 2 * len(pairs):
        return None
    slopes = [
        _Point(
            (a.vm_pu - b.vm_pu) / width,
            (a.current_percent - b.current_percent) / width,
            (a.slack_kva - b.slack_kva) / width,
        )
        for a, b in zip(above, below, strict=True)
    ]
    return _Slopes(
        np.stack([slope.vm_pu for slope in slopes], axis=1),
        np.stack([slope.current_percent for slope in slopes], axis=1),
        np.stack([slope.slack_kva for slope in slopes], axis=1),
    )


def _read(net: Any, slacks: Slacks) -> _Point:
    line, trafo = net.line, net.trafo
    rated_line = (line.max_i_ka * line.df * line.parallel).to_numpy(np.float64)
    rated_trafo = (trafo.sn_mva * trafo.parallel * trafo.df).to_numpy(np.float64)
    ends: list[Complex] = []
    for line_end, line_bus, side in (("from", line.from_bus, "hv"), ("to", line.to_bus, "lv")):
        of_line = _current_ka(net, net.res_line, line_end, line_bus) / rated_line
        rated_ka = rated_trafo / (np.sqrt(3.0) * trafo[f"vn_{side}_kv"].to_numpy(np.float64))
        ends += [of_line, _current_ka(net, net.res_trafo, side, trafo[f"{side}_bus"]) / rated_ka]
    return _Point(
        net.res_bus.vm_pu.to_numpy(np.float64),
        100.0 * np.concatenate(ends),
        slacks.powers(net),
    )


def _current_ka(net: Any, results: Any, end: str, bus: Any) -> Complex:
    """Complex current conj(S/V)/√3 into the branches at one end, from pandapower's results."""
    kv = net.bus.vn_kv.loc[bus].to_numpy(np.float64) * results[f"vm_{end}_pu"].to_numpy(np.float64)
    v = kv * np.exp(1j * np.deg2rad(results[f"va_{end}_degree"].to_numpy(np.float64)))
    s = results[f"p_{end}_mw"].to_numpy(np.float64) + 1j * results[f"q_{end}_mvar"].to_numpy(np.float64)
    current = np.zeros(s.size, np.complex128)
    live = np.isfinite(v)  # an end without supply has no voltage, and no current
    current[live] = np.conj(s[live] / v[live]) / np.sqrt(3.0)
    return current
