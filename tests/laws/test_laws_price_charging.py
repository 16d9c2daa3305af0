"""Law of strategy `price`: nobody who knows the prices of a stay charges its car for less money."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import build_market
from cosim.delivery.flexible import find_cheaper
from cosim.interval.optimistic import settle_optimistically
from grid_models.devices.ev import car_wish
from grid_models.devices.flexible import PPM, PRICE, content_wh

PRICES = st.lists(st.integers(0, 4), min_size=1, max_size=5)


def charge(prices: list[int], stay: int, power_wh: int, room_wh: int, gain_ppm: int) -> list[int]:
    """What a car that wants `room_wh` takes in the intervals whose prices are known; nothing else is in its way."""
    held, taken, series = 0, [], np.array(prices, np.int64)
    for t in range(min(stay, len(prices))):
        cheaper, _ = find_cheaper(series, t, stay)
        wish = car_wish(held, room_wh, power_wh, gain_ppm, stay - t - 1, cheaper, 0, PRICE)
        taken.append(wish.wanted_wh)
        held += content_wh(wish.wanted_wh, gain_ppm)
    return taken


def find_least_cost(prices: list[int], power_wh: int, room_wh: int, gain_ppm: int) -> tuple[int, int]:
    """What misses at the end and what it costs at least, of all ways of charging."""
    ways = product(range(power_wh + 1), repeat=len(prices))
    stored = [(way, sum(content_wh(wh, gain_ppm) for wh in way)) for way in ways]
    return min((max(room_wh - held, 0), int(np.dot(prices, way))) for way, held in stored)


@settings(max_examples=100, deadline=None)
@given(prices=PRICES, units=st.integers(1, 2), room_wh=st.integers(0, 12), halves=st.booleans())
def test_a_stay_costs_as_little_as_any_way_of_charging(
    prices: list[int], units: int, room_wh: int, halves: bool
) -> None:
    gain, power = (PPM // 2, 2 * units) if halves else (PPM, 2 * units)
    taken = charge(prices, len(prices), power, room_wh, gain)
    missing = max(room_wh - sum(content_wh(wh, gain) for wh in taken), 0)
    assert (missing, int(np.dot(prices, taken))) == find_least_cost(prices, power, room_wh, gain)


@settings(max_examples=100, deadline=None)
@given(prices=PRICES, beyond=st.integers(1, 5), room_wh=st.integers(0, 12))
def test_what_comes_behind_the_run_is_not_waited_for(prices: list[int], beyond: int, room_wh: int) -> None:
    """Its prices are unknown: a stay that goes on behind the end is charged as one that ends there."""
    n = len(prices)
    assert charge(prices, n + beyond, 3, room_wh, PPM) == charge(prices, n, 3, room_wh, PPM)


def fill_cheapest(prices: np.ndarray, wh: int, power_wh: int) -> int:
    """Cost of so much energy in the cheapest intervals of a stay, the dearest of them partial."""
    cost = 0
    for price in np.sort(prices).tolist():
        given = min(power_wh, wh)
        cost, wh = cost + given * price, wh - given
    return cost


def test_every_stay_of_a_run_is_as_cheap_as_can_be() -> None:
    """Three prices a day, an efficiency of 0.9, boxes of 22 kW: each stay within 1 Wh an interval of the cheapest."""
    bands = [
        {"price_eur_per_kwh": 0.10, "from_hour": 2, "to_hour": 4},
        {"price_eur_per_kwh": 0.45, "from_hour": 17, "to_hour": 21},
        {"price_eur_per_kwh": 0.30},
    ]
    market = build_market(
        Scenario().with_changes(
            horizon={"start": "2017-10-27T22:00:00Z", "hours": 120, "interval_minutes": 30},
            houses={"n_houses": 12, "n_prosumers": 3},
            ev={"n_cars": 12, "charger_kw": 22.0, "strategy": "price", "target": 0.8},
            tariff={"timezone": "Europe/Berlin", "bands": bands},
        )
    )
    rows = settle_optimistically(market, market.opening, 0, market.n_intervals).devices
    devices, prices = market.fleet.flexible, market.fleet.flexible.price_ueur_per_kwh
    partial = 0
    for j in range(devices.kind.size):
        leaves = devices.leaves[:, j]
        for begin in np.flatnonzero((leaves > 0) & (np.append(0, leaves[:-1]) != leaves)):
            stop = min(int(leaves[begin]), prices.size)
            given_wh = rows["given_wh"][begin:stop, j].astype(np.int64)
            least = fill_cheapest(prices[begin:stop], int(given_wh.sum()), int(devices.power_wh[j]))
            assert int(given_wh @ prices[begin:stop]) - least <= (stop - begin) * int(prices.max())
            partial += int(((given_wh > 0) & (given_wh < devices.power_wh[j])).sum())
    assert partial > 10


def test_a_heat_pump_does_not_take_the_last_hours_of_a_run_for_cheap() -> None:
    """Of two hours that are left the dear one is not among the cheapest quarter, though none behind is known."""
    bands = [{"price_eur_per_kwh": 0.10, "from_hour": 23, "to_hour": 24}, {"price_eur_per_kwh": 0.30}]
    market = build_market(
        Scenario().with_changes(
            horizon={"start": "2017-01-10T00:00:00Z", "hours": 24},
            heat_pump={"n_heat_pumps": 6, "strategy": "price", "minimum_on_minutes": 0},
            tariff={"bands": bands},
        )
    )
    rows = settle_optimistically(market, market.opening, 0, 24).devices
    np.testing.assert_array_equal(rows["wanted_wh"][21:23], rows["least_wh"][21:23])
    assert (rows["wanted_wh"][23] > rows["least_wh"][23]).any()
