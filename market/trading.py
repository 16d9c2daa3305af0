"""Trading at one price, first come first served: lots oldest first, then offers.

Both sides are queues read by two pointers, so the work grows with the number of lots and houses, not their product.
"""

from __future__ import annotations

import numpy as np

from market.book import Book, write_row
from market.compiled import ZERO, compiled, integer
from market.exchanges import GRID, NOBODY, Ints, Kind
from market.orders import Orders
from market.rules import Rules
from market.state import State, hosted_wh
from market.storage import Wh, deliverable_wh, drawn_wh, stored_wh

_P2P, _LOT_SALE = integer(Kind.P2P), integer(Kind.LOT_SALE)
_GRID_IMPORT, _GRID_EXPORT, _SPILL = integer(Kind.GRID_IMPORT), integer(Kind.GRID_EXPORT), integer(Kind.SPILL)
_GRID, _NOBODY = integer(GRID), integer(NOBODY)


@compiled
def queue_trade_requests(orders: Orders) -> Ints:
    """Houses with a trade request, in order of arrival."""
    queue: Ints = orders.order[orders.requests[orders.order] == 1]
    return queue


@compiled
def above_lower_bound_wh(orders: Orders, state: State) -> Wh:
    """Stored energy of each battery above its lower bound once its house has balanced itself, (N,).

    It can be less than what the battery's lots hold: self-discharge reduces what the host keeps below them.
    """
    n, ratings = state.own_wh.size, state.ratings
    above = hosted_wh(state.lots, n) - ratings.soc_min_wh
    for i in range(n):
        own = state.own_wh[i] + stored_wh(orders.charge_wh[i], ratings.charge_ppm[i])
        above[i] = max(0, above[i] + own - drawn_wh(orders.discharge_wh[i], ratings.discharge_ppm[i]))
    return above


@compiled
def sell_lots(book: Book, orders: Orders, state: State, queue: Ints, position: int) -> int:
    """Sell lots, oldest first, to the requests in `queue` from `position` on; returns the new position.

    A lot gives what it holds, but no more than its host's battery may still discharge, by its power and down to its
    lower bound. A house that draws its own lot pays nothing for it.
    """
    lots = state.lots
    above = above_lower_bound_wh(orders, state) if lots.lot.size > 0 else np.zeros(0, np.int64)
    for k in range(lots.lot.size):
        host = lots.host[k]
        ppm = state.ratings.discharge_ppm[host]
        while position < queue.size:
            buyer = queue[position]
            content = min(book.lot_wh[k], above[host])
            available = min(deliverable_wh(content, ppm), book.discharge_left_wh[host])
            wh = min(available, book.need_wh[buyer])
            if wh == 0:
                break
            price = 0 if lots.owner[k] == buyer else orders.price_ueur_per_kwh
            write_row(book, orders, _LOT_SALE, lots.owner[k], buyer, host, lots.lot[k], wh, price)
            book.lot_wh[k] -= drawn_wh(wh, ppm)
            above[host] -= drawn_wh(wh, ppm)
            book.discharge_left_wh[host] -= wh
            book.need_wh[buyer] -= wh
            if book.need_wh[buyer] == 0:
                position += 1
    return position


@compiled
def sell_offers(book: Book, orders: Orders, queue: Ints, position: int) -> int:
    """Sell offers, in order of arrival, to the requests in `queue` from `position` on; returns the new position."""
    for seller in orders.order:
        while position < queue.size and book.offer_wh[seller] > 0:
            buyer = queue[position]
            wh = min(book.offer_wh[seller], book.need_wh[buyer])
            write_row(book, orders, _P2P, seller, buyer, seller, _NOBODY, wh, orders.price_ueur_per_kwh)
            book.offer_wh[seller] -= wh
            book.need_wh[buyer] -= wh
            if book.need_wh[buyer] == 0:
                position += 1
    return position


@compiled
def trade(book: Book, orders: Orders, state: State) -> None:
    """Sell lots, then offers, to trade requests (Algorithm 2 of the reference study)."""
    queue = queue_trade_requests(orders)
    position = sell_lots(book, orders, state, queue, ZERO)
    sell_offers(book, orders, queue, position)


@compiled
def settle_with_grid(book: Book, orders: Orders, rules: Rules) -> None:
    """Import what is still needed at U; export what is left at F, or spill it where there is no feed-in."""
    for i in range(book.need_wh.size):
        if book.need_wh[i] > 0:
            wh, utility = book.need_wh[i], orders.utility_ueur_per_kwh
            write_row(book, orders, _GRID_IMPORT, _GRID, i, _NOBODY, _NOBODY, wh, utility)
            book.need_wh[i] = 0
        if book.offer_wh[i] > 0:
            wh = book.offer_wh[i]
            if rules.feed_in:
                write_row(book, orders, _GRID_EXPORT, i, _GRID, _NOBODY, _NOBODY, wh, orders.feed_in_ueur_per_kwh)
            else:
                write_row(book, orders, _SPILL, i, _NOBODY, _NOBODY, _NOBODY, wh, ZERO)
            book.offer_wh[i] = 0
