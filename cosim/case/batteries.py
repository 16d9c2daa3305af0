"""Batteries that come and go: a house's ratings are the sum over its batteries, and energy moves with them.

A battery that leaves takes its share of the house's charge with it, never energy that others store there. While the
batteries that stay cannot hold the energy of others (in lots: amounts that the market has sold and stored), it waits
and is no longer charged, until those lots are sold or fall due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cosim.case.devices import BatteryDevice, find_kind, make_battery
from cosim.case.houses import list_rows
from cosim.case.state import ADMITTED, LEAVING, RETIRED, Standing
from cosim.scenario.model import Scenario
from cosim.scenario.sections import BatterySection
from grid_models.devices.battery import IntervalRatings, interval_ratings
from market.state import State, hosted_wh
from market.storage import Ratings, Wh


class Departure(NamedTuple):
    """A battery that is to leave: its number, whether it still waits (LEAVING) or has left (RETIRED) with how much."""

    device: int
    standing: int
    energy_wh: int


def make_ratings(scenario: Scenario, capacity_wh: Wh, participants: Sequence[str]) -> Ratings:
    """Integer ratings of every participant's battery, from the physical model; `capacity_wh` is (N,)."""
    rows = list_rows(scenario, participants)
    kinds = [find_kind(scenario.battery, row, int(wh)) for row, wh in zip(rows, capacity_wh, strict=True)]
    sheets = [rate_battery(scenario, int(wh), kind) for wh, kind in zip(capacity_wh, kinds, strict=True)]
    columns = np.array(sheets, dtype=np.int64).T
    return Ratings(*(np.ascontiguousarray(column) for column in columns))


def rate_battery(scenario: Scenario, capacity_wh: int, kind: BatterySection | None = None) -> IntervalRatings:
    """Integer ratings of one battery over an interval, of the scenario's kind if none is given."""
    battery = make_battery(kind or scenario.battery, capacity_wh)
    return interval_ratings(battery, scenario.horizon.interval_minutes)


def rate_batteries(
    opening: Ratings, scenario: Scenario, batteries: Mapping[int, BatteryDevice], standing: Standing
) -> Ratings:
    """Ratings of each house with the batteries that are there: admitted, or waiting to leave and not charged.

    Parameters
    ----------
    opening
        Ratings of the houses' own batteries, those that will leave among them.
    scenario
        Kind of the batteries.
    batteries
        Those that come or leave, by number of the device.
    standing
        Of all devices, (D,).
    """
    kept = Ratings(*(column.copy() for column in opening))
    for k, device in batteries.items():
        sheet, counted = rate_battery(scenario, device.energy_wh, device.section), int(device.from_the_start)
        holds, charges = standing[k] in (ADMITTED, LEAVING), standing[k] == ADMITTED
        for name, there in (
            ("soc_min_wh", holds),
            ("max_discharge_wh", holds),
            ("soc_max_wh", charges),
            ("max_charge_wh", charges),
        ):
            getattr(kept, name)[device.house] += (int(there) - counted) * getattr(sheet, name)
    return kept


def with_batteries(state: State, ratings: Ratings, moved: Iterable[tuple[int, int]] = ()) -> State:
    """State with other ratings, and with the energy that batteries brought or took along.

    Parameters
    ----------
    state
        After an interval.
    ratings
        From the next one on.
    moved
        (house, Wh) pairs, negative where a battery left.
    """
    own = state.own_wh.copy()
    for house, wh in moved:
        own[house] += wh
    return state._replace(own_wh=own, ratings=ratings)


def find_departures(
    scenario: Scenario,
    batteries: Mapping[int, BatteryDevice],
    standing: Standing,
    asked: Sequence[int],
    state: State,
) -> list[Departure]:
    """Batteries that leave at the end of an interval, and those that begin to wait for it.

    Parameters
    ----------
    scenario
        Kind of the batteries.
    batteries
        Those that come or leave, by number of the device.
    standing
        Of all devices in the interval, (D,).
    asked
        Numbers of those that are asked to leave at its end.
    state
        At its end.
    """
    own, hosted = state.own_wh.copy(), hosted_wh(state.lots, state.own_wh.size)
    largest = state.ratings.soc_max_wh.copy()
    found = []
    for k, device in batteries.items():
        waits = standing[k] == LEAVING
        if not waits and not (k in asked and standing[k] == ADMITTED):
            continue
        house, ceiling = device.house, rate_battery(scenario, device.energy_wh, device.section).soc_max_wh
        largest[house] -= 0 if waits else ceiling
        rest = int(largest[house])
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
