"""What the market carries from one interval to the next: money, energy in batteries, and who owns it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from market.compiled import compiled, fill
from market.exchanges import FLEXIBLE, Ints, Rows
from market.storage import PPM, Ratings, Wh

POOL_UTILITY, POOL_CONTRACT, POOL_OPERATOR = 0, 1, 2
"""Positions in `State.pools_neur`; the pool of party -1, -2, -3 is -1 - party."""


class Lots(NamedTuple):
    """Lots: energy that its owner has stored in a host's battery; int64 arrays of one length, oldest first.

    `stored_wh` is what the host's battery holds of a lot; from interval `expiry` on it belongs to the host.
    """

    lot: Ints
    owner: Ints
    host: Ints
    stored_wh: Wh
    expiry: Ints


class State(NamedTuple):
    """State before an interval. It is never changed: every interval makes a new one.

    Attributes
    ----------
    own_wh
        Stored energy that belongs to the house itself, (N,).
    wallet_neur, account_neur
        Wallet and utility account of each house, (N,); the account is negative where the house owes.
    pools_neur
        Accounts of the utility, the sharing contract and the network operator, (3,).
    lots
        All lots that have not expired.
    ratings
        What each battery can do; it changes when a device joins or leaves.
    tally
        (3,): number of the next lot; Wh ever stored in lots of prosumers; Wh of those that were sold.
    flexible
        (D,) `FLEXIBLE` rows of the devices that can wait: of the interval before, or at the begin of an interval what
        they say of it.
    """

    own_wh: Wh
    wallet_neur: Ints
    account_neur: Ints
    pools_neur: Ints
    lots: Lots
    ratings: Ratings
    tally: Ints
    flexible: Rows


NO_FLEXIBLE: Rows = np.zeros(0, FLEXIBLE)


def make_opening_state(
    own_wh: npt.ArrayLike, wallet_neur: npt.ArrayLike, ratings: Ratings, flexible: Rows = NO_FLEXIBLE
) -> State:
    """Make the state before the first interval: opening charge and wallets, all else zero.

    Parameters
    ----------
    own_wh, wallet_neur
        Shape (N,), Wh and nEUR.
    ratings
        Batteries of the houses; where there is none, all is zero but the efficiencies.
    flexible
        Devices that can wait, as they are at the start.
    """
    own = np.array(own_wh, dtype=np.int64)
    none = np.zeros(0, np.int64)
    return State(
        own,
        np.array(wallet_neur, dtype=np.int64),
        np.zeros_like(own),
        np.zeros(3, np.int64),
        Lots(none, none.copy(), none.copy(), none.copy(), none.copy()),
        ratings,
        np.zeros(3, np.int64),
        flexible,
    )


@compiled
def hosted_wh(lots: Lots, n: int) -> Wh:
    """Stored energy of others in each house's battery, (n,)."""
    hosted = np.zeros(n, np.int64)
    for k in range(lots.lot.size):
        hosted[lots.host[k]] += lots.stored_wh[k]
    return hosted


@compiled
def begin_interval(state: State, interval: int) -> State:
    """State at the begin of `interval`: expired lots belong to their hosts, and batteries have self-discharged.

    Lots do not lose energy; self-discharge, rounded down, is taken from what the host owns.
    """
    own = state.own_wh.copy()
    lots = state.lots
    alive = np.flatnonzero(lots.expiry > interval)
    if alive.size < lots.lot.size:
        for k in range(lots.lot.size):
            if lots.expiry[k] <= interval:
                own[lots.host[k]] += lots.stored_wh[k]
        lots = Lots(lots.lot[alive], lots.owner[alive], lots.host[alive], lots.stored_wh[alive], lots.expiry[alive])
    own -= own * state.ratings.self_discharge_ppm // PPM
    return State(
        own,
        state.wallet_neur,
        state.account_neur,
        state.pools_neur,
        lots,
        state.ratings,
        state.tally,
        state.flexible,
    )


@compiled
def flatten_accounts(state: State) -> Ints:
    """All that a block's state root covers, (4N + 3,): wallets, accounts, pools (nEUR), own and hosted energy (Wh)."""
    n = state.own_wh.size
    row = np.empty(4 * n + 3, np.int64)
    fill(row[:n], state.wallet_neur)
    fill(row[n : 2 * n], state.account_neur)
    fill(row[2 * n : 2 * n + 3], state.pools_neur)
    fill(row[2 * n + 3 : 3 * n + 3], state.own_wh)
    fill(row[3 * n + 3 :], hosted_wh(state.lots, n))
    return row
