"""Unbalanced power flow by hand: return through the neutral, delta loads, capacitance, collapse, lanes, sweeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from grid_models.arrays import Complex
from grid_models.errors import GridError
from grid_models.phases.circuit import EARTH, Branch, Circuit, Source
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.sequence import TO_PHASES

V, R = 230.0, 0.5


def make_street(
    ports: Sequence[tuple[int, int]], n_buses: int = 2, earthed: Sequence[int] = (3,), shunt: complex = 0.0
) -> Circuit:
    """Four-core cables of R ohm a conductor in a row, from a stiff source; node 4·bus + conductor."""
    series = np.eye(4) / R
    y = np.block([[series, -series], [-series, series]]).astype(complex) + shunt * np.eye(8)
    ends, conductors = ("from",) * 4 + ("to",) * 4, tuple("abcn" * 2)
    tied = tuple((i, i + 4) for i in range(4))
    branches = tuple(
        Branch(f"l{k}", np.arange(4 * k, 4 * k + 8), ends, conductors, y, np.full(8, 100.0), tied)
        for k in range(n_buses - 1)
    )
    source = Source(np.arange(3), V * TO_PHASES[:, 1], np.zeros(3, complex))
    port = np.array(ports, dtype=np.int64).reshape(-1, 2)
    return Circuit(
        tuple(f"b{k // 4}" for k in range(4 * n_buses)),
        tuple("abcn" * n_buses),
        np.full(4 * n_buses, V),
        branches,
        (source,),
        np.array(earthed, dtype=np.int64),
        np.full(len(earthed), 1e9 + 0j),
        port[:, 0],
        port[:, 1],
        np.zeros(len(port), complex),
    )


def solve(circuit: Circuit, *powers: complex) -> Complex:
    flow = PhasePowerFlow(circuit).solve(np.array([powers], dtype=complex))
    assert flow.converged.all()
    return flow.v[0]


def test_a_one_phase_load_sees_twice_the_resistance() -> None:
    v = solve(make_street([(4, 7)]), 2.2)
    expected = V / 2 + np.sqrt(V**2 / 4 - 2 * R * 2200.0)  # v = V − 2·R·P/v
    assert v[4] - v[7] == pytest.approx(expected, abs=1e-7)
    assert v[7] == pytest.approx(R * 2200.0 / expected, abs=1e-6)


def test_the_same_power_on_three_phases_drops_a_sixth() -> None:
    one = solve(make_street([(4, 7)]), 0.3)
    three = solve(make_street([(4, 7), (5, 7), (6, 7)]), 0.1, 0.1, 0.1)
    assert (V - abs(one[4] - one[7])) / (V - abs(three[4] - three[7])) == pytest.approx(6.0, rel=0.01)
    assert abs(three[7]) < 1e-9


def test_a_load_between_phases_by_hand() -> None:
    v = solve(make_street([(4, 5)]), 5.0)
    between = V * np.sqrt(3.0)
    expected = between / 2 + np.sqrt(between**2 / 4 - 2 * R * 5000.0)
    assert abs(v[4] - v[5]) == pytest.approx(expected, abs=1e-9)
    assert abs(v[6]) == pytest.approx(V, abs=1e-9)
    assert abs(v[7]) < 1e-9


def test_four_buses_by_hand() -> None:
    """Currents are chosen, voltages follow by R·I from section to section, and powers from both."""
    drawn = {(4, 7): 10.0 - 2.0j, (9, 11): -8.0 + 1.0j, (12, 13): 5.0 + 3.0j}  # a–n at b1, b–n at b2, a–b at b3
    first = {"a": 15.0 + 1.0j, "b": -13.0 - 2.0j, "c": 0.0, "n": -2.0 + 1.0j}  # what b1 and all behind it draw
    second = {"a": 5.0 + 3.0j, "b": -13.0 - 2.0j, "c": 0.0, "n": 8.0 - 1.0j}
    third = {"a": 5.0 + 3.0j, "b": -5.0 - 3.0j, "c": 0.0, "n": 0.0}
    v = [*(V * TO_PHASES[:, 1]), 0.0]
    for section in (first, second, third):
        v += [near - R * section[k] for near, k in zip(v[-4:], "abcn", strict=True)]
    powers = [(v[i] - v[j]) * np.conj(current) / 1000.0 for (i, j), current in drawn.items()]
    circuit = make_street(list(drawn), n_buses=4)
    assert solve(circuit, *powers) == pytest.approx(np.array(v), abs=1e-6)  # earthed by 1e-9 ohm
    flow = PhasePowerFlow(circuit).solve(np.array([powers]))
    expected = [section[k] * sign for section in (first, second, third) for sign in (1.0, -1.0) for k in "abcn"]
    assert flow.current_a[0] == pytest.approx(np.array(expected), abs=1e-6)


def test_the_current_of_a_terminal_is_that_of_the_load() -> None:
    circuit = make_street([(4, 7)])
    engine = PhasePowerFlow(circuit)
    flow = engine.solve(np.array([[2.2 + 1.0j]]))
    current = dict(zip(engine.terminals, flow.current_a[0], strict=True))
    drawn = np.conj(2200.0 + 1000.0j) / np.conj(flow.v[0, 4] - flow.v[0, 7])
    assert current["l0", "from", "a"] == pytest.approx(drawn, abs=1e-6)
    assert current["l0", "to", "n"] == pytest.approx(drawn, abs=1e-6)
    assert abs(current["l0", "from", "b"]) < 1e-6


def test_capacitance_alone_draws_its_current() -> None:
    half = 1e-3j
    v = solve(make_street([], shunt=half))
    assert v[4] == pytest.approx(V / (1 + R * half), abs=1e-9)


def test_one_source_impedance_of_zero_holds_that_sequence_alone() -> None:
    stiff = make_street([(4, 7)])
    soft = stiff._replace(sources=(stiff.sources[0]._replace(impedance=np.array([0.3, 0.0, 0.2 + 0.1j])),))
    v = solve(soft, 3.0)
    sequences = np.linalg.inv(TO_PHASES) @ v[:3]
    current = np.conj(3000.0 / (v[4] - v[7])) / 3.0  # of each sequence, drawn from phase a
    assert sequences == pytest.approx(np.array([-0.3 * current, V, -(0.2 + 0.1j) * current]), abs=1e-6)


@pytest.mark.parametrize(("share", "solved"), [(0.9999, True), (1.0001, False)])
def test_collapse_is_found_where_it_is(share: float, solved: bool) -> None:
    largest_kw = V**2 / (4 * 2 * R) / 1000.0
    flow = PhasePowerFlow(make_street([(4, 7)])).solve(np.array([[share * largest_kw], [1.0]]))
    assert flow.converged.tolist() == [solved, True]
    assert np.isfinite(flow.v[0]).all() == solved
    assert np.isfinite(flow.current_a[0]).all() == solved
    assert (flow.iterations[0] > 0) == solved


@pytest.mark.parametrize("n_buses", [3, 300])  # as many side by side as there are, and half as many
def test_an_interval_does_not_depend_on_those_beside_it(n_buses: int) -> None:
    engine = PhasePowerFlow(make_street([(4, 7), (5, 7), (8, 9)], n_buses=n_buses))
    rng = np.random.default_rng(0)
    powers = rng.uniform(-4.0, 4.0, (70, 3)) + 1j * rng.uniform(-1.0, 1.0, (70, 3))
    powers[5] *= 1000.0
    together = engine.solve(powers)
    assert not together.converged[5]
    for k in (0, 5, 31, 32, 69):
        alone = engine.solve(powers[k : k + 1])
        assert np.array_equal(alone.v[0], together.v[k], equal_nan=True)
        assert np.array_equal(alone.current_a[0], together.current_a[k], equal_nan=True)


def test_many_ports_are_solved_by_sweeps_to_the_same() -> None:
    ports = [(4 * bus + phase, 4 * bus + 3) for bus in range(1, 40) for phase in range(3)]
    circuit = make_street(ports, n_buses=40)
    powers = np.random.default_rng(1).uniform(0.0, 0.002, len(ports))
    few = np.zeros(len(ports), bool)
    few[::20] = True
    by_sweeps = PhasePowerFlow(circuit).solve(np.where(few, powers * 20, 0.0)[None])
    fewer = circuit._replace(port_from=circuit.port_from[few], port_to=circuit.port_to[few])
    by_ports = PhasePowerFlow(fewer).solve(powers[few][None] * 20)
    assert by_sweeps.converged.all()
    assert np.abs(by_sweeps.v - by_ports.v).max() < 1e-9 * V


def test_no_ports_are_no_load() -> None:
    assert solve(make_street([])) == pytest.approx(np.tile([*(V * TO_PHASES[:, 1]), 0.0], 2))


def test_powers_of_another_shape_are_refused() -> None:
    with pytest.raises(GridError, match=r"expected powers of shape \(K, 1\), got \(1, 2\)"):
        PhasePowerFlow(make_street([(4, 7)])).solve(np.zeros((1, 2)))


def test_a_neutral_without_earth_is_refused_by_name() -> None:
    with pytest.raises(GridError, match=r"bus b0, conductor n: expected a way to earth"):
        PhasePowerFlow(make_street([(4, 7)], earthed=()))


def test_a_bus_without_supply_is_refused_by_name() -> None:
    circuit = make_street([(4, 7)])
    with pytest.raises(GridError, match=r"conductor n: expected lines or transformers from a source"):
        PhasePowerFlow(circuit._replace(branches=()))


def test_a_load_between_phase_and_earth_needs_no_neutral() -> None:
    v = solve(make_street([(4, EARTH)]), 2.2)
    assert v[4] == pytest.approx(V / 2 + np.sqrt(V**2 / 4 - R * 2200.0), abs=1e-9)


def test_what_enters_a_line_without_capacitance_leaves_it() -> None:
    powers = np.array([[2.2 + 1.0j, 3.0], [100.0, 0.0]])
    for shunt, n_buses in ((0.0, 3), (1e-6j, 3), (0.0, 40)):
        circuit = make_street([(8, 11), (5, 6)], n_buses=n_buses, shunt=shunt)
        engine = PhasePowerFlow(circuit)
        flow = engine.solve(powers)
        for k, branch in enumerate(circuit.branches):
            expected = flow.v[0, branch.node] @ branch.admittance.T
            assert flow.current_a[0, 8 * k : 8 * k + 8] == pytest.approx(expected, abs=1e-9)
        assert np.isnan(flow.current_a[1]).all()
