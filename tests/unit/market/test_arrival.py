"""Order of arrival."""

from __future__ import annotations

import numpy as np
import pytest

from market.arrival import order_arrivals, random_bits
from market.rules import Arrival, Rules

INDEX, ROTATE, SHUFFLE = (Rules(arrival=arrival, seed=1) for arrival in Arrival)


def test_index_serves_house_0_first_in_every_interval() -> None:
    assert order_arrivals(4, 0, INDEX).tolist() == [0, 1, 2, 3]
    assert order_arrivals(4, 9, INDEX).tolist() == [0, 1, 2, 3]


def test_rotate_starts_one_further_each_interval() -> None:
    assert [order_arrivals(3, t, ROTATE).tolist() for t in range(4)] == [
        [0, 1, 2],
        [1, 2, 0],
        [2, 0, 1],
        [0, 1, 2],
    ]


@pytest.mark.parametrize("rules", [INDEX, ROTATE, SHUFFLE], ids=["index", "rotate", "shuffle"])
def test_everybody_arrives_once(rules: Rules) -> None:
    for t in range(50):
        assert sorted(order_arrivals(7, t, rules).tolist()) == list(range(7))


def test_nobody_arrives_where_nobody_lives() -> None:
    for rules in (INDEX, ROTATE, SHUFFLE):
        assert order_arrivals(0, 3, rules).size == 0


def test_shuffle_depends_on_seed_and_interval_and_nothing_else() -> None:
    first = order_arrivals(20, 5, SHUFFLE).tolist()
    assert order_arrivals(20, 5, SHUFFLE).tolist() == first
    assert order_arrivals(20, 6, SHUFFLE).tolist() != first
    assert order_arrivals(20, 5, SHUFFLE._replace(seed=2)).tolist() != first


def test_shuffle_is_fair() -> None:
    """Over 6,000 intervals each of 4 houses is first 1,500 times, give or take 5 standard deviations (168)."""
    first = np.bincount([order_arrivals(4, t, SHUFFLE)[0] for t in range(6000)], minlength=4)
    assert np.abs(first - 1500).max() < 168


def test_random_bits_are_62_and_evenly_spread() -> None:
    """The mean of 4,000 draws lies within 5 standard errors of the middle, and every bit is set half of the time."""
    draws = [random_bits(3, t, 0) for t in range(4000)]
    assert all(0 <= draw < 2**62 for draw in draws)
    assert abs(sum(draws) / 4000 / 2**62 - 0.5) < 5 * (1 / 12) ** 0.5 / 4000**0.5
    for bit in range(62):
        ones = sum(draw >> bit & 1 for draw in draws)
        assert abs(ones - 2000) < 5 * 4000**0.5 / 2


def test_random_bits_differ_in_every_argument() -> None:
    """Neighbouring arguments give unrelated numbers: 3 x 10 x 10 x 10 neighbours are all different."""
    draws = {random_bits(seed, t, i) for seed in range(10) for t in range(10) for i in range(10)}
    assert len(draws) == 1000


def test_random_bits_are_the_same_on_every_machine() -> None:
    """A ledger must replay: the machine's arithmetic modulo 2**64 equals that of Python's unbounded integers."""
    for seed, interval, number in [(0, 0, 0), (1, 2, 3), (2**31, 35_063, 999), (7, 10**9, 10**6)]:
        assert random_bits(seed, interval, number) == splitmix_bits(seed, interval, number)
    assert random_bits(0, 0, 0) == 725701490629190384
    assert random_bits(1, 2, 3) == 3160589605638165456


def splitmix_bits(seed: int, interval: int, number: int) -> int:
    modulus = 2**64
    x = seed * 0x9E3779B97F4A7C15 % modulus ^ interval * 0xBF58476D1CE4E5B9 % modulus
    x = (x + (number + 1) * 0x94D049BB133111EB) % modulus
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x = (x ^ (x >> shift)) * factor % modulus
    return x >> 2
