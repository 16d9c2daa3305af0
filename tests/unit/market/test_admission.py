"""What a mechanism of one's own must not answer.

house 0: offer 500 Wh          house 1: need 300 Wh, rich
house 2: hosts lot 0 of 0      house 3: need 200 Wh, poor, room for 400 Wh
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from market_scenes import RICH, batteries, houses, orders_of, with_contract, with_lots

from market.admission import check_clearing
from market.book import Clearing
from market.errors import MarketError
from market.exchanges import CONTRACT, EXCHANGE, GRID, NOBODY, Kind
from market.orders import Orders
from market.rules import Rules
from market.state import State

P = 200_000


def scene() -> tuple[Orders, State]:
    supply, state = houses([500, -300, 0, -200], batteries(0, 0, 400, 400), wallet_neur=[0, RICH, 0, 0])
    return orders_of(supply, with_contract(with_lots(state, (0, 2, 100)), 200 * P), Rules(battery=1), 6)


Row = dict[str, int]

GOOD: list[Row] = [
    {"kind": Kind.LOT_SALE, "seller": 0, "buyer": 1, "host": 2, "lot": 0, "cleared_wh": 100, "price_ueur_per_kwh": P},
    {"kind": Kind.P2P, "seller": 0, "buyer": 1, "host": 0, "cleared_wh": 200, "price_ueur_per_kwh": P},
    {"kind": Kind.SHARE_USE, "seller": 0, "buyer": 3, "host": 3, "cleared_wh": 50, "price_ueur_per_kwh": P},
    {"kind": Kind.SHARE_STORE, "seller": 0, "buyer": CONTRACT, "host": 3, "lot": 1, "cleared_wh": 50,
     "price_ueur_per_kwh": P},
    {"kind": Kind.SPILL, "seller": 0, "buyer": NOBODY, "cleared_wh": 200},
    {"kind": Kind.GRID_IMPORT, "seller": GRID, "buyer": 3, "cleared_wh": 150, "price_ueur_per_kwh": 300_000},
]  # fmt: skip
LOT, TRADE, USE, STORE, SPILL, IMPORT = range(6)


def clearing(answers: list[Row]) -> Clearing:
    rows = np.zeros(len(answers), EXCHANGE)
    rows["host"] = rows["lot"] = rows["element"] = NOBODY
    rows["interval"], rows["seq"] = 6, np.arange(len(answers))
    for k, answer in enumerate(answers):
        for name, value in {"delivered_wh": answer["cleared_wh"], **answer}.items():
            rows[name][k] = value
    return Clearing(rows)


def changed(*changes: tuple[int, dict[str, Any]]) -> list[Row]:
    """The good answers with some columns of some rows changed."""
    answers = [dict(row) for row in GOOD]
    for k, columns in changes:
        answers[k] |= columns
    return answers


def complaint(answers: list[Row]) -> str:
    with pytest.raises(MarketError) as error:
        check_clearing("mine", clearing(answers), *scene())
    return str(error.value).removeprefix("mechanism 'mine', interval 6, ")


def test_good_answer_is_admitted_unchanged() -> None:
    answer = clearing(GOOD)
    assert check_clearing("mine", answer, *scene()) is answer


def test_answer_must_be_a_clearing() -> None:
    with pytest.raises(MarketError, match="expected a Clearing of EXCHANGE rows, got list"):
        check_clearing("mine", [], *scene())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        (TRADE, {"kind": 16}, "row 1, kind: expected one of [1, 2, 3, 4, 5, 6, 7], got 16"),
        (TRADE, {"buyer": 4}, "row 1, buyer of p2p: expected a house 0 to 3, got 4"),
        (TRADE, {"seller": -1}, "row 1, seller of p2p: expected a house 0 to 3, got -1"),
        (STORE, {"buyer": GRID}, "row 3, buyer of share_store: expected a house 0 to 3 or -2, got -1"),
        (STORE, {"host": NOBODY}, "row 3, host of share_store: expected a house 0 to 3, got -4"),
        (SPILL, {"buyer": 2}, "row 4, buyer of spill: expected -4, got 2"),
        (SPILL, {"price_ueur_per_kwh": 1}, "row 4, price of spill: expected 0, got 1"),
        (IMPORT, {"seller": 0}, "row 5, seller of grid_import: expected -1, got 0"),
        (TRADE, {"interval": 5}, "row 1, interval: expected 6, got 5"),
        (TRADE, {"seq": 3}, "row 1, seq: expected 1, got 3"),
        (TRADE, {"cleared_wh": -1}, "row 1, cleared_wh: expected at least 0 Wh, got -1"),
        (TRADE, {"delivered_wh": 9}, "row 1, delivered_wh: expected cleared_wh, got 9"),
        (TRADE, {"price_ueur_per_kwh": -1}, "row 1, price: expected at least 0, got -1"),
        (STORE, {"lot": 0}, "numbers of new lots: expected [1], got [0]"),
        (LOT, {"lot": 5}, "row 0, lot 5: expected a lot that is alive, got none of that number"),
        (LOT, {"seller": 3}, "row 0, lot 0, seller: expected 0, got 3"),
        (LOT, {"host": 3}, "row 0, lot 0, host: expected 2, got 3"),
        (LOT, {"cleared_wh": 101}, "row 0, lot 0: expected at most 100 Wh drawn, got 101"),
        (SPILL, {"cleared_wh": 199}, "house 0, offer answered, Wh: expected 500, got 499"),
        (SPILL, {"cleared_wh": 201}, "house 0, offer answered, Wh: expected 500, got 501"),
        (IMPORT, {"cleared_wh": 149}, "house 3, need answered, Wh: expected 200, got 199"),
        (STORE, {"price_ueur_per_kwh": 8_000_000},
         "paid by the contract, nEUR: expected at most 40000000, got 410000000"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(row: int, columns: Row, message: str) -> None:
    assert complaint(changed((row, columns))) == message


def test_share_beyond_the_hosts_room_is_refused() -> None:
    """The battery of house 3 takes 400 Wh."""
    answers = changed((TRADE, {"cleared_wh": 0}), (SPILL, {"cleared_wh": 0}), (LOT, {"cleared_wh": 100}))
    answers[STORE]["cleared_wh"] = 450
    answers.append({"kind": Kind.GRID_IMPORT, "seller": GRID, "buyer": 1, "cleared_wh": 200})
    assert complaint(answers) == "house 3, shares stored, Wh: expected at most 400, got 450"


def test_buyer_without_money_is_refused() -> None:
    """House 3 buys 50 Wh with an empty wallet."""
    answers = changed((USE, {"kind": Kind.P2P}))
    assert complaint(answers) == f"house 3, paid from the wallet, nEUR: expected at most 0, got {50 * P}"


def test_lots_beyond_the_hosts_power_are_refused() -> None:
    orders, state = scene()
    weak = orders._replace(discharge_left_wh=np.array([0, 0, 60, 0]))
    with pytest.raises(MarketError, match="house 2, lots sold, Wh: expected at most 60, got 100"):
        check_clearing("mine", clearing(GOOD), weak, state)
