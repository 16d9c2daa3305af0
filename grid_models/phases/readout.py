"""What a verdict looks at in an unbalanced solution: voltages and loadings by conductor, unbalance, powers.

A feeder's `Flow` in three phases has a column for every phase of every bus (3·b + k for phase k of bus b), for every
phase and the neutral of every line (4·l + k), for every phase of every transformer (3·r + k), and the unbalance of
every bus.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Complex, Floats, Ints
from grid_models.phases.connected import ConnectedCircuit
from grid_models.phases.engine import PhaseFlow
from grid_models.phases.magnitudes import read_loadings, read_voltages
from grid_models.phases.sequence import voltage_unbalance_percent
from grid_models.phases.three_phase import rated_currents_a
from grid_models.powerflow.admittance import find_bus_rows, find_voltage_sources
from grid_models.powerflow.flow import Flow, make_no_taps

N_LINE, N_TRAFO, N_BUS = 4, 3, 3
"""Columns of a line (a, b, c, neutral), a transformer and a bus."""


class PhaseReadout(NamedTuple):
    """Where a circuit's solution has what the tables of the net ask for; B buses, L lines, R transformers, G sources.

    Attributes
    ----------
    node
        (B, 3) node of each phase of each bus, -1 without supply.
    neutral
        (B,) node of its neutral, -1 where that is earthed everywhere.
    four_wires
        Whether neutrals are conductors of their own.
    base_v
        (B,) nominal voltage to earth, V.
    terminal
        (L + R, 2, 4) terminal of each branch, end and conductor a, b, c, n; -1 where no current can flow, and where the
        neutral is none of its own.
    percent_per_a
        (L + R, 2) loading by a current at either end.
    n_lines
        L.
    all_node
        (c,) node of each terminal.
    slack_node
        (G, 3) nodes of each source.
    is_grid
        (G,) whether it is an external grid.
    port_from, port_to
        (m,) nodes of the ports, -1 for earth.
    earth_node, earth_siemens
        Nodes with a way to earth, and its conductance, S.
    """

    node: Ints
    neutral: Ints
    four_wires: bool
    base_v: Floats
    terminal: Ints
    percent_per_a: Floats
    n_lines: int
    all_node: Ints
    slack_node: Ints
    is_grid: npt.NDArray[np.bool_]
    port_from: Ints
    port_to: Ints
    earth_node: Ints
    earth_siemens: Floats

    @property
    def n_trafos(self) -> int:
        """Number R of transformers."""
        return len(self.terminal) - self.n_lines


def make_phase_readout(net: Any, connected: ConnectedCircuit) -> PhaseReadout:
    """Readout of a net's circuit."""
    matrices, circuit = connected.net.matrices, connected.circuit
    bus = matrices.bus[:, None]
    node = np.where(bus >= 0, 3 * bus + np.arange(3), -1)
    terminal = np.full((matrices.branch.size, 2, 4), -1)
    first = 0
    for k, branch in zip(np.flatnonzero(matrices.branch >= 0), circuit.branches, strict=True):
        for place, (end, conductor) in enumerate(zip(branch.end, branch.conductor, strict=True)):
            terminal[k, int(end in ("to", "lv")), "abcn".index(conductor)] = first + place
        first += branch.node.size
    grids, _ = find_voltage_sources(net)
    return PhaseReadout(
        node,
        np.where(matrices.bus >= 0, connected.neutral[matrices.bus], -1),
        connected.four_wires,
        net.bus.vn_kv.to_numpy(np.float64) * 1000.0 / np.sqrt(3.0),
        terminal,
        100.0 / rated_currents_a(net),
        len(net.line),
        np.concatenate([branch.node for branch in circuit.branches] or [np.zeros(0, np.int64)]),
        3 * matrices.reference[:, None] + np.arange(3),
        np.isin(matrices.reference, matrices.bus[find_bus_rows(net, grids.bus)]),
        circuit.port_from,
        circuit.port_to,
        circuit.earth_node,
        circuit.earth_admittance.real,
    )


def flatten(values: Floats) -> Floats:
    """Values of K intervals, elements and conductors as (K, …): one row an interval, of no interval, too."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


class Limited(NamedTuple):
    """What has limits in K intervals, as the columns of `Flow` of the same names."""

    converged: npt.NDArray[np.bool_]
    vm_pu: Floats
    line_loading_percent: Floats
    trafo_loading_percent: Floats
    vuf_percent: Floats
    neutral_v: Floats


def read_limited(readout: PhaseReadout, found: PhaseFlow) -> Limited:
    """What has limits, of a circuit's solution, without powers."""
    n, n_bus, n_branch = len(found.v), len(readout.node), len(readout.terminal)
    vm, vuf, loading = np.empty((n, n_bus, N_BUS)), np.empty((n, n_bus)), np.empty((n, n_branch, N_LINE))
    read_voltages(found.v, readout.node, readout.neutral, readout.base_v, vm, vuf)
    read_loadings(found.current_a, readout.terminal, readout.percent_per_a, loading)
    return Limited(
        found.converged,
        flatten(vm),
        flatten(loading[:, : readout.n_lines]),
        flatten(loading[:, readout.n_lines :, :N_TRAFO]),
        vuf,
        neutral_voltages(readout, found.v),
    )


def read_phase_flow(readout: PhaseReadout, found: PhaseFlow, drawn_kva: Complex, engine: int) -> Flow:
    """Flow of a circuit's solution.

    Parameters
    ----------
    readout
        Of `make_phase_readout`.
    found
        Solution of K intervals.
    drawn_kva
        Power drawn at the ports, (K, m).
    engine
        Who solved it.
    """
    v, current = found.v, found.current_a
    of_bus = phase_to_neutral(readout, v)
    loading = np.abs(conductor_percent(readout, current)).max(axis=2)
    lines, trafos = loading[:, : readout.n_lines], loading[:, readout.n_lines :, :3]
    entering = v[:, readout.all_node] * np.conj(current) / 1000.0
    slack = source_phase_powers(readout, found, drawn_kva).sum(axis=2)
    from_grid = slack[:, readout.is_grid].sum(axis=1)
    p_trafo = entering.real[:, np.maximum(readout.terminal[readout.n_lines :, 0, :3], 0)].sum(axis=2)
    n = len(v)
    return Flow(
        converged=found.converged,
        vm_pu=flatten(_nan_where(readout.node < 0, np.abs(of_bus) / readout.base_v[:, None])),
        line_loading_percent=flatten(lines),
        trafo_loading_percent=flatten(trafos),
        trafo_p_kw=np.where(readout.terminal[readout.n_lines :, 0, 0] >= 0, p_trafo, 0.0),
        p_slack_kw=slack.real,
        q_slack_kvar=slack.imag,
        p_grid_kw=from_grid.real,
        q_grid_kvar=from_grid.imag,
        losses_kw=entering.real.sum(axis=1) + _lost_in_earth_kw(readout, v),
        iterations=found.iterations,
        engine=np.full(n, engine, np.int8),
        vuf_percent=_nan_where(readout.node[:, 0] < 0, voltage_unbalance_percent(of_bus)),
        neutral_v=neutral_voltages(readout, v),
        tap_pos=make_no_taps(n),
    )


def neutral_voltages(readout: PhaseReadout, v: Complex) -> Floats:
    """Voltage of each bus's neutral to earth, (K, B) V; (K, 0) where no neutral is a conductor of its own."""
    if not readout.four_wires:
        return np.zeros((len(v), 0))
    return _nan_where(readout.node[:, 0] < 0, np.abs(_take(v, readout.neutral)))


def _lost_in_earth_kw(readout: PhaseReadout, v: Complex) -> Floats:
    """What flows to earth through earthings, (K,) kW."""
    return np.asarray((np.abs(v[:, readout.earth_node]) ** 2) @ readout.earth_siemens / 1000.0)


def phase_to_neutral(readout: PhaseReadout, v: Complex) -> Complex:
    """Voltages of the phases of each bus to its neutral, (…, B, 3) V, of those of nodes to earth, (…, n)."""
    return _take(v, readout.node) - _take(v, readout.neutral)[..., None]


def conductor_percent(readout: PhaseReadout, current_a: Complex) -> Complex:
    """Currents of conductors a, b, c, n at both ends, (…, L + R, 2, 4) per cent of the rating, of terminals', (…, c).

    What comes back through a neutral that is none of its own, or beside it through earth, is the sum of the phases.
    """
    taken = _take(current_a, readout.terminal)
    own = readout.terminal[..., 3] >= 0
    neutral = np.where(own, taken[..., 3], taken[..., :3].sum(axis=-1))
    return np.asarray(np.concatenate([taken[..., :3], neutral[..., None]], axis=-1) * readout.percent_per_a[..., None])


def source_phase_powers(readout: PhaseReadout, found: PhaseFlow, drawn_kva: Complex) -> Complex:
    """P + jQ out of each phase of each source into the network, (K, G, 3) kVA.

    It is what enters branches at the source's nodes, and what ports draw there.
    """
    entering = found.v[:, readout.all_node] * np.conj(found.current_a) / 1000.0
    power = np.zeros((len(found.v), *readout.slack_node.shape), np.complex128)
    for place in np.ndindex(readout.slack_node.shape):
        node = readout.slack_node[place]
        power[:, *place] = entering[:, readout.all_node == node].sum(axis=1)
        power[:, *place] += drawn_kva[:, readout.port_from == node].sum(axis=1)
    return power


def _take(values: Complex, place: Ints) -> Complex:
    """Values, (…, n), at places; 0 where a place is -1."""
    taken = values[..., np.maximum(place, 0)]
    return np.where(place >= 0, taken, 0.0)


def _nan_where(none: npt.NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(none, np.nan, values)
