"""Check recorded orders, and the prices and fees that follow from them by the rules in the first block.

Orders say who offers and who needs what; the rule of the uniform price makes one price of them. Knows nothing of how a
mechanism pairs offers and requests: that is the matter of an audit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from market.compiled import compiled
from market.errors import MarketError
from market.exchanges import CONTRACT, Ints, Kind, Reason, Rows
from market.ledger.books.rules import read_rules
from market.ledger.format.records import RecordBytes, read_integer_parameter, read_parameters
from market.ledger.store.blocks import BrokenError
from market.mechanisms import DOUBLE_AUCTION, PLUGGED_IN, SHARING_CENTRAL, SHARING_HYBRID
from market.pricing import feed_in_tariff, uniform_price
from market.rules import Rules, check_rules

_P2P, _USE, _STORE, _LOT_SALE = int(Kind.P2P), int(Kind.SHARE_USE), int(Kind.SHARE_STORE), int(Kind.LOT_SALE)
_IMPORT, _EXPORT, _SPILL = int(Kind.GRID_IMPORT), int(Kind.GRID_EXPORT), int(Kind.SPILL)
_LOSS, _COMPENSATION, _MAKES_UP = int(Kind.LOSS), int(Kind.COMPENSATION), int(Reason.MAKES_UP)
_CONTRACT = int(CONTRACT)


class Fault(IntEnum):
    """What is wrong with the facts of an interval."""

    NONE = 0
    ORDER = 1
    REQUEST = 2
    BALANCE = 3
    UNIFORM_PRICE = 4
    PRICE = 5
    FEE = 6
    ANSWER = 7


_NONE, _ORDER, _REQUEST, _BALANCE, _UNIFORM, _PRICE, _FEE, _ANSWER = map(int, Fault)

FAULTS = {
    Fault.ORDER: "an order that is not the house's, offers and needs at once, or has another utility price or tariff",
    Fault.REQUEST: "a request that the house's wallet and battery do not give",
    Fault.BALANCE: "an order that is not what the house's own balance leaves",
    Fault.UNIFORM_PRICE: "a uniform price that the pricing rule does not give",
    Fault.PRICE: "a price that the rules do not give",
    Fault.FEE: "a fee that is not the rules' share of the sale",
    Fault.ANSWER: "an offer or a need that the exchanges do not answer to the Wh",
}
OF_RECORDS = (Fault.PRICE, Fault.FEE)
"""Faults of exchanges; all others are a house's."""


class Facts(NamedTuple):
    """What the first block of a ledger with facts fixes.

    Attributes
    ----------
    rules
        The market's rules.
    compensation_ueur_per_kwh
        What the network operator pays for energy that is lost to curtailment.
    """

    rules: Rules
    compensation_ueur_per_kwh: int


def read_facts(genesis: RecordBytes) -> Facts | None:
    """Facts of the first block, None in a ledger without.

    Raises
    ------
    BrokenError
        If a rule is out of its range.
    """
    parameters = read_parameters(genesis)
    if not read_integer_parameter(parameters, "facts"):
        return None
    try:
        rules = check_rules(read_rules(parameters))
    except MarketError as reason:
        raise BrokenError(f"the first block: {reason}") from reason
    return Facts(rules, read_integer_parameter(parameters, "compensation"))


@compiled
def find_wrong_fact(
    rows: Rows, offsets: Ints, meters: Rows, orders: Rows, islanded: Ints, wallets: Ints, facts: Facts
) -> tuple[int, int, int]:
    """First interval whose facts are wrong: (its index or K, `Fault`, number of the exchange or house).

    Parameters
    ----------
    rows, offsets
        Exchanges of K intervals, and where each interval's begin, (K + 1,).
    meters, orders
        Meter readings and orders, (K, N).
    islanded
        1 where a participant was without the grid, (K,).
    wallets
        Wallets before each interval, (K, N) nEUR.
    facts
        Of the first block.
    """
    n_intervals = meters.shape[0]
    for k in range(n_intervals):
        mine = rows[offsets[k] : offsets[k + 1]]
        fault, at = check_orders(orders[k], meters[k], wallets[k], islanded[k], facts.rules)
        if fault == _NONE:
            fault, at = check_prices(mine, orders[k], facts)
        if fault == _NONE and islanded[k] == 0:
            fault, at = _ANSWER, find_unanswered(mine, orders[k])
            if at < 0:
                continue
        if fault != _NONE:
            return k, fault, at
    return n_intervals, _NONE, 0


@compiled
def check_orders(orders: Rows, meters: Rows, wallet_neur: Ints, islanded: int, rules: Rules) -> tuple[int, int]:
    """Check the orders of an interval and their price; returns (`Fault`, house)."""
    utility = orders[0].utility_ueur_per_kwh
    feed_in = feed_in_tariff(utility, rules)
    for i in range(orders.size):
        order, m = orders[i], meters[i]
        same = order.utility_ueur_per_kwh == utility and order.feed_in_ueur_per_kwh == feed_in
        if order.house != i or not same or (order.offer_wh > 0 and order.need_wh > 0):
            return _ORDER, i
        if order.status != find_request(order, wallet_neur[i]):
            return _REQUEST, i
        own = np.int64(m.pv_wh) + m.fuel_cell_wh - m.load_wh - order.charge_wh + order.discharge_wh
        if islanded == 0 and own != order.offer_wh - order.need_wh:
            return _BALANCE, i
    for i in range(orders.size):
        if orders[i].price_ueur_per_kwh != price_of_part(orders, orders[i].part, utility, rules):
            return _UNIFORM, i
    return _NONE, 0


@compiled
def find_request(order: Any, wallet_neur: int) -> int:
    """What a house asks for: 1 a trade if its wallet covers the need at the utility price, else 2 a share if it can."""
    if order.need_wh == 0:
        return 0
    if order.need_wh * order.utility_ueur_per_kwh <= wallet_neur:
        return 1
    return 2 if order.charge_left_wh > 0 else 0


@compiled
def price_of_part(orders: Rows, part: int, utility: int, rules: Rules) -> int:
    """Uniform price among the houses of a part of the network, by the pricing rule."""
    requests, offers, supply_wh, demand_wh = 0, 0, 0, 0
    for order in orders:
        if order.part == part:
            if order.offer_wh > 0:
                offers += 1
                supply_wh += order.offer_wh
            if order.status == 1:
                requests += 1
                demand_wh += order.need_wh
    return uniform_price(utility, requests, offers, supply_wh, demand_wh, rules)


@compiled
def check_prices(rows: Rows, orders: Rows, facts: Facts) -> tuple[int, int]:
    """Check price and fee of every exchange; returns (`Fault`, number of the exchange)."""
    for k in range(rows.size):
        row = rows[k]
        if not price_fits(row, orders, facts):
            return _PRICE, k
        fee = row.amount_neur * facts.rules.fee_permille // 1000 if row.kind == _P2P else 0
        if row.fee_neur != fee:
            return _FEE, k
    return _NONE, 0


@compiled
def price_fits(row: Any, orders: Rows, facts: Facts) -> bool:
    """Whether the rules give an exchange its price.

    An auction sets a price between feed-in tariff and utility price; what a mechanism of the user's own asks is its own
    matter, as long as no price is negative.
    """
    kind, price, mechanism = row.kind, row.price_ueur_per_kwh, facts.rules.mechanism
    utility, feed_in = orders[0].utility_ueur_per_kwh, orders[0].feed_in_ueur_per_kwh
    if kind == _LOSS:
        return bool(price == utility)
    if kind == _COMPENSATION:
        return bool(price == facts.compensation_ueur_per_kwh)
    if kind > _EXPORT:
        return bool(price == 0)
    if mechanism == PLUGGED_IN and row.reason != _MAKES_UP:
        return bool(price >= 0)
    if kind == _IMPORT:
        return bool(price == utility)
    if kind == _EXPORT:
        return bool(price == feed_in and facts.rules.feed_in == 1)
    by_contract = mechanism in (SHARING_CENTRAL, SHARING_HYBRID) and row.reason != _MAKES_UP
    return trade_price_fits(row, orders, mechanism, by_contract)


@compiled
def trade_price_fits(row: Any, orders: Rows, mechanism: int, by_contract: bool) -> bool:
    """`price_fits` of a trade between houses, a share or the sale of a lot.

    `by_contract` says whether the sharing contract may pay; it takes no part in an island's local dispatch.
    """
    kind, price = row.kind, row.price_ueur_per_kwh
    if kind == _LOT_SALE:
        return bool(price == (0 if row.seller == row.buyer else orders[row.buyer].price_ueur_per_kwh))
    order = orders[row.seller]
    uniform = order.price_ueur_per_kwh
    if kind == _P2P:
        if mechanism == DOUBLE_AUCTION and row.reason != _MAKES_UP:
            return bool(order.feed_in_ueur_per_kwh <= price <= order.utility_ueur_per_kwh)
        return bool(price == uniform and order.part == orders[row.buyer].part)
    if kind == _STORE:
        return bool(price == (uniform if by_contract and row.buyer == _CONTRACT else 0))
    free = price == 0 and not (by_contract and mechanism == SHARING_CENTRAL)
    return bool(free or (by_contract and price == uniform))


@compiled
def find_unanswered(rows: Rows, orders: Rows) -> int:
    """First house whose offer or need is not what was cleared of it, -1 if there is none; not in an island."""
    n = orders.size
    offered, needed = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for row in rows:
        kind, wh = row.kind, row.cleared_wh
        if kind in (_P2P, _USE, _STORE, _EXPORT, _SPILL):
            offered[row.seller] += wh
        if kind in (_P2P, _USE, _LOT_SALE, _IMPORT):
            needed[row.buyer] += wh
    for i in range(n):
        if offered[i] != orders[i].offer_wh or needed[i] != orders[i].need_wh:
            return i
    return -1
