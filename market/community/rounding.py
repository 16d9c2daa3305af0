"""Whole units shared out by weights: largest remainders, so that parts sum to the whole.

Each party gets the integer part of its quota; the units that are left go to the largest remainders, of equal ones to
who stands first (Hamilton's method).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from market.errors import MarketError
from market.exchanges import Ints

LARGEST = 2**63


def share_out(total: Any, weights: Any) -> Ints:
    """Share whole units out by weights, to the unit.

    Parameters
    ----------
    total
        Units of each row, (T,), not below 0.
    weights
        Weights of the parties, (T, N), or (N,) for all rows; integers, not below 0. They need not have a certain sum.

    Returns
    -------
    numpy.ndarray
        Units of each party, (T, N); each row sums to its total.

    Raises
    ------
    MarketError
        If a row has units and no weight above 0, or a number is below 0.

    Examples
    --------
    >>> share_out([10, 1], [1, 1, 1]).tolist()
    [[4, 3, 3], [1, 0, 0]]
    """
    whole, by = np.asarray(total), np.asarray(weights)
    by = np.broadcast_to(by, (whole.size, by.shape[-1]))
    _check_shares(whole, by)
    kind = np.int64 if _largest(whole) * max(_largest(by), 1) < LARGEST else object  # Python's integers have no end
    whole, by = whole.astype(kind)[:, None], by.astype(kind)
    sums = by.sum(axis=1, keepdims=True) if by.size else np.zeros((whole.shape[0], 1), kind)
    product, divisor = whole * by, np.where(sums == 0, 1, sums)
    parts, remainders = product // divisor, product % divisor
    left = (whole[:, 0] - parts.sum(axis=1)).astype(np.int64)
    left[sums[:, 0] == 0] = 0
    order = np.argsort(-remainders, axis=1, kind="stable")
    place = np.argsort(order, axis=1, kind="stable")
    shares: Ints = (parts + (place < left[:, None])).astype(np.int64)
    return shares


def _largest(values: npt.NDArray[Any]) -> int:
    return int(values.max()) if values.size else 0


def _check_shares(whole: npt.NDArray[Any], by: npt.NDArray[Any]) -> None:
    if (whole < 0).any() or (by < 0).any():
        raise MarketError("share_out: expected totals and weights not below 0, got one below; correct it")
    idle = (whole > 0) & ((by > 0).sum(axis=1) == 0)
    if idle.any():
        raise MarketError(
            f"share_out: expected a weight above 0 in every row with something to share, got none in row "
            f"{int(np.flatnonzero(idle)[0])}; give one"
        )
