"""The contract Market beside a run's market in Python: the default profiles, in this process and on an anvil."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from anvil_market import OPTIONS, AnvilMarket
from chain_world import needs_tools, running_anvil
from contract_market import run_beside

from cosim.case.case import build_market
from cosim.delivery.window import InputSeries
from cosim.scenario.files import load_scenario
from market.rules import Rules
from market.state import State

ON_CHAIN = ("trading", "trading_battery", "sharing_central", "sharing_p2p")
FIRST_OF_MAY = 24 * 120
every_mechanism = pytest.mark.parametrize("name", ON_CHAIN)


def rural_market(name: str, first: int, n_intervals: int) -> tuple[InputSeries, State, Rules]:
    """The default scenario by a mechanism, some hours of its year; every third house has little money."""
    case = build_market(load_scenario("rural").with_changes(market={"mechanism": name}))
    supply = InputSeries(*(column[first : first + n_intervals] for column in case.inputs[:4]))
    poor = np.arange(case.opening.wallet_neur.size) % 3 == 0
    return supply, case.opening._replace(wallet_neur=np.where(poor, 10**8, case.opening.wallet_neur)), case.rules


@pytest.mark.slow
@every_mechanism
def test_contract_and_python_agree_on_the_default_profiles(name: str) -> None:
    """Three weeks of spring; `tests/benchmarks/contract.py` runs the whole year."""
    revm_market = pytest.importorskip("evm_market", reason="pyrevm: not installed, it has no wheel for this Python")
    supply, state, rules = rural_market(name, FIRST_OF_MAY, 504)
    _, n_lots = run_beside(revm_market.EvmMarket(rules, state), supply, state)
    assert (n_lots > 300) == name.startswith("sharing")


@pytest.mark.slow
@needs_tools
@every_mechanism
def test_contract_and_python_agree_on_an_anvil(name: str, tmp_path: Path) -> None:
    """Two days through JSON-RPC; the orders of an hour come in any order."""
    supply, state, rules = rural_market(name, FIRST_OF_MAY, 48)
    with running_anvil(tmp_path, *OPTIONS) as anvil, closing(AnvilMarket(anvil.url, rules, state)) as contract:
        run_beside(contract, supply, state)
