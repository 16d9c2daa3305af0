"""Devices that fail in outages: fuel cells that do not start or stop, batteries whose inverters stop.

Each device works or not by itself, and nobody repairs one before the outage is over; an interval first decides what
fails, as in `grid_models.devices.reliability`. A single device that can fail is followed through a failure in every
interval of the outage, which is exact; of several, failures are drawn.

Law: with devices that never fail the chance is 1 where the outage is survived, and 0 where it is not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.state import ADMITTED, RETIRED, NetworkState
from cosim.errors import ScenarioError
from grid_models.arrays import Floats, Ints
from grid_models.devices.reliability import Units
from market.state import State


class Failures(NamedTuple):
    """How fuel cells and inverters of batteries fail, each by itself, and how many draws are made of an outage."""

    cells: Units = Units()
    batteries: Units = Units()
    draws: int = 1


def make_failures(cells: Units, batteries: Units, draws: int | None) -> Failures | None:
    """Failures of devices that can fail; None if none can.

    Raises
    ------
    ScenarioError
        If failures are to be drawn and no device can fail.
    """
    if can_fail(cells) or can_fail(batteries):
        return Failures(cells, batteries, draws or 1)
    if draws is not None:
        raise ScenarioError(
            f"--draws: expected devices that can fail, got {draws} draws of failures and none that does; "
            "give a chance below 1 or hours to failure, or leave it out"
        )
    return None


class Broken(NamedTuple):
    """Interval of an outage, counted from its first, from which each device fails: (D,) devices, (N,) batteries."""

    device: Ints
    battery: Ints


def can_fail(units: Units) -> bool:
    """Whether one can be missing at the start, or fail behind it."""
    return units.works_at_start < 1.0 or units.failure_chance(1.0) > 0.0


def list_working_cells(case: Case, network: NetworkState) -> Ints:
    """Numbers of the fuel cells that are there."""
    return np.array([k for k in case.fleet.fuel_cells if network.standing[k] == ADMITTED], np.int64)


def list_batteries(state: State) -> Ints:
    """Houses with a battery."""
    return np.flatnonzero(state.ratings.max_discharge_wh > 0)


def chance_by_interval(units: Units, n: int, hours: float) -> Floats:
    """Chance that a unit fails in each of `n` intervals, the last entry: in none of them, (n + 1,).

    Examples
    --------
    >>> chance_by_interval(Units(availability=0.8, mean_hours_to_failure=4.0), 2, 1.0).round(3).tolist()
    [0.4, 0.15, 0.45]
    """
    lasts = 1.0 - units.failure_chance(hours)
    works = units.works_at_start * lasts ** np.arange(1, n + 1)
    return np.append(-np.diff(works, prepend=1.0), works[-1])


def never(case: Case) -> Broken:
    """No device fails."""
    far = np.iinfo(np.int64).max
    return Broken(np.full(len(case.fleet.devices), far), np.full(case.feeder.bus.size, far))


def draw_broken(
    case: Case, failures: Failures, state: State, network: NetworkState, n: int, rng: np.random.Generator
) -> Broken:
    """One draw of when devices fail in an outage of `n` intervals."""
    found, hours = never(case), case.interval_minutes / 60.0
    for units, places, at in (
        (failures.cells, list_working_cells(case, network), found.device),
        (failures.batteries, list_batteries(state), found.battery),
    ):
        drawn = rng.choice(n + 1, size=places.size, p=chance_by_interval(units, n, hours))
        at[places] = np.where(drawn < n, drawn, at[places])
    return found


def break_devices(state: State, network: NetworkState, broken: Broken, k: int) -> tuple[State, NetworkState]:
    """States before interval `k` of an outage without the devices that have failed by then."""
    cells, batteries = broken.device <= k, broken.battery <= k
    if cells.any():
        standing = np.where(cells & (network.standing == ADMITTED), RETIRED, network.standing).astype(np.int8)
        network = network._replace(standing=standing)
    if batteries.any():
        r = state.ratings
        nothing = {
            name: np.where(batteries, 0, getattr(r, name)).astype(np.int64)
            for name in ("max_charge_wh", "max_discharge_wh")
        }
        state = state._replace(ratings=r._replace(**nothing))
    return state, network


def list_breaks(broken: Broken) -> set[int]:
    """Intervals of an outage in which a device fails."""
    return {*broken.device.tolist(), *broken.battery.tolist()}
