"""What houses would do in an interval by their orders, and at which injections: the box around what they do anyway.

*Anyway*: load that cannot wait is served, panels and batteries serve their own house, and all else is spilled. Around
that, each house may do what `market.clipping.Rooms` lists, each by one of its devices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.delivery.reactive import LoadReactive
from cosim.delivery.setpoints import at_device, mean_kw, spread_devices
from cosim.delivery.window import Window
from grid_models.arrays import Floats, Ints
from grid_models.envelopes.customers import Customers
from market.clipping import Rooms
from market.exchanges import CAR, Rows
from market.rules import PLUGGED_IN, SHARING_CENTRAL, SHARING_SELFISH
from market.state import State
from market.storage import PPM, Wh

_DEVICE = {"surplus_wh": "pv", "lots_wh": "battery", "shares_wh": "battery", "cars_wh": "ev", "heat_pumps_wh": "load"}
_TAKES = ("shares_wh", "cars_wh", "heat_pumps_wh")


class Plan(NamedTuple):
    """What houses of K intervals would do.

    Attributes
    ----------
    asked
        Each room at most, (K, N) Wh.
    anyway_kw, q_kvar
        Injections without any of that, and reactive ones with all loads served, (K, C).
    """

    asked: Rooms
    anyway_kw: Floats
    q_kvar: Floats

    def at(self, k: int) -> Plan:
        """The k-th interval alone, as K = 1."""
        one = Rooms._make(column[k : k + 1] for column in self.asked)
        return Plan(one, self.anyway_kw[k : k + 1], self.q_kvar[k : k + 1])


def plan_window(case: Case, state: State, window: Window) -> Plan:
    """Plan of a window that was settled as cleared, with its orders, from the state before it."""
    orders, meters = window.orders, window.meters
    read = {name: orders[name].astype(np.int64) for name in orders.dtype.names if name.endswith("_wh")}
    asked = _list_rooms(case, read, orders["status"], _held_for_others_wh(state, window), window.devices)
    wh = _anyway_wh(meters, read, asked)
    served = meters["load_wh"].astype(np.int64)  # a window as cleared sheds nothing
    return Plan(
        asked,
        spread_devices(wh, case.interval_minutes, case.feeder.connections),
        _reactive_kvar(case, case.load_reactive, served, meters["interval"].astype(np.int64)),
    )


def _reactive_kvar(case: Case, of_loads: LoadReactive | None, served_wh: Wh, intervals: Ints) -> Floats:
    if of_loads is None:
        return np.zeros((len(served_wh), case.feeder.injection_bus.size))
    drawn = of_loads.drawn_var(served_wh, intervals)
    return at_device(drawn / -1000.0, "load", case.feeder.connections)


def _held_for_others_wh(state: State, window: Window) -> Wh:
    """What each house could give of the energy that it holds for others at the begin of each interval, (K, N) Wh."""
    first = np.zeros(state.own_wh.size, np.int64)
    np.add.at(first, state.lots.host, state.lots.stored_wh)
    hosted = np.concatenate([first[None], window.meters["hosted_wh"][:-1].astype(np.int64)])
    return hosted * state.ratings.discharge_ppm // PPM


def _list_rooms(case: Case, read: dict[str, Wh], status: Ints, most_lots: Wh, devices: Rows) -> Rooms:
    """What each house would do at most: no lots without a buyer, no shares without an offer."""
    code = case.rules.mechanism
    buys, offer = (status == 1).any(axis=1, keepdims=True), read["offer_wh"]
    lots = np.where(buys, np.minimum(read["discharge_left_wh"], most_lots), 0)
    shares = (status == 2) & (SHARING_CENTRAL <= code <= SHARING_SELFISH) | (code == PLUGGED_IN)
    offered = offer.sum(axis=1, keepdims=True)
    shares_wh = np.where(shares, np.minimum(read["charge_left_wh"], offered), 0)
    cars, pumps = (_waiting_wh(devices, offer.shape, cars=cars) for cars in (True, False))
    cars = np.minimum(cars, read["need_wh"])
    return Rooms(offer, lots, shares_wh, cars, np.minimum(pumps, read["need_wh"] - cars))


def _waiting_wh(devices: Rows, shape: tuple[int, ...], *, cars: bool) -> Wh:
    """What cars, or heat pumps, of each house ask for and could take later, (K, N) Wh."""
    wh = np.zeros(shape, np.int64)
    chosen = (devices["status"] == CAR) == cars
    waits = np.maximum(devices["wanted_wh"].astype(np.int64) - devices["least_wh"], 0)
    interval = np.broadcast_to(np.arange(shape[0])[:, None], devices.shape)
    np.add.at(wh, (interval[chosen], devices["house"][chosen]), waits[chosen])
    return wh


def _anyway_wh(meters: Rows, read: dict[str, Wh], asked: Rooms) -> dict[str, Wh]:
    """What each kind of device injects without what the houses may do, (K, N) Wh each; panels are the first to spill."""
    cars = meters["reason"].astype(np.int64)
    of_panels = np.minimum(asked.surplus_wh, meters["pv_wh"])
    return {
        "load": cars - meters["load_wh"].astype(np.int64) + asked.heat_pumps_wh,
        "ev": asked.cars_wh - cars,
        "pv": meters["pv_wh"].astype(np.int64) - of_panels,
        "battery": read["discharge_wh"] - read["charge_wh"],
        "fuel_cell": meters["fuel_cell_wh"].astype(np.int64) - (asked.surplus_wh - of_panels),
    }


def reach_kw(case: Case, plan: Plan) -> tuple[Floats, Floats]:
    """Lowest and highest injections of the box of a plan, (K, C) kW."""
    wh = {name: getattr(plan.asked, name) for name in Rooms._fields}
    ends = []
    for sign in (-1, 1):
        at = dict.fromkeys(_DEVICE.values(), np.zeros_like(plan.asked.surplus_wh))
        for name, device in _DEVICE.items():
            if (name in _TAKES) == (sign < 0):
                at[device] = at[device] + sign * wh[name]
        ends.append(plan.anyway_kw + spread_devices(at, case.interval_minutes, case.feeder.connections))
    return ends[0], ends[1]


class Doers(NamedTuple):
    """M things that houses would do: whose, which room, and how much of it at most, (M,) kW."""

    house: Ints
    room: Ints
    most_kw: Floats
    column: Ints

    def as_customers(self) -> Customers:
        """As customers of an envelope, who either export or import."""
        takes = np.isin(self.room, [Rooms._fields.index(name) for name in _TAKES])
        most = np.where(takes, 0.0, self.most_kw), np.where(takes, self.most_kw, 0.0)
        return Customers(self.column, self.column, *most)


def list_doers(case: Case, plan: Plan) -> Doers:
    """Everything that somebody would do in the one interval of a plan."""
    parts, connections = [], case.feeder.connections
    for number, name in enumerate(Rooms._fields):
        wh = getattr(plan.asked, name)[0]
        house = np.flatnonzero(wh)
        column = np.arange(wh.size) if connections is None else connections.column(_DEVICE[name])
        kw = mean_kw(wh[house], case.interval_minutes)
        parts.append(Doers(house, np.full(house.size, number), kw, column[house]))
    return Doers._make(map(np.concatenate, zip(*parts, strict=True)))
