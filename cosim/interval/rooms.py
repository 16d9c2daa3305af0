"""What houses would do in an interval by their orders, and at which injections: the box around what they do anyway.

*Anyway*: load that cannot wait is served, panels and batteries serve their own house, and all else is spilled. Around
that, each house may do what `market.clipping.Rooms` lists, each by one of its devices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.delivery.flexible import NO_DEVICES
from cosim.delivery.reactive import LoadReactive
from cosim.delivery.setpoints import at_device, mean_kw, spread_devices
from cosim.delivery.window import InputSeries, Window
from cosim.interval.optimistic import settle_optimistically
from grid_models.arrays import Floats, Ints
from grid_models.envelopes.customers import Customers
from market.clipping import Rooms
from market.exchanges import CAR, Rows
from market.rules import PLUGGED_IN, SHARING_CENTRAL, SHARING_SELFISH
from market.state import NO_FLEXIBLE, State
from market.storage import PPM, Wh

_DEVICE = {"surplus_wh": "pv", "lots_wh": "battery", "shares_wh": "battery", "cars_wh": "ev", "heat_pumps_wh": "load"}
_TAKES = ("shares_wh", "cars_wh", "heat_pumps_wh")
_OF_LOADS = ("cars_wh", "heat_pumps_wh")


class Plan(NamedTuple):
    """What houses of K intervals would do.

    Attributes
    ----------
    asked
        Each room at most, (K, N) Wh.
    used
        What of it an envelope shares out: of devices what passes the house's connection, and could wait.
    anyway_kw
        Injections without what is shared out, (K, C).
    q_kvar, least_q_kvar
        Reactive injections with all loads served, and without devices that are shared out, (K, C).
    first
        Number of the first of the K intervals.
    """

    asked: Rooms
    used: Rooms
    anyway_kw: Floats
    q_kvar: Floats
    least_q_kvar: Floats
    first: int

    def at(self, k: int) -> Plan:
        """The k-th interval alone, as K = 1."""
        asked, used = (Rooms._make(column[k : k + 1] for column in rooms) for rooms in (self.asked, self.used))
        injected = self.anyway_kw, self.q_kvar, self.least_q_kvar
        anyway, q, least_q = (column[k : k + 1] for column in injected)
        return Plan(asked, used, anyway, q, least_q, self.first + k)


def plan_window(case: Case, state: State, window: Window) -> Plan:
    """Plan of a window that was settled as cleared, with its orders, from the state before it."""
    devices, meters, read = window.devices, window.meters, _read_orders(window)
    asked = _list_rooms(case, read, window, _held_for_others_wh(state, window))
    waits = np.maximum(devices["wanted_wh"].astype(np.int64) - devices["least_wh"], 0)
    cars, pumps = (sum_devices(devices, waits, meters.shape, cars=cars) for cars in (True, False))
    cars = np.minimum(cars, read["need_wh"])
    used = asked._replace(cars_wh=cars, heat_pumps_wh=np.minimum(pumps, read["need_wh"] - cars))
    return _make_plan(case, meters, read, asked, used, meters["reason"].astype(np.int64))


def plan_dimmed(case: Case, state: State, t: int, supply: InputSeries, asks: Rows, share: float) -> Plan:
    """Plan of interval `t` where every device takes a share of what it asks for, and nothing of that is shared out.

    Parameters
    ----------
    case
        What is run, with rules that record orders.
    state
        Before the interval.
    t, supply
        The interval, and its inputs alone, (1, N).
    asks
        What devices say, (D,).
    share
        Between 0 and 1.
    """
    n, wanted = state.own_wh.size, np.floor(share * asks["wanted_wh"]).astype(np.int64)
    cars, pumps = (sum_devices(asks[None], wanted[None], (1, n), cars=cars) for cars in (True, False))
    given = supply._replace(load_wh=supply.load_wh + cars + pumps, devices=NO_DEVICES)
    without = state._replace(flexible=NO_FLEXIBLE)
    window = settle_optimistically(case, without, t, 1, given)
    read = _read_orders(window)
    used = _list_rooms(case, read, window, _held_for_others_wh(state, window))  # without devices, since it has none
    made = _make_plan(case, window.meters, read, used, used, cars)
    return made._replace(asked=used._replace(cars_wh=cars, heat_pumps_wh=pumps))


def _read_orders(window: Window) -> dict[str, Wh]:
    rows = window.orders
    return {name: rows[name].astype(np.int64) for name in rows.dtype.names or () if name.endswith("_wh")}


def _make_plan(case: Case, meters: Rows, read: dict[str, Wh], asked: Rooms, used: Rooms, cars_wh: Wh) -> Plan:
    served = meters["load_wh"].astype(np.int64)  # a window as cleared sheds nothing
    intervals = meters["interval"].astype(np.int64)
    return Plan(
        asked,
        used,
        spread_devices(_anyway_wh(meters, read, used, cars_wh), case.interval_minutes, case.feeder.connections),
        _reactive_kvar(case, case.load_reactive, served, intervals),
        _reactive_kvar(case, case.load_reactive, served - used.cars_wh - used.heat_pumps_wh, intervals),
        int(intervals[0, 0]),
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


def _list_rooms(case: Case, read: dict[str, Wh], window: Window, most_lots: Wh) -> Rooms:
    """What each house would do at most: no lots beyond what buyers need, no shares beyond what is offered."""
    code, offer, status, devices = case.rules.mechanism, read["offer_wh"], window.orders["status"], window.devices
    bought = np.where(status == 1, read["need_wh"], 0).sum(axis=1, keepdims=True)
    lots = np.minimum(np.minimum(read["discharge_left_wh"], most_lots), bought)
    shares = (status == 2) & (SHARING_CENTRAL <= code <= SHARING_SELFISH) | (code == PLUGGED_IN)
    offered = offer.sum(axis=1, keepdims=True)
    shares_wh = np.where(shares, np.minimum(read["charge_left_wh"], offered), 0)
    wanted = devices["wanted_wh"].astype(np.int64)
    cars, pumps = (sum_devices(devices, wanted, offer.shape, cars=cars) for cars in (True, False))
    return Rooms(offer, lots, shares_wh, cars, pumps)


def sum_devices(devices: Rows, wh: Wh, shape: tuple[int, ...], *, cars: bool) -> Wh:
    """Sums of energies of cars, or of heat pumps, (K, D), by house, (K, N) Wh."""
    sums = np.zeros(shape, np.int64)
    chosen = (devices["status"] == CAR) == cars
    interval = np.broadcast_to(np.arange(shape[0])[:, None], devices.shape)
    np.add.at(sums, (interval[chosen], devices["house"][chosen]), wh[chosen])
    return sums


def _anyway_wh(meters: Rows, read: dict[str, Wh], used: Rooms, cars_wh: Wh) -> dict[str, Wh]:
    """What each kind of device injects without what is shared out, (K, N) Wh each; panels are the first to spill."""
    of_battery = np.minimum(used.surplus_wh, read["discharge_wh"])
    of_panels = np.minimum(used.surplus_wh - of_battery, meters["pv_wh"])
    return {
        "load": cars_wh - meters["load_wh"].astype(np.int64) + used.heat_pumps_wh,
        "ev": used.cars_wh - cars_wh,
        "pv": meters["pv_wh"].astype(np.int64) - of_panels,
        "battery": read["discharge_wh"] - read["charge_wh"] - of_battery,
        "fuel_cell": meters["fuel_cell_wh"].astype(np.int64) - (used.surplus_wh - of_battery - of_panels),
    }


def reach_kw(case: Case, plan: Plan) -> tuple[Floats, Floats]:
    """Lowest and highest injections of the box of a plan, (K, C) kW."""
    wh = {name: getattr(plan.used, name) for name in Rooms._fields}
    ends = []
    for sign in (-1, 1):
        at = dict.fromkeys(_DEVICE.values(), np.zeros_like(plan.used.surplus_wh))
        for name, device in _DEVICE.items():
            if (name in _TAKES) == (sign < 0):
                at[device] = at[device] + sign * wh[name]
        ends.append(plan.anyway_kw + spread_devices(at, case.interval_minutes, case.feeder.connections))
    return ends[0], ends[1]


class Doers(NamedTuple):
    """M things that houses would do: whose, which room, how much of it at most, (M,) kW, and at which injection.

    Cars and heat pumps draw `tan_phi` kvar per kW at the injection `reactive_at`, as their house's load does.
    """

    house: Ints
    room: Ints
    most_kw: Floats
    column: Ints
    reactive_at: Ints
    tan_phi: Floats

    def as_customers(self) -> Customers:
        """As customers of an envelope, who either export or import."""
        takes = np.isin(self.room, [Rooms._fields.index(name) for name in _TAKES])
        most = np.where(takes, 0.0, self.most_kw), np.where(takes, self.most_kw, 0.0)
        reactive = (self.reactive_at, self.tan_phi) if self.tan_phi.any() else ()
        return Customers(self.column, self.column, *most, *reactive)


def list_doers(case: Case, plan: Plan, interval: int) -> Doers:
    """Everything that somebody would do in the one interval of a plan."""
    parts, connections, n = [], case.feeder.connections, plan.asked.surplus_wh.shape[1]
    of_loads = np.zeros(n) if case.load_reactive is None else case.load_reactive.tan_phi(interval)
    at_load = np.arange(n) if connections is None else connections.column("load")
    for number, name in enumerate(Rooms._fields):
        wh = getattr(plan.used, name)[0]
        house = np.flatnonzero(wh)
        column = np.arange(wh.size) if connections is None else connections.column(_DEVICE[name])
        kw = mean_kw(wh[house], case.interval_minutes)
        tan_phi = of_loads[house] if name in _OF_LOADS else np.zeros(house.size)
        parts.append(Doers(house, np.full(house.size, number), kw, column[house], at_load[house], tan_phi))
    return Doers._make(map(np.concatenate, zip(*parts, strict=True)))
