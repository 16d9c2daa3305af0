"""Everything that a flow holds, from the complex voltages that pandapower found: one matrix product for many intervals.

`pandapower.runpp` spends half its time on writing result tables. Its time series read them only where asked; so does
this. The matrices are pandapower's own, and the compiled engine has no part in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grid_models.arrays import Complex, Floats, Ints
from grid_models.powerflow.admittance import Matrices, find_bus_rows, find_voltage_sources, loading_scales
from grid_models.powerflow.flow import Engine, Flow, make_no_phases


class Readout(NamedTuple):
    """What it takes to read a flow of a net with N participants.

    Attributes
    ----------
    matrices
        pandapower's internal model.
    home
        Internal bus of each participant, -1 without supply, (N,).
    scale
        Loading in per cent per pu of current at both ends of lines, then transformers, (2, L + R).
    n_lines
        Number of lines L.
    is_grid
        Whether a reference bus has an external grid, (G,).
    """

    matrices: Matrices
    home: Ints
    scale: Floats
    n_lines: int
    is_grid: Any


def make_readout(net: Any, matrices: Matrices, participant_bus: Ints) -> Readout:
    """Readout of a net.

    Raises
    ------
    GridError
        If a line or transformer in service has no rating.
    """
    grids, _ = find_voltage_sources(net)
    return Readout(
        matrices,
        matrices.bus[find_bus_rows(net, participant_bus)],
        loading_scales(net, matrices),
        len(net.line),
        np.isin(matrices.reference, matrices.bus[find_bus_rows(net, grids.bus)]),
    )


def read_flow(readout: Readout, voltage: Complex, p_kw: Floats, q_kvar: Floats, iterations: Ints) -> Flow:
    """Flow of K solved intervals.

    Parameters
    ----------
    readout
        Of `make_readout`.
    voltage
        Complex voltages of the internal buses, (K, i) pu.
    p_kw, q_kvar
        Injections of the participants, (K, N).
    iterations
        (K,) that it took.
    """
    m = readout.matrices
    base_kw = m.base_mva * 1000.0
    injected = inject(readout, p_kw + 1j * q_kvar, base_kw)
    slack = (voltage * np.conj((m.y_bus @ voltage.T).T) - injected)[:, m.reference] * base_kw
    from_grid = slack[:, readout.is_grid].sum(axis=1)
    loading, p_from_kw = read_branches(readout, voltage, base_kw)
    trafos = slice(readout.n_lines, None)
    return Flow(
        np.ones(len(voltage), bool),
        np.where(m.bus >= 0, np.abs(voltage)[:, m.bus], np.nan),
        loading[:, : readout.n_lines],
        loading[:, trafos],
        p_from_kw[:, trafos],
        slack.real,
        slack.imag,
        from_grid.real,
        from_grid.imag,
        slack.real.sum(axis=1) + (injected.real - m.conductance * np.abs(voltage) ** 2).sum(axis=1) * base_kw,
        iterations,
        np.full(len(voltage), Engine.RUNPP, np.int8),
        *make_no_phases(len(voltage)),
    )


def inject(readout: Readout, s_kva: Complex, base_kw: float) -> Complex:
    """Injections at the internal buses, (K, i) pu: those of the participants, and the constant ones of the net."""
    injected = np.tile(readout.matrices.fixed, (len(s_kva), 1))
    supplied = readout.home >= 0
    np.add.at(injected.T, readout.home[supplied], s_kva.T[supplied] / base_kw)
    return injected


def read_branches(readout: Readout, voltage: Complex, base_kw: float) -> tuple[Floats, Floats]:
    """Loadings in per cent, and power into the from-end in kW, of lines, then transformers, (K, L + R) each."""
    m = readout.matrices
    live, ends = m.branch >= 0, m.ends[m.branch]
    at_from, at_to = (np.where(live, (y @ voltage.T).T[:, m.branch], 0.0) for y in (m.y_from, m.y_to))
    scale = np.where(live, readout.scale, 0.0)
    loading = np.maximum(np.abs(at_from) * scale[0], np.abs(at_to) * scale[1])
    return loading, (voltage[:, ends[:, 0]] * np.conj(at_from)).real * base_kw
