"""The contract Batch agrees with the market in Python to the Wh and nEUR, whatever the network admits."""

from __future__ import annotations

import numpy as np
import pytest
from evm_batch import MECHANISMS, EvmBatch, bring, deliver_some, delivered_of, make_case
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.delivery.compensation import with_compensation
from cosim.delivery.window import make_orders_at
from market.mechanisms import clear
from market.settlement import settle


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


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), mechanism=st.sampled_from(MECHANISMS), n=st.integers(2, 12))
def test_a_random_community_settles_equally(seed: int, mechanism: str, n: int) -> None:
    run_beside(seed, mechanism, n, 8)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(seed=st.integers(0, 2**31), mechanism=st.sampled_from(MECHANISMS), n=st.integers(2, 30))
def test_five_hundred_random_communities_settle_equally(seed: int, mechanism: str, n: int) -> None:
    run_beside(seed, mechanism, n, 6)
