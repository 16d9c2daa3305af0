"""Make the orders of an interval: each house first balances itself, then offers or asks for the rest.

This is Algorithm 1 of the reference study (Zekiye et al. 2024, arXiv:2404.16462).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.arrival import order_arrivals
from market.compiled import ZERO, compiled, integer
from market.exchanges import ORDER_KIND, Ints, Rows
from market.pricing import feed_in_tariff, uniform_price
from market.rules import Rules
from market.state import State, hosted_wh
from market.storage import Wh, chargeable_wh, deliverable_wh, drawn_wh, stored_wh

_ORDER = integer(ORDER_KIND)


class Inputs(NamedTuple):
    """What an interval brings: energies of each house, (N,), and the utility price."""

    interval: int
    load_wh: Wh
    pv_wh: Wh
    fuel_cell_wh: Wh
    utility_ueur_per_kwh: int


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
def make_orders(inputs: Inputs, state: State, rules: Rules) -> Orders:
    """Balance each house by itself, then make its order.

    A surplus charges the house's battery up to its capacity and power; a deficit discharges energy that the house
    owns, never a lot. What is left makes the order. A surplus is offered. A deficit becomes a trade request if the
    wallet covers all of it at the utility price; else a share request if the battery has room; else the grid serves
    it. Without batteries (`rules.battery` = 0) nobody has room.

    Parameters
    ----------
    inputs
        Load, generation and utility price of the interval.
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
    hosted = hosted_wh(state.lots, n)
    supply_wh = demand_wh = n_offers = n_requests = ZERO
    for i in range(n):
        surplus = inputs.pv_wh[i] + inputs.fuel_cell_wh[i] - inputs.load_wh[i]
        if rules.battery:
            room = ratings.soc_max_wh[i] - state.own_wh[i] - hosted[i]
            if surplus > 0:
                can = min(ratings.max_charge_wh[i], chargeable_wh(room, ratings.charge_ppm[i]))
                charge[i] = min(surplus, can)
                room -= stored_wh(charge[i], ratings.charge_ppm[i])
            else:
                own = state.own_wh[i] - ratings.soc_min_wh[i]
                can = min(ratings.max_discharge_wh[i], deliverable_wh(own, ratings.discharge_ppm[i]))
                discharge[i] = min(-surplus, can)
                room += drawn_wh(discharge[i], ratings.discharge_ppm[i])
            charge_left[i] = min(ratings.max_charge_wh[i] - charge[i], chargeable_wh(room, ratings.charge_ppm[i]))
            discharge_left[i] = ratings.max_discharge_wh[i] - discharge[i]
        left = surplus - charge[i] + discharge[i]
        if left > 0:
            offer[i] = left
            n_offers += 1
            supply_wh += left
        elif left < 0:
            need[i] = -left
            if need[i] * inputs.utility_ueur_per_kwh <= state.wallet_neur[i]:
                requests[i] = 1
                n_requests += 1
                demand_wh += need[i]
            elif charge_left[i] > 0:
                asks_share[i] = 1
    utility = inputs.utility_ueur_per_kwh
    return Orders(
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
        uniform_price(utility, n_requests, n_offers, supply_wh, demand_wh, rules),
    )
