"""Rules are one tuple of integers; what is out of range is refused by name."""

from __future__ import annotations

import pytest

from market.errors import MarketError
from market.rules import Arrival, Pricing, Rules, check_rules


def test_defaults_are_those_of_the_reference_study() -> None:
    rules = check_rules(Rules())
    assert (rules.feed_in_numerator, rules.feed_in_denominator) == (1, 3)
    assert (rules.beta_permille, rules.tau_intervals) == (500, 12)
    assert (rules.pricing, rules.arrival, rules.feed_in) == (Pricing.REQUESTS_OFFERS, Arrival.INDEX, 0)


def test_rules_in_range_come_back_unchanged() -> None:
    rules = Rules(fee_permille=1000, beta_permille=1, selfish_beta_permille=0, tau_intervals=1)
    assert check_rules(rules) is rules


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("beta_permille", 0, "1 to 999"),
        ("beta_permille", 1000, "1 to 999"),
        ("selfish_beta_permille", 1000, "0 to 999"),
        ("fee_permille", -1, "0 to 1000"),
        ("fee_permille", 1001, "0 to 1000"),
        ("tau_intervals", 0, "1 to 1000000"),
        ("battery", 2, "0 to 1"),
        ("feed_in", -1, "0 to 1"),
        ("feed_in_denominator", 0, "1 to 1000000"),
        ("fixed_price_ueur_per_kwh", -1, "0 to 10000000"),
        ("pricing", 4, "0 to 3"),
        ("arrival", 3, "0 to 2"),
    ],
)
def test_what_is_out_of_range_is_refused(key: str, value: int, expected: str) -> None:
    with pytest.raises(MarketError) as error:
        check_rules(Rules(**{key: value}))
    assert str(error.value) == f"rules, {key}: expected {expected}, got {value}"


def test_feed_in_tariff_above_the_utility_price_is_refused() -> None:
    with pytest.raises(MarketError) as error:
        check_rules(Rules(feed_in_numerator=4, feed_in_denominator=3))
    assert str(error.value) == "rules, feed-in tariff: expected at most the utility price, got 4/3 of it"
