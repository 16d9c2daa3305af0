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
from market.exchanges import CONTRACT, STATED, SUBMISSION, Ask, Ints, Kind, Reason, Rows
from market.flexible import shifted_wh
from market.ledger.books.rules import read_rules
from market.ledger.format.records import RecordBytes, read_integer_parameter, read_parameters
from market.ledger.store.blocks import BrokenError
from market.pricing import feed_in_tariff, uniform_price
from market.rules import DOUBLE_AUCTION, PLUGGED_IN, SHARING_CENTRAL, SHARING_HYBRID, Rules, check_rules

_P2P, _USE, _STORE, _LOT_SALE = int(Kind.P2P), int(Kind.SHARE_USE), int(Kind.SHARE_STORE), int(Kind.LOT_SALE)
_IMPORT, _EXPORT, _SPILL = int(Kind.GRID_IMPORT), int(Kind.GRID_EXPORT), int(Kind.SPILL)
_LOSS, _COMPENSATION, _MAKES_UP = int(Kind.LOSS), int(Kind.COMPENSATION), int(Reason.MAKES_UP)
_CONTRACT = int(CONTRACT)
_STATED, _BY_RULE, _TRADE, _SHARE = int(STATED), int(Ask.BY_RULE), int(Ask.TRADE), int(Ask.SHARE)


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
    Fault.REQUEST: "a request that the house's wallet and battery, or what it submitted, do not give",
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
    rows: Rows,
    offsets: Ints,
    meters: Rows,
    orders: Rows,
    submissions: Rows,
    islanded: Ints,
    wallets: Ints,
    facts: Facts,
) -> tuple[int, int, int]:
    """First interval whose facts are wrong: (its index or K, `Fault`, number of the exchange or house).

    Parameters
    ----------
    rows, offsets
        Exchanges of K intervals, and where each interval's begin, (K + 1,).
    meters, orders
        Meter readings and orders, (K, N).
    submissions
        What people submitted, (K, N), or none at all.
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
        said = submissions[k] if submissions.shape[0] > 0 else np.empty(0, SUBMISSION)
        waits = shifted_wh(mine, meters.shape[1])
        fault, at = check_orders(orders[k], meters[k], waits, said, wallets[k], islanded[k], facts.rules)
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
def check_orders(
    orders: Rows, meters: Rows, waits_wh: Ints, submissions: Rows, wallet_neur: Ints, islanded: int, rules: Rules
) -> tuple[int, int]:
    """Check the orders of an interval and their price; returns (`Fault`, house).

    What a house's devices asked for and did not get, `waits_wh`, (N,), is in its order and not in its meter.
    """
    utility = orders[0].utility_ueur_per_kwh
    feed_in = feed_in_tariff(utility, rules)
    for i in range(orders.size):
        order, m = orders[i], meters[i]
        same = order.utility_ueur_per_kwh == utility and order.feed_in_ueur_per_kwh == feed_in
        if order.house != i or not same or (order.offer_wh > 0 and order.need_wh > 0):
            return _ORDER, i
    i = find_wrong_request(orders, submissions, wallet_neur, islanded, rules)
    if i >= 0:
        return _REQUEST, i
    for i in range(orders.size):
        order, m = orders[i], meters[i]
        own = np.int64(m.pv_wh) + m.fuel_cell_wh - m.load_wh - waits_wh[i] - order.charge_wh + order.discharge_wh
        if islanded == 0 and own != order.offer_wh - order.need_wh:
            return _BALANCE, i
    status = list_status(orders)
    for i in range(orders.size):
        if orders[i].price_ueur_per_kwh != price_of_part(orders, status, orders[i].part, utility, rules):
            return _UNIFORM, i
    return _NONE, 0


@compiled
def list_status(orders: Rows) -> Ints:
    """What each house asks for, as recorded, (N,)."""
    status = np.zeros(orders.size, np.int64)
    for i in range(orders.size):
        status[i] = orders[i].status
    return status


@compiled
def find_wrong_request(orders: Rows, submissions: Rows, wallet_neur: Ints, islanded: int, rules: Rules) -> int:
    """First house that asks for something else than its wallet, battery and submission give, -1 if there is none.

    A submission holds where the grid is. In an interval in which it is not everywhere, a house that has submitted may
    ask by its submission or by the rule: which part it is in is the audit's matter.
    """
    by_rule = np.zeros(orders.size, np.int64)
    for i in range(orders.size):
        by_rule[i] = find_request(orders[i], _BY_RULE, wallet_neur[i])
    asked = by_rule.copy()
    for i in range(submissions.size):
        if submissions[i].status == _STATED:
            asked[i] = find_request(orders[i], submissions[i].ask, wallet_neur[i])
    withdrawn = find_withdrawn(orders, submissions, asked, rules)
    for i in range(orders.size):
        status = orders[i].status
        free = islanded == 1 and submissions.size > 0 and submissions[i].status == _STATED
        if status != (0 if withdrawn[i] else asked[i]) and not (free and status in (by_rule[i], asked[i])):
            return i
    return -1


@compiled
def find_withdrawn(orders: Rows, submissions: Rows, asked: Ints, rules: Rules) -> Ints:
    """1 for houses whose trade request has a limit below the price that all requests give, (N,)."""
    withdrawn = np.zeros(orders.size, np.int64)
    if rules.mechanism in (DOUBLE_AUCTION, PLUGGED_IN):
        return withdrawn
    for i in range(submissions.size):
        limit = submissions[i].limit_ueur_per_kwh
        if submissions[i].status == _STATED and limit >= 0 and asked[i] == 1:
            utility = orders[i].utility_ueur_per_kwh
            withdrawn[i] = limit < price_of_part(orders, asked, orders[i].part, utility, rules)
    return withdrawn


@compiled
def find_request(order: Any, ask: int, wallet_neur: int) -> int:
    """What a house asks for: 1 a trade if its wallet covers the need at the utility price, else 2 a share if it can.

    A person may leave out either (`ask`).
    """
    if order.need_wh == 0:
        return 0
    if ask in (_BY_RULE, _TRADE) and order.need_wh * order.utility_ueur_per_kwh <= wallet_neur:
        return 1
    return 2 if ask in (_BY_RULE, _SHARE) and order.charge_left_wh > 0 else 0


@compiled
def price_of_part(orders: Rows, status: Ints, part: int, utility: int, rules: Rules) -> int:
    """Uniform price among the houses of a part of the network, by the pricing rule.

    `status` says what each house asks for, (N,).
    """
    requests, offers, supply_wh, demand_wh = 0, 0, 0, 0
    for i in range(orders.size):
        order = orders[i]
        if order.part == part:
            if order.offer_wh > 0:
                offers += 1
                supply_wh += order.offer_wh
            if status[i] == 1:
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
