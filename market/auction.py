"""A uniform-price double auction: asks ascending, bids descending, the last pair that trades sets the price.

Houses bid by the zero-intelligence rule with budget constraint (ZI-C: Gode and Sunder 1993, Journal of Political
Economy 101(1), 119-137): each draws its value uniformly between feed-in tariff and utility price, from a hash of
(seed, interval, house). So nobody bids at a loss, and a bid does not depend on the other houses.
"""

from __future__ import annotations

import numpy as np

from market.arrival import random_bits
from market.book import Book, write_row
from market.compiled import compiled, integer
from market.exchanges import NOBODY, Ints, Kind
from market.orders import Orders
from market.rules import Rules
from market.storage import Wh

_P2P, _NOBODY = integer(Kind.P2P), integer(NOBODY)


@compiled
def draw_values(orders: Orders, rules: Rules) -> Ints:
    """Each house's ask or bid, µEUR/kWh, uniform in [F, U], shape (N,); its limit price where it has one.

    An ask below F is F, a bid above U is U: at these prices the grid takes and gives.
    """
    low, span = orders.feed_in_ueur_per_kwh, orders.utility_ueur_per_kwh - orders.feed_in_ueur_per_kwh
    values = np.empty(orders.need_wh.size, np.int64)
    for i in range(values.size):
        limit = orders.limit_ueur_per_kwh[i]
        if limit < 0:
            values[i] = low + random_bits(rules.seed + 1, orders.interval, i) % (span + 1)
        elif orders.offer_wh[i] > 0:
            values[i] = max(limit, low)
        else:
            values[i] = min(limit, low + span)
    return values


@compiled
def sort_by_value(houses: Ints, values: Ints) -> Ints:
    """`houses` sorted by ascending value; equal values keep their order of arrival."""
    return houses[np.argsort(values[houses], kind="mergesort")]


@compiled
def auction_price(asks: Ints, bids: Ints, offer_wh: Wh, need_wh: Wh, values: Ints) -> int:
    """Midpoint of the last ask and bid that still trade, µEUR/kWh; -1 where none do (k = 1/2 double auction).

    `asks` and `bids` are houses in the order in which they are served.
    """
    a = b = 0
    price = -1
    supply, demand = 0, 0
    while a < asks.size and b < bids.size and values[asks[a]] <= values[bids[b]]:
        price = (values[asks[a]] + values[bids[b]]) // 2
        if supply == 0:
            supply = offer_wh[asks[a]]
        if demand == 0:
            demand = need_wh[bids[b]]
        wh = min(supply, demand)
        supply -= wh
        demand -= wh
        if supply == 0:
            a += 1
        if demand == 0:
            b += 1
    return price


@compiled
def run_auction(book: Book, orders: Orders, rules: Rules) -> None:
    """Clear offers against trade requests at one price: lowest asks and highest bids first."""
    values = draw_values(orders, rules)
    asks = sort_by_value(orders.order[orders.offer_wh[orders.order] > 0], values)
    bids = sort_by_value(orders.order[orders.requests[orders.order] == 1], -values)
    price = auction_price(asks, bids, book.offer_wh, book.need_wh, values)
    a = b = 0
    while a < asks.size and b < bids.size and values[asks[a]] <= values[bids[b]]:
        seller, buyer = asks[a], bids[b]
        wh = min(book.offer_wh[seller], book.need_wh[buyer])
        write_row(book, orders, _P2P, seller, buyer, seller, _NOBODY, wh, price)
        book.offer_wh[seller] -= wh
        book.need_wh[buyer] -= wh
        if book.offer_wh[seller] == 0:
            a += 1
        if book.need_wh[buyer] == 0:
            b += 1
