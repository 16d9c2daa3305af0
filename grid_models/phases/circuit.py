"""A network as conductors: nodes, branches between them, sources, earths, and ports where power is drawn.

Everything here is in ohm, siemens, volt, kVA. A node is a conductor of a bus; its voltage is that to earth. A port is
a pair of nodes, or a node and earth, between which a constant power flows.
"""

from __future__ import annotations

from typing import NamedTuple

from grid_models.arrays import Complex, Floats, Ints

EARTH = -1
"""In place of a node: earth, whose voltage is zero."""


class Branch(NamedTuple):
    """A line or transformer with k terminals.

    Attributes
    ----------
    name
        What tables call it.
    node
        (k,) node of each terminal.
    end, conductor
        Names of each terminal's end and conductor.
    admittance
        (k, k) S: currents into the terminals per voltage to earth.
    rated_a
        (k,) current at 100 % loading.
    tied
        Pairs of terminals that conduct: a neutral without any way to earth is found by them.
    """

    name: str
    node: Ints
    end: tuple[str, ...]
    conductor: tuple[str, ...]
    admittance: Complex
    rated_a: Floats
    tied: tuple[tuple[int, int], ...]


class Source(NamedTuple):
    """A three-phase source behind impedances.

    Attributes
    ----------
    node
        (3,) nodes of phases a, b, c.
    voltage
        (3,) V to earth without load.
    impedance
        (3,) ohm of the zero, positive and negative sequence; zero holds that sequence of the voltage.
    """

    node: Ints
    voltage: Complex
    impedance: Complex


class Circuit(NamedTuple):
    """A network of n nodes and m ports.

    Attributes
    ----------
    bus, conductor
        (n,) names of each node.
    base_v
        (n,) nominal voltage to earth, V.
    branches, sources
        What joins and feeds the nodes.
    earth_node, earth_admittance
        Nodes with a way to earth, and its admittance, S.
    port_from, port_to
        (m,) nodes of each port, `EARTH` where it ends there.
    power_kva
        (m,) complex power that the circuit's own loads draw at each port, kVA; generation is negative.
    """

    bus: tuple[str, ...]
    conductor: tuple[str, ...]
    base_v: Floats
    branches: tuple[Branch, ...]
    sources: tuple[Source, ...]
    earth_node: Ints
    earth_admittance: Complex
    port_from: Ints
    port_to: Ints
    power_kva: Complex

    def name_node(self, node: int) -> str:
        """What messages call a node."""
        return f"bus {self.bus[node]}, conductor {self.conductor[node]}"
