"""A feeder as a circuit of conductors with the ports of its participants.

Each injection of `grid_models.feeder.connection.Connections` is spread over the ports of its phases; injections at the
same conductor of the same bus share a port, with what the net itself draws there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from grid_models.arrays import Complex, Ints
from grid_models.errors import GridError
from grid_models.feeder.connection import ABC, NAMES, Connections
from grid_models.feeder.feeder import Feeder
from grid_models.phases.circuit import EARTH, Circuit
from grid_models.phases.neutral import add_neutrals
from grid_models.phases.three_phase import ThreePhaseNet, make_three_phase
from grid_models.powerflow.admittance import find_bus_rows

LARGEST_LOW_VOLTAGE_KV = 1.0
"""Of IEC 60038."""


class ConnectedCircuit(NamedTuple):
    """Circuit of a feeder and what its C injections are to its m ports.

    Attributes
    ----------
    circuit
        Its m ports, with what the net itself draws at them.
    net
        The net in three phases.
    share
        Sparse (m, C): share of each injection at each port; no port where a bus is without supply.
    neutral
        (i,) node of the neutral of each internal bus, -1 where it is earthed everywhere.
    four_wires
        Whether neutrals are conductors of their own, though a network that is off has none.
    """

    circuit: Circuit
    net: ThreePhaseNet
    share: Any
    neutral: Ints
    four_wires: bool


def get_connections(feeder: Feeder) -> Connections:
    """Connections of a feeder's participants.

    Raises
    ------
    GridError
        If the feeder has none: its model is balanced.
    """
    if feeder.connections is None:
        raise GridError(f"network '{feeder.name}': expected the phases of the participants, got none; give them")
    return feeder.connections


def connect_feeder(feeder: Feeder) -> ConnectedCircuit:
    """Circuit of a feeder with its participants.

    Raises
    ------
    GridError
        If the net cannot be represented in three phases.
    """
    check_one_phase_buses(feeder)
    made = make_three_phase(feeder.net)
    internal = made.matrices.bus[find_bus_rows(feeder.net, feeder.bus)]
    port, injection, share = list_ports(get_connections(feeder), internal)
    own = made.circuit.port_to == EARTH  # delta ports of the net's own elements stay as they are
    pairs = np.concatenate([made.circuit.port_from[own], port])
    nodes, place = np.unique(pairs, return_inverse=True)
    n_own, n_delta = int(own.sum()), int((~own).sum())
    power = np.zeros(nodes.size, np.complex128)
    np.add.at(power, place[:n_own], made.circuit.power_kva[own])
    shape = (nodes.size + n_delta, get_connections(feeder).house.size)
    circuit = made.circuit._replace(
        port_from=np.concatenate([nodes, made.circuit.port_from[~own]]),
        port_to=np.concatenate([np.full(nodes.size, EARTH), made.circuit.port_to[~own]]),
        power_kva=np.concatenate([power, made.circuit.power_kva[~own]]),
    )
    shares = sparse.coo_array((share, (place[n_own:], injection)), shape=shape).tocsr()
    wires = get_connections(feeder).wires
    if wires is None:
        return ConnectedCircuit(circuit, made, shares, np.full(made.matrices.y_bus.shape[0], EARTH), False)
    found = add_neutrals(feeder.net, made._replace(circuit=circuit), internal, wires)
    return ConnectedCircuit(found.circuit, made, shares, found.node, True)


def check_one_phase_buses(feeder: Feeder) -> None:
    """Raise `GridError` where a participant's device is on one phase of a bus above low voltage."""
    connections, kv = get_connections(feeder), feeder.net.bus["vn_kv"].to_numpy(np.float64)
    at = kv[find_bus_rows(feeder.net, feeder.injection_bus)]
    for column in np.flatnonzero((at > LARGEST_LOW_VOLTAGE_KV) & (connections.code != ABC)):
        house = int(connections.house[column])
        raise GridError(
            f"network '{feeder.name}', participant '{feeder.participants[house]}': expected three phases (abc) at bus "
            f"{feeder.bus[house]} of {at[column]:g} kV, got phase {NAMES[connections.code[column]]}; one phase and "
            "neutral are there in low voltage only"
        )


def list_ports(connections: Connections, internal: Ints) -> tuple[Ints, Ints, Complex]:
    """Node, injection and share of each pair of a port and an injection there; `internal` buses of participants, (N,).

    Node 3·i + k is phase k of internal bus i; participants at -1 are without supply.
    """
    nodes, injections, shares = [], [], []
    for column, (house, code) in enumerate(zip(connections.house.tolist(), connections.code.tolist(), strict=True)):
        if internal[house] >= 0:
            phases = (0, 1, 2) if code == ABC else (code - 1,)
            nodes += [3 * int(internal[house]) + phase for phase in phases]
            injections += [column] * len(phases)
            shares += [1.0 / len(phases)] * len(phases)
    return np.array(nodes, np.int64), np.array(injections, np.int64), np.array(shares, np.float64)
