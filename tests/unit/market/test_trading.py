"""Trading at one price: lots oldest first, then offers, to requests in order of arrival; the grid takes the rest."""

from __future__ import annotations

from market_scenes import RICH, F, U, batteries, houses, orders_of, short, with_lots

from cosim.delivery.window import InputSeries
from market.book import close_book, open_book
from market.exchanges import CONTRACT, GRID, NOBODY, Kind, Rows
from market.orders import Orders
from market.rules import Rules
from market.state import State
from market.trading import queue_trade_requests, settle_with_grid, trade

P2P, LOT, IMPORT, EXPORT, SPILL = Kind.P2P, Kind.LOT_SALE, Kind.GRID_IMPORT, Kind.GRID_EXPORT, Kind.SPILL
WITH_BATTERY, NO_BATTERY = Rules(battery=1), Rules(battery=0)


def traded(supply: InputSeries, state: State, rules: Rules = WITH_BATTERY) -> tuple[Rows, Orders]:
    orders, before = orders_of(supply, state, rules)
    book = open_book(orders, before)
    trade(book, orders, before)
    return close_book(book).rows, orders


def left_to_the_grid(supply: InputSeries, state: State, rules: Rules) -> Rows:
    orders, before = orders_of(supply, state, rules)
    book = open_book(orders, before)
    settle_with_grid(book, orders, rules)
    return close_book(book).rows


def test_offers_meet_requests_first_come_first_served() -> None:
    """Offers 0: 500, 1: 400; requests 2: 300, 3: 700. One exchange ends where an order is exhausted."""
    rows, _ = traded(*houses([500, 400, -300, -700]), NO_BATTERY)
    assert short(rows) == [(P2P, 0, 2, 300), (P2P, 0, 3, 200), (P2P, 1, 3, 400)]


def test_all_trades_of_an_interval_have_one_price() -> None:
    """Two requests, two offers: F + (U - F)/2."""
    rows, orders = traded(*houses([500, 400, -300, -700]), NO_BATTERY)
    assert set(rows["price_ueur_per_kwh"].tolist()) == {orders.price_ueur_per_kwh} == {200_000}


def test_lower_side_is_exhausted_and_nothing_is_sold_twice() -> None:
    rows, _ = traded(*houses([200, -1000]), NO_BATTERY)
    assert short(rows) == [(P2P, 0, 1, 200)]


def test_equal_orders_make_one_exchange_each() -> None:
    rows, _ = traded(*houses([300, 400, -300, -400]), NO_BATTERY)
    assert short(rows) == [(P2P, 0, 2, 300), (P2P, 1, 3, 400)]


def test_queue_of_requests_leaves_out_who_cannot_pay() -> None:
    scene = houses([0, -300, -300], wallet_neur=[RICH, 300 * U - 1, RICH])
    orders, _ = orders_of(*scene, NO_BATTERY)
    assert queue_trade_requests(orders).tolist() == [2]


def test_lots_are_sold_before_offers_and_oldest_first() -> None:
    """House 0 owns two lots in the batteries of 1 and 2; house 3 offers (its battery is full); 4 needs 900."""
    supply, state = houses([0, 0, 0, 800, -900], own_wh=[0, 0, 0, 10_000, 0])
    rows, _ = traded(supply, with_lots(state, (0, 2, 250), (0, 1, 250)))
    assert short(rows) == [(LOT, 0, 4, 250), (LOT, 0, 4, 250), (P2P, 3, 4, 400)]
    assert rows["lot"].tolist() == [0, 1, NOBODY]
    assert rows["host"].tolist() == [2, 1, 3]


def test_lot_serves_several_requests() -> None:
    supply, state = houses([0, 0, -300, -500])
    rows, _ = traded(supply, with_lots(state, (0, 1, 1000)))
    assert short(rows) == [(LOT, 0, 2, 300), (LOT, 0, 3, 500)]


def test_lot_of_the_contract_is_sold_by_the_contract() -> None:
    supply, state = houses([0, -300])
    rows, _ = traded(supply, with_lots(state, (CONTRACT, 0, 1000)))
    assert short(rows) == [(LOT, CONTRACT, 1, 300)]


def test_who_draws_its_own_lot_pays_nothing_for_it() -> None:
    supply, state = houses([0, -300])
    rows, _ = traded(supply, with_lots(state, (1, 0, 200), (0, 0, 200)))
    assert rows["price_ueur_per_kwh"].tolist() == [0, U]


def test_lot_delivers_what_is_left_after_losses() -> None:
    """200 Wh stored at 95 % deliver 190 Wh."""
    supply, state = houses([0, -300], batteries(10_000, 10_000, discharge_ppm=[950_000, 950_000]))
    rows, _ = traded(supply, with_lots(state, (0, 0, 200)))
    assert short(rows) == [(LOT, 0, 1, 190)]


def test_lot_whose_host_has_no_power_left_is_passed_over() -> None:
    """Host 0 can discharge 100 Wh an interval: its lots give 100 together, the lot in house 1 the rest."""
    weak = batteries(10_000, 10_000, 10_000, max_discharge_wh=[100, 10_000, 10_000])
    supply, state = houses([0, 0, -300], weak)
    rows, _ = traded(supply, with_lots(state, (1, 0, 80), (1, 0, 80), (0, 1, 500)))
    assert rows["lot"].tolist() == [0, 1, 2]
    assert rows["cleared_wh"].tolist() == [80, 20, 200]


def test_lots_never_take_a_battery_below_its_lower_bound() -> None:
    """Lower bound 100, of which self-discharge left 60: of the lot's 200 Wh only 160 may flow out."""
    bounded = batteries(10_000, 10_000, soc_min_wh=[100, 0])
    supply, state = houses([0, -300], bounded, own_wh=[60, 0])
    rows, _ = traded(supply, with_lots(state, (1, 0, 120), (1, 0, 80)))
    assert rows["cleared_wh"].tolist() == [120, 40]


def test_grid_serves_what_is_left_house_by_house() -> None:
    """Nobody trades: 0 and 2 import at U, 1 spills, 3 asks for nothing."""
    rows = left_to_the_grid(*houses([-200, 500, -100, 0]), NO_BATTERY)
    assert short(rows) == [(IMPORT, GRID, 0, 200), (SPILL, 1, NOBODY, 500), (IMPORT, GRID, 2, 100)]
    assert rows["price_ueur_per_kwh"].tolist() == [U, 0, U]


def test_surplus_is_exported_at_the_feed_in_tariff_where_feed_in_is_allowed() -> None:
    rows = left_to_the_grid(*houses([500]), Rules(battery=0, feed_in=1))
    assert short(rows) == [(EXPORT, 0, GRID, 500)]
    assert rows["price_ueur_per_kwh"].tolist() == [F]
