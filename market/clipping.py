"""Orders clipped to what the wires will carry, before the market clears them.

Four things that a house may do are no more than its *rooms* allow: offer its surplus, give out of its battery what it
holds for others, take energy of others into its battery, and let devices that can wait take energy now. Its other load
is served whatever happens, and what it does to balance itself is nobody else's concern.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.exchanges import CAR, NOBODY, Kind, Rows
from market.orders import Orders
from market.pricing import uniform_price
from market.rules import Rules
from market.storage import Wh

NO_LIMIT_WH = -1
"""A room that nothing limits but what the house has or asks for."""


class Rooms(NamedTuple):
    """Energies of each house in an interval, (…, N) Wh; as limits, `NO_LIMIT_WH` is none.

    Attributes
    ----------
    surplus_wh
        Its offer.
    lots_wh
        What its battery gives of energy that it holds for others.
    shares_wh
        What its battery takes of others' surplus.
    cars_wh, heat_pumps_wh
        What its devices that can wait ask for.
    """

    surplus_wh: Wh
    lots_wh: Wh
    shares_wh: Wh
    cars_wh: Wh
    heat_pumps_wh: Wh

    def at(self, k: int) -> Rooms:
        """Those of the k-th interval."""
        return Rooms._make(column[k] for column in self)


def clip_to(asked_for: Wh, limit_wh: Wh) -> Wh:
    """What of it is within a limit.

    Examples
    --------
    >>> clip_to(np.array([5, 5, 5]), np.array([3, 9, NO_LIMIT_WH])).tolist()
    [3, 5, 5]
    """
    return np.where(limit_wh == NO_LIMIT_WH, asked_for, np.minimum(asked_for, limit_wh))


def clip_orders(orders: Orders, limit: Rooms, rules: Rules) -> tuple[Orders, Wh]:
    """Orders within limits, and what was taken off offers and not kept in batteries, (N,) Wh.

    Parameters
    ----------
    orders
        Of an interval, made of what devices that can wait may ask for.
    limit
        What each house may do, (N,).
    rules
        Rules of the market.
    """
    unused = orders.offer_wh - clip_to(orders.offer_wh, limit.surplus_wh)
    stays = np.minimum(unused, orders.discharge_wh)  # what a battery was to sell it keeps
    clipped = orders._replace(
        offer_wh=orders.offer_wh - unused,
        discharge_wh=orders.discharge_wh - stays,
        charge_left_wh=clip_to(orders.charge_left_wh, limit.shares_wh),
        discharge_left_wh=clip_to(orders.discharge_left_wh, limit.lots_wh),
    )
    return clipped._replace(price_ueur_per_kwh=find_price(clipped, rules)), unused - stays


def find_price(orders: Orders, rules: Rules) -> int:
    """Uniform price that offers and trade requests give; `market.orders.price_orders` in Python."""
    offers, asks = orders.offer_wh > 0, orders.requests == 1
    counts = int(asks.sum()), int(offers.sum())
    sums = int(orders.offer_wh[offers].sum()), int(orders.need_wh[asks].sum())
    return int(uniform_price(orders.utility_ueur_per_kwh, *counts, *sums, rules))


def clip_asks(flexible: Rows, asked: Rooms, limit: Rooms) -> tuple[Rows, Wh]:
    """Devices that ask for no more than they may, and what that is less for each house, (N,) Wh."""
    cars, pumps = (
        getattr(asked, name) - clip_to(getattr(asked, name), getattr(limit, name)) for name in Rooms._fields[3:]
    )
    return without_asks(flexible, cars, pumps) if cars.any() or pumps.any() else flexible, cars + pumps


def without_asks(flexible: Rows, cars_wh: Wh, heat_pumps_wh: Wh) -> Rows:
    """Devices that ask for less by these energies of each house, (N,) Wh: what can wait first, then what they miss."""
    asks, left = flexible.copy(), {True: cars_wh.copy(), False: heat_pumps_wh.copy()}
    for keeps_least in (True, False):
        for device in asks:
            of_kind, house = left[bool(device["status"] == CAR)], device["house"]
            stop = int(device["least_wh"]) if keeps_least else 0
            cut = max(min(int(of_kind[house]), int(device["wanted_wh"]) - stop), 0)
            device["wanted_wh"] -= cut
            of_kind[house] -= cut
    for name in ("least_wh", "floor_wh"):
        asks[name] = np.minimum(asks[name], asks["wanted_wh"])
    return asks


def with_spilled(rows: Rows, orders: Orders, spilled_wh: Wh) -> Rows:
    """Cleared exchanges with what houses spilled before, (N,) Wh, in the row of the house where it has one."""
    done, more = rows.copy(), []
    for i in np.flatnonzero(spilled_wh).tolist():
        at = np.flatnonzero((done["kind"] == Kind.SPILL) & (done["seller"] == i))
        if at.size:
            done["cleared_wh"][at[0]] += spilled_wh[i]
            done["delivered_wh"][at[0]] += spilled_wh[i]
        else:
            more.append(i)
    new = np.zeros(len(more), rows.dtype)
    new["kind"], new["interval"], new["seller"] = Kind.SPILL, orders.interval, more
    new["seq"] = done.size + np.arange(len(more))
    for name in ("buyer", "host", "element", "lot"):
        new[name] = NOBODY
    new["cleared_wh"] = new["delivered_wh"] = spilled_wh[more]
    return np.concatenate([done, new])
