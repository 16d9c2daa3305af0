"""Local prices against differences of the least cost, found anew with more load at a node and with less.

Found by the same successive programmes at every node, and by an independent search on whole AC power flows::

    medium voltage --(transformer)--o--h--h--h--h        one cable, two, or a ring of two
"""

from __future__ import annotations

import numpy as np
import pytest
from naive_prices import make_congested, nodes_of, price_by_optimum, price_by_search

from cosim.case.case import build_case
from cosim.prices.local_prices import list_cleared, prepare_interval
from cosim.prices.nodes import make_nodes
from cosim.prices.optimum import Optimum, Sought, find_optimum
from cosim.prices.parts import NodePrices, find_node_prices
from cosim.prices.resources import Costs
from cosim.scenario.model import Scenario
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.runpp import solve_by_runpp
from market.exchanges import UEUR_PER_EUR

pytestmark = pytest.mark.slow

CASES = make_congested()


def _price(sought: Sought) -> tuple[Optimum, NodePrices]:
    optimum = find_optimum(sought)
    assert isinstance(optimum, Optimum), optimum
    return optimum, find_node_prices(sought, optimum, nodes_of(sought))


def _assert_within_a_per_cent(price_ueur: int, expected_eur: float) -> None:
    assert price_ueur / UEUR_PER_EUR == pytest.approx(expected_eur, rel=0.01, abs=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_prices_of_all_nodes_are_differences_of_the_least_cost(name: str) -> None:
    sought = CASES[name]
    nodes, (_, prices) = nodes_of(sought), _price(sought)
    assert prices.limit.size
    for node, price in enumerate(prices.price.tolist()):
        _assert_within_a_per_cent(price, price_by_optimum(sought, nodes, node))


@pytest.mark.parametrize("name", CASES)
def test_an_independent_search_finds_the_same_prices(name: str) -> None:
    sought = CASES[name]
    nodes, (optimum, prices) = nodes_of(sought), _price(sought)
    for node in range(1, nodes.column.size, 2):
        found = price_by_search(sought, nodes, node, nodes.engine.solve, 0.9 * optimum.x)
        _assert_within_a_per_cent(int(prices.price[node]), found)


def test_and_so_it_does_where_pandapower_solves_the_power_flow() -> None:
    sought = CASES["evening: lowest voltage"]
    nodes, (optimum, prices) = nodes_of(sought), _price(sought)
    node = int(prices.price.argmax())

    def solve(p_kw: np.ndarray, q_kvar: np.ndarray) -> Flow:
        return solve_by_runpp(nodes.engine.feeder, p_kw, q_kvar)

    found = price_by_search(sought, nodes, node, solve, 0.9 * optimum.x)
    _assert_within_a_per_cent(int(prices.price[node]), found)


def test_prices_of_phases_are_differences_of_the_least_cost() -> None:
    """An hour of the default community in which cars wait since one phase would be too low."""
    case = build_case(Scenario.load("default").with_changes(horizon={"hours": 2}))
    _, problem = next(list_cleared(case, 1, 1))
    assert problem is not None
    sought = prepare_interval(problem, Costs())
    optimum = find_optimum(sought)
    assert isinstance(optimum, Optimum)
    nodes = make_nodes(case.feeder, np.arange(len(case.feeder.net.bus)))
    prices = find_node_prices(sought, optimum, nodes)
    assert prices.limit.size == 1
    for node in np.argsort(prices.congestion)[[0, nodes.column.size // 2, -1]].tolist():
        _assert_within_a_per_cent(int(prices.price[node]), price_by_optimum(sought, nodes, node))
