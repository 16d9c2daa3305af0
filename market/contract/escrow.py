"""Net positions of the members of a market, as the contract `Escrow` settles them period by period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from market.errors import MarketError
from market.exchanges import Ints
from market.state import State


class Clock(NamedTuple):
    """Periods of an escrow, as its constructor takes them: all of one length, without a gap.

    Attributes
    ----------
    first
        Number of the first period.
    begin
        When it begins, Unix seconds: at most 366 days from now, and not so long ago that patience with it is over.
    length
        Seconds of a period.
    patience
        Seconds from a period's end in which the operator is to settle it: a period and a day, or more, up to 366 days.
    """

    first: int
    begin: int
    length: int
    patience: int


class Moved(NamedTuple):
    """What a period moves: units each member gets, or pays (below zero), and how many that are owed are not there."""

    units: list[int]
    missing: int


def find_positions(before: State, after: State) -> Ints:
    """What each party gets, or owes (below zero), between two states, nEUR.

    Returns
    -------
    (N + 3,) int64: houses, with wallet and utility account together, then utility, sharing contract and network
    operator. They add up to zero, since every amount leaves one account and enters another.
    """
    houses = after.wallet_neur - before.wallet_neur + after.account_neur - before.account_neur
    return np.concatenate([houses, after.pools_neur - before.pools_neur])


def in_units(positions_neur: Ints, neur_per_unit: int) -> list[int]:
    """Positions in units of a token, whole and still with the sum of zero.

    Each is rounded down, and those that lost most by it get one unit more, of equals the first: nobody is more than a
    unit off.

    Parameters
    ----------
    positions_neur
        Shape (n,), with the sum of zero.
    neur_per_unit
        What the smallest unit of the token is worth: 1,000 for a token of euros with six decimals.

    Raises
    ------
    MarketError
        If positions do not add up to zero.

    Examples
    --------
    >>> in_units(np.array([-1500, 700, 800]), 1000)
    [-2, 1, 1]
    """
    if positions_neur.sum() != 0:
        raise MarketError(f"positions of a period: expected the sum of zero, got {positions_neur.sum()} nEUR")
    units, rest = np.divmod(positions_neur, neur_per_unit)
    most = np.argsort(-rest, kind="stable")[: -units.sum()]
    units[most] += 1
    return [int(each) for each in units]


def cover_positions(positions: Sequence[int], balances: Sequence[int]) -> Moved:
    """What the contract moves of a period's positions: who owes pays what it has, who receives bears the rest.

    Each receives pro rata of what is collected: the difference of two running totals, both rounded down. So the sum
    stays zero, nobody gets more than is asked, and nobody is a whole unit off its exact share.

    Parameters
    ----------
    positions
        (n,) units that each member gets, or owes (below zero), with the sum of zero.
    balances
        (n,) units in the members' accounts, with those announced to be withdrawn.

    Returns
    -------
    Moved
        Its `missing` is what `settle` has to be allowed to miss.

    Raises
    ------
    MarketError
        If positions do not add up to zero, or are not as many as balances.

    Examples
    --------
    >>> cover_positions([-60, -50, 33, 77], [100, 20, 0, 0])
    Moved(units=[-60, -20, 24, 56], missing=30)
    """
    if sum(positions) != 0:
        raise MarketError(f"positions of a period: expected the sum of zero, got {sum(positions)} units")
    if len(positions) != len(balances):
        raise MarketError(f"positions of a period: expected one each of {len(balances)} members, got {len(positions)}")
    units = [max(each, -balance) for each, balance in zip(positions, balances, strict=True)]
    owed = -sum(each for each in positions if each < 0)
    collected = -sum(each for each in units if each < 0)
    asked = given = 0
    for member, position in enumerate(positions):
        if position > 0:
            asked += position
            units[member] = asked * collected // owed - given
            given += units[member]
    return Moved(units, owed - collected)
