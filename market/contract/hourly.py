"""Arguments of the contract Market from rules, batteries and orders, and its answers as rows and state.

The contract's storage holds the state at the begin of the interval that takes orders (`market.state.begin_interval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.exchanges import EXCHANGE, Ints, Rows
from market.orders import Orders
from market.rules import SHARING_CENTRAL, SHARING_P2P, TRADING, TRADING_BATTERY, Rules
from market.state import Lots, State
from market.storage import Ratings

ON_CHAIN = (TRADING, TRADING_BATTERY, SHARING_CENTRAL, SHARING_P2P)
"""Codes of the mechanisms that the contract knows."""


def make_rules_argument(rules: Rules, compensation_ueur_per_kwh: int = 0) -> tuple[int | bool, ...]:
    """Rules as the contracts' struct `Rules`.

    Parameters
    ----------
    rules
        Of one of the mechanisms `ON_CHAIN`; the contract refuses others.
    compensation_ueur_per_kwh
        What the operator pays for energy that could not be carried; Market has none.
    """
    return (
        rules.mechanism,
        rules.pricing,
        rules.arrival,
        bool(rules.feed_in),
        rules.fixed_price_ueur_per_kwh,
        rules.feed_in_numerator,
        rules.feed_in_denominator,
        rules.fee_permille,
        rules.beta_permille,
        rules.tau_intervals,
        rules.seed,
        compensation_ueur_per_kwh,
    )


def make_battery(ratings: Ratings, house: int) -> tuple[int, ...]:
    """Battery of a house as the contract's struct `Battery`."""
    return tuple(int(column[house]) for column in ratings)


def make_wish(orders: Orders, house: int) -> tuple[int, int, int, int]:
    """Order of a house as the contract's struct `Wish`: (net Wh, charge Wh, ask, limit µEUR/kWh)."""
    net = int(orders.offer_wh[house] - orders.need_wh[house])
    charge = int(orders.charge_wh[house] - orders.discharge_wh[house])
    ask = 1 if orders.requests[house] == 1 else (2 if orders.asks_share[house] == 1 else 0)
    return net, charge, ask, int(orders.limit_ueur_per_kwh[house])


def read_exchanges(events: Sequence[dict[str, Any]], fee_permille: int) -> Rows:
    """Events `Exchanged` of an interval, in their order, as `EXCHANGE` rows with amounts and fees.

    Parameters
    ----------
    events
        As `decode_event` makes them.
    fee_permille
        Share of a P2P sale that the sharing contract gets.
    """
    rows = np.zeros(len(events), EXCHANGE)
    rows["seq"], rows["element"] = np.arange(len(events)), -4
    for row, event in zip(rows, events, strict=True):
        for column in ("interval", "kind", "seller", "buyer", "host", "lot"):
            row[column] = event[column]
        row["cleared_wh"] = row["delivered_wh"] = event["wh"]
        row["price_ueur_per_kwh"] = event["price"]
    rows["amount_neur"] = rows["delivered_wh"] * rows["price_ueur_per_kwh"]
    rows["fee_neur"] = np.where(rows["kind"] == 1, rows["amount_neur"] * fee_permille // 1000, 0)
    return rows


def read_state(
    holdings: Sequence[Sequence[int]],
    lots: Sequence[tuple[int, Sequence[int]]],
    pools: Sequence[int],
    progress: Sequence[int],
    ratings: Ratings,
) -> State:
    """State at the begin of the interval that takes orders.

    Parameters
    ----------
    holdings, lots, pools, progress
        What `listHoldings`, `listLots`, `pools` and `progress` of the contract return.
    ratings
        Batteries of the houses.
    """
    own, _, wallet, account = np.array(holdings, np.int64).reshape(-1, 4).T
    return State(
        own,
        wallet,
        account,
        np.array([*pools, 0], np.int64),
        Lots(*_make_columns([(number, *lot) for number, lot in lots])),
        ratings,
        np.array(progress[2:5], np.int64),
    )


def _make_columns(lots: Sequence[Sequence[int]]) -> Ints:
    """Number, owner, host, energy and expiry of the lots, (5, n)."""
    columns: Ints = np.array(lots, np.int64).reshape(-1, 5).T
    return columns
