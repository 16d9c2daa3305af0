"""Laws of unbalanced power flow: permuting phases permutes results, and power that enters a circuit leaves it."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_nets import add_one_phase_loads, add_zero_sequence

from cosim.nets.judges import Judge, compare
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.three_phase import make_three_phase

seeds = st.integers(0, 10_000)
groups = st.sampled_from([("Dyn", 150.0), ("Dyn", 330.0), ("Yzn", 150.0), ("Yyn", 0.0), ("YNyn", 0.0), ("YNyn", 180.0)])


def draw_net(seed, group):
    rng = np.random.default_rng(seed)
    net = make_radial_feeder([f"h{k}" for k in range(int(rng.integers(3, 8)))], rng=rng).net
    add_zero_sequence(net, group[0])
    net.trafo["shift_degree"] = group[1]
    # Loads of one phase behind the magnetising impedance of Yyn are small, or the star point goes anywhere.
    return add_one_phase_loads(net, net.bus.index[2:], seed, kw=0.3 if group[0] == "Yyn" else 4.0)


def turn_phases(net):
    """The same net with what was on a, b, c on b, c, a."""
    turned = deepcopy(net)
    for table in ("asymmetric_load", "asymmetric_sgen"):
        for quantity in ("p_{}_mw", "q_{}_mvar"):
            for old, new in ("ab", "bc", "ca"):
                turned[table][quantity.format(new)] = net[table][quantity.format(old)]
    return turned


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(seed=seeds, group=groups)
def test_permuting_phases_permutes_results(seed, group) -> None:
    net = draw_net(seed, group)
    found, turned = (solve_network(n, Model.THREE_PHASE) for n in (net, turn_phases(net)))
    assert found.converged
    assert turned.converged
    for old, new in ("ab", "bc", "ca"):
        for bus in map(str, net.bus.index):
            difference = abs(found.v[bus, old]) - abs(turned.v[bus, new])
            assert abs(difference) < 1e-9 * found.base_v[bus, old]
    for branch, end, conductor in found.current_a:
        after = {"a": "b", "b": "c", "c": "a", "n": "n"}[conductor]
        assert abs(abs(found.current_a[branch, end, conductor]) - abs(turned.current_a[branch, end, after])) < 1e-4
    for bus, percent in found.unbalance_percent.items():
        assert abs(percent - turned.unbalance_percent[bus]) < 1e-7


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(seed=seeds, group=groups)
def test_what_ports_draw_flows_in_through_the_branches(seed, group) -> None:
    made = make_three_phase(draw_net(seed, group))
    engine = PhasePowerFlow(made.circuit)
    flow = engine.solve(made.circuit.power_kva[None])
    into_nodes = np.zeros(len(made.circuit.bus), complex)
    node = np.concatenate([branch.node for branch in made.circuit.branches])
    np.add.at(into_nodes, node, -flow.current_a[0])
    start, end = made.circuit.port_from, made.circuit.port_to
    v = flow.v[0][start] - np.where(end >= 0, flow.v[0][end], 0.0)
    drawn = np.conj(made.circuit.power_kva * 1000.0 / v)
    np.add.at(into_nodes, start, -drawn)
    np.add.at(into_nodes, end[end >= 0], drawn[end >= 0])
    into_nodes[made.circuit.sources[0].node] = 0.0
    assert np.abs(into_nodes).max() < 1e-5


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(seed=seeds, group=groups)
def test_power_grid_model_agrees_on_any_net(seed, group) -> None:
    pytest.importorskip("power_grid_model")
    net = draw_net(seed, group)
    net.asymmetric_load["type"] = "wye"
    found = solve_network(net, Model.THREE_PHASE)
    difference = compare(found, net, Judge.PGM)
    assert difference.voltage_pu < 1e-9, difference
    assert difference.current_a < 1e-6, difference
