"""Conductors in a row share a current; computed once, it is that of each of them by its own admittance."""

from __future__ import annotations

import numpy as np
import pytest
from phase_nets import NETS, make_european

from grid_models.phases.admittance import make_current_matrix
from grid_models.phases.circuit import Circuit
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.three_phase import make_three_phase
from grid_models.phases.wires import find_wires


@pytest.mark.parametrize("name", ["generated", "meshed", "two_stars", "european"])
def test_currents_are_those_of_each_conductors_own_admittance(name: str) -> None:
    net = make_european() if name == "european" else NETS[name]()
    circuit = make_three_phase(net).circuit
    flow = PhasePowerFlow(circuit).solve(circuit.power_kva[None])
    own = make_current_matrix(circuit) @ flow.v[0]
    # Voltages are exact to some 1e-13 V, which a piece of a few mΩ makes some 1e-9 A of.
    np.testing.assert_allclose(flow.current_a[0], own, rtol=0.0, atol=1e-6)


def test_pieces_of_the_european_feeder_are_few_wires() -> None:
    circuit = make_three_phase(make_european()).circuit
    wires = find_wires(circuit)
    assert len(np.unique(wires.leader)) < wires.leader.size / 8


def test_a_current_is_shared_only_where_nothing_branches_off() -> None:
    circuit = make_three_phase(make_european()).circuit
    at_port = {int(node) for node in circuit.port_from}
    incident = np.bincount(np.concatenate([branch.node for branch in circuit.branches]))
    for terminals in _list_shared(circuit):
        nodes = np.concatenate([branch.node for branch in circuit.branches])[terminals]
        inner = [node for node in set(nodes.tolist()) if np.count_nonzero(nodes == node) == 2]
        assert all(incident[node] == 2 for node in inner)
        assert not at_port.intersection(inner)
        assert len(inner) == len(terminals) / 2 - 1  # a row, not a ring


def _list_shared(circuit: Circuit) -> list[np.ndarray]:
    wires = find_wires(circuit)
    return [np.flatnonzero(wires.leader == lead) for lead in wires.shared]
