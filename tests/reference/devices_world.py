"""Random markets with cars and heat pumps, and the ledgers of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ledger_world import START, World

from cosim.delivery.flexible import FlexibleDevices
from cosim.delivery.redispatch import deliver
from cosim.delivery.window import InputSeries, Window, make_orders_at, make_window_of_one
from market.book import Clearing
from market.exchanges import CAR, FLEXIBLE, FLEXIBLE_KIND, HEAT_PUMP, Kind, Reason, with_conductor
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import (
    PHASES,
    VERDICT,
    RecordBytes,
    RecordKind,
    make_house_records,
    make_parameter_records,
    make_record,
    number_records,
    view_as_bytes,
)
from market.ledger.format.version import DEVICES_PARAMETER
from market.ledger.write.ledger import state_roots
from market.mechanisms import BUILT_IN, clear
from market.orders import Orders
from market.rules import Rules
from market.settlement import settle
from market.state import State, make_opening_state
from market.storage import Ratings, Wh

N, T, BEYOND = 4, 36, 60


def draw_devices(rng: np.random.Generator, prices: np.ndarray) -> FlexibleDevices:
    """A few cars with stays of random length, and heat pumps, at random houses."""
    kind = np.sort(rng.choice([CAR, HEAT_PUMP], rng.integers(1, 6)))
    n, is_car = kind.size, kind == CAR
    capacity = np.where(is_car, rng.integers(2000, 60_000, n), rng.integers(30_000, 60_000, n))
    power = np.where(is_car, rng.integers(500, 22_001, n), rng.integers(1000, 4000, n))
    leaves, used = np.zeros((BEYOND, n), np.int32), np.zeros((BEYOND, n), np.int32)
    for j in np.flatnonzero(is_car):
        t = int(rng.integers(0, 4))
        while t < BEYOND:
            stop = min(t + int(rng.integers(1, 12)), BEYOND)
            leaves[t:stop, j] = stop
            used[t, j] = rng.integers(0, 30_000)
            t = stop + int(rng.integers(1, 6))
    heat = rng.integers(0, 9000, (BEYOND, n))
    return FlexibleDevices(
        kind.astype(np.int64),
        rng.integers(0, N, n),
        rng.integers(0, 4, n),
        power,
        np.where(is_car, 0, power // 3),
        capacity,
        np.where(is_car, capacity * rng.integers(5, 11, n) // 10, 0),
        np.where(is_car, 0, rng.integers(0, 4, n)),
        np.where(is_car, rng.integers(600_000, 1_000_001, n), rng.integers(1_500_000, 6_000_001, (BEYOND, n))).astype(
            np.int32
        ),
        np.where(is_car, used, heat).astype(np.int32),
        leaves,
        prices,
        np.array([4200, 24]),
    )


def make_devices_market(seed: int) -> tuple[InputSeries, State, Rules, np.random.Generator]:
    """Houses with batteries, panels, cars and heat pumps in a market."""
    rng = np.random.default_rng(seed)
    prices = rng.integers(10_000, 300_000, T)
    devices = draw_devices(rng, prices)
    supply = InputSeries(
        rng.integers(0, 2500, (T, N)),
        rng.integers(0, 2, (T, N)) * rng.integers(0, 9000, (T, N)),
        np.zeros((T, N), np.int64),
        prices,
        devices=devices,
    )
    capacity = rng.integers(0, 8000, N)
    ratings = Ratings(
        capacity // 10,
        capacity * 9 // 10,
        rng.integers(1, 4000, N),
        rng.integers(1, 4000, N),
        rng.integers(700_000, 1_000_001, N),
        rng.integers(700_000, 1_000_001, N),
        np.zeros(N, np.int64),
    )
    rows = np.zeros(devices.kind.size, FLEXIBLE)
    rows["status"], rows["house"] = devices.kind, devices.house
    rows["capacity_wh"], rows["held_wh"] = devices.capacity_wh, rng.integers(0, devices.capacity_wh + 1)
    kind = BUILT_IN[str(rng.choice(["trading", "sharing_p2p", "trading_battery"]))]
    rules = Rules(mechanism=kind.code, battery=int(kind.uses_battery), feed_in=1, tau_intervals=5, seed=seed)
    wallets = rng.integers(0, 2_000_000_000, N)
    return supply, make_opening_state(ratings.soc_min_wh, wallets, ratings, rows), rules, rng


class Cut(NamedTuple):
    """An interval as it was settled, what houses wanted of it, and what they imported less, (N,) Wh."""

    window: Window
    orders: Orders
    unserved_wh: Wh


def settle_with_cuts(
    supply: InputSeries, t: int, state: State, rules: Rules, rng: np.random.Generator, reason: int = Reason.UNDERVOLTAGE
) -> Cut:
    """An interval of which a random part of what houses import is not served."""
    orders, before = make_orders_at(supply, t, t, state, rules)
    rows = clear(orders, before, rules).rows
    imported = np.zeros(N, np.int64)
    chosen = rows[rows["kind"] == Kind.GRID_IMPORT]
    np.add.at(imported, chosen["buyer"], chosen["cleared_wh"])
    unserved = (imported * rng.choice([0.0, 0.3, 1.0], N)).astype(np.int64)
    made = deliver(orders, before, rows, rows["cleared_wh"].astype(np.int64), unserved, int(reason), 7)
    settlement = settle(made, orders, before, rules)
    return Cut(make_window_of_one(orders, Clearing(rows), settlement, before, rules), orders, unserved)


def make_devices_world(seed: int, n_intervals: int = 12, *, phased: bool = False, **parameters: int) -> World:
    """A ledger's worth of intervals with cars and heat pumps, some of which have to wait."""
    supply, state, rules, rng = make_devices_market(seed)
    start = {"start": START, "interval_minutes": 60, "tau_intervals": rules.tau_intervals, DEVICES_PARAMETER: b"d" * 32}
    terms = make_parameter_records({**start, **parameters, **({"model": "four_wire"} if phased else {})}, first_seq=1)
    houses = make_house_records(
        [f"h{i}" for i in range(N)], [*range(N)], state.ratings, state.own_wh, state.wallet_neur, 1 + terms.size
    )
    devices = state.flexible.copy()
    devices["kind"], devices["most_wh"] = FLEXIBLE_KIND, supply.devices.power_wh
    devices["gain_ppm"] = np.where(devices["status"] == CAR, supply.devices.gain_ppm[0], 0)
    devices["seq"] = 1 + terms.size + N + np.arange(devices.size)
    parts, accounts = [], []
    reason = with_conductor(Reason.UNDERVOLTAGE, "b") if phased else Reason.UNDERVOLTAGE
    for t in range(n_intervals):
        window = settle_with_cuts(supply, t, state, rules, rng, reason).window
        parts.append(_list_records(window, t, phased=phased))
        accounts.append(window.accounts)
        state = window.state
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    roots = state_roots(np.concatenate(accounts))
    genesis = [view_as_bytes(rows) for rows in (terms, houses, devices)]
    starts = START + 3600 * np.arange(n_intervals)
    return World(genesis, starts, np.concatenate(parts), offsets, roots, window, make_demonstration_key(seed))


def _list_records(window: Window, t: int, *, phased: bool) -> RecordBytes:
    rows = window.rows[: window.offsets[1]]
    sums = {name: int(rows["delivered_wh"][rows["kind"] == kind].sum()) for name, kind in (("shed_wh", Kind.SHED),)}
    cut = np.isin(rows["kind"], (Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.LOT_SALE, Kind.GRID_EXPORT))
    sums["curtailed_wh"] = int((rows["cleared_wh"] - rows["delivered_wh"])[cut].sum())
    verdict = make_record(VERDICT, RecordKind.VERDICT, **sums)
    phases = make_record(PHASES, RecordKind.PHASES, lowest_phase=1)[:phased]
    kinds = (rows, window.meters[0], window.devices[0], verdict, phases)
    return number_records(np.concatenate([view_as_bytes(of_one) for of_one in kinds]), t)
