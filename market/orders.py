"""Who offers, requests or asks for sharing once a house has balanced itself (Algorithm 1 of the reference study)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.arrival import arrival_order
from market.compiled import ZERO, compiled
from market.pricing import feed_in_tariff, uniform_price
from market.rules import Rules
from market.state import State, hosted_wh
from market.storage import Wh, chargeable_wh, deliverable_wh, drawn_wh, stored_wh


class Inputs(NamedTuple):
    """What an interval brings: energies per house (N,), Wh, and the utility price."""

    interval: int
    load_wh: Wh
    pv_wh: Wh
    fuel_cell_wh: Wh
    utility_ueur_per_kwh: int


class Orders(NamedTuple):
    """Each house after its own balance, int64 arrays of shape (N,), and the interval's prices.

    A house with surplus has an `offer_wh`; one with a deficit has a `need_wh` and plays one of three roles: a trade
    request (`requests` 1), a share request (`asks_share` 1), or straight to the grid (both 0).

    Attributes
    ----------
    charge_wh, discharge_wh
        Own charge and discharge of the own balance, at the terminals.
    charge_left_wh
        Energy at the terminals that the battery could still take (room and power).
    discharge_left_wh
        Energy at the terminals that its power limit still allows to flow out, whoever owns it.
    order
        Order of arrival.
    """

    interval: int
    load_wh: Wh
    pv_wh: Wh
    fuel_cell_wh: Wh
    charge_wh: Wh
    discharge_wh: Wh
    offer_wh: Wh
    need_wh: Wh
    requests: Wh
    asks_share: Wh
    charge_left_wh: Wh
    discharge_left_wh: Wh
    order: Wh
    utility_ueur_per_kwh: int
    feed_in_ueur_per_kwh: int
    price_ueur_per_kwh: int


@compiled
def make_orders(inputs: Inputs, state: State, rules: Rules) -> Orders:
    """Balance each house by itself, then give it its role.

    A surplus charges the own battery up to its room and power; a deficit discharges own energy, never a lot. What
    is left decides the role: surplus → offer; deficit and a wallet that covers it whole at the utility price →
    trade request; deficit, wallet too low, room in the battery → share request; otherwise the need goes to the
    grid. Without batteries (`rules.battery` = 0) nobody has room.

    Parameters
    ----------
    inputs
        Load, generation and utility price of the interval.
    state
        State of the interval once due lots have become their hosts' own (`market.state.after_due`).
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
            charge_left[i] = min(
                ratings.max_charge_wh[i] - charge[i], chargeable_wh(room, ratings.charge_ppm[i])
            )
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
        arrival_order(n, inputs.interval, rules),
        utility,
        feed_in_tariff(utility, rules),
        uniform_price(utility, n_requests, n_offers, supply_wh, demand_wh, rules),
    )
