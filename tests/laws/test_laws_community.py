"""Laws of communities: Wh and nEUR are conserved by every law, and sharing is that of a naive twin in fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market.community.accounts import Prices, Settlement, sum_balances
from market.community.allocation import allocate_by_use
from market.community.austria import Community, settle_austria
from market.community.energies import Metered
from market.community.france import settle_france
from market.community.italy import Incentive, settle_italy
from market.community.rounding import share_out
from market.community.spain import settle_spain

N = 3
NAMES = ("ann", "bob", "cleo")
wh = st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 2**31))
rows = st.lists(st.tuples(*[wh] * (2 * N)), min_size=1, max_size=4)
prices = st.builds(Prices, *[st.integers(0, 10_000_000)] * 3)
weights = st.lists(st.integers(0, 100), min_size=N, max_size=N).filter(any)


def as_metered(drawn: list[tuple[int, ...]]) -> Metered:
    energies = np.array(drawn, np.int64)
    return Metered(energies[:, :N], energies[:, N:], np.arange(len(drawn)) // 2)


def naive_share(total: int, by: list[int]) -> list[int]:
    """Largest remainders in fractions, one unit at a time."""
    quotas = [Fraction(total * weight, sum(by)) for weight in by]
    parts = [floor(quota) for quota in quotas]
    while sum(parts) < total:
        parts[max(range(len(by)), key=lambda i: (quotas[i] - parts[i], -i))] += 1
    return parts


def check(settlement: Settlement, metered: Metered) -> None:
    generated = sum(part.generated_wh for part in settlement.parts)
    used = sum(part.used_wh for part in settlement.parts)
    assert (generated == metered.generated_wh).all()
    assert (used == metered.used_wh).all()
    for part in settlement.parts:
        assert (part.received_wh + part.bought_wh == part.used_wh).all()
        received, surplus = part.received_wh.sum(axis=1), part.surplus_wh.sum(axis=1)
        assert (part.generated_wh.sum(axis=1) == received + surplus).all()
        assert min(part.received_wh.min(), part.surplus_wh.min(), part.bought_wh.min()) >= 0
    assert sum(sum_balances(settlement.postings).values()) == 0
    assert all(isinstance(posting.amount_neur, int) for posting in settlement.postings)


@given(st.one_of(st.integers(0, 30), st.integers(0, 2**62)), st.lists(st.integers(0, 2**40), min_size=1).filter(any))
def test_shares_are_those_of_the_naive_twin(total: int, by: list[int]) -> None:
    assert share_out([total], by)[0].tolist() == naive_share(total, by)


@given(rows)
def test_dynamic_allocation_is_pro_rata_to_the_wh(drawn: list[tuple[int, ...]]) -> None:
    metered = as_metered(drawn)
    found = allocate_by_use(metered)
    assert (found <= metered.used_wh).all()
    for generated, used, own in zip(
        metered.generated_wh.tolist(), metered.used_wh.tolist(), found.tolist(), strict=True
    ):
        shared = min(sum(generated), sum(used))
        assert sum(own) == shared
        for use, got in zip(used, own, strict=True):
            assert abs(got - Fraction(shared * use, max(sum(used), 1))) < 1


@given(rows, weights, prices)
def test_spain_conserves(drawn: list[tuple[int, ...]], by: list[int], at: Prices) -> None:
    metered = as_metered(drawn)
    found = settle_spain(metered, np.array(by), NAMES, at, "street")
    check(found, metered)
    assert (
        found.parts[0].received_wh == np.minimum(share_out(metered.generated_wh.sum(axis=1), by), metered.used_wh)
    ).all()
    assert all(balance <= 0 for name, balance in sum_balances(found.postings).items() if name != "supplier")


@given(rows, weights, prices, st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=N, max_size=N))
def test_austria_conserves(
    drawn: list[tuple[int, ...]], by: list[int], at: Prices, factors: list[tuple[int, int]]
) -> None:
    metered = as_metered(drawn)
    first, second = np.array(factors).T
    communities = [Community("sun", first, np.array(by)), Community("wind", second, None)]
    found = settle_austria(metered, communities, NAMES, at)
    check(found, metered)
    balances = sum_balances(found.postings)
    assert sum(balances.values()) == 0
    assert balances.get("community:sun", 0) == balances.get("community:wind", 0) == 0


@given(rows, prices, st.tuples(*[st.integers(0, 10)] * 3).filter(any))
def test_italy_conserves(drawn: list[tuple[int, ...]], at: Prices, split: tuple[int, int, int]) -> None:
    metered = as_metered(drawn)
    below = [("AC1", np.array([0, 1])), ("AC2", np.array([2]))]
    found = settle_italy(metered, below, NAMES, at, Incentive(110_000, 10_000, split), "cer")
    check(found, metered)
    shared = sum(int(part.received_wh.sum()) for part in found.parts)
    assert sum_balances(found.postings).get("gse", 0) == -shared * 120_000


@given(rows, prices)
def test_france_conserves_and_its_default_is_austrias_dynamic_allocation(
    drawn: list[tuple[int, ...]], at: Prices
) -> None:
    metered = as_metered(drawn)
    found = settle_france(metered, None, NAMES, at, "sun")
    check(found, metered)
    other = settle_austria(metered, [Community("sun", np.full(N, 100), None)], NAMES, at)
    assert sum_balances(found.postings) == sum_balances(other.postings)
