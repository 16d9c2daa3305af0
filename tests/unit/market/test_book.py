"""The book of an interval: what is open of every order, and the exchanges written so far."""

from __future__ import annotations

import numpy as np
import pytest
from market_scenes import houses, orders_of, with_contract, with_lots

from market.book import close_book, open_book, write_row
from market.exchanges import NOBODY, Kind
from market.rules import Rules

RULES = Rules(battery=0)


def test_open_book_holds_every_order_open_and_no_row() -> None:
    supply, state = houses([500, -300])
    orders, before = orders_of(supply, with_contract(with_lots(state, (0, 1, 70)), 9), RULES)
    book = open_book(orders, before)
    assert book.offer_wh.tolist() == [500, 0]
    assert book.need_wh.tolist() == [0, 300]
    assert book.lot_wh.tolist() == [70]
    assert (int(book.contract_neur[0]), int(book.next_lot[0])) == (9, 1)
    assert close_book(book).rows.size == 0


def test_working_in_the_book_leaves_orders_and_state_alone() -> None:
    supply, state = houses([500, -300])
    orders, before = orders_of(supply, with_lots(state, (0, 1, 70)), RULES)
    book = open_book(orders, before)
    for column in (book.offer_wh, book.need_wh, book.lot_wh, book.charge_left_wh, book.contract_neur):
        column[:] = -1
    assert orders.offer_wh.tolist() == [500, 0]
    assert before.lots.stored_wh.tolist() == [70]
    assert before.pools_neur.tolist() == [0, 0, 0]


def test_rows_are_numbered_as_written_and_delivered_as_cleared() -> None:
    orders, before = orders_of(*houses([500, -300]), RULES, interval=4)
    book = open_book(orders, before)
    write_row(book, orders, int(Kind.P2P), 0, 1, 0, NOBODY, 300, 7)
    write_row(book, orders, int(Kind.SPILL), 0, NOBODY, NOBODY, NOBODY, 200, 0)
    rows = close_book(book).rows
    assert rows["seq"].tolist() == [0, 1]
    assert rows["interval"].tolist() == [4, 4]
    assert rows["cleared_wh"].tolist() == rows["delivered_wh"].tolist() == [300, 200]
    assert rows["amount_neur"].tolist() == [0, 0]
    assert np.unique(rows["element"]).tolist() == [NOBODY]


def test_full_book_refuses_more() -> None:
    orders, before = orders_of(*houses([500, -300]), RULES)
    book = open_book(orders, before)
    for _ in range(7 * 2):
        write_row(book, orders, int(Kind.P2P), 0, 1, 0, NOBODY, 1, 7)
    with pytest.raises(ValueError, match="expected at most 7 rows a house and 1 a lot, got more"):
        write_row(book, orders, int(Kind.P2P), 0, 1, 0, NOBODY, 1, 7)
