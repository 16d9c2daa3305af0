"""Games of coalitions: what each group of members is worth together, whole nEUR.

A coalition is a number whose bit i says whether member i is in it, so that a game of n members is an array of 2^n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from market.errors import MarketError
from market.exchanges import Ints

MOST_MEMBERS = 15
"""Of a game whose coalitions are all listed."""


class Game(NamedTuple):
    """A game with transferable worth.

    Attributes
    ----------
    names
        Of the members, (n,).
    worth_neur
        Worth of each coalition by its number, (2^n,); that of nobody, the first, is 0. Costs are below zero.
    """

    names: tuple[str, ...]
    worth_neur: tuple[int, ...]

    @property
    def everybody(self) -> int:
        """Number of the coalition of all."""
        return len(self.worth_neur) - 1


def make_game(names: Sequence[str], worth: Callable[[int], int]) -> Game:
    """Make a game from a function of coalitions; that of nobody is not asked for.

    Raises
    ------
    MarketError
        If members are none, more than 15, or not distinct.
    """
    check_names(names)
    if len(names) > MOST_MEMBERS:
        raise MarketError(
            f"game: expected at most {MOST_MEMBERS} members, whose coalitions can all be listed, got {len(names)}; "
            "sample instead"
        )
    return Game(tuple(names), (0, *(worth(coalition) for coalition in range(1, 2 ** len(names)))))


def check_names(names: Sequence[str]) -> None:
    """Raise `MarketError` unless there are members, each named once."""
    if not names or len(set(names)) != len(names):
        raise MarketError(f"game: expected members with different names, got {', '.join(names) or 'none'}")


def list_members(coalition: int, names: Sequence[str]) -> tuple[str, ...]:
    """Names of a coalition's members.

    Examples
    --------
    >>> list_members(0b101, ("ann", "bob", "cleo"))
    ('ann', 'cleo')
    """
    return tuple(name for i, name in enumerate(names) if coalition >> i & 1)


def number_coalition(members: Iterable[str], names: Sequence[str]) -> int:
    """Number of the coalition of some members.

    Examples
    --------
    >>> number_coalition(("ann", "cleo"), ("ann", "bob", "cleo"))
    5
    """
    place = {name: i for i, name in enumerate(names)}
    return sum(1 << place[name] for name in set(members))


def list_memberships(n: int) -> Ints:
    """Who is in each coalition, 0 or 1, (2^n, n)."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1
