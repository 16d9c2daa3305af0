"""Laws of the market over long random runs: who is served, what it costs, and that nothing appears or vanishes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_scenes import ideal_ratings

from cosim.delivery.window import InputSeries, Window, make_orders_at, settle_window
from market.admission import check_clearing
from market.exchanges import CONTRACT, EXCHANGE, GRID, NOBODY, Kind, Reason, Rows, Status
from market.mechanisms import BUILT_IN, clear
from market.orders import Orders
from market.pricing import feed_in_tariff
from market.rules import Arrival, Pricing, Rules
from market.settlement import Delivery, find_imbalance, settle
from market.state import Lots, State, make_opening_state
from market.storage import Ratings, drawn_wh, stored_wh

N_INTERVALS = 96
SHARED = (Kind.SHARE_USE, Kind.SHARE_STORE)


def ratings_of(rng: np.random.Generator, n: int, ideal: bool) -> Ratings:
    capacity = rng.integers(0, 9000, n)
    if ideal:
        return ideal_ratings(capacity)
    return Ratings(
        capacity // 10,
        capacity * 9 // 10,
        rng.integers(0, 4000, n),
        rng.integers(0, 4000, n),
        rng.integers(700_000, 1_000_001, n),
        rng.integers(700_000, 1_000_001, n),
        rng.choice([0, 300, 30_000], n),
    )


def market(seed: int, n: int, name: str, ideal: bool) -> tuple[InputSeries, State, Rules]:
    """A random market: sunny and dark hours, rich and poor houses, dear and free energy, every rule."""
    rng = np.random.default_rng(seed)
    shape = (N_INTERVALS, n)
    supply = InputSeries(
        rng.integers(0, 2500, shape),
        rng.integers(0, 2, (N_INTERVALS, 1)) * rng.integers(0, 2, n) * rng.integers(0, 6000, shape),
        rng.integers(0, 2, n) * rng.integers(0, 300, shape),
        rng.integers(0, 300_000, N_INTERVALS) * (rng.random(N_INTERVALS) > 0.05),
    )
    mechanism = BUILT_IN[name]
    rules = Rules(
        mechanism=mechanism.code,
        battery=int(mechanism.uses_battery),
        pricing=int(rng.choice(list(Pricing))),
        fixed_price_ueur_per_kwh=int(rng.integers(0, 300_000)),
        feed_in_numerator=int(rng.integers(0, 4)),
        feed_in=int(rng.integers(0, 2)),
        fee_permille=int(rng.integers(0, 1001)) * mechanism.charges_fee,
        beta_permille=int(rng.integers(1, 1000)),
        selfish_beta_permille=int(rng.integers(0, 1000)),
        tau_intervals=int(rng.integers(1, 20)),
        arrival=int(rng.choice(list(Arrival))),
        seed=seed % 1000,
        feed_in_ueur_per_kwh=int(rng.choice([-1, 0, 90_000, 400_000])),
    )
    ratings = ratings_of(rng, n, ideal)
    wallets = rng.integers(0, 2, n) * rng.integers(0, 5_000_000_000, n)
    return supply, make_opening_state(ratings.soc_min_wh, wallets, ratings), rules


every_mechanism = pytest.mark.parametrize("name", list(BUILT_IN))
some_markets = given(seed=st.integers(0, 2**31), n=st.integers(1, 12), ideal=st.booleans())
few = settings(max_examples=15)


def rows_of(window: Window, k: int) -> Rows:
    return window.rows[window.offsets[k] : window.offsets[k + 1]]


def total(rows: Rows, end: str, kinds: tuple[Kind, ...], n: int) -> np.ndarray:
    """Delivered Wh per house at that end of exchanges of these kinds, (n,)."""
    chosen = rows[np.isin(rows["kind"], [int(kind) for kind in kinds]) & (rows[end] >= 0)]
    return np.bincount(chosen[end], chosen["delivered_wh"], n).astype(np.int64)


@every_mechanism
@few
@some_markets
def test_every_order_is_answered_once_within_everybodys_means(name: str, seed: int, n: int, ideal: bool) -> None:
    """need = bought + shared + imported; offer = sold + shared + exported + spilled; and all that `admitted` asks."""
    supply, state, rules = market(seed, n, name, ideal)
    for t in range(N_INTERVALS):
        orders, before = make_orders_at(supply, t, t, state, rules)
        clearing = check_clearing(name, clear(orders, before, rules), orders, before)
        rows = clearing.rows
        served = total(rows, "buyer", (Kind.P2P, Kind.LOT_SALE, Kind.SHARE_USE, Kind.GRID_IMPORT), n)
        handed = total(rows, "seller", (Kind.P2P, *SHARED, Kind.GRID_EXPORT, Kind.SPILL), n)
        assert (served == orders.need_wh).all()
        assert (handed == orders.offer_wh).all()
        state = settle(Delivery(rows, *np.zeros((2, n), np.int64)), orders, before, rules).state


@every_mechanism
@few
@some_markets
def test_prices_lie_between_feed_in_tariff_and_utility_price(name: str, seed: int, n: int, ideal: bool) -> None:
    """One price for all trades of an interval; only an owner that draws its own lot, or a share P2P, is free."""
    supply, state, rules = market(seed, n, name, ideal)
    window = settle_window(supply, 0, N_INTERVALS, state, rules)
    for k in range(N_INTERVALS):
        utility = int(supply.utility_ueur_per_kwh[k])
        feed_in = feed_in_tariff(utility, rules)
        assert feed_in <= window.price_ueur_per_kwh[k] <= utility
        rows = rows_of(window, k)
        free = (rows["kind"] == Kind.LOT_SALE) & (rows["seller"] == rows["buyer"])
        traded = rows[np.isin(rows["kind"], [Kind.P2P, Kind.LOT_SALE]) & ~free]
        assert (rows["price_ueur_per_kwh"][free] == 0).all()
        assert np.unique(traded["price_ueur_per_kwh"]).size <= 1
        assert (traded["price_ueur_per_kwh"] >= feed_in).all()
        assert (traded["price_ueur_per_kwh"] <= utility).all()


@every_mechanism
@few
@some_markets
def test_money_moves_but_is_never_made(name: str, seed: int, n: int, ideal: bool) -> None:
    """Wallets, accounts and pools sum to the same in every interval; wallets and the contract never owe."""
    supply, state, rules = market(seed, n, name, ideal)
    window = settle_window(supply, 0, N_INTERVALS, state, rules)
    money = window.accounts[:, : 2 * n + 3]
    assert (money.sum(axis=1) == state.wallet_neur.sum()).all()
    wallets, contract = money[:, :n], money[:, 2 * n + 1]
    assert (wallets >= 0).all()
    assert (contract >= 0).all()
    rows = window.rows[: window.offsets[-1]]
    paid = rows["amount_neur"][np.isin(rows["kind"], [int(kind) for kind in SHARED])].sum()
    earned = rows["amount_neur"][(rows["kind"] == Kind.LOT_SALE) & (rows["seller"] == CONTRACT)].sum()
    assert contract[-1] == rows["fee_neur"].sum() + earned - paid
    assert (rows["amount_neur"] == rows["delivered_wh"] * rows["price_ueur_per_kwh"]).all()


@every_mechanism
@few
@some_markets
def test_energy_is_conserved_in_every_house_and_over_all(name: str, seed: int, n: int, ideal: bool) -> None:
    supply, state, rules = market(seed, n, name, ideal)
    window = settle_window(supply, 0, N_INTERVALS, state, rules)
    m = {column: window.meters[column].astype(np.int64) for column in window.meters.dtype.names}
    into = m["pv_wh"] + m["fuel_cell_wh"] + m["discharge_wh"] + m["bought_wh"] + m["imported_wh"]
    out = m["load_wh"] - m["shed_wh"] + m["charge_wh"] + m["sold_wh"] + m["exported_wh"] + m["spilled_wh"]
    assert (into == out).all()
    assert (m["bought_wh"].sum(axis=1) == m["sold_wh"].sum(axis=1)).all()
    assert (m["load_wh"] == supply.load_wh).all()
    assert (m["pv_wh"] == supply.pv_wh).all()
    assert window.unbalanced.tolist() == [-1, -1]


@every_mechanism
@few
@some_markets
def test_batteries_never_make_energy(name: str, seed: int, n: int, ideal: bool) -> None:
    """State of charge grows by charge - discharge without losses, and by no more with them; it keeps its bounds."""
    supply, state, rules = market(seed, n, name, ideal)
    window = settle_window(supply, 0, N_INTERVALS, state, rules)
    m = {column: window.meters[column].astype(np.int64) for column in window.meters.dtype.names}
    charge = m["own_wh"] + m["hosted_wh"]
    growth = np.diff(charge, axis=0, prepend=state.own_wh[None, :])
    assert (growth <= m["charge_wh"] - m["discharge_wh"]).all()
    if ideal:
        assert (growth == m["charge_wh"] - m["discharge_wh"]).all()
    assert (m["own_wh"] >= 0).all()
    assert (charge <= state.ratings.soc_max_wh).all()
    assert (charge[m["discharge_wh"] > 0] >= np.broadcast_to(state.ratings.soc_min_wh, charge.shape)[
        m["discharge_wh"] > 0
    ]).all()  # fmt: skip
    assert (m["charge_wh"] <= state.ratings.max_charge_wh).all()
    assert (m["discharge_wh"] <= state.ratings.max_discharge_wh).all()


@every_mechanism
@few
@some_markets
def test_lots_are_sold_at_most_once_while_they_live(name: str, seed: int, n: int, ideal: bool) -> None:
    """Every lot replayed from the exchanges alone: what it held, who sold it, when, and what was left of it."""
    supply, state, rules = market(seed, n, name, ideal)
    window = settle_window(supply, 0, N_INTERVALS, state, rules)
    ratings, held = state.ratings, {}
    for k in range(N_INTERVALS):
        for row in rows_of(window, k):
            lot, host, wh = int(row["lot"]), int(row["host"]), int(row["delivered_wh"])
            if row["kind"] == Kind.SHARE_STORE:
                assert lot not in held
                held[lot] = [int(row["buyer"]), host, stored_wh(wh, ratings.charge_ppm[host]), k]
            elif row["kind"] == Kind.LOT_SALE:
                owner, its_host, content, made = held[lot]
                assert (int(row["seller"]), host) == (owner, its_host)
                assert made < k < made + rules.tau_intervals
                held[lot][2] = content - drawn_wh(wh, ratings.discharge_ppm[host])
                assert held[lot][2] >= 0
        hosted: dict[int, int] = defaultdict(int)
        for _, host, content, made in held.values():
            hosted[host] += content if k < made + rules.tau_intervals else 0
        # A lot that falls due at k + 1 still lies there as hosted after k.
        assert window.accounts[k, 3 * n + 3 :].tolist() == [hosted[i] for i in range(n)]


@few
@some_markets
def test_window_is_its_two_halves_one_after_the_other(seed: int, n: int, ideal: bool) -> None:
    supply, state, rules = market(seed, n, "sharing_hybrid", ideal)
    whole = settle_window(supply, 0, N_INTERVALS, state, rules)
    cut = seed % (N_INTERVALS - 1) + 1
    early = settle_window(InputSeries(*(x[:cut] for x in supply[:5])), 0, cut, state, rules)
    late = settle_window(InputSeries(*(x[cut:] for x in supply[:5])), cut, N_INTERVALS - cut, early.state, rules)
    both = np.concatenate([early.rows[: early.offsets[-1]], late.rows[: late.offsets[-1]]])
    assert both.tobytes() == whole.rows[: whole.offsets[-1]].tobytes()
    assert (late.accounts[-1] == whole.accounts[-1]).all()


# ------------------------------------------------------------------------------------------------- who is called what


def renamed(supply: InputSeries, state: State, new: np.ndarray) -> tuple[InputSeries, State]:
    """The same houses in another order: house i is called new[i]."""
    old = np.argsort(new)
    lots = state.lots
    named = np.append(new, [CONTRACT])  # index -1: the contract keeps its name
    owner = np.where(lots.owner >= 0, named[lots.owner], lots.owner)
    return (
        InputSeries(*(x[:, old].copy() for x in supply[:3]), supply.utility_ueur_per_kwh),
        State(
            state.own_wh[old],
            state.wallet_neur[old],
            state.account_neur[old],
            state.pools_neur,
            Lots(lots.lot, owner, new[lots.host], lots.stored_wh, lots.expiry),
            Ratings(*(column[old] for column in state.ratings)),
            state.tally,
            state.flexible,
        ),
    )


def lively_state(supply: InputSeries, state: State, rules: Rules, t: int) -> State:
    """State after t intervals of sharing: batteries charged, wallets uneven, lots alive."""
    return settle_window(supply, 0, t, state, rules).state


@every_mechanism
@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 12))
def test_names_do_not_matter_for_balance_price_and_volume(name: str, seed: int, n: int) -> None:
    """Own balance and role move with the house; the price and what is traded in total stay."""
    supply, state, rules = market(seed, n, "sharing_p2p", ideal=True)
    t = seed % (N_INTERVALS // 2)
    state = lively_state(supply, state, rules, t)
    rules = rules._replace(mechanism=BUILT_IN[name].code, battery=int(BUILT_IN[name].uses_battery))
    new = np.random.default_rng(seed).permutation(n)
    results: list[tuple[Orders, Rows]] = []
    for some_supply, some_state in ((supply, state), renamed(supply, state, new)):
        orders, before = make_orders_at(some_supply, t, t, some_state, rules)
        results.append((orders, clear(orders, before, rules).rows))
    (orders, rows), (orders_renamed, rows_renamed) = results
    for column in ("offer_wh", "need_wh", "requests", "asks_share", "charge_wh", "discharge_wh"):
        assert (getattr(orders_renamed, column)[new] == getattr(orders, column)).all()
    assert orders_renamed.price_ueur_per_kwh == orders.price_ueur_per_kwh
    if name == "double_auction":
        return  # bids belong to names
    traded, traded_renamed = (
        int(r["cleared_wh"][np.isin(r["kind"], [Kind.P2P, Kind.LOT_SALE])].sum()) for r in (rows, rows_renamed)
    )
    assert traded_renamed == traded
    demand = int(orders.need_wh[orders.requests == 1].sum())
    if name == "trading":
        assert traded == min(demand, int(orders.offer_wh.sum()))


# ---------------------------------------------------------------------------------------------- whatever is delivered


def exchange(kind: Kind, seller: int, buyer: int, wh: int, price: int, orders: Orders) -> Rows:
    made = np.zeros(1, EXCHANGE)
    made["kind"], made["interval"], made["reason"] = kind, orders.interval, Reason.MAKES_UP
    made["seller"], made["buyer"], made["price_ueur_per_kwh"] = seller, buyer, price
    made["host"] = made["lot"] = made["element"] = NOBODY
    made["delivered_wh"] = wh
    return made


def curtailed(rows: Rows, orders: Orders, rng: np.random.Generator) -> Rows:
    """Any part of every trade, share and export delivered; the seller spills the rest, the buyer imports it."""
    rows = rows.copy()
    made_up: list[Any] = [rows]
    for row in rows:
        if row["kind"] in (Kind.GRID_IMPORT, Kind.SPILL) or rng.random() < 0.3:
            continue
        row["delivered_wh"] = rng.integers(0, row["cleared_wh"] + 1)
        row["status"] = Status.CURTAILED
        lost = int(row["cleared_wh"] - row["delivered_wh"])
        if row["kind"] != Kind.LOT_SALE:
            made_up.append(exchange(Kind.SPILL, int(row["seller"]), NOBODY, lost, 0, orders))
        if row["kind"] in (Kind.P2P, Kind.LOT_SALE, Kind.SHARE_USE):
            utility = orders.utility_ueur_per_kwh
            made_up.append(exchange(Kind.GRID_IMPORT, GRID, int(row["buyer"]), lost, utility, orders))
    return np.concatenate(made_up)


@every_mechanism
@few
@some_markets
def test_whatever_is_delivered_money_and_energy_balance_and_nobody_owes(
    name: str, seed: int, n: int, ideal: bool
) -> None:
    supply, state, rules = market(seed, n, name, ideal)
    rng = np.random.default_rng(seed + 1)
    money = int(state.wallet_neur.sum())
    for t in range(N_INTERVALS):
        orders, before = make_orders_at(supply, t, t, state, rules)
        rows = curtailed(clear(orders, before, rules).rows, orders, rng)
        settlement = settle(Delivery(rows, *np.zeros((2, n), np.int64)), orders, before, rules)
        state = settlement.state
        assert find_imbalance(settlement, before) == -1
        assert int(state.wallet_neur.sum() + state.account_neur.sum() + state.pools_neur.sum()) == money
        assert (state.wallet_neur >= 0).all()
        assert state.pools_neur[1] >= 0
        assert (state.lots.stored_wh > 0).all()
