"""The uniform price of an interval, between the feed-in tariff F and the utility price U; one function per rule.

All prices in µEUR/kWh, integers, rounded down.
"""

from __future__ import annotations

from market.compiled import compiled
from market.rules import Pricing, Rules

_FIXED = int(Pricing.FIXED)
_MID_MARKET = int(Pricing.MID_MARKET)
_SUPPLY_DEMAND_RATIO = int(Pricing.SUPPLY_DEMAND_RATIO)


@compiled
def feed_in_tariff(utility: int, rules: Rules) -> int:
    """Feed-in tariff F = U · numerator // denominator (reference study: U/3), or a fixed one, at most U."""
    if rules.feed_in_ueur_per_kwh >= 0:
        return min(rules.feed_in_ueur_per_kwh, utility)
    return utility * rules.feed_in_numerator // rules.feed_in_denominator


@compiled
def requests_offers_price(feed_in: int, utility: int, requests: int, offers: int) -> int:
    """Price of the reference study: F + (U - F) · R/(R + O), rising with demand; U when nobody asks or offers.

    `requests` and `offers` count the houses that ask for a trade and that offer surplus in the interval.
    """
    if requests + offers == 0:
        return utility
    return feed_in + (utility - feed_in) * requests // (requests + offers)


@compiled
def mid_market_rate(feed_in: int, utility: int) -> int:
    """Mid-market rate (F + U)/2, for every trade of the interval whatever supply and demand are.

    That is the rate of Long, Wu, Zhang, Thomas, Cheng, Jenkins (2017, IEEE PES General Meeting) where generation equals
    demand. Where they differ, they pool what the community imports or exports and spread it over all bills; here
    nothing is pooled: who is left over imports at U, and exports at F or spills.
    """
    return (feed_in + utility) // 2


@compiled
def supply_demand_ratio_price(feed_in: int, utility: int, supply_wh: int, demand_wh: int) -> int:
    """Price from the supply-demand ratio r: U·F / ((U - F)·r + F) for r <= 1, else F; U where r = 0, even if F = 0.

    Selling price of Liu, Yu, Wang, Li, Ma, Lei (2017), "Energy-sharing model with price-based demand response",
    IEEE Trans. Power Systems 32(5). r is rounded down to 1e-4, which keeps every product below 2**63.
    """
    if demand_wh == 0:
        return feed_in if supply_wh > 0 else utility
    ratio = supply_wh * 10_000 // demand_wh
    if ratio >= 10_000:
        return feed_in
    below = (utility - feed_in) * ratio + feed_in * 10_000
    return utility * feed_in * 10_000 // below if below > 0 else utility


@compiled
def uniform_price(utility: int, requests: int, offers: int, supply_wh: int, demand_wh: int, rules: Rules) -> int:
    """Price of the interval by the configured rule, never outside [F, U]."""
    feed_in = feed_in_tariff(utility, rules)
    if rules.pricing == _FIXED:
        price = rules.fixed_price_ueur_per_kwh
    elif rules.pricing == _MID_MARKET:
        price = mid_market_rate(feed_in, utility)
    elif rules.pricing == _SUPPLY_DEMAND_RATIO:
        price = supply_demand_ratio_price(feed_in, utility, supply_wh, demand_wh)
    else:
        price = requests_offers_price(feed_in, utility, requests, offers)
    return min(max(price, feed_in), utility)
