"""Net positions of the members of a market, as the contract `Escrow` settles them day by day."""

from __future__ import annotations

import numpy as np

from market.errors import MarketError
from market.exchanges import Ints
from market.state import State


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
        raise MarketError(f"positions of a day: expected the sum of zero, got {positions_neur.sum()} nEUR")
    units, rest = np.divmod(positions_neur, neur_per_unit)
    most = np.argsort(-rest, kind="stable")[: -units.sum()]
    units[most] += 1
    return [int(each) for each in units]
