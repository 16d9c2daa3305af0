"""Network charges of final intervals: they take from accounts, and change nothing that is delivered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosim.errors import ConservationError
from cosim.interval.chunk import Chunk
from market.charges import Period, Terms, charge_intervals, find_changes
from market.exchanges import Ints
from market.state import POOL_OPERATOR


def with_charges(terms: Terms, chunks: Sequence[Chunk], period: Period, opening_wallet_neur: Ints) -> list[Chunk]:
    """Consecutive chunks with what they charge in their accounts, and in the state behind them.

    No later interval depends on accounts, so that chunks that were made one from the other are charged together.

    Parameters
    ----------
    terms
        Of all intervals of the run.
    chunks
        The first begins behind the intervals that `period` holds.
    period
        What has come together before.
    opening_wallet_neur
        Wallets at the start, (N,): all money that there is.

    Raises
    ------
    ConservationError
        If accounts of an interval do not add up to the money at the start.
    market.errors.MarketError
        If a charge is larger than a record can hold.
    """
    n, money, done = opening_wallet_neur.size, int(opening_wallet_neur.sum()), list[Chunk]()
    due = np.zeros(4 * n + 3, np.int64)
    for chunk in chunks:
        window = chunk.window
        charges, period = charge_intervals(
            terms.select(chunk.first, chunk.stop), window.rows, window.offsets, chunk.first, period
        )
        changes = due + find_changes(charges, n)
        accounts, due = window.accounts + changes, changes[-1]
        wrong = np.flatnonzero(accounts[:, : 2 * n + 3].sum(axis=1) != money)
        if wrong.size:
            raise ConservationError(
                f"interval {chunk.first + int(wrong[0])}: the accounts do not balance after network charges; this is a "
                "defect, please report it"
            )
        pools = window.state.pools_neur.copy()
        pools[POOL_OPERATOR] += due[2 * n + POOL_OPERATOR]
        state = window.state._replace(account_neur=window.state.account_neur + due[n : 2 * n], pools_neur=pools)
        network = chunk.network._replace(period=period)
        done.append(
            chunk._replace(window=window._replace(accounts=accounts, state=state), network=network, charges=charges)
        )
    return done
