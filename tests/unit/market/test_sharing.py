"""Sharing: of a shared amount e the consumer uses floor(β·e) now and stores the rest as somebody's lot.

prosumer ──e──▶ consumer ──floor(β·e)──▶ load
                    └──────the rest────▶ battery: a lot of the prosumer (P2P-SE) or of the contract (C-SE)
"""

from __future__ import annotations

import numpy as np
import pytest
from market_scenes import U, batteries, houses, orders_of, short, with_contract

from cosim.delivery.window import InputSeries
from market.book import close_book, open_book
from market.exchanges import CONTRACT, NOBODY, Kind, Rows
from market.mechanisms import share_offers
from market.rules import SHARING_CENTRAL, SHARING_HYBRID, SHARING_P2P, SHARING_SELFISH, Pricing, Rules
from market.sharing import (
    contract_pays_more,
    largest_selfish_share_wh,
    largest_share_wh,
    queue_share_requests,
)
from market.state import State

USE, STORE = Kind.SHARE_USE, Kind.SHARE_STORE
PRICE = 200_000
P2P, CENTRAL, HYBRID, SELFISH = (
    Rules(mechanism=code, pricing=Pricing.FIXED, fixed_price_ueur_per_kwh=PRICE)
    for code in (SHARING_P2P, SHARING_CENTRAL, SHARING_HYBRID, SHARING_SELFISH)
)


def poor(surplus_wh: list[int], *battery_wh: int) -> tuple[InputSeries, State]:
    """Houses with empty wallets; those with a surplus have no battery unless one is given."""
    capacity = battery_wh or tuple(0 if wh > 0 else 10_000 for wh in surplus_wh)
    return houses(surplus_wh, batteries(*capacity), wallet_neur=[0] * len(surplus_wh))


def shared(supply: InputSeries, state: State, rules: Rules) -> Rows:
    orders, before = orders_of(supply, state, rules)
    book = open_book(orders, before)
    share_offers(book, orders, before, rules)
    return close_book(book).rows


# -------------------------------------------------------------------------------------------------- how much


def brute_force(offer: int, need: int, room: int, beta: int) -> int:
    return max(e for e in range(offer + 1) if e * beta // 1000 <= need and e - e * beta // 1000 <= room)


@pytest.mark.parametrize("beta", [1, 333, 500, 900, 999])
def test_share_is_the_largest_that_keeps_all_three_conditions(beta: int) -> None:
    for offer in (0, 1, 7, 40):
        for need in (0, 1, 5, 40):
            for room in (0, 1, 5, 40):
                assert largest_share_wh(offer, need, room, beta) == brute_force(offer, need, room, beta)


@pytest.mark.parametrize("beta", [0, 1, 100, 500, 999])
def test_selfish_share_is_the_largest_that_the_battery_takes(beta: int) -> None:
    for offer in (0, 1, 7, 40):
        for need in (0, 1, 5, 40):
            for room in (0, 1, 5, 40):
                allowed = [e for e in range(offer + 1) if e - min(need, e * beta // 1000) <= room]
                assert largest_selfish_share_wh(offer, need, room, beta) == max(allowed)


def test_half_is_used_and_half_is_stored() -> None:
    """Offer 1000, need 800, room 10,000, β = 1/2."""
    rows = shared(*poor([1000, -800]), P2P)
    assert short(rows) == [(USE, 0, 1, 500), (STORE, 0, 0, 500)]


def test_odd_watt_hour_is_stored() -> None:
    assert short(shared(*poor([7, -800]), P2P)) == [(USE, 0, 1, 3), (STORE, 0, 0, 4)]


def test_need_bounds_the_share() -> None:
    """Need 100: e = 201, of which floor(201/2) = 100 is used and 101 stored; the other 799 Wh stay with the offer."""
    assert short(shared(*poor([1000, -100]), P2P)) == [(USE, 0, 1, 100), (STORE, 0, 0, 101)]


def test_room_bounds_the_share() -> None:
    assert short(shared(*poor([1000, -800], 0, 200), P2P)) == [(USE, 0, 1, 200), (STORE, 0, 0, 200)]


# ---------------------------------------------------------------------------------------------- in which order


def test_requests_are_served_in_order_of_arrival_and_none_twice_in_vain() -> None:
    """Offer 0 fills consumer 2 (room 100); the rest goes to 3, who then also takes offer 1."""
    rows = shared(*poor([400, 300, -800, -800], 0, 0, 100, 10_000), P2P)
    from_0 = [(USE, 0, 2, 100), (STORE, 0, 0, 100), (USE, 0, 3, 100), (STORE, 0, 0, 100)]
    from_1 = [(USE, 1, 3, 150), (STORE, 1, 1, 150)]
    assert short(rows) == from_0 + from_1


def test_who_can_pay_is_not_asked() -> None:
    supply, state = poor([1000, -800, -800])
    orders, _ = orders_of(supply, state._replace(wallet_neur=np.array([0, 800 * U, 0])), P2P)
    assert queue_share_requests(orders).tolist() == [2]


# --------------------------------------------------------------------------------------------- who owns the lot


def test_p2p_prosumer_owns_the_lot_and_no_money_moves() -> None:
    rows = shared(*poor([1000, -800]), P2P)
    assert rows["buyer"].tolist() == [1, 0]
    assert rows["host"].tolist() == [1, 1]
    assert rows["lot"].tolist() == [NOBODY, 0]
    assert rows["price_ueur_per_kwh"].tolist() == [0, 0]


def test_contract_owns_the_lot_and_pays_for_all_of_the_share() -> None:
    supply, state = poor([1000, -800])
    rows = shared(supply, with_contract(state, 1000 * PRICE), CENTRAL)
    assert short(rows) == [(USE, 0, 1, 500), (STORE, 0, CONTRACT, 500)]
    assert rows["price_ueur_per_kwh"].tolist() == [PRICE, PRICE]


def test_contract_shares_no_more_than_it_can_pay() -> None:
    """Money for 300.5 Wh: 300 Wh are shared, over two consumers and two offers."""
    supply, state = poor([200, 900, -50, -800])
    rows = shared(supply, with_contract(state, 300 * PRICE + PRICE // 2), CENTRAL)
    assert int(rows["cleared_wh"].sum()) == 300
    assert short(rows)[-1] == (STORE, 1, CONTRACT, 50)


def test_contract_without_money_shares_nothing() -> None:
    assert shared(*poor([1000, -800]), CENTRAL).size == 0


def test_energy_that_costs_nothing_needs_no_balance() -> None:
    free = CENTRAL._replace(fixed_price_ueur_per_kwh=0, feed_in_numerator=0)
    assert int(shared(*poor([1000, -800]), free)["cleared_wh"].sum()) == 1000


def test_lots_are_numbered_on_from_the_last_one() -> None:
    supply, state = poor([300, 300, -400, -400])
    rows = shared(supply, state._replace(tally=np.array([17, 0, 0])), P2P)
    assert rows["lot"][rows["kind"] == STORE].tolist() == [17, 18]


# ------------------------------------------------------------------------------------------------------ selfish


def test_selfish_prosumer_hands_over_the_least_that_is_accepted() -> None:
    """β_min = 0.1: of 1000 Wh the consumer uses 100 and stores 900."""
    assert short(shared(*poor([1000, -800]), SELFISH)) == [(USE, 0, 1, 100), (STORE, 0, 0, 900)]


def test_selfish_lot_grows_on_when_the_need_is_covered() -> None:
    """P2P-SE with the same β would stop at e = 509 when the need of 50 is covered; here the lot takes the rest."""
    assert short(shared(*poor([1000, -50]), SELFISH)) == [(USE, 0, 1, 50), (STORE, 0, 0, 950)]
    fair = P2P._replace(beta_permille=100)
    assert short(shared(*poor([1000, -50]), fair)) == [(USE, 0, 1, 50), (STORE, 0, 0, 459)]


# ------------------------------------------------------------------------------------------------------- hybrid


@pytest.mark.parametrize(
    ("balance", "stored", "sold", "by_contract"),
    [
        (1000 * PRICE, 1000, 1000, True),  # pays all now; own lots would bring half of it
        (500 * PRICE, 1000, 1000, True),  # exactly what own lots are expected to bring
        (500 * PRICE - 1, 1000, 1000, False),
        (250 * PRICE, 1000, 500, True),  # only half of what was stored was ever sold
        (250 * PRICE - 1, 1000, 500, False),
        (499 * PRICE, 0, 0, False),  # nothing stored yet: rate 1
        (500 * PRICE, 0, 0, True),
        (PRICE, 1000, 0, True),  # own lots have never sold: anything is better
        (0, 1000, 0, False),  # but an empty contract pays nothing at all
    ],
)
def test_hybrid_compares_what_the_contract_pays_with_what_lots_have_brought(
    balance: int, stored: int, sold: int, by_contract: bool
) -> None:
    """Offer 1000 Wh, β = 1/2: own lots are expected to bring 500 Wh x price x (sold/stored)."""
    supply, state = poor([1000, -800])
    state = with_contract(state, balance)._replace(tally=np.array([9, stored, sold]))
    orders, before = orders_of(supply, state, HYBRID)
    book = open_book(orders, before)
    assert contract_pays_more(book, orders, before, 0, HYBRID) == by_contract
    rows = shared(supply, state, HYBRID)
    assert rows["buyer"][rows["kind"] == STORE][0] == (CONTRACT if by_contract else 0)


def test_hybrid_shares_p2p_what_the_contract_cannot_pay_for() -> None:
    """The contract can pay for 600 of 1000 Wh, more than the 500 that own lots are expected to bring."""
    supply, state = poor([1000, -800])
    rows = shared(supply, with_contract(state, 600 * PRICE), HYBRID)
    assert short(rows) == [(USE, 0, 1, 300), (STORE, 0, CONTRACT, 300), (USE, 0, 1, 200), (STORE, 0, 0, 200)]
    assert rows["price_ueur_per_kwh"].tolist() == [PRICE, PRICE, 0, 0]


def test_hybrid_shares_p2p_behind_an_exhausted_contract() -> None:
    """The contract can pay for offer 0 only; offer 1 is shared P2P with the same consumer."""
    supply, state = poor([400, 400, -800])
    rows = shared(supply, with_contract(state, 400 * PRICE), HYBRID)
    assert short(rows) == [(USE, 0, 2, 200), (STORE, 0, CONTRACT, 200), (USE, 1, 2, 200), (STORE, 1, 1, 200)]
