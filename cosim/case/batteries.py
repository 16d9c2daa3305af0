"""Batteries that come and go: a house's rating sheet is the sum over its batteries, and energy moves with them.

A battery that leaves takes its share of the house's charge with it, never energy of others: while their lots would
not fit into what remains, it takes no more energy in and waits for them to be sold or to fall due.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.devices import Device, battery_of
from cosim.case.state import ADMITTED, LEAVING, RETIRED
from cosim.scenario.model import Scenario
from grid_models.devices.battery import IntervalRatings, interval_ratings
from market.state import State, hosted_wh
from market.storage import Ratings, Wh


class Departure(NamedTuple):
    """A battery on its way out: its number, whether it is still LEAVING or RETIRED, and the energy it took along."""

    device: int
    standing: int
    energy_wh: int


def ratings_of(scenario: Scenario, capacity_wh: Wh) -> Ratings:
    """Integer rating sheet of every house's battery, from the physical model."""
    sheets = [sheet_of(scenario, int(wh)) for wh in capacity_wh]
    columns = np.array(sheets, dtype=np.int64).T
    return Ratings(*(np.ascontiguousarray(column) for column in columns))


def sheet_of(scenario: Scenario, capacity_wh: int) -> IntervalRatings:
    """Rating sheet of one battery of the scenario's kind."""
    battery = battery_of(scenario.battery, capacity_wh)
    return interval_ratings(battery, scenario.horizon.interval_minutes)


def ratings_as(
    opening: Ratings, scenario: Scenario, devices: Sequence[Device], standing: npt.NDArray[np.int8]
) -> Ratings:
    """Rating sheets while the devices stand as they stand.

    Parameters
    ----------
    opening
        Sheets of the houses' own batteries, those that will leave among them.
    scenario
        Kind of the batteries.
    devices, standing
        All devices, (D,).
    """
    kept = Ratings(*(column.copy() for column in opening))
    for device, stands in zip(devices, standing, strict=True):
        if device.battery_wh == 0:
            continue
        sheet, house = sheet_of(scenario, device.battery_wh), device.house
        there, counted = stands in (ADMITTED, LEAVING), device.from_the_start
        for name in ("soc_min_wh", "max_discharge_wh"):
            getattr(kept, name)[house] += (int(there) - int(counted)) * getattr(sheet, name)
        for name in ("soc_max_wh", "max_charge_wh"):
            getattr(kept, name)[house] += (int(stands == ADMITTED) - int(counted)) * getattr(sheet, name)
    return kept


def with_batteries(state: State, ratings: Ratings, moved: Iterable[tuple[int, int]] = ()) -> State:
    """State with other rating sheets, and with energy that came with batteries, or left with them below zero.

    Parameters
    ----------
    state
        After an interval.
    ratings
        From the next one on.
    moved
        (house, Wh) pairs.
    """
    own = state.own_wh.copy()
    for house, wh in moved:
        own[house] += wh
    return state._replace(own_wh=own, ratings=ratings)


def departures(
    scenario: Scenario,
    devices: Sequence[Device],
    standing: npt.NDArray[np.int8],
    asked: Sequence[int],
    state: State,
) -> list[Departure]:
    """What becomes of the batteries that are asked to leave, and of those that wait to; one entry for each change.

    Parameters
    ----------
    scenario
        Kind of the batteries.
    devices, standing
        All devices in the interval, (D,).
    asked
        Numbers of those that are asked to leave at its end.
    state
        At its end.
    """
    own, hosted = state.own_wh.copy(), hosted_wh(state.lots, state.own_wh.size)
    room = state.ratings.soc_max_wh.copy()
    found = []
    for k, device in enumerate(devices):
        waits = standing[k] == LEAVING
        if not waits and not (k in asked and standing[k] == ADMITTED):
            continue
        house, ceiling = device.house, sheet_of(scenario, device.battery_wh).soc_max_wh
        room[house] -= 0 if waits else ceiling
        rest = int(room[house])
        if hosted[house] <= rest:
            leaves = leaving_wh(int(own[house]), int(hosted[house]), ceiling, rest)
            own[house] -= leaves
            found.append(Departure(k, RETIRED, leaves))
        elif not waits:
            found.append(Departure(k, LEAVING, 0))
    return found


def leaving_wh(own_wh: int, hosted_wh: int, ceiling_wh: int, rest_wh: int) -> int:
    """Energy that leaves with a battery: its share by size of the house's charge, all of it the house's own.

    What the batteries that stay cannot hold leaves as well.

    Parameters
    ----------
    own_wh, hosted_wh
        Charge of the house's batteries: its own and that of others.
    ceiling_wh, rest_wh
        Largest charge of the battery that leaves, and of those that stay; at least `hosted_wh`.

    Examples
    --------
    >>> leaving_wh(6000, 0, 10_000, 5000), leaving_wh(1000, 4000, 10_000, 5000), leaving_wh(700, 0, 0, 0)
    (4000, 1000, 700)
    """
    charge = own_wh + hosted_wh
    share = -(-charge * ceiling_wh // max(ceiling_wh + rest_wh, 1))
    return min(own_wh, max(share, charge - rest_wh))
