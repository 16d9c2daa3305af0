"""Arguments and answers of the contract Market."""

from __future__ import annotations

import numpy as np
import pytest
from market_scenes import ideal_ratings

from market.contract.abi import parse_arguments
from market.contract.artifacts import read_artifact
from market.contract.batch import pack_rules
from market.contract.hourly import hash_exchanged, make_batteries, make_wishes, read_exchanges, read_state
from market.errors import ChainError
from market.exchanges import NO_LIMIT, SUBMISSION, Kind
from market.orders import Inputs, make_orders
from market.rules import Rules
from market.state import make_opening_state


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big", signed=True) for number in numbers)


def test_arguments_of_the_command_line_are_those_of_python() -> None:
    typed = ["[4,0,0,false,0,1,3,0,500,12,0,0]", "[1790000000,3600,false]"]  # as docs/contract.md says
    assert parse_arguments(read_artifact("Market"), typed) == [
        pack_rules(Rules(mechanism=4)),
        (1_790_000_000, 3600, False),
    ]


def test_a_battery_is_told_house_by_house() -> None:
    batteries = make_batteries(ideal_ratings(np.array([0, 5000])))
    assert batteries[1] == (0, 5000, 5000, 5000, 1_000_000, 1_000_000, 0)
    assert len(batteries) == 2


def test_a_wish_is_what_is_left_after_the_own_battery() -> None:
    """House 0 offers, 1 asks for a trade, 2 for a share, 3 has charged all of its surplus."""
    state = make_opening_state([0] * 4, [0, 10**12, 0, 0], ideal_ratings(np.array([0, 0, 9000, 9000])))
    load, pv, none = np.array([100, 300, 400, 0]), np.array([900, 0, 0, 700]), np.zeros(4, np.int64)
    orders = make_orders(Inputs(0, load, pv, none, 240_000, np.zeros(0, SUBMISSION)), state, Rules(mechanism=4))
    assert make_wishes(orders).tolist() == [
        [800, 0, 0, NO_LIMIT],
        [-300, 0, 1, NO_LIMIT],
        [-400, 0, 2, NO_LIMIT],
        [0, 700, 0, NO_LIMIT],
    ]


def test_events_become_rows_with_amount_and_fee_and_others_are_left_out() -> None:
    topics = [hash_exchanged(), words(7), words(3), words(4)]
    logs = [(topics, words(1, 3, -4, 90, 200_001)), ([bytes(32)], b"another"), (topics, words(4, 5, 9, 10, 3))]
    rows = read_exchanges(logs, Rules(fee_permille=100))
    assert rows["kind"].tolist() == [Kind.P2P, Kind.LOT_SALE]
    assert rows["seq"].tolist() == [0, 1]
    assert rows[["interval", "seller", "buyer", "host", "lot", "element"]][1].tolist() == (7, 3, 4, 5, 9, -4)
    assert rows["amount_neur"].tolist() == [90 * 200_001, 30]
    assert rows["fee_neur"].tolist() == [90 * 200_001 // 10, 0]
    assert read_exchanges([], Rules()).size == 0


def test_answers_become_a_state() -> None:
    holdings = words(32, 2) + words(500, 40, 7, -9) + words(600, 0, 0, 0)
    lots = words(32, 1) + words(3, -2, 0, 40, 12)
    ratings = ideal_ratings(np.array([1000, 1000]))
    state = read_state(holdings, lots, words(-5, 6), words(11, 3, 4, 80, 30), ratings)
    assert (state.own_wh.tolist(), state.wallet_neur.tolist(), state.account_neur.tolist()) == (
        [500, 600],
        [7, 0],
        [-9, 0],
    )
    assert [column.tolist() for column in state.lots] == [[3], [-2], [0], [40], [12]]
    assert (state.pools_neur.tolist(), state.tally.tolist()) == ([-5, 6, 0], [4, 80, 30])


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        (words(1), "expected rows of 2 words, got 32 bytes"),
        (words(1, 2**63), "expected numbers of 64 bits"),
        (words(-(2**63) - 1, 1), "expected numbers of 64 bits"),
        (words(1, 2**64), "expected numbers of 64 bits"),
    ],
)
def test_answers_that_are_none_are_refused(pools: bytes, said: str) -> None:
    ratings = ideal_ratings(np.array([1000]))
    with pytest.raises(ChainError, match=said):
        read_state(words(32, 1, 1, 1, 1, 1), words(32, 0), pools, words(0, 0, 0, 0, 0), ratings)
