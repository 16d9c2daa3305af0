"""Settle an interval: what was delivered becomes money, stored energy and meter readings.

Double entry: every amount leaves one account and enters another, so the sum of all accounts never changes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.compiled import ZERO, compiled, integer
from market.exchanges import CAR, CONTRACT, METER, Ints, Kind, Rows
from market.flexible import with_given
from market.orders import Orders
from market.rules import Rules
from market.state import Lots, State
from market.storage import Wh, drawn_wh, stored_wh

_P2P, _LOT_SALE, _LOSS = integer(Kind.P2P), integer(Kind.LOT_SALE), integer(Kind.LOSS)
_BACKGROUND = integer(Kind.BACKGROUND)
_USE, _STORE = integer(Kind.SHARE_USE), integer(Kind.SHARE_STORE)
_IMPORT, _EXPORT = integer(Kind.GRID_IMPORT), integer(Kind.GRID_EXPORT)
_SPILL, _SHED, _METER = integer(Kind.SPILL), integer(Kind.SHED), integer(Kind.METER)
_SHIFT = integer(Kind.SHIFT)
_CONTRACT, _CAR = integer(CONTRACT), integer(CAR)


class Delivery(NamedTuple):
    """What the network admitted of a clearing.

    Attributes
    ----------
    rows
        `EXCHANGE` rows with `delivered_wh` set, (n,).
    absorbed_wh, released_wh
        What each house's battery charges and discharges on top of its orders, because exchanges were curtailed; at
        the terminals, (N,).
    """

    rows: Rows
    absorbed_wh: Wh
    released_wh: Wh


class Settlement(NamedTuple):
    """Exchanges with amounts and fees, one `METER` row a house, and the state after the interval."""

    rows: Rows
    meters: Rows
    state: State


@compiled
def deliver_all(rows: Rows, n: int) -> Delivery:
    """Delivery of all that was cleared."""
    return Delivery(rows, np.zeros(n, np.int64), np.zeros(n, np.int64))


@compiled
def post_amount(houses_neur: Ints, pools_neur: Ints, party: int, change_neur: int) -> None:
    """Add `change_neur` to a house's account, or to the pool of a party that is no house."""
    if party < 0:
        pools_neur[-1 - party] += change_neur
    else:
        houses_neur[party] += change_neur


@compiled
def post_payments(rows: Rows, state: State, rules: Rules) -> tuple[Rows, Ints, Ints, Ints]:
    """Fill in amounts and fees; returns (rows, wallets, utility accounts, pools) after all payments.

    The buyer pays, except for shared energy, which the sharing contract pays (at price 0 if the prosumer keeps the
    lot). Exchanges between houses are paid from wallets, those with the grid and the operator from utility accounts.
    """
    rows = rows.copy()
    wallet, account, pools = state.wallet_neur.copy(), state.account_neur.copy(), state.pools_neur.copy()
    for row in rows:
        amount = row.delivered_wh * row.price_ueur_per_kwh
        fee = amount * rules.fee_permille // 1000 if row.kind == _P2P else 0
        row.amount_neur = amount
        row.fee_neur = fee
        if amount == 0:
            continue
        payer = _CONTRACT if row.kind in (_USE, _STORE) else row.buyer
        houses = wallet if row.kind <= _LOT_SALE else account
        post_amount(houses, pools, payer, -amount)
        post_amount(houses, pools, row.seller, amount - fee)
        post_amount(houses, pools, _CONTRACT, fee)
    return rows, wallet, account, pools


@compiled
def find_lot(lot: int, lots: Lots, start: int) -> int:
    """Position of a lot among `lots`, looked for from `start` on and then from the beginning.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    n = lots.lot.size
    for step in range(n):
        k = (start + step) % n
        if lots.lot[k] == lot:
            return k
    raise ValueError("lot_sale: expected a lot that is alive, got no lot of that number")


@compiled
def move_energy(delivery: Delivery, orders: Orders, state: State, rules: Rules) -> tuple[Wh, Lots, Ints]:
    """Own energy, lots and tally after the interval.

    Empty lots are removed; one that was oversold stays, below zero, for `find_imbalance` to find.
    """
    ratings, lots = state.ratings, state.lots
    own, tally, left = state.own_wh.copy(), state.tally.copy(), lots.stored_wh.copy()
    for i in range(own.size):
        own[i] += stored_wh(orders.charge_wh[i] + delivery.absorbed_wh[i], ratings.charge_ppm[i])
        own[i] -= drawn_wh(orders.discharge_wh[i] + delivery.released_wh[i], ratings.discharge_ppm[i])
    n_stored = 0
    k = ZERO
    for row in delivery.rows:
        if row.kind == _STORE:
            n_stored += 1
        elif row.kind == _LOT_SALE:
            k = find_lot(row.lot, lots, k)
            drawn = drawn_wh(row.delivered_wh, ratings.discharge_ppm[row.host])
            left[k] -= drawn
            if lots.owner[k] >= 0:
                tally[2] += drawn
    alive = np.flatnonzero(left)
    n_alive = alive.size
    columns = np.empty((5, n_alive + n_stored), np.int64)
    for i in range(n_alive):
        k = alive[i]
        columns[0, i], columns[1, i], columns[2, i] = lots.lot[k], lots.owner[k], lots.host[k]
        columns[3, i], columns[4, i] = left[k], lots.expiry[k]
    size = n_alive
    for row in delivery.rows:
        if row.kind == _STORE:
            stored = stored_wh(row.delivered_wh, ratings.charge_ppm[row.host])
            tally[0] = row.lot + 1
            if stored > 0:
                columns[0, size], columns[1, size], columns[2, size] = row.lot, row.buyer, row.host
                columns[3, size], columns[4, size] = stored, orders.interval + rules.tau_intervals
                size += 1
                if row.buyer >= 0:
                    tally[1] += stored
    lots = Lots(columns[0, :size], columns[1, :size], columns[2, :size], columns[3, :size], columns[4, :size])
    return own, lots, tally


@compiled
def make_meters(rows: Rows, delivery: Delivery, orders: Orders, own_wh: Wh, lots: Lots, flexible: Rows) -> Rows:
    """Make one `METER` row a house, numbered after the exchanges.

    A meter measures energy, whoever owns it: a share stored in a host's battery is bought by the host, a lot sold
    out of it is sold by the host. In an island, the house with the grid-forming device sells the losses to the
    operator. What houses hand to the net's own elements, the background, is sold too, what they get from it bought. The
    load is what devices were given, not what they asked for.
    """
    n = own_wh.size
    meters = np.zeros(n, METER)
    for i in range(n):
        m = meters[i]
        m.kind = _METER
        m.interval = orders.interval
        m.seq = rows.size + i
        m.house = i
        m.load_wh = orders.load_wh[i]
        m.pv_wh = orders.pv_wh[i]
        m.fuel_cell_wh = orders.fuel_cell_wh[i]
        m.charge_wh = orders.charge_wh[i] + delivery.absorbed_wh[i]
        m.discharge_wh = orders.discharge_wh[i] + delivery.released_wh[i]
        m.own_wh = own_wh[i]
    for k in range(lots.lot.size):
        meters[lots.host[k]].hosted_wh += lots.stored_wh[k]
    for row in rows:
        wh, kind = row.delivered_wh, row.kind
        if kind in (_P2P, _USE):
            meters[row.seller].sold_wh += wh
            meters[row.buyer].bought_wh += wh
        elif kind == _STORE:
            meters[row.seller].sold_wh += wh
            meters[row.host].bought_wh += wh
            meters[row.host].charge_wh += wh
        elif kind == _LOT_SALE:
            meters[row.host].discharge_wh += wh
            meters[row.host].sold_wh += wh
            meters[row.buyer].bought_wh += wh
        elif kind == _IMPORT:
            meters[row.buyer].imported_wh += wh
        elif kind == _EXPORT:
            meters[row.seller].exported_wh += wh
        elif kind == _SPILL:
            meters[row.seller].spilled_wh += wh
        elif kind in (_LOSS, _BACKGROUND):
            if row.seller >= 0:
                meters[row.seller].sold_wh += wh
            if row.buyer >= 0:
                meters[row.buyer].bought_wh += wh
        elif kind == _SHED:
            meters[row.buyer].shed_wh += wh
        elif kind == _SHIFT:
            meters[row.buyer].load_wh -= wh
    for device in flexible:
        if device.status == _CAR:
            meters[device.house].reason += device.given_wh
    return meters


@compiled
def settle(delivery: Delivery, orders: Orders, state: State, rules: Rules) -> Settlement:
    """Settle one interval on delivered energy.

    Parameters
    ----------
    delivery
        What the network admitted.
    orders, state
        Orders of the interval and the state they were made from.
    rules
        Rules of the market.

    Returns
    -------
    Settlement
        Exchanges with amounts, meters, and the state after the interval.
    """
    rows, wallet, account, pools = post_payments(delivery.rows, state, rules)
    own, lots, tally = move_energy(delivery, orders, state, rules)
    flexible = with_given(state.flexible, rows)
    meters = make_meters(rows, delivery, orders, own, lots, flexible)
    return Settlement(rows, meters, State(own, wallet, account, pools, lots, state.ratings, tally, flexible))


@compiled
def find_imbalance(settlement: Settlement, before: State) -> int:
    """First house whose energies do not balance, N if the money does not, -1 if all is in order.

    Each house: pv + fuel cell + discharge + bought + imported = load - shed + charge + sold + exported + spilled, the
    state of charge is within the battery's limits, no lot is oversold, the wallet is not below zero. All together:
    accounts change by zero in total, and the sharing contract is not below zero.
    """
    state, ratings = settlement.state, settlement.state.ratings
    for m in settlement.meters:
        into = m.pv_wh + m.fuel_cell_wh + m.discharge_wh + m.bought_wh + m.imported_wh
        out = m.load_wh - m.shed_wh + m.charge_wh + m.sold_wh + m.exported_wh + m.spilled_wh
        if into != out or m.own_wh < 0 or state.wallet_neur[m.house] < 0:
            return int(m.house)
        soc = m.own_wh + m.hosted_wh
        if m.charge_wh > 0 and soc > ratings.soc_max_wh[m.house]:
            return int(m.house)
        if m.discharge_wh > 0 and soc < ratings.soc_min_wh[m.house]:
            return int(m.house)
    for k in range(state.lots.lot.size):
        if state.lots.stored_wh[k] < 0:
            return int(state.lots.host[k])
    change = (state.wallet_neur - before.wallet_neur).sum() + (state.account_neur - before.account_neur).sum()
    change += (state.pools_neur - before.pools_neur).sum()
    if change != 0 or state.pools_neur[1] < 0:
        return settlement.meters.size
    return -1
