"""Keys by which a community's generation is allocated to use: fixed or given coefficients, or in relation to use."""

from __future__ import annotations

import numpy as np

from market.community.energies import Metered, Part
from market.community.rounding import share_out
from market.errors import MarketError
from market.exchanges import Ints


def allocate_by_coefficients(metered: Metered, weights: Ints) -> Ints:
    """Generation assigned to each member by coefficients, (T, N) Wh, whether it is used or not.

    `weights` are coefficients over one denominator, (N,) or (T, N). The assigned Wh sum to what is generated.
    """
    return share_out(metered.generated_wh.sum(axis=1), weights)


def allocate_by_use(metered: Metered) -> Ints:
    """Generation allocated in relation to use, within use: pro rata, (T, N) Wh.

    Where generation covers all use everybody gets its use. Nobody gets more: a quota below a whole number of Wh rises
    to that number at most.
    """
    shared = np.minimum(metered.generated_wh.sum(axis=1), metered.used_wh.sum(axis=1))
    return share_out(shared, metered.used_wh)


def make_part(name: str, metered: Metered, received_wh: Ints) -> Part:
    """A community whose producers give in proportion to what they generate; what they keep is their surplus."""
    given_wh = share_out(received_wh.sum(axis=1), metered.generated_wh)
    return Part(name, metered.generated_wh, metered.used_wh, received_wh, metered.generated_wh - given_wh)


def check_coefficients(weights: Ints, denominator: int, where: str) -> None:
    """Check that coefficients are not below 0 and sum to one in every row, exactly.

    Parameters
    ----------
    weights, denominator
        Coefficients times the denominator, (N,) or (T, N).
    where
        What they are of, for the message.

    Raises
    ------
    MarketError
        If they do not.
    """
    rows = np.atleast_2d(weights)
    wrong = np.flatnonzero(rows.sum(axis=1) != denominator)
    if (rows < 0).any():
        raise MarketError(f"{where}: expected coefficients from 0 to 1, got one below 0; correct it")
    if wrong.size:
        row, digits = int(wrong[0]), len(str(denominator)) - 1
        total = int(rows[row].sum())
        got = f"{total // denominator}.{total % denominator:0{digits}d}" if digits else str(total)
        place = "" if rows.shape[0] == 1 else f" in row {row + 1} of {rows.shape[0]:,}"
        raise MarketError(f"{where}: expected coefficients that sum to exactly 1, got {got}{place}; correct them")
