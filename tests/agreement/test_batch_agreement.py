"""The contract Batch agrees with the market in Python to the Wh and nEUR, whatever the network admits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from evm_batch import EvmBatch, bring, deliver_some, delivered_of, make_case
from hypothesis import given, settings
from hypothesis import strategies as st
from rural_houses import MECHANISMS

from cosim.case.case import build_market
from cosim.delivery.compensation import with_compensation
from cosim.delivery.window import make_orders_at
from cosim.scenario.files import load_scenario
from cosim.simulation.simulate import run
from market.contract.batch import digest_verdict, find_battery_changes, pack_delivery
from market.exchanges import EXCHANGE, METER, Kind, Rows
from market.ledger.format.records import RecordKind
from market.ledger.store.store import Store
from market.mechanisms import clear
from market.settlement import Delivery, settle


def run_beside(seed: int, mechanism: str, n: int, hours: int) -> None:
    supply, rules, state = make_case(seed, mechanism, n, hours)
    rng = np.random.default_rng([seed, 1])
    compensation = int(rng.choice([0, 90_000]))
    contract = EvmBatch(rules, state, compensation=compensation)
    for t in range(hours):
        orders, before = make_orders_at(supply, t, t, state, rules)
        delivery, off = deliver_some(orders, before, clear(orders, before, rules).rows, rng)
        if not off:
            delivery = with_compensation(delivery, compensation)
        settlement = settle(delivery, orders, before, rules)
        bring(contract, state, orders, settlement, delivered_of(orders, settlement, off))
        state = settlement.state


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), mechanism=st.sampled_from(MECHANISMS), n=st.integers(2, 12))
def test_a_random_community_settles_equally(seed: int, mechanism: str, n: int) -> None:
    run_beside(seed, mechanism, n, 8)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(seed=st.integers(0, 2**31), mechanism=st.sampled_from(MECHANISMS), n=st.integers(2, 30))
def test_five_hundred_random_communities_settle_equally(seed: int, mechanism: str, n: int) -> None:
    run_beside(seed, mechanism, n, 6)


def read_intervals(ledger: Path) -> Iterator[tuple[Rows, Rows, bytes]]:
    """Exchanges, meters and the verdict's record of each interval of a ledger."""
    with Store.open_to_read(ledger) as store:
        for group in store.groups():
            for block in group:
                records = np.frombuffer(block.records, np.uint8).reshape(-1, EXCHANGE.itemsize)
                kinds = records[:, 0]
                if (kinds == Kind.METER).any():
                    exchanges = records[kinds < Kind.METER].reshape(-1).view(EXCHANGE)
                    meters = records[kinds == Kind.METER].reshape(-1).view(METER)
                    yield exchanges, meters, records[kinds == RecordKind.VERDICT].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_curtailed_stretch_of_a_recorded_run_settles_equally(tmp_path: Path, mechanism: str) -> None:
    scenario = load_scenario("stressed").with_changes(
        houses={"wallet_eur": 2.0, "production_ratio": 4.0},  # of these hours, nearly all of them light
        market={"mechanism": mechanism},
        horizon={"start": "2017-06-18T06:00:00", "hours": 16},
        curtailment={"compensation_eur_per_kwh": 0.09},
    )
    run(scenario, tmp_path / "run")
    case = build_market(scenario)
    state, n_curtailed, kinds = case.opening, 0, set()
    contract = EvmBatch(case.rules, state, compensation=90_000)
    for t, (rows, meters, verdict) in enumerate(read_intervals(tmp_path / "run")):
        orders, before = make_orders_at(case.inputs, t, t, state, case.rules)
        delivered = pack_delivery(orders, rows, meters, digest_verdict(verdict))
        settlement = settle(Delivery(rows, *find_battery_changes(orders, rows, meters)), orders, before, case.rules)
        assert settlement.rows.tobytes() == rows.tobytes()
        bring(contract, state, orders, settlement, delivered)
        n_curtailed += bool(delivered.cuts)
        kinds |= set(rows["kind"].tolist())
        state = settlement.state
    assert t == 15
    assert n_curtailed > 5
    assert {Kind.LOSS, Kind.COMPENSATION} <= kinds
