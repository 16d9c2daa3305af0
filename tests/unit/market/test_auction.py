"""Uniform-price double auction: lowest asks meet highest bids; the last pair that trades sets the price."""

from __future__ import annotations

import numpy as np
from market_scenes import RICH, F, U, houses, orders_of, short

from market.auction import auction_price, draw_values, run_auction, sort_by_value
from market.book import close_book, open_book
from market.exchanges import Kind, Rows
from market.rules import Arrival, Rules

RULES = Rules(battery=0, seed=4)
VALUES = np.array([10, 20, 30, 40, 35, 15])


def price(asks: list[int], bids: list[int], wh: list[int]) -> int:
    """Auction price of houses with VALUES and these energies."""
    energy = np.array(wh)
    return auction_price(np.array(asks, np.int64), np.array(bids, np.int64), energy, energy, VALUES)


def auctioned(surplus_wh: list[int], rules: Rules = RULES, interval: int = 0) -> tuple[Rows, np.ndarray]:
    orders, before = orders_of(*houses(surplus_wh), rules, interval)
    book = open_book(orders, before)
    run_auction(book, orders, rules)
    return close_book(book).rows, draw_values(orders, rules)


def test_bids_lie_between_feed_in_tariff_and_utility_price() -> None:
    values = [int(v) for t in range(500) for v in auctioned([0, 0], interval=t)[1]]
    assert min(values) >= F
    assert max(values) <= U
    assert max(values) - min(values) > 0.95 * (U - F)


def test_bid_does_not_depend_on_who_else_is_there() -> None:
    assert auctioned([0, 0, 0])[1].tolist() == auctioned([0, 0, 0, 0, 0])[1][:3].tolist()


def test_bid_is_the_only_one_possible_where_f_equals_u() -> None:
    one_price = RULES._replace(feed_in_numerator=1, feed_in_denominator=1)
    assert auctioned([0, 0], one_price)[1].tolist() == [U, U]


def test_equal_values_keep_their_order_of_arrival() -> None:
    houses_by_arrival = np.array([3, 1, 2, 0])
    assert sort_by_value(houses_by_arrival, np.array([5, 5, 1, 5])).tolist() == [2, 3, 1, 0]


def test_last_pair_that_trades_sets_the_price() -> None:
    """Asks 10, 20, 30 of 100 Wh; bids 40, 35 of 100 Wh: 20 and 35 trade last."""
    assert price(asks=[0, 1, 2], bids=[3, 4], wh=[100] * 6) == (20 + 35) // 2


def test_large_order_stays_marginal() -> None:
    """The ask of 10 serves both bids: it is the last ask that trades."""
    assert price(asks=[0, 1], bids=[3, 4], wh=[500, 100, 0, 100, 100, 0]) == (10 + 35) // 2


def test_bids_below_the_asks_do_not_trade() -> None:
    """Ask 20 meets no bid of 15."""
    assert price(asks=[1], bids=[5], wh=[100] * 6) == -1


def test_nobody_trades_alone() -> None:
    assert price(asks=[0, 1], bids=[], wh=[100] * 6) == -1
    assert price(asks=[], bids=[3], wh=[100] * 6) == -1


def test_everybody_pays_and_gets_the_one_price_and_none_regrets_it() -> None:
    for interval in range(50):
        rows, values = auctioned([500, 400, 300, -300, -450, -500], interval=interval)
        if rows.size == 0:
            assert max(values[3:]) < min(values[:3])
            continue
        (one,) = set(rows["price_ueur_per_kwh"].tolist())
        assert all(values[seller] <= one for seller in rows["seller"])
        assert all(values[buyer] >= one for buyer in rows["buyer"])


def test_auction_trades_in_order_of_merit() -> None:
    rows, values = auctioned([500, 400, 300, -300, -450, -500])
    asks, bids = values[rows["seller"]], values[rows["buyer"]]
    assert (rows["kind"] == Kind.P2P).all()
    assert (np.diff(asks) >= 0).all()
    assert (np.diff(bids) <= 0).all()


def test_who_cannot_pay_the_utility_price_does_not_bid() -> None:
    one_price = RULES._replace(feed_in_numerator=1, feed_in_denominator=1)
    orders, before = orders_of(*houses([500, -300, -300], wallet_neur=[RICH, 0, RICH]), one_price)
    book = open_book(orders, before)
    run_auction(book, orders, one_price)
    assert short(close_book(book).rows) == [(Kind.P2P, 0, 2, 300)]


def test_ties_are_broken_by_arrival() -> None:
    tied = RULES._replace(feed_in_numerator=1, feed_in_denominator=1, arrival=int(Arrival.ROTATE))
    assert short(auctioned([100, 100, -100], tied, interval=1)[0]) == [(Kind.P2P, 1, 2, 100)]
