"""How a community's gain is shared: the Shapley value, exact or sampled, and the core.

Shapley (1953), "A value for n-person games": member i gets the mean, over all orders in which members come, of what
its coming adds. Exact values are fractions; `round_shares` makes whole nEUR of them that sum to the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import factorial, floor, sqrt
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from market.community.games import Game, check_names
from market.errors import MarketError

FEWEST_ORDERS = 30
"""Orders below which a sample says nothing of its own spread."""

Shares = tuple[Fraction, ...]


class Sampled(NamedTuple):
    """A Shapley value that was sampled.

    Attributes
    ----------
    shares
        Mean of what each member adds, (n,), nEUR; they sum to the worth of all.
    half_width_neur
        Half the interval of confidence of each share by itself, (n,), nEUR.
    confidence, n_orders
        Its confidence, and the number of orders drawn.
    """

    shares: Shares
    half_width_neur: tuple[float, ...]
    confidence: float
    n_orders: int


def find_shapley(game: Game) -> Shares:
    """Shapley value of a game, exact fractions of nEUR, (n,).

    Examples
    --------
    >>> from market.community.games import make_game
    >>> find_shapley(make_game(("ann", "bob"), lambda coalition: (0, 1, 2, 6)[coalition]))
    (Fraction(5, 2), Fraction(7, 2))
    """
    n, worth = len(game.names), game.worth_neur
    weights = [factorial(size) * factorial(n - size - 1) for size in range(n)]
    sums = [0] * n
    for coalition in range(2**n):
        weight = weights[coalition.bit_count()] if coalition != game.everybody else 0
        for i in range(n):
            if not coalition >> i & 1:
                sums[i] += weight * (worth[coalition | 1 << i] - worth[coalition])
    return tuple(Fraction(total, factorial(n)) for total in sums)


def sample_shapley(
    names: Sequence[str],
    worth: Callable[[int], int],
    rng: np.random.Generator,
    *,
    n_orders: int,
    confidence: float = 0.95,
) -> Sampled:
    """Shapley value from orders drawn at random, with an interval of confidence for each member by itself.

    Castro, Gómez and Tejada (2009), "Polynomial calculation of the Shapley value based on sampling". Orders are
    independent, so that each mean has a Student t interval from the spread of what the member adds.

    Parameters
    ----------
    names
        Of the members, (n,).
    worth
        Worth of a coalition by its number, nEUR; asked at most once for each.
    rng
        What orders are drawn by.
    n_orders
        Number of orders, at least 30.
    confidence
        Of the interval, between 0 and 1.

    Raises
    ------
    MarketError
        If there are no members, too few orders, or no such confidence.
    """
    check_names(names)
    if n_orders < FEWEST_ORDERS or not 0.0 < confidence < 1.0:
        raise MarketError(
            f"sampled Shapley value: expected at least {FEWEST_ORDERS} orders and a confidence between 0 and 1, got "
            f"{n_orders} and {confidence:g}"
        )
    n, known = len(names), {0: 0}
    sums, squares = [0] * n, [0] * n
    for _ in range(n_orders):
        coalition = 0
        for i in rng.permutation(n).tolist():
            joined = coalition | 1 << i
            if joined not in known:
                known[joined] = worth(joined)
            added = known[joined] - known[coalition]
            sums[i], squares[i] = sums[i] + added, squares[i] + added * added
            coalition = joined
    factor = float(student.ppf(0.5 + confidence / 2.0, n_orders - 1)) / sqrt(n_orders * (n_orders - 1))
    spread = [sqrt(square - Fraction(total * total, n_orders)) for total, square in zip(sums, squares, strict=True)]
    shares = tuple(Fraction(total, n_orders) for total in sums)
    return Sampled(shares, tuple(factor * value for value in spread), confidence, n_orders)


def round_shares(shares: Shares) -> tuple[int, ...]:
    """Whole nEUR that sum to the whole: integer parts, and what is left to the largest fractions, of equal ones first.

    Raises
    ------
    MarketError
        If the shares do not sum to a whole number.

    Examples
    --------
    >>> round_shares((Fraction(10, 3),) * 3)
    (4, 3, 3)
    """
    total = sum(shares)
    if total.denominator != 1:
        raise MarketError(f"shares: expected a sum of whole nEUR, got {float(total)}")
    whole = [floor(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (whole[i] - shares[i], i))
    for i in order[: int(total) - sum(whole)]:
        whole[i] += 1
    return tuple(whole)


class Blocking(NamedTuple):
    """Coalition that is worth more alone than its members get, and by how much, nEUR."""

    coalition: int
    excess_neur: Fraction


def find_blocking(game: Game, shares: Sequence[Fraction | int]) -> Blocking | None:
    """The coalition with most reason to leave; None where shares are in the core.

    In the core every coalition gets at least what it is worth alone, and all together what all are worth (Gillies).

    Raises
    ------
    MarketError
        If the shares do not sum to the worth of all.
    """
    if sum(shares) != game.worth_neur[game.everybody]:
        raise MarketError(
            f"core: expected shares that sum to {game.worth_neur[game.everybody]} nEUR, got {float(sum(shares))}"
        )
    excesses = find_excesses(game, shares)
    coalition = max(range(1, game.everybody + 1), key=lambda number: (excesses[number], -number))
    return Blocking(coalition, excesses[coalition]) if excesses[coalition] > 0 else None


def find_excesses(game: Game, shares: Sequence[Fraction | int]) -> list[Fraction]:
    """What each coalition is worth more than its members get, (2^n,), nEUR."""
    gets = [Fraction(0)]
    for share in shares:
        gets += [got + share for got in gets]
    return [worth - got for worth, got in zip(game.worth_neur, gets, strict=True)]
