"""Make the orders of an interval: each house first balances itself, then offers or asks for the rest.

This is Algorithm 1 of the reference study (Zekiye et al. 2024, arXiv:2404.16462).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.arrival import order_arrivals
from market.compiled import ZERO, compiled, integer
from market.exchanges import AUTOMATIC, NO_LIMIT, ORDER_KIND, STATED, Ask, Ints, Rows
from market.flexible import asked_wh
from market.pricing import feed_in_tariff, uniform_price
from market.rules import DOUBLE_AUCTION, PLUGGED_IN, Rules
from market.state import State, hosted_wh
from market.storage import Wh, chargeable_wh, deliverable_wh, drawn_wh, stored_wh

_ORDER = integer(ORDER_KIND)
_STATED, _AUTOMATIC = int(STATED), int(AUTOMATIC)
_BY_RULE, _TRADE, _SHARE = int(Ask.BY_RULE), int(Ask.TRADE), int(Ask.SHARE)


class Inputs(NamedTuple):
    """What an interval brings: energies of each house, (N,), and the utility price.

    `submissions` are `SUBMISSION` rows of what people want, one a house, or none at all.
    """

    interval: int
    load_wh: Wh
    pv_wh: Wh
    fuel_cell_wh: Wh
    utility_ueur_per_kwh: int
    submissions: Rows


class Orders(NamedTuple):
    """Orders of all houses, int64 arrays of shape (N,), and the interval's prices.

    A house with a surplus has an `offer_wh`. One with a deficit has a `need_wh` and makes a trade request (`requests`
    is 1), or a share request (`asks_share` is 1), or is served by the grid (both are 0).

    Attributes
    ----------
    charge_wh, discharge_wh
        What the house charged and discharged to balance itself, at the battery's terminals.
    charge_left_wh
        Energy at the terminals that the battery could still take, by its capacity and its power.
    discharge_left_wh
        Energy at the terminals that its power limit still lets out, whoever owns it.
    order
        Houses in their order of arrival.
    reserve_wh
        Energy of its own that a house's battery keeps in any case.
    limit_ueur_per_kwh
        Highest price at which a house buys from others, in an auction also the lowest at which it sells; -1 for none.
    flexible_wh
        Part of the load that devices ask for which can wait.
    """

    interval: int
    load_wh: Wh
    pv_wh: Wh
    fuel_cell_wh: Wh
    charge_wh: Wh
    discharge_wh: Wh
    offer_wh: Wh
    need_wh: Wh
    requests: Ints
    asks_share: Ints
    charge_left_wh: Wh
    discharge_left_wh: Wh
    order: Ints
    utility_ueur_per_kwh: int
    feed_in_ueur_per_kwh: int
    price_ueur_per_kwh: int
    reserve_wh: Wh
    limit_ueur_per_kwh: Ints
    flexible_wh: Wh


@compiled
def write_orders(rows: Rows, orders: Orders, first_seq: int, part: int = 0) -> None:
    """Fill one `ORDER` row a house, numbered behind `first_seq` exchanges and a meter a house."""
    n = rows.size
    for i in range(n):
        row = rows[i]
        row.kind = _ORDER
        row.status = 1 if orders.requests[i] == 1 else (2 if orders.asks_share[i] == 1 else 0)
        row.interval = orders.interval
        row.seq = first_seq + n + i
        row.house = i
        row.part = part
        row.offer_wh = orders.offer_wh[i]
        row.need_wh = orders.need_wh[i]
        row.charge_wh = orders.charge_wh[i]
        row.discharge_wh = orders.discharge_wh[i]
        row.charge_left_wh = orders.charge_left_wh[i]
        row.discharge_left_wh = orders.discharge_left_wh[i]
        row.utility_ueur_per_kwh = orders.utility_ueur_per_kwh
        row.feed_in_ueur_per_kwh = orders.feed_in_ueur_per_kwh
        row.price_ueur_per_kwh = orders.price_ueur_per_kwh


@compiled
def read_wishes(submissions: Rows, n: int) -> tuple[Wh, Wh, Ints, Ints]:
    """What people want: net energy and reserve, Wh, `Ask` and limit price of each house, (n,) each."""
    net, reserve = np.full(n, _AUTOMATIC), np.zeros(n, np.int64)
    ask, limit = np.full(n, _BY_RULE), np.full(n, NO_LIMIT)
    for i in range(submissions.size):
        row = submissions[i]
        if row.status == _STATED:
            net[i], reserve[i], ask[i], limit[i] = row.net_wh, row.reserve_wh, row.ask, row.limit_ueur_per_kwh
    return net, reserve, ask, limit


@compiled
def find_battery_target(surplus: int, net_wh: int) -> int:
    """What a battery is to charge (above zero) or discharge (below), Wh, so that its house gives `net_wh` at its meter.

    `AUTOMATIC` balances the house. A battery charges from its own house's surplus alone: what a house takes from the
    network it uses.
    """
    if net_wh == _AUTOMATIC:
        return surplus
    return min(surplus - net_wh, max(surplus, 0))


@compiled
def find_ask(ask: int, need_neur: int, wallet_neur: int, charge_left_wh: int) -> int:
    """What a house that needs energy asks for: 1 a trade, 2 a share, 0 nothing.

    Parameters
    ----------
    ask
        An `Ask`.
    need_neur
        What the need costs at the utility price.
    wallet_neur, charge_left_wh
        The house's money, and the room in its battery.
    """
    if ask in (_BY_RULE, _TRADE) and need_neur <= wallet_neur:
        return 1
    return 2 if ask in (_BY_RULE, _SHARE) and charge_left_wh > 0 else 0


@compiled
def withdraw_above_limits(orders: Orders, rules: Rules) -> Orders:
    """The orders without trade requests whose limit is below the price; the grid serves these houses.

    The price falls with every request that is withdrawn, so all that remain keep their limits. An auction clears at the
    limits themselves, and a mechanism of the user's own is held to them when it has answered.
    """
    limits = orders.limit_ueur_per_kwh
    if rules.mechanism in (DOUBLE_AUCTION, PLUGGED_IN) or not np.any(limits >= 0):
        return orders
    requests = orders.requests.copy()
    requests[(limits >= 0) & (limits < orders.price_ueur_per_kwh)] = 0
    price = price_orders(orders.offer_wh, orders.need_wh, requests, orders.utility_ueur_per_kwh, rules)
    return with_requests(orders, requests, price)


@compiled
def with_requests(orders: Orders, requests: Ints, price: int) -> Orders:
    """The orders with other trade requests, and the price that follows."""
    return Orders(
        orders.interval,
        orders.load_wh,
        orders.pv_wh,
        orders.fuel_cell_wh,
        orders.charge_wh,
        orders.discharge_wh,
        orders.offer_wh,
        orders.need_wh,
        requests,
        orders.asks_share,
        orders.charge_left_wh,
        orders.discharge_left_wh,
        orders.order,
        orders.utility_ueur_per_kwh,
        orders.feed_in_ueur_per_kwh,
        price,
        orders.reserve_wh,
        orders.limit_ueur_per_kwh,
        orders.flexible_wh,
    )


@compiled
def price_orders(offer_wh: Wh, need_wh: Wh, requests: Ints, utility: int, rules: Rules) -> int:
    """Uniform price that offers and trade requests give by the pricing rule."""
    supply_wh = demand_wh = n_offers = n_requests = ZERO
    for i in range(offer_wh.size):
        if offer_wh[i] > 0:
            n_offers += 1
            supply_wh += offer_wh[i]
        if requests[i] == 1:
            n_requests += 1
            demand_wh += need_wh[i]
    return uniform_price(utility, n_requests, n_offers, supply_wh, demand_wh, rules)


@compiled
def make_orders(inputs: Inputs, state: State, rules: Rules) -> Orders:
    """Balance each house by itself, then make its order.

    A surplus charges the house's battery up to its capacity and power; a deficit discharges energy that the house
    owns, never a lot. What is left makes the order. A surplus is offered. A deficit becomes a trade request if the
    wallet covers all of it at the utility price; else a share request if the battery has room; else the grid serves
    it. Without batteries (`rules.battery` = 0) nobody has room. Where a person has submitted otherwise, that counts:
    how much to give or take, what to keep, what to ask for, and up to which price.

    Parameters
    ----------
    inputs
        Load, generation and utility price of the interval, and what people submitted.
    state
        State at the begin of the interval (`market.state.begin_interval`).
    rules
        Rules of the market.
    """
    ratings = state.ratings
    n = inputs.load_wh.size
    charge, discharge = np.zeros(n, np.int64), np.zeros(n, np.int64)
    offer, need = np.zeros(n, np.int64), np.zeros(n, np.int64)
    requests, asks_share = np.zeros(n, np.int64), np.zeros(n, np.int64)
    charge_left, discharge_left = np.zeros(n, np.int64), np.zeros(n, np.int64)
    net, reserve, ask, limit = read_wishes(inputs.submissions, n)
    hosted = hosted_wh(state.lots, n)
    utility = inputs.utility_ueur_per_kwh
    for i in range(n):
        surplus = inputs.pv_wh[i] + inputs.fuel_cell_wh[i] - inputs.load_wh[i]
        if rules.battery:
            room = ratings.soc_max_wh[i] - state.own_wh[i] - hosted[i]
            target = find_battery_target(surplus, net[i])
            if target > 0:
                can = min(ratings.max_charge_wh[i], chargeable_wh(room, ratings.charge_ppm[i]))
                charge[i] = min(target, can)
                room -= stored_wh(charge[i], ratings.charge_ppm[i])
            else:
                own = state.own_wh[i] - max(ratings.soc_min_wh[i], reserve[i])
                can = min(ratings.max_discharge_wh[i], deliverable_wh(own, ratings.discharge_ppm[i]))
                discharge[i] = min(-target, can)
                room += drawn_wh(discharge[i], ratings.discharge_ppm[i])
            charge_left[i] = min(ratings.max_charge_wh[i] - charge[i], chargeable_wh(room, ratings.charge_ppm[i]))
            discharge_left[i] = ratings.max_discharge_wh[i] - discharge[i]
        left = surplus - charge[i] + discharge[i]
        offer[i], need[i] = max(left, 0), max(-left, 0)
        if left < 0:
            asked = find_ask(ask[i], need[i] * utility, state.wallet_neur[i], charge_left[i])
            requests[i], asks_share[i] = asked == 1, asked == 2
    orders = Orders(
        inputs.interval,
        inputs.load_wh,
        inputs.pv_wh,
        inputs.fuel_cell_wh,
        charge,
        discharge,
        offer,
        need,
        requests,
        asks_share,
        charge_left,
        discharge_left,
        order_arrivals(n, inputs.interval, rules),
        utility,
        feed_in_tariff(utility, rules),
        price_orders(offer, need, requests, utility, rules),
        reserve,
        limit,
        asked_wh(state.flexible, n),
    )
    return withdraw_above_limits(orders, rules)
