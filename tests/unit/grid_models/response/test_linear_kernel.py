"""Twin of the differentiated power flow: the whole linear system in real numbers, solved densely."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.kernel import LANES
from grid_models.response.linear_kernel import factorise, multiply_factors, solve_linear

HOUSES = ["a", "b", "c", "d", "e"]


def meshed_with_phase_shift() -> Feeder:
    """A ring behind a transformer that turns the angle: its admittance matrix is not symmetric."""
    feeder = make_radial_feeder(HOUSES, n_branches=2, rng=np.random.default_rng(3))
    net = deepcopy(feeder.net)
    far, other = net.line.to_bus.iloc[-1], net.line.to_bus.iloc[0]
    pp.create_line(net, int(far), int(other), 0.1, "NAYY 4x50 SE")
    middle = pp.create_bus(net, 0.4)
    pp.create_transformer_from_parameters(
        net, int(far), middle, 0.1, 0.4, 0.4, vkr_percent=1.0, vk_percent=4.0, pfe_kw=0.1, i0_percent=0.2,
        shift_degree=30.0,
    )  # fmt: skip
    pp.create_line(net, middle, int(other), 0.1, "NAYY 4x50 SE")
    bus = feeder.bus.copy()
    bus[0] = middle
    return replace(feeder, net=net, bus=bus)


def one_line() -> Feeder:
    """One bus of unknown voltage behind a line of 1 pu, whose admittance has no rounding."""
    net = pp.create_empty_network()
    grid, home = pp.create_buses(net, 2, 0.4)
    pp.create_ext_grid(net, grid)
    pp.create_line_from_parameters(net, grid, home, 1.0, 0.0, 0.16, 0.0, 0.2)
    pp.create_load(net, home, 0.001)
    return replace(ENGINES["cigre"].feeder, net=net, bus=np.full(len(HOUSES), home), name="one line")


def cigre() -> Feeder:
    return make_named_feeder("cigre_lv", HOUSES, seed=2)


ENGINES = {make.__name__: PowerFlow(make()) for make in (meshed_with_phase_shift, cigre)}


def dense_twin(engine: PowerFlow, d: np.ndarray) -> np.ndarray:
    """(2n, 2n) over rows of the factors by buses in their solution's order; real parts first, then imaginary ones."""
    network, m = engine.network, engine.matrices
    assert network is not None
    n = network.inverse_diagonal.shape[0]
    lower, upper = np.eye(n, dtype=complex), np.zeros((n, n), complex)
    for j in range(n):
        upper[j, j] = 1.0 / complex(*network.inverse_diagonal[j])
        for k in range(network.lower_start[j], network.lower_start[j + 1]):
            lower[network.lower_row[k], j] = complex(*network.lower[k])
        for k in range(network.upper_start[j], network.upper_start[j + 1]):
            upper[network.upper_row[k], j] = complex(*network.upper[k])
    y, diagonal = lower @ upper, np.zeros((n, n), complex)
    # The factors are those of pandapower's matrix, with its rows in another order.
    known = np.argsort(engine.position)[:n]
    pandapower = m.y_bus[known][:, known].toarray()
    for i in range(network.node.size):
        np.testing.assert_allclose(y[network.rhs_row[i]], pandapower[network.node[i]], rtol=0, atol=1e-6)
        diagonal[network.rhs_row[i], network.node[i]] = complex(*d[i])
    return np.block(
        [[y.real + diagonal.real, diagonal.imag - y.imag], [y.imag + diagonal.imag, y.real - diagonal.real]]
    )


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("name", ENGINES)
@given(seed=st.integers(0, 1000), lanes=st.sampled_from([1, 7, LANES, LANES + 3]), share=st.floats(0.0, 0.5))
def test_it_is_the_solution_of_the_whole_system(name: str, adjoint: bool, seed: int, lanes: int, share: float) -> None:
    network = ENGINES[name].network
    assert network is not None
    rng, n = np.random.default_rng(seed), network.inverse_diagonal.shape[0]
    weakest = np.abs(1.0 / network.inverse_diagonal.view(complex)).min()
    d = share * weakest / network.node.size * rng.normal(size=(network.node.size, 2))
    y = rng.normal(size=(n, 2, lanes))
    matrix = dense_twin(ENGINES[name], d)
    expected = np.linalg.solve(matrix.T if adjoint else matrix, np.concatenate([y[:, 0], y[:, 1]]))
    found = solve_linear(network, factorise(network, multiply_factors(network), d), y, adjoint)
    assert not np.isnan(found).any()
    np.testing.assert_allclose(
        np.concatenate([found[:, 0], found[:, 1]]), expected, rtol=0, atol=1e-9 * np.abs(expected).max()
    )


@pytest.mark.parametrize("adjoint", [False, True])
def test_a_lane_is_the_same_whatever_is_solved_beside_it(adjoint: bool) -> None:
    network = ENGINES["cigre"].network
    assert network is not None
    rng = np.random.default_rng(5)
    factors = factorise(network, multiply_factors(network), rng.normal(size=(network.node.size, 2)))
    y = rng.normal(size=(network.inverse_diagonal.shape[0], 2, LANES + 3))
    beside = solve_linear(network, factors, y, adjoint)
    for lane in (0, LANES - 1, LANES + 1):
        alone = solve_linear(network, factors, y[:, :, lane : lane + 1].copy(), adjoint)
        assert np.array_equal(beside[:, :, lane], alone[:, :, 0])


@pytest.mark.parametrize("adjoint", [False, True])
def test_a_singular_system_has_no_numbers(adjoint: bool) -> None:
    """Of one bus behind one line, with D = |Y|: the nose of its curve."""
    network = PowerFlow(one_line()).network
    assert network is not None
    columns = multiply_factors(network)
    assert columns.y.shape == (1, 2)
    d = np.array([[float(np.hypot(*columns.y[0])), 0.0]])
    y = np.ones((1, 2, 3))
    assert np.isnan(solve_linear(network, factorise(network, columns, d), y, adjoint)).all()
    assert np.isfinite(solve_linear(network, factorise(network, columns, 0.99 * d), y, adjoint)).all()
