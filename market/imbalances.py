"""Imbalances: what each house delivered beside what it was committed to, settled with the utility; Wh and nEUR.

The utility balances the grid. A house that injects more than it was committed to is long: the utility takes the
difference at the long price. One that injects less is short and pays the short price for what it lacks. With one price
for both, deviations of two houses that cancel out cost them nothing together; with a short price above the long one the
utility keeps the spread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.errors import MarketError
from market.exchanges import Ints

LARGEST_PRICE_UEUR_PER_KWH = 10_000_000


class ImbalancePrices(NamedTuple):
    """What a house pays for energy it is short of, and gets for energy it is long of, µEUR/kWh."""

    short_ueur_per_kwh: int
    long_ueur_per_kwh: int


class Imbalances(NamedTuple):
    """Deviations of T intervals and N houses, settled.

    Attributes
    ----------
    deviation_wh
        Delivered less committed injection, (T, N), Wh: above 0 where a house is long.
    amount_neur
        What each house gets for it, (T, N), nEUR; below 0 where it pays.
    utility_wh, utility_neur
        What the utility injects to balance them, and what it gets, (T,).
    """

    deviation_wh: Ints
    amount_neur: Ints
    utility_wh: Ints
    utility_neur: Ints


def settle_imbalances(committed_wh: Ints, delivered_wh: Ints, prices: ImbalancePrices) -> Imbalances:
    """Settle what houses injected beside what they were committed to inject, (T, N) Wh each.

    Raises
    ------
    MarketError
        If shapes differ, a price is out of range, the short price is below the long one, or sums could exceed 64 bits.

    Examples
    --------
    >>> prices = ImbalancePrices(300_000, 50_000)
    >>> found = settle_imbalances(np.array([[0, -500]]), np.array([[100, -700]]), prices)
    >>> found.amount_neur.tolist(), found.utility_neur.tolist()
    ([[5000000, -60000000]], [55000000])
    """
    check_prices(prices)
    if committed_wh.shape != delivered_wh.shape or committed_wh.ndim != 2:
        raise MarketError(
            "imbalances: expected committed and delivered energies of the same intervals and houses, got "
            f"{committed_wh.shape} and {delivered_wh.shape}"
        )
    deviation = delivered_wh - committed_wh
    largest = int(np.abs(deviation).max(initial=0)) * max(prices) * max(1, deviation.size)
    if largest >= 2**62:
        raise MarketError(
            "imbalances: expected amounts that sum to less than 2^62 nEUR, got larger; take a shorter run"
        )
    price = np.where(deviation < 0, prices.short_ueur_per_kwh, prices.long_ueur_per_kwh)
    utility_wh, utility_neur = balance_utility(deviation, prices)
    return check_sums(Imbalances(deviation, deviation * price, utility_wh, utility_neur))


def balance_utility(deviation_wh: Ints, prices: ImbalancePrices) -> tuple[Ints, Ints]:
    """What the utility injects and gets in each interval, (T,) Wh and nEUR, from all that is short or long.

    It is added up apart from the houses' amounts, so that `check_sums` compares two sums.
    """
    short_wh = np.maximum(-deviation_wh, 0).sum(axis=1)
    long_wh = np.maximum(deviation_wh, 0).sum(axis=1)
    return short_wh - long_wh, short_wh * prices.short_ueur_per_kwh - long_wh * prices.long_ueur_per_kwh


def check_sums(found: Imbalances) -> Imbalances:
    """The imbalances themselves, once energy and money of each interval sum to zero over houses and utility.

    Raises
    ------
    MarketError
        If they do not.
    """
    energy = found.deviation_wh.sum(axis=1) + found.utility_wh
    money = found.amount_neur.sum(axis=1) + found.utility_neur
    if wrong := np.flatnonzero((energy != 0) | (money != 0)).tolist():
        raise MarketError(
            f"imbalances of interval {wrong[0]}: expected energy and money that sum to zero, got {energy[wrong[0]]} Wh "
            f"and {money[wrong[0]]} nEUR; this is a defect, please report it"
        )
    return found


def check_prices(prices: ImbalancePrices) -> None:
    """Raise `MarketError` where a price is out of range, or being short costs less than being long pays."""
    for name, price in prices._asdict().items():
        if not 0 <= price <= LARGEST_PRICE_UEUR_PER_KWH:
            raise MarketError(f"{name}: expected 0 to {LARGEST_PRICE_UEUR_PER_KWH}, got {price}; correct the price")
    if prices.short_ueur_per_kwh < prices.long_ueur_per_kwh:
        raise MarketError(
            f"imbalance prices: expected a short price of at least the long one, got {prices.short_ueur_per_kwh} and "
            f"{prices.long_ueur_per_kwh} µEUR/kWh, which would pay for deviating; correct the prices"
        )
