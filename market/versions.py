"""Versions of the market's functions; a ledger with facts holds their digest.

A version grows by one with every change after which the same inputs may give another order, price, exchange or amount,
whatever the source text.
"""

from __future__ import annotations

MARKET_VERSIONS = {
    "orders": 1,
    "arrival": 1,
    "pricing requests_offers": 1,
    "pricing mid_market": 1,
    "pricing supply_demand_ratio": 1,
    "pricing fixed": 1,
    "mechanism none": 1,
    "mechanism trading": 1,
    "mechanism sharing": 1,
    "mechanism double_auction": 1,
    "settlement": 1,
    "storage": 1,
}
