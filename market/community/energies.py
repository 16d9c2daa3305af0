"""Energies of a community's members: what meters say, and what a law makes of it. Whole Wh, (T periods, N members)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.errors import MarketError
from market.exchanges import Ints


class Metered(NamedTuple):
    """What the members' meters delivered in each settlement period.

    Attributes
    ----------
    generated_wh, used_wh
        What counts as generation and as use by the metering that is agreed on, (T, N), Wh, not below 0.
    month
        Billing month that each period belongs to, (T,), any whole numbers that do not fall.
    """

    generated_wh: Ints
    used_wh: Ints
    month: Ints


class Part(NamedTuple):
    """One community, or what its members have outside of any: what the law makes of their energies, (T, N), Wh.

    Attributes
    ----------
    name
        Of the community.
    generated_wh, used_wh
        What of the members' energies takes part in it.
    received_wh
        Use that is covered by the community.
    surplus_wh
        Generation beside it, by whose it is in law.
    """

    name: str
    generated_wh: Ints
    used_wh: Ints
    received_wh: Ints
    surplus_wh: Ints

    @property
    def bought_wh(self) -> Ints:
        """Use that the members' suppliers cover."""
        return self.used_wh - self.received_wh


def check_metered(metered: Metered) -> None:
    """Raise `MarketError` unless shapes agree and nothing is below 0."""
    if metered.generated_wh.shape != metered.used_wh.shape or metered.month.shape != metered.used_wh.shape[:1]:
        raise MarketError(
            f"metered: expected generation and use of the same periods and members, got {metered.generated_wh.shape}, "
            f"{metered.used_wh.shape} and {metered.month.shape}"
        )
    if (metered.generated_wh < 0).any() or (metered.used_wh < 0).any():
        raise MarketError("metered: expected energies not below 0, got one below")


def find_imbalance(part: Part) -> int | None:
    """First period in which energies of a part do not balance to the Wh; None if all do.

    What is generated is received or surplus; nobody receives more than it uses; nothing is below 0.
    """
    into, out = part.generated_wh.sum(axis=1), part.received_wh.sum(axis=1) + part.surplus_wh.sum(axis=1)
    wrong = (into != out) | (part.received_wh > part.used_wh).any(axis=1)
    for energies in (part.generated_wh, part.used_wh, part.received_wh, part.surplus_wh):
        wrong |= (energies < 0).any(axis=1)
    return int(np.flatnonzero(wrong)[0]) if wrong.any() else None


def sum_months(energies_wh: Ints, month: Ints) -> tuple[Ints, Ints]:
    """Months that occur, (M,), and the energies in them, (M, N).

    Examples
    --------
    >>> sum_months(np.array([[1, 2], [3, 4], [5, 6]]), np.array([7, 7, 8]))[1].tolist()
    [[4, 6], [5, 6]]
    """
    months, place = np.unique(month, return_inverse=True)
    sums = np.zeros((months.size, energies_wh.shape[1]), np.int64)
    np.add.at(sums, place, energies_wh)
    return months, sums
