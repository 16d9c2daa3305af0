"""The rules of a market as a tuple of integers, which compiled functions can read too."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from market.errors import MarketError

NONE, TRADING, TRADING_BATTERY, SHARING_CENTRAL, SHARING_P2P = range(5)
SHARING_HYBRID, SHARING_SELFISH, DOUBLE_AUCTION, PLUGGED_IN = range(5, 9)
"""Codes of the mechanisms, as in `Rules.mechanism`; the last is a user's own."""


class Pricing(IntEnum):
    """Rule for the uniform price of an interval; see `market.pricing`."""

    REQUESTS_OFFERS = 0
    MID_MARKET = 1
    SUPPLY_DEMAND_RATIO = 2
    FIXED = 3


class Arrival(IntEnum):
    """Order in which houses are served within an interval; see `market.arrival`."""

    INDEX = 0
    ROTATE = 1
    SHUFFLE = 2


class Rules(NamedTuple):
    """Parameters of the market, all integers.

    Attributes
    ----------
    mechanism
        Code of the built-in mechanism; see `market.mechanisms`.
    battery
        1 if houses use their batteries, 0 if no battery charges or discharges.
    pricing, fixed_price_ueur_per_kwh
        A `Pricing` code, and the price used when it is `FIXED`.
    feed_in_numerator, feed_in_denominator
        Feed-in tariff F = U · numerator // denominator (reference study: 1/3).
    feed_in_ueur_per_kwh
        A fixed feed-in tariff, at most U in every interval, in place of that; -1 for none.
    feed_in
        1 if what is left over is exported at F, 0 if it is spilled.
    fee_permille
        Share of every P2P sale that goes to the sharing contract (mechanisms C-SE and hybrid only).
    beta_permille
        Part of shared energy that the consumer uses at once; the rest becomes a lot.
    selfish_beta_permille
        The smallest such part that a consumer accepts (mechanism `sharing_selfish`).
    tau_intervals
        Life of a lot in intervals.
    arrival, seed
        An `Arrival` code, and the seed of `SHUFFLE` and of the auction's bids.
    records_orders
        1 if orders are kept beside what is settled, for a ledger with facts; it changes no order.
    """

    mechanism: int = 0
    battery: int = 1
    pricing: int = int(Pricing.REQUESTS_OFFERS)
    fixed_price_ueur_per_kwh: int = 0
    feed_in_numerator: int = 1
    feed_in_denominator: int = 3
    feed_in: int = 0
    fee_permille: int = 0
    beta_permille: int = 500
    selfish_beta_permille: int = 100
    tau_intervals: int = 12
    arrival: int = int(Arrival.INDEX)
    seed: int = 0
    records_orders: int = 0
    feed_in_ueur_per_kwh: int = -1


def check_rules(rules: Rules) -> Rules:
    """Return `rules` unchanged, or say what is wrong with them.

    Raises
    ------
    MarketError
        If a rate is outside its range.

    Examples
    --------
    >>> check_rules(Rules(beta_permille=1200))
    Traceback (most recent call last):
        ...
    market.errors.MarketError: rules, beta_permille: expected 1 to 999, got 1200
    """
    ranges = {
        "feed_in_numerator": (0, 1_000_000),
        "feed_in_denominator": (1, 1_000_000),
        "feed_in": (0, 1),
        "battery": (0, 1),
        "records_orders": (0, 1),
        "fee_permille": (0, 1000),
        "beta_permille": (1, 999),
        "selfish_beta_permille": (0, 999),
        "tau_intervals": (1, 1_000_000),
        "fixed_price_ueur_per_kwh": (0, 10_000_000),
        "pricing": (0, len(Pricing) - 1),
        "arrival": (0, len(Arrival) - 1),
        "feed_in_ueur_per_kwh": (-1, 10_000_000),
    }
    for name, (low, high) in ranges.items():
        value = getattr(rules, name)
        if not low <= value <= high:
            raise MarketError(f"rules, {name}: expected {low} to {high}, got {value}")
    if rules.feed_in_numerator > rules.feed_in_denominator:
        raise MarketError(
            "rules, feed-in tariff: expected at most the utility price, "
            f"got {rules.feed_in_numerator}/{rules.feed_in_denominator} of it"
        )
    return rules
