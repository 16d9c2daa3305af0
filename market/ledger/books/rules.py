"""The market's rules as parameters of the first block, and back: a verifier computes prices and fees by them."""

from __future__ import annotations

from collections.abc import Mapping

from market.ledger.format.records import read_integer_parameter
from market.rules import Rules

PARAMETER_OF = {
    "mechanism": "mechanism_code",
    "battery": "battery",
    "pricing": "pricing",
    "fixed_price_ueur_per_kwh": "fixed_price",
    "feed_in_numerator": "feed_in_numerator",
    "feed_in_denominator": "feed_in_denominator",
    "feed_in": "feed_in",
    "fee_permille": "fee_permille",
    "beta_permille": "beta_permille",
    "selfish_beta_permille": "selfish_permille",
    "tau_intervals": "tau_intervals",
    "arrival": "arrival",
    "seed": "seed",
    "records_orders": "facts",
}
"""Name of the parameter that holds a field of `Rules`."""
FIXED = "feed_in_fixed"
"""Name of that of a fixed feed-in tariff, which only ledgers of a market with one have."""


def make_rule_parameters(rules: Rules) -> dict[str, int]:
    """Parameters that hold the rules, by name."""
    known = {PARAMETER_OF[name]: int(value) for name, value in rules._asdict().items() if name in PARAMETER_OF}
    return known | ({FIXED: rules.feed_in_ueur_per_kwh} if rules.feed_in_ueur_per_kwh >= 0 else {})


def read_rules(parameters: Mapping[str, bytes]) -> Rules:
    """Rules that the parameters of a ledger with facts hold; a missing one is 0."""
    fixed = read_integer_parameter(parameters, FIXED) if FIXED in parameters else -1
    found = {name: read_integer_parameter(parameters, known) for name, known in PARAMETER_OF.items()}
    return Rules(**found, feed_in_ueur_per_kwh=fixed)
