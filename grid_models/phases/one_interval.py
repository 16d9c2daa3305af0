"""One interval of a feeder with phases inside compiled code.

Law: it is what `grid_models.phases.feeder_engine.FeederPhaseFlow` finds of that interval, to the bit but for sums.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from grid_models.arrays import Complex, Floats, Ints
from grid_models.compiled import compiled
from grid_models.phases.admittance import BASE_KVA
from grid_models.phases.engine import MAX_ITERATIONS, TOLERANCE_PU
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.kernel import PhaseNetwork, Readout, solve_intervals
from grid_models.phases.magnitudes import read_loadings, read_voltages
from grid_models.phases.readout import N_BUS, N_LINE, N_TRAFO

_ITERATIONS = cast(int, np.int64(MAX_ITERATIONS))


class FeederCircuit(NamedTuple):
    """A feeder with phases as compiled functions take it; m ports, C injections, the rest as in `PhaseReadout`.

    Attributes
    ----------
    network, voltages, currents
        The circuit and its readouts.
    start, injection, share
        Injections at each port and what share of them is there, from `start[i]` to `start[i + 1]` for port i.
    power_kva
        (m,) what the net itself draws at its ports.
    node, neutral, four_wires, base_v, terminal, percent_per_a, n_lines, all_node, slack_node, port_from
        As in `grid_models.phases.readout.PhaseReadout`.
    """

    network: PhaseNetwork
    voltages: Readout
    currents: Readout
    start: Ints
    injection: Ints
    share: Floats
    power_kva: Complex
    node: Ints
    neutral: Ints
    four_wires: bool
    base_v: Floats
    terminal: Ints
    percent_per_a: Floats
    n_lines: int
    all_node: Ints
    slack_node: Ints
    port_from: Ints


class Interval(NamedTuple):
    """Solution of an interval, its columns as in `Flow`; `source_kva` is P + jQ out of each phase of a source, (3,)."""

    converged: bool
    vm_pu: Floats
    line_loading_percent: Floats
    trafo_loading_percent: Floats
    vuf_percent: Floats
    neutral_v: Floats
    source_kva: Complex


def make_feeder_circuit(engine: FeederPhaseFlow) -> FeederCircuit:
    """The network of an engine for compiled functions."""
    shares, readout = engine.connected.share.tocsr(), engine.readout
    network, voltages, currents = engine.engine.model
    return FeederCircuit(
        network,
        voltages,
        currents,
        np.asarray(shares.indptr, np.int64),
        np.asarray(shares.indices, np.int64),
        np.asarray(shares.data, np.float64),
        engine.connected.circuit.power_kva,
        readout.node,
        readout.neutral,
        readout.four_wires,
        readout.base_v,
        readout.terminal,
        readout.percent_per_a,
        readout.n_lines,
        readout.all_node,
        readout.slack_node,
        readout.port_from,
    )


@compiled
def draw_at_ports(net: FeederCircuit, p_kw: Floats, q_kvar: Floats) -> Complex:
    """What is drawn at the ports, (m,) kVA, by injections, (C,) each, and by the net itself."""
    drawn = np.empty(net.power_kva.size, np.complex128)
    for port in range(drawn.size):
        p, q = 0.0, 0.0
        for k in range(net.start[port], net.start[port + 1]):
            p += net.share[k] * p_kw[net.injection[k]]
            q += net.share[k] * q_kvar[net.injection[k]]
        drawn[port] = net.power_kva[port] - complex(p, q)
    return drawn


@compiled
def join_pairs(pairs: Floats) -> Complex:
    """Complex numbers, (1, n), of pairs (re, im), (1, n, 2)."""
    found = np.empty((1, pairs.shape[1]), np.complex128)
    for i in range(found.size):
        found[0, i] = complex(pairs[0, i, 0], pairs[0, i, 1])
    return found


@compiled
def find_source_kva(net: FeederCircuit, source: int, v: Complex, current_a: Complex, drawn_kva: Complex) -> Complex:
    """P + jQ out of each phase of a source, (3,): what enters branches at its nodes, and what ports draw there."""
    found = np.zeros(3, np.complex128)
    for phase in range(3):
        node = net.slack_node[source, phase]
        for i in range(net.all_node.size):
            if net.all_node[i] == node:
                found[phase] += v[0, node] * np.conj(current_a[0, i]) / 1000.0
        for i in range(net.port_from.size):
            if net.port_from[i] == node:
                found[phase] += drawn_kva[i]
    return found


@compiled
def find_neutral_v(net: FeederCircuit, v: Complex) -> Floats:
    """Voltage of each bus's neutral to earth, (B,) V; (0,) where none is a conductor of its own."""
    found = np.zeros(net.neutral.size if net.four_wires else 0)
    for b in range(found.size):
        if net.node[b, 0] < 0:
            found[b] = np.nan
        elif net.neutral[b] >= 0:
            found[b] = abs(v[0, net.neutral[b]])
    return found


@compiled
def solve_interval(net: FeederCircuit, p_kw: Floats, q_kvar: Floats, source: int) -> Interval:
    """Solve an interval.

    Parameters
    ----------
    net
        The network.
    p_kw, q_kvar
        Injections, (C,) each, positive into the network.
    source
        Which source's power is asked for.
    """
    drawn = draw_at_ports(net, p_kw, q_kvar)
    into = (drawn / -BASE_KVA).reshape(1, -1)
    n_bus, n_branch = net.node.shape[0], net.terminal.shape[0]
    pairs = np.empty((1, net.voltages.place.size, 2)), np.empty((1, net.all_node.size, 2))
    to = (net.voltages, net.currents, pairs[0], pairs[1])
    done = solve_intervals(net.network, into.real.copy(), into.imag.copy(), TOLERANCE_PU, _ITERATIONS, to)
    v, current_a = join_pairs(pairs[0]), join_pairs(pairs[1])
    vm, vuf = np.empty((1, n_bus, N_BUS)), np.empty((1, n_bus))
    loading = np.empty((1, n_branch, N_LINE))
    read_voltages(v, net.node, net.neutral, net.base_v, vm, vuf)
    read_loadings(current_a, net.terminal, net.percent_per_a, loading)
    return Interval(
        done[0] > 0,
        vm.ravel(),
        loading[0, : net.n_lines].copy().ravel(),
        loading[0, net.n_lines :, :N_TRAFO].copy().ravel(),
        vuf[0],
        find_neutral_v(net, v),
        find_source_kva(net, source, v, current_a, drawn),
    )
