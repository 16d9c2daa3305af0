"""Worked examples of each law, by hand, to the cent and to the nEUR; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from market.community.accounts import Posting, Prices, Settlement, check_settlement, sum_balances
from market.community.allocation import check_coefficients
from market.community.austria import Community, settle_austria
from market.community.energies import Metered, Part
from market.community.france import settle_france
from market.community.italy import Incentive, settle_italy
from market.community.spain import settle_spain
from market.errors import MarketError

CENT = 10**7
PRICES = Prices(200_000, 60_000, 120_000)
"""0.20, 0.06 and 0.12 EUR/kWh."""


def metered(generated_wh: list[list[int]], used_wh: list[list[int]], month: list[int]) -> Metered:
    return Metered(np.array(generated_wh), np.array(used_wh), np.array(month))


def test_spain_by_hand() -> None:
    """β 0.4 and 0.6 of 10 kWh: ann uses 1 of her 4, bob all of his 6 and 2 more.

    ann: no energy bought in March, so her surplus of 3 kWh, worth 0.18 EUR, is not paid. bob: 2 kWh, 0.40 EUR. In April
    ann buys 1 kWh for 0.20 EUR and has 3 kWh over in another hour: 0.18 EUR are paid, she owes 0.02 EUR.
    """
    given = metered([[10_000, 0], [0, 0], [10_000, 0]], [[1_000, 8_000], [1_000, 0], [1_000, 6_000]], [3, 4, 4])
    found = settle_spain(given, np.array([4, 6]), ("ann", "bob"), PRICES, "street")
    assert sum_balances(found.postings) == {"ann": -2 * CENT, "bob": -40 * CENT, "supplier": 42 * CENT}
    assert found.unpaid_neur == 18 * CENT
    assert found.parts[0].surplus_wh.tolist() == [[3_000, 0], [0, 0], [3_000, 0]]


def test_spain_caps_at_the_bill_of_the_month() -> None:
    given = metered([[0, 0], [10_000, 0]], [[500, 0], [0, 6_000]], [4, 4])
    found = settle_spain(given, np.array([4, 6]), ("ann", "bob"), PRICES, "street")
    assert sum_balances(found.postings)["ann"] == 0
    assert found.unpaid_neur == 24 * CENT - 10 * CENT


def test_austria_by_hand() -> None:
    """ann feeds in 6 kWh; bob uses 6, cleo 3. Dynamic: 4 and 2. Static halves: bob 3, cleo 3."""
    given, names = metered([[6_000, 0, 0]], [[0, 6_000, 3_000]], [1]), ("ann", "bob", "cleo")
    everybody = np.array([100, 100, 100])
    dynamic = settle_austria(given, [Community("sun", everybody, None)], names, PRICES)
    assert dynamic.parts[0].received_wh.tolist() == [[0, 4_000, 2_000]]
    assert sum_balances(dynamic.postings) == {
        "bob": -88 * CENT,
        "cleo": -44 * CENT,
        "ann": 72 * CENT,
        "community:sun": 0,
        "supplier": 60 * CENT,
    }
    static = settle_austria(given, [Community("sun", everybody, np.array([0, 5, 5]))], names, PRICES)
    assert static.parts[0].received_wh.tolist() == [[0, 3_000, 3_000]]
    assert sum_balances(static.postings)["bob"] == -(36 + 60) * CENT


def test_austrian_static_share_that_is_not_used_is_surplus() -> None:
    """bob's static half of 6 kWh is more than the 1 kWh he uses: cleo does not get it."""
    given = metered([[6_000, 0, 0]], [[0, 1_000, 6_000]], [1])
    community = Community("sun", np.array([100, 100, 100]), np.array([0, 5, 5]))
    found = settle_austria(given, [community], ("ann", "bob", "cleo"), PRICES)
    assert found.parts[0].received_wh.tolist() == [[0, 1_000, 3_000]]
    assert found.parts[0].surplus_wh.tolist() == [[2_000, 0, 0]]


def test_austrian_house_in_two_communities() -> None:
    """ann gives 60 % to one and 30 % to another; bob is in both, half and half; 10 % of ann is outside."""
    given, names = metered([[1_000, 0]], [[0, 2_000]], [1]), ("ann", "bob")
    communities = [Community("sun", np.array([60, 50]), None), Community("wind", np.array([30, 50]), None)]
    found = settle_austria(given, communities, names, PRICES)
    assert [part.name for part in found.parts] == ["sun", "wind", "outside"]
    assert [int(part.received_wh.sum()) for part in found.parts] == [600, 300, 0]
    assert int(found.parts[2].surplus_wh.sum()) == 100
    assert sum_balances(found.postings)["ann"] == (900 * 120_000) + 100 * 60_000
    with pytest.raises(MarketError, match="participation of ann: expected factors from 0 to 100 per cent"):
        settle_austria(given, [communities[0], Community("wind", np.array([41, 50]), None)], names, PRICES)
    six = [Community(str(k), np.array([1, 1]), None) for k in range(6)]
    with pytest.raises(MarketError, match="at most 5 communities, got 6"):
        settle_austria(given, six, names, PRICES)


def test_italy_by_hand() -> None:
    """8 kWh injected, 5 withdrawn below AC1: 5 shared. Below AC2 2 kWh are withdrawn and nothing is injected.

    Incentive 0.11 and network 0.01 EUR/kWh: 0.60 EUR, half to the producer, 30 % to consumers by 4 to 1, 20 % stay.
    """
    given = metered([[8_000, 0, 0, 0]], [[0, 4_000, 1_000, 2_000]], [1])
    below = [("AC1", np.array([0, 1, 2])), ("AC2", np.array([3]))]
    paid = Incentive(110_000, 10_000, (5, 3, 2))
    found = settle_italy(given, below, ("ann", "bob", "cleo", "dan"), PRICES, paid, "cer")
    assert sum_balances(found.postings) == {
        "ann": (48 + 30) * CENT,
        "bob": -80 * CENT + 144 * CENT // 10,
        "cleo": -20 * CENT + 36 * CENT // 10,
        "dan": -40 * CENT,
        "community:cer": 12 * CENT,
        "gse": -60 * CENT,
        "supplier": (80 + 20 + 40 - 48) * CENT,
    }


def test_france_by_hand() -> None:
    """Half-hours of 2 kWh: static 0.5 each; by use 1 to 3; full dynamic all to bob, then all to cleo."""
    given = metered([[2_000, 0, 0]] * 2, [[0, 1_000, 3_000]] * 2, [1, 1])
    names = ("ann", "bob", "cleo")

    def received(weights: list[int] | list[list[int]] | None) -> list[list[int]]:
        by = None if weights is None else np.array(weights)
        return settle_france(given, by, names, PRICES, "op").parts[0].received_wh.tolist()

    assert received([0, 5, 5]) == [[0, 1_000, 1_000]] * 2
    assert received(None) == [[0, 500, 1_500]] * 2
    assert received([[0, 1, 0], [0, 0, 1]]) == [[0, 1_000, 0], [0, 0, 2_000]]
    money = sum_balances(settle_france(given, None, names, PRICES, "op").postings)
    assert money == {
        "ann": 48 * CENT,
        "bob": -(12 + 20) * CENT,
        "cleo": -(36 + 60) * CENT,
        "community:op": 0,
        "supplier": 80 * CENT,
    }


def test_coefficients_must_sum_to_exactly_one() -> None:
    check_coefficients(np.array([[4, 6], [10, 0]]), 10, "file")
    with pytest.raises(MarketError, match=r"file: expected coefficients that sum to exactly 1, got 0\.9 in row 2 of 2"):
        check_coefficients(np.array([[4, 6], [4, 5]]), 10, "file")
    with pytest.raises(MarketError, match="got one below 0"):
        check_coefficients(np.array([-1, 11]), 10, "file")


def test_what_does_not_balance_is_found_at_run_time() -> None:
    one, nothing = np.array([[1_000]]), np.array([[0]])
    with pytest.raises(MarketError, match="energies of period 0 do not balance"):
        check_settlement(Settlement((Part("sun", one, one, one, one),), ()))
    with pytest.raises(MarketError, match="money does not balance"):
        check_settlement(
            Settlement((Part("sun", one, one, nothing, one),), (Posting(1, "community:sun", "ann", "given", 1, 5),))
        )
    with pytest.raises(MarketError, match="expected energies not below 0"):
        settle_france(Metered(-one, one, np.array([1])), None, ("ann",), PRICES, "op")
