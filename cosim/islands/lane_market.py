"""An island's market in an outage, compiled: its orders, what stays in the island, and what local dispatch adds.

Law: orders and exchanges are those that `island` makes of the same interval, but for what is spilled and shed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cosim.delivery.window import InputSeries
from cosim.islands.lane_dispatch import Dispatched
from cosim.islands.phases import PICKUP_FACTOR
from market import mechanisms
from market.compiled import ZERO, compiled, integer
from market.exchanges import EXCHANGE, NOBODY, OPERATOR, SUBMISSION, Kind, Rows
from market.orders import Inputs, Orders, make_orders
from market.rules import Rules
from market.state import State, begin_interval
from market.storage import Ratings, Wh

_P2P, _USE, _LOT_SALE = integer(Kind.P2P), integer(Kind.SHARE_USE), integer(Kind.LOT_SALE)
_LOSS, _IMPORT = integer(Kind.LOSS), integer(Kind.GRID_IMPORT)
_EXPORT, _SPILL = integer(Kind.GRID_EXPORT), integer(Kind.SPILL)
_NOBODY, _OPERATOR = integer(NOBODY), integer(OPERATOR)


class Opened(NamedTuple):
    """An interval once its market has cleared: `rows` of exchanges that stay in the island, and what they leave."""

    orders: Orders
    before: State
    rows: Rows
    need_wh: Wh
    surplus_wh: Wh


@compiled
def open_interval(supply: InputSeries, t: int, state: State, rules: Rules, raised: bool) -> Opened:
    """Orders and clearing of an island: batteries wait until the market has cleared, fuel cells are no offers."""
    before, zero = begin_interval(state, t), np.zeros_like(state.own_wh)
    load = supply.load_wh[t]
    if raised:
        load = np.rint(load * PICKUP_FACTOR).astype(np.int64)
    r = before.ratings
    without = Ratings(
        r.soc_min_wh, r.soc_max_wh, r.max_charge_wh, zero, r.charge_ppm, r.discharge_ppm, r.self_discharge_ppm
    )
    waiting = with_ratings(before, without)
    price = supply.utility_ueur_per_kwh[t]
    made = make_orders(Inputs(t, load, supply.pv_wh[t], zero, price, np.empty(0, SUBMISSION)), waiting, rules)
    orders = with_discharge(made, r.max_discharge_wh if rules.battery else zero)
    return keep_inside(orders, before, mechanisms.clear(orders, before, rules).rows)


@compiled
def with_ratings(state: State, ratings: Ratings) -> State:
    """The state with other ratings."""
    money = state.wallet_neur, state.account_neur, state.pools_neur
    return State(state.own_wh, money[0], money[1], money[2], state.lots, ratings, state.tally, state.flexible)


@compiled
def with_discharge(orders: Orders, left_wh: Wh) -> Orders:
    """The orders with another limit of what batteries let out."""
    return Orders(
        orders.interval,
        orders.load_wh,
        orders.pv_wh,
        orders.fuel_cell_wh,
        orders.charge_wh,
        orders.discharge_wh,
        orders.offer_wh,
        orders.need_wh,
        orders.requests,
        orders.asks_share,
        orders.charge_left_wh,
        left_wh,
        orders.order,
        orders.utility_ueur_per_kwh,
        orders.feed_in_ueur_per_kwh,
        orders.price_ueur_per_kwh,
        orders.reserve_wh,
        orders.limit_ueur_per_kwh,
        orders.flexible_wh,
    )


@compiled
def keep_inside(orders: Orders, before: State, cleared: Rows) -> Opened:
    """Exchanges with the grid become need and surplus; all others are delivered as cleared."""
    need, surplus = np.zeros_like(orders.load_wh), np.zeros_like(orders.load_wh)
    rows, m = np.empty(cleared.size, EXCHANGE), 0
    for row in cleared:
        if row.kind == _IMPORT:
            need[row.buyer] += row.cleared_wh
        elif row.kind in (_EXPORT, _SPILL):
            surplus[row.seller] += row.cleared_wh
        else:
            rows[m] = row
            rows[m].delivered_wh = row.cleared_wh
            m += 1
    return Opened(orders, before, rows[:m], need, surplus)


@compiled
def write_transfer(row: Any, orders: Orders, kind: int, seller: int, buyer: int, wh: int, price: int) -> None:
    """Fill in an exchange of an island."""
    row.kind, row.status, row.reason, row.interval, row.seq = kind, 0, 0, orders.interval, 0
    row.seller, row.buyer, row.element, row.lot = seller, buyer, _NOBODY, _NOBODY
    row.host = seller if kind == _P2P else buyer
    row.cleared_wh, row.delivered_wh, row.price_ueur_per_kwh = wh, wh, price
    row.amount_neur, row.fee_neur = 0, 0


@compiled
def list_transfers(opened: Opened, plan: Dispatched, former: int, lost_wh: int) -> Rows:
    """All exchanges of the island: `local_dispatch.match_island`, sold where the wallet covers them, and the losses."""
    orders, n, m = opened.orders, opened.need_wh.size, opened.rows.size
    rows, wallet = np.empty(m + 2 * n + 1, EXCHANGE), opened.before.wallet_neur.copy()
    for k in range(m):
        rows[k] = opened.rows[k]
        if rows[k].kind in (_P2P, _LOT_SALE):
            wallet[rows[k].buyer] -= rows[k].delivered_wh * rows[k].price_ueur_per_kwh
    balance, buyer = plan.supplied_wh - plan.served_wh, 0
    for seller in range(n):
        while balance[seller] > 0:
            while balance[buyer] >= 0:
                buyer += 1
            wh = min(balance[seller], -balance[buyer])
            cost = wh * orders.price_ueur_per_kwh
            if cost <= wallet[buyer]:
                write_transfer(rows[m], orders, _P2P, seller, buyer, wh, orders.price_ueur_per_kwh)
                wallet[buyer] -= cost
            else:
                write_transfer(rows[m], orders, _USE, seller, buyer, wh, ZERO)
            balance[seller] -= wh
            balance[buyer] += wh
            m += 1
    write_transfer(rows[m], orders, _LOSS, former, _OPERATOR, lost_wh, orders.utility_ueur_per_kwh)
    return rows[: m + 1]
