"""Laws: whatever share of the exchanges is delivered, energy and money balance to the last unit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.delivery.redispatch import deliver, deliver_nothing, find_curtailable
from cosim.delivery.window import InputSeries, make_orders_at
from market.exchanges import Kind, Reason, Status
from market.mechanisms import BUILT_IN, clear
from market.rules import Rules
from market.settlement import find_imbalance, settle
from market.state import make_opening_state
from market.storage import Ratings

MECHANISMS = sorted(set(BUILT_IN) - {"none"})


def _case(seed: int, n: int, mechanism: str, feed_in: int):
    rng = np.random.default_rng(seed)
    capacity = rng.integers(0, 8000, n)
    ratings = Ratings(
        capacity // 10,
        capacity * 9 // 10,
        rng.integers(1, 4000, n),
        rng.integers(1, 4000, n),
        rng.integers(700_000, 1_000_001, n),
        rng.integers(700_000, 1_000_001, n),
        rng.integers(0, 1000, n),
    )
    supply = InputSeries(
        rng.integers(0, 2500, (40, n)),
        rng.integers(0, 2, (40, n)) * rng.integers(0, 6000, (40, n)),
        np.zeros((40, n), np.int64),
        rng.integers(10_000, 300_000, 40),
    )
    kind = BUILT_IN[mechanism]
    rules = Rules(
        mechanism=kind.code,
        battery=int(kind.uses_battery),
        fee_permille=100 * kind.charges_fee,
        feed_in=feed_in,
        tau_intervals=5,
        seed=seed,
    )
    wallets = rng.integers(0, 2_000_000_000, n)
    return supply, rules, make_opening_state(ratings.soc_min_wh, wallets, ratings), rng


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(2, 9),
    mechanism=st.sampled_from(MECHANISMS),
    feed_in=st.integers(0, 1),
)
def test_any_delivery_conserves_energy_and_money(seed: int, n: int, mechanism: str, feed_in: int) -> None:
    supply, rules, state, rng = _case(seed, n, mechanism, feed_in)
    for t in range(40):
        orders, before = make_orders_at(supply, t, t, state, rules)
        rows = clear(orders, before, rules).rows
        share = rng.choice([0.0, 1.0, 0.5, rng.random()], rows.size)
        cut = find_curtailable(rows)
        delivered = np.where(cut, np.floor(share * rows["cleared_wh"]), rows["cleared_wh"]).astype(np.int64)
        nothing_shed = np.zeros(n, np.int64)
        delivery = deliver(orders, before, rows, delivered, nothing_shed, int(Reason.OVERVOLTAGE), 3)
        imported = np.zeros(n, np.int64)
        is_import = delivery.rows["kind"] == Kind.GRID_IMPORT
        np.add.at(imported, delivery.rows["buyer"][is_import], delivery.rows["delivered_wh"][is_import])
        shed = (rng.integers(0, 2, n) * imported * rng.random()).astype(np.int64)
        delivery = deliver(orders, before, rows, delivered, shed, int(Reason.UNDERVOLTAGE), 3)
        settlement = settle(delivery, orders, before, rules)
        assert find_imbalance(settlement, before) == -1
        assert (settlement.meters["shed_wh"] == shed).all()
        touched = cut & (delivered < rows["cleared_wh"])
        assert (settlement.rows["reason"][: rows.size][touched] == Reason.UNDERVOLTAGE).all()
        assert (settlement.rows["status"][: rows.size][touched] != Status.ACCEPTED).all()
        exported = settlement.rows[settlement.rows["kind"] == Kind.GRID_EXPORT]
        assert (exported["delivered_wh"] <= exported["cleared_wh"]).all()
        state = settlement.state


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), mechanism=st.sampled_from(MECHANISMS))
def test_a_feeder_switched_off_settles_nothing(seed: int, mechanism: str) -> None:
    supply, rules, state, _ = _case(seed, 5, mechanism, 1)
    for t in range(10):
        orders, before = make_orders_at(supply, t, t, state, rules)
        rows = clear(orders, before, rules).rows
        off = settle(deliver_nothing(orders, rows, int(Reason.NOT_SOLVED), -4), orders, before, rules)
        assert find_imbalance(off, before) == -1
        assert (off.rows["amount_neur"] == 0).all()
        assert (off.state.own_wh == before.own_wh).all()
        assert (off.meters["shed_wh"] == off.meters["load_wh"]).all()
        state = settle(deliver_nothing(orders, rows, 0, -4), orders, before, rules).state
