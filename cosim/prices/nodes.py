"""Nodes that have a price, and the network with an injection of zero at each of them, by which it is differentiated."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Ints, Places
from grid_models.feeder.connection import ABC, NAMES, A, B, C, Connections
from grid_models.feeder.feeder import Feeder
from grid_models.phases.connected import LARGEST_LOW_VOLTAGE_KV
from grid_models.response.sensitivity import AnyPowerFlow, make_engine


class Nodes(NamedTuple):
    """K nodes: every bus with supply, and in an unbalanced model each phase of one in low voltage.

    Attributes
    ----------
    bus
        Index of the bus of each, (K,).
    phase
        Its phase; `abc` of a bus above low voltage, empty in the balanced model.
    engine
        The network with one injection more at each node, behind those of the participants.
    column
        Place of each node's injection, (K,).
    """

    bus: Ints
    phase: tuple[str, ...]
    engine: AnyPowerFlow
    column: Places


def make_nodes(feeder: Feeder, supplied: Places) -> Nodes:
    """Nodes of a feeder at its supplied buses, given by their places in the net's table."""
    at = feeder.net.bus.index.to_numpy(np.int64)[supplied]
    connections = feeder.connections
    kv = feeder.net.bus["vn_kv"].to_numpy(np.float64)[supplied]
    by_phase = (kv <= LARGEST_LOW_VOLTAGE_KV) & (connections is not None)
    bus = np.repeat(at, np.where(by_phase, 3, 1))
    code = np.concatenate([np.array([A, B, C] if by else [ABC]) for by in by_phase])
    names = tuple(f"node {k}" for k in range(bus.size))
    extended = replace(
        feeder,
        participants=(*feeder.participants, *names),
        bus=np.concatenate([feeder.bus, bus]),
        load_tan_phi=None,
        connections=None if connections is None else _extend(connections, code),
    )
    phase = tuple("" if connections is None else NAMES[k] for k in code)
    return Nodes(bus, phase, make_engine(extended), np.arange(feeder.injection_bus.size, extended.injection_bus.size))


def _extend(connections: Connections, code: Ints) -> Connections:
    """Connections with more participants, each on one phase."""

    def join(codes: np.ndarray) -> np.ndarray:
        return np.concatenate([codes, code.astype(codes.dtype)])

    c = connections
    return Connections(
        join(c.load), join(c.pv), join(c.battery), join(c.fuel_cell), c.wires, None if c.ev is None else join(c.ev)
    )
