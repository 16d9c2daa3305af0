"""Prices between the feed-in tariff F and the utility price U, in µEUR/kWh."""

from __future__ import annotations

import pytest

from market.pricing import (
    feed_in_tariff,
    mid_market_rate,
    requests_offers_price,
    supply_demand_ratio_price,
    uniform_price,
)
from market.rules import Pricing, Rules

U = 60_000
F = 20_000


def test_feed_in_tariff_of_the_reference_study_is_a_third_rounded_down() -> None:
    assert feed_in_tariff(60_000, Rules()) == 20_000
    assert feed_in_tariff(59_999, Rules()) == 19_999


def test_price_rises_with_the_share_of_requests() -> None:
    assert requests_offers_price(F, U, requests=0, offers=4) == F
    assert requests_offers_price(F, U, requests=1, offers=3) == 30_000
    assert requests_offers_price(F, U, requests=3, offers=1) == 50_000
    assert requests_offers_price(F, U, requests=4, offers=0) == U


def test_price_is_rounded_down() -> None:
    assert requests_offers_price(0, 100, requests=2, offers=1) == 66


def test_price_is_the_utility_price_when_nobody_asks_or_offers() -> None:
    assert requests_offers_price(F, U, requests=0, offers=0) == U


def test_mid_market_rate_is_halfway() -> None:
    assert mid_market_rate(F, U) == 40_000
    assert mid_market_rate(1, 2) == 1


def test_supply_demand_ratio_price_falls_from_u_to_f() -> None:
    # U·F / ((U - F)·r + F) with r = 0, 1/2, 1, 2
    assert supply_demand_ratio_price(F, U, supply_wh=0, demand_wh=1000) == U
    assert supply_demand_ratio_price(F, U, supply_wh=500, demand_wh=1000) == 30_000
    assert supply_demand_ratio_price(F, U, supply_wh=1000, demand_wh=1000) == F
    assert supply_demand_ratio_price(F, U, supply_wh=2000, demand_wh=1000) == F


def test_supply_demand_ratio_price_where_one_side_is_missing() -> None:
    assert supply_demand_ratio_price(F, U, supply_wh=700, demand_wh=0) == F
    assert supply_demand_ratio_price(F, U, supply_wh=0, demand_wh=0) == U


def test_supply_demand_ratio_price_without_supply_is_u_even_if_feed_in_pays_nothing() -> None:
    """U·F / (0 + F) = U for every F > 0, so it is U for F = 0 too: scarcity never makes energy free."""
    assert supply_demand_ratio_price(0, U, supply_wh=0, demand_wh=1000) == U
    assert supply_demand_ratio_price(0, U, supply_wh=1, demand_wh=1000) == 0


def test_largest_prices_and_energies_do_not_overflow() -> None:
    dear = 10_000_000
    assert supply_demand_ratio_price(dear // 2, dear, supply_wh=10**12, demand_wh=2 * 10**12) == 6_666_666


@pytest.mark.parametrize(
    ("fixed", "price"), [(35_000, 35_000), (5_000, F), (90_000, U)], ids=["between", "below F", "above U"]
)
def test_fixed_price_is_kept_between_f_and_u(fixed: int, price: int) -> None:
    rules = Rules(pricing=Pricing.FIXED, fixed_price_ueur_per_kwh=fixed)
    assert uniform_price(U, 2, 2, 100, 100, rules) == price


@pytest.mark.parametrize(
    ("pricing", "price"),
    [
        (Pricing.REQUESTS_OFFERS, 50_000),
        (Pricing.MID_MARKET, 40_000),
        (Pricing.SUPPLY_DEMAND_RATIO, 30_000),
        (Pricing.FIXED, 33_000),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Pricing) else str(value),
)
def test_rule_is_chosen_by_the_rules(pricing: Pricing, price: int) -> None:
    """Three houses ask for 1000 Wh together, one offers 500 Wh."""
    rules = Rules(pricing=pricing, fixed_price_ueur_per_kwh=33_000)
    assert uniform_price(U, 3, 1, 500, 1000, rules) == price
