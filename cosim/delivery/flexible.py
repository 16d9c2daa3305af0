"""Devices that can wait, interval by interval: what they say, what they hold after they were given something.

Joins the physics of cars and heat pumps with the market's `FLEXIBLE` rows. The rows are a part of the market's state:
what a battery or a buffer holds is carried on as the content of the houses' batteries is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.devices.ev import arrive, car_wish
from grid_models.devices.flexible import content_wh
from grid_models.devices.heat_pump import heat_pump_wish, shortfall_wh
from market.compiled import compiled, integer
from market.exchanges import CAR, FLEXIBLE, FLEXIBLE_KIND, HEAT_PUMP, Ints, Rows
from market.storage import Wh

_CAR, _HEAT_PUMP, _KIND = integer(CAR), integer(HEAT_PUMP), integer(FLEXIBLE_KIND)

Series = npt.NDArray[np.int32]

DIMMED_KW = 4.2
"""Power that dimming leaves to every device: § 14a EnWG, BNetzA BK6-22-300 of 27 November 2023."""
CHEAP_SHARE = 4
"""A heat pump takes the price for low where less than one part of so many of the next day's intervals are cheaper.

At the end of a run, of the intervals that are left: what comes behind it has no price.
"""


class FlexibleDevices(NamedTuple):
    """D devices in T intervals; integers, Wh.

    Attributes
    ----------
    kind, house, strategy
        (D,) `CAR` or `HEAT_PUMP`, number of the house, and `grid_models.devices.flexible.Strategy`.
    power_wh, least_power_wh
        (D,) largest energy in an interval at the terminals, and the least at which a heat pump runs.
    capacity_wh, target_wh
        (D,) what battery or buffer can hold, and what a car wants to leave with.
    n_must_run
        (D,) intervals for which a heat pump runs at least.
    gain_ppm, used_wh, leaves
        (T, D) parts per million of what is given that are stored; trips that end as the interval begins, or heat
        demand; first interval behind a car's stay, 0 while it is away.
    price_ueur_per_kwh
        (T,) utility prices, whatever the window.
    numbers
        (2,) energy in an interval at `DIMMED_KW`, and intervals of a day.
    """

    kind: Ints
    house: Ints
    strategy: Ints
    power_wh: Wh
    least_power_wh: Wh
    capacity_wh: Wh
    target_wh: Wh
    n_must_run: Ints
    gain_ppm: Series
    used_wh: Series
    leaves: Series
    price_ueur_per_kwh: Ints
    numbers: Ints


def make_no_devices() -> FlexibleDevices:
    """No devices at all."""
    none, series = np.zeros(0, np.int64), np.zeros((0, 0), np.int32)
    of_devices = none, none, none, none, none, none, none, none
    return FlexibleDevices(*of_devices, series, series, series, none, np.zeros(2, np.int64))


UNLIMITED_WH = np.iinfo(np.int32).max
NO_DEVICES = make_no_devices()
NOBODY_RESTS = np.zeros(0, np.bool_)


@compiled
def find_cheaper(prices: Ints, t: int, stop: int) -> tuple[int, int]:
    """Number of the intervals behind `t` and before `stop` that are cheaper than it, and their lowest price.

    The lowest price is -1 where there is none. Intervals behind the end of the run have no price, so none of them is
    cheaper.
    """
    cheaper, lowest = 0, -1
    for k in range(t + 1, min(stop, prices.size)):
        cheaper += prices[k] < prices[t]
        if lowest < 0 or prices[k] < lowest:
            lowest = prices[k]
    return cheaper, lowest


@compiled
def ask_devices(devices: FlexibleDevices, rows: Rows, t: int, surplus_wh: Wh, rests: npt.NDArray[np.bool_]) -> Rows:
    """What devices say of interval `t`, (D,).

    Parameters
    ----------
    devices
        All of them.
    rows
        Their rows of the interval before.
    surplus_wh
        Own surplus of each house, (N,); below zero where it has none.
    rests
        Houses whose devices take nothing in the interval, (N,), or (0,) where there are none.
    """
    asked, left = rows.copy(), np.maximum(surplus_wh, 0)
    for j in range(asked.size):
        row, house = asked[j], devices.house[j]
        row.kind, row.status, row.interval, row.house = _KIND, devices.kind[j], t, house
        row.used_wh, row.gain_ppm = devices.used_wh[t, j], devices.gain_ppm[t, j]
        row.capacity_wh = devices.capacity_wh[j]
        if devices.kind[j] == _CAR:
            _ask_car(devices, row, j, t, left[house])
        else:
            _ask_heat_pump(devices, row, j, t, left[house], rows[j].given_wh > 0)
        if rests.size > 0 and rests[house]:
            row.least_wh = row.wanted_wh = row.most_wh = 0
        row.floor_wh = min(row.wanted_wh, devices.numbers[0])
        left[house] = max(left[house] - row.wanted_wh, 0)
        row.given_wh = row.stored_wh = row.made_up_wh = 0
    return asked


@compiled
def _ask_car(devices: FlexibleDevices, row: Any, j: int, t: int, surplus_wh: int) -> None:
    leaves, prices = devices.leaves[t, j], devices.price_ueur_per_kwh
    row.least_wh = row.wanted_wh = row.most_wh = row.stays = row.later_ueur_per_kwh = row.unserved_wh = 0
    if leaves > 0:
        held = arrive(row.held_wh, row.used_wh).held_wh
        n_later = leaves - t - 1
        cheaper, lowest = find_cheaper(prices, t, leaves)
        power, target, gain = devices.power_wh[j], devices.target_wh[j], devices.gain_ppm[t, j]
        wish = car_wish(held, target, power, gain, n_later, cheaper, surplus_wh, devices.strategy[j])
        row.least_wh, row.wanted_wh, row.most_wh = wish.least_wh, wish.wanted_wh, wish.most_wh
        row.stays, row.later_ueur_per_kwh = leaves - t, lowest
        row.unserved_wh = max(target - held, 0)


@compiled
def _ask_heat_pump(devices: FlexibleDevices, row: Any, j: int, t: int, surplus_wh: int, was_on: bool) -> None:
    n_day, prices = devices.numbers[1], devices.price_ueur_per_kwh
    cheaper, lowest = find_cheaper(prices, t, t + n_day)
    wish = heat_pump_wish(
        row.held_wh,
        row.used_wh,
        devices.capacity_wh[j],
        devices.power_wh[j],
        devices.least_power_wh[j],
        devices.gain_ppm[t, j],
        surplus_wh,
        devices.strategy[j],
        cheaper * CHEAP_SHARE < min(n_day, prices.size - t),
        was_on,
        row.stays,
    )
    row.least_wh, row.wanted_wh, row.most_wh = wish.least_wh, wish.wanted_wh, wish.most_wh
    row.later_ueur_per_kwh, row.unserved_wh = lowest, 0
    row.stays = max(row.stays - 1, 0) if was_on else max(devices.n_must_run[j] - 1, 0)


@compiled
def finish_devices(rows: Rows, first_seq: int) -> Rows:
    """Devices at the end of an interval, from what they said and were given; numbered from `first_seq` on.

    While a row says what a car asks for, its `unserved_wh` is all that the battery misses.
    """
    done = rows.copy()
    for j in range(done.size):
        row = done[j]
        row.seq = first_seq + j
        row.stored_wh = content_wh(row.given_wh, row.gain_ppm)
        if row.status == _CAR:
            row.made_up_wh = arrive(row.held_wh, row.used_wh).elsewhere_wh
        else:
            row.made_up_wh = shortfall_wh(row.held_wh, row.used_wh, row.stored_wh)
            row.stays = row.stays if row.given_wh > 0 else 0
        row.held_wh += row.made_up_wh - row.used_wh + row.stored_wh
        row.unserved_wh = max(row.unserved_wh - row.stored_wh, 0) if row.stays == 1 and row.status == _CAR else 0
    return done


@compiled
def find_device_imbalance(asked: Rows, done: Rows, meters: Rows) -> int:
    """First house with a device whose content does not follow from what it was given, -1 if there is none.

    It holds what it held, less what was used, plus what was made up and stored; never less than nothing, never more
    than fits. It was given no more than it wanted, and all devices of a house no more than its load.
    """
    given = np.zeros(meters.size, np.int64)
    for j in range(done.size):
        row, house = done[j], done[j].house
        given[house] += row.given_wh
        holds = asked[j].held_wh - row.used_wh + row.made_up_wh + row.stored_wh
        follows = row.held_wh == holds and row.stored_wh == content_wh(row.given_wh, row.gain_ppm)
        bounded = row.made_up_wh >= 0 and row.given_wh >= 0 and 0 <= row.held_wh <= row.capacity_wh
        if not (follows and bounded and row.given_wh <= row.wanted_wh) or given[house] > meters[house].load_wh:
            return int(house)
    return -1


@compiled
def follow_devices(devices: FlexibleDevices, opening: Rows, first: int, surplus_wh: Wh, limit_wh: Wh) -> Rows:
    """Rows of devices in K intervals, (K, D), where each is given what it wants, up to a limit.

    Parameters
    ----------
    devices
        All of them.
    opening
        Their rows before the first interval.
    first
        Number of that interval.
    surplus_wh
        Own surplus of each house, (K, N).
    limit_wh
        The most that a device is given, (K, D); `UNLIMITED_WH` where the network puts nothing off.
    """
    followed = np.zeros((surplus_wh.shape[0], opening.size), FLEXIBLE)
    rows = opening.copy()
    for k in range(surplus_wh.shape[0]):
        rows = ask_devices(devices, rows, first + k, surplus_wh[k], NOBODY_RESTS)
        for j in range(rows.size):
            rows[j].given_wh = min(rows[j].wanted_wh, limit_wh[k, j])
        rows = finish_devices(rows, 0)
        followed[k] = rows
    return followed
