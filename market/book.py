"""The order book of an interval while it is cleared: what of every order is still open, and the exchanges so far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.compiled import compiled, integer
from market.exchanges import EXCHANGE, NOBODY, Ints, Rows
from market.orders import Orders
from market.state import POOL_CONTRACT, State
from market.storage import Wh

_NOBODY = integer(NOBODY)


class Book(NamedTuple):
    """Working copies of the orders; the clearing functions of the interval change them in place.

    Attributes
    ----------
    rows, written
        Buffer for the exchanges, and how many are written (shape (1,)).
    offer_wh, need_wh, charge_left_wh, discharge_left_wh
        What is still open of the fields of `Orders` of the same name, (N,).
    lot_wh
        Stored energy left in each lot, (n_lots,).
    contract_neur
        What the sharing contract can still pay in this interval (shape (1,)). Its income of the interval does not
        count: it is settled only once the network has admitted the exchanges.
    next_lot
        Id of the next lot, shape (1,).
    """

    rows: Rows
    written: Ints
    offer_wh: Wh
    need_wh: Wh
    charge_left_wh: Wh
    discharge_left_wh: Wh
    lot_wh: Wh
    contract_neur: Ints
    next_lot: Ints


class Clearing(NamedTuple):
    """What the market agreed on: `EXCHANGE` rows with `cleared_wh` set and `delivered_wh` equal to it."""

    rows: Rows


@compiled
def open_book(orders: Orders, state: State) -> Book:
    """Book with every order open and no row written.

    The buffer holds one row a lot and seven a house. A trade exhausts a lot, an offer or a need, so there are at most
    as many trades as these; sharing writes two rows a match; the grid takes or gives once a house.
    """
    n, n_lots = orders.need_wh.size, state.lots.lot.size
    return Book(
        np.empty(n_lots + 7 * n, EXCHANGE),
        np.zeros(1, np.int64),
        orders.offer_wh.copy(),
        orders.need_wh.copy(),
        orders.charge_left_wh.copy(),
        orders.discharge_left_wh.copy(),
        state.lots.stored_wh.copy(),
        state.pools_neur[POOL_CONTRACT : POOL_CONTRACT + 1].copy(),
        state.tally[:1].copy(),
    )


@compiled
def write_row(
    book: Book, orders: Orders, kind: int, seller: int, buyer: int, host: int, lot: int, wh: int, price: int
) -> None:
    """Append one exchange of `wh` Wh at `price` µEUR/kWh to the book.

    Raises
    ------
    ValueError
        If the book is full; `open_book` leaves room for every clearing that answers each order once.
    """
    k = book.written[0]
    if k == book.rows.size:
        raise ValueError("book of exchanges: expected at most 7 rows a house and 1 a lot, got more")
    row = book.rows[k]
    row.kind = kind
    row.status = 0
    row.reason = 0
    row.interval = orders.interval
    row.seq = k
    row.seller = seller
    row.buyer = buyer
    row.host = host
    row.element = _NOBODY
    row.lot = lot
    row.cleared_wh = wh
    row.delivered_wh = wh
    row.price_ueur_per_kwh = price
    row.amount_neur = 0
    row.fee_neur = 0
    book.written[0] = k + 1


@compiled
def close_book(book: Book) -> Clearing:
    """Clearing that holds the rows written."""
    return Clearing(book.rows[: book.written[0]].copy())
