"""Shapley value, nucleolus and core on games whose answers are known."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from market.community.gains import (
    Shares,
    find_blocking,
    find_excesses,
    find_shapley,
    round_shares,
    sample_shapley,
)
from market.community.games import Game, make_game
from market.community.nucleolus import find_nucleolus
from market.errors import MarketError

NAMES = ("ann", "bob", "cleo")
LEMAIRE = (0, 461_250, 174_375, 691_875, 58_125, 538_125, 307_500, 900_000)
"""Lemaire (1991), "Cooperative game theory and its insurance applications": interest of three treasuries, in tenths."""


def shapley_of_orders(game: Game) -> Shares:
    """The definition itself: the mean over all orders."""
    n = len(game.names)
    orders = list(permutations(range(n)))
    sums = [Fraction(0)] * n
    for order in orders:
        coalition = 0
        for i in order:
            sums[i] += game.worth_neur[coalition | 1 << i] - game.worth_neur[coalition]
            coalition |= 1 << i
    return tuple(total / len(orders) for total in sums)


def estates(estate: int, debts: tuple[int, ...] = (100, 200, 300)) -> Game:
    """What a coalition gets of an estate once all others are paid (Aumann and Maschler 1985)."""
    names = tuple(f"wife_{debt}" for debt in debts)
    return make_game(names, lambda s: max(0, estate - sum(d for i, d in enumerate(debts) if not s >> i & 1)))


def test_lemaires_game() -> None:
    game = Game(NAMES, LEMAIRE)
    assert find_shapley(game) == (517_500, 258_750, 123_750)
    assert find_nucleolus(game).shares == (526_875, Fraction(489_375, 2), Fraction(256_875, 2))


def test_airport_game() -> None:
    """Littlechild and Owen (1973): each part of the runway is shared by who needs it."""
    costs = (12, 30, 60, 60)
    game = make_game(("a", "b", "c", "d"), lambda s: -max(c for i, c in enumerate(costs) if s >> i & 1))
    third, half = Fraction(18, 3), Fraction(30, 2)
    assert find_shapley(game) == (-3, -3 - third, -3 - third - half, -3 - third - half)
    assert find_blocking(game, find_shapley(game)) is None


@pytest.mark.parametrize(
    ("estate", "shares"),
    [
        (100, (Fraction(100, 3),) * 3),
        (200, (Fraction(50), Fraction(75), Fraction(75))),
        (300, (Fraction(50), Fraction(100), Fraction(150))),
    ],
)
def test_three_estates_of_the_talmud(estate: int, shares: Shares) -> None:
    assert find_nucleolus(estates(estate)).shares == shares


def test_nucleolus_lowers_sorted_excesses_against_other_shares() -> None:
    """No share on a grid around it has excesses that come before, sorted from the largest."""
    game = Game(NAMES, (0, 4, 1, 13, 0, 9, 7, 24))
    best = find_nucleolus(game).shares
    ranked = sorted(find_excesses(game, best)[1:-1], reverse=True)
    steps = [Fraction(k, 4) for k in range(-8, 9)]
    for a in steps:
        for b in steps:
            other = best[0] + a, best[1] + b, best[2] - a - b
            assert sorted(find_excesses(game, other)[1:-1], reverse=True) >= ranked


def test_shapley_is_that_of_all_orders() -> None:
    rng = np.random.default_rng(3)
    worth = (0, *rng.integers(-(10**15), 10**15, 2**5 - 1).tolist())
    game = Game(tuple("abcde"), worth)
    assert find_shapley(game) == shapley_of_orders(game)
    assert sum(round_shares(find_shapley(game))) == worth[-1]


def test_sample_is_within_its_stated_confidence() -> None:
    """Of 400 intervals of 90 % those that miss are as many as stated; each sample sums to the whole."""
    game = make_game(tuple("abcd"), lambda s: s.bit_count() ** 2 * 100 + 7 * s)
    exact, kept = find_shapley(game), 0
    for seed in range(100):
        found = sample_shapley(
            game.names, game.worth_neur.__getitem__, np.random.default_rng(seed), n_orders=60, confidence=0.9
        )
        assert sum(found.shares) == game.worth_neur[-1]
        near = zip(found.shares, exact, found.half_width_neur, strict=True)
        kept += sum(abs(float(share - value)) <= width for share, value, width in near)
    assert 340 <= kept <= 380


def test_core_names_who_would_leave() -> None:
    game = Game(NAMES, LEMAIRE)
    found = find_blocking(game, (900_000, 0, 0))
    assert found is not None
    assert (found.coalition, found.excess_neur) == (0b110, 307_500)
    with pytest.raises(MarketError, match="expected shares that sum to 900000 nEUR, got 1"):
        find_blocking(game, (1, 0, 0))


def test_too_large_games_and_too_small_samples_are_refused() -> None:
    with pytest.raises(MarketError, match="at most 15 members"):
        make_game([str(k) for k in range(16)], lambda s: s)
    with pytest.raises(MarketError, match="at most 12 members, got 13"):
        find_nucleolus(Game(tuple(map(str, range(13))), (0,) * 2**13))
    with pytest.raises(MarketError, match="at least 30 orders"):
        sample_shapley(NAMES, LEMAIRE.__getitem__, np.random.default_rng(1), n_orders=29)
