"""What the devices of a scenario deliver while the grid is connected.

A fuel cell is firm generation then: it runs where the utility price covers its fuel, up to what the others lack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.community import panels_wh
from cosim.case.devices import BatteryDevice, Device, FuelCellDevice, PvDevice
from cosim.case.state import ADMITTED, Standing
from cosim.delivery.flexible import NO_DEVICES, FlexibleDevices
from cosim.delivery.window import InputSeries
from data.profiles import Profiles
from grid_models.devices.fuel_cell_plant import (
    Dispatch,
    Plant,
    PlantState,
    dispatch,
    interval_capability,
    specific_cost_eur_per_kwh,
)
from market.exchanges import UEUR_PER_EUR
from market.storage import Wh


class FuelUse(NamedTuple):
    """A fuel cell's schedule over T intervals: energy delivered, Wh, and hydrogen used, kg."""

    delivered_wh: Wh
    fuel_kg: npt.NDArray[np.float64]


class Fleet:
    """Devices that a scenario names; for each standing of the devices the fuel cells are scheduled once.

    Parameters
    ----------
    devices
        D devices.
    profiles
        Load, generation and price without them, T intervals.
    flexible
        Cars and heat pumps, which fuel cells are not scheduled for.
    withdrawn
        Houses whose own panels, which are part of the profiles, left while people took part: {house: first interval
        without them}.

    Attributes
    ----------
    fuel_cells, batteries
        Those of a kind, {number of the device: device}.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        profiles: Profiles,
        flexible: FlexibleDevices = NO_DEVICES,
        *,
        withdrawn: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.devices, self.flexible, self.withdrawn = tuple(devices), flexible, withdrawn
        self.fuel_cells = {k: one for k, one in enumerate(devices) if isinstance(one, FuelCellDevice)}
        self.batteries = {k: one for k, one in enumerate(devices) if isinstance(one, BatteryDevice)}
        self._profiles = profiles
        self._schedules: dict[bytes, dict[int, FuelUse]] = {}
        self._inputs: tuple[bytes, InputSeries] | None = None

    def schedule(self, standing: Standing) -> dict[int, FuelUse]:
        """Schedule of each fuel cell while the grid is connected, by its number; zero for those not admitted.

        A later fuel cell serves what the earlier ones leave.

        Parameters
        ----------
        standing
            (D,) standing of each device.
        """
        key = standing.tobytes()
        if key not in self._schedules:
            self._schedules[key] = self._make_schedules(standing)
        return self._schedules[key]

    def _make_schedules(self, standing: Standing) -> dict[int, FuelUse]:
        profiles = self._profiles
        lacking = np.maximum(profiles.load_wh.sum(axis=1) - self.pv_wh(standing).sum(axis=1), 0)
        made = {}
        for k, cell in self.fuel_cells.items():
            made[k] = FuelUse(np.zeros_like(lacking), np.zeros(lacking.size))
            if standing[k] == ADMITTED:
                prices = profiles.price_ueur_per_kwh
                made[k] = schedule_plant(cell.plant, lacking, prices, profiles.interval_minutes)
                lacking = lacking - made[k].delivered_wh
        return made

    def with_devices(self, devices: Sequence[Device], withdrawn: Mapping[int, int] | None = None) -> Fleet:
        """The same profiles, cars and heat pumps with these devices, and perhaps other panels withdrawn."""
        gone = self.withdrawn if withdrawn is None else withdrawn
        return Fleet(devices, self._profiles, self.flexible, withdrawn=gone)

    def pv_wh(self, standing: Standing) -> Wh:
        """Generation of the houses' own panels and of those admitted, (T, N)."""
        pv = self._profiles.pv_wh.copy()
        for house, first in self.withdrawn.items():
            pv[first:, house] = 0
        for device, stands in zip(self.devices, standing, strict=True):
            if isinstance(device, PvDevice) and stands == ADMITTED:
                pv[:, device.house] += panels_wh(device.rated_kw, self._profiles)
        return pv

    def make_inputs(self, standing: Standing) -> InputSeries:
        """What the market starts from while the grid is connected: load, generation and prices of T intervals.

        Those of the last standing are kept: of a year by the minute a copy is large.
        """
        key = standing.tobytes()
        if self._inputs is None or self._inputs[0] != key:
            self._inputs = key, self._make_inputs(standing)
        return self._inputs[1]

    def _make_inputs(self, standing: Standing) -> InputSeries:
        profiles = self._profiles
        fuel_cell = np.zeros_like(profiles.load_wh)
        for k, use in self.schedule(standing).items():
            fuel_cell[:, self.devices[k].house] += use.delivered_wh
        series = profiles.load_wh, self.pv_wh(standing), fuel_cell, profiles.price_ueur_per_kwh
        return InputSeries(*series, devices=self.flexible)


def run_plant(plant: Plant, state: PlantState, wanted_wh: int, interval_minutes: int) -> tuple[int, Dispatch]:
    """Run a plant for an interval at `wanted_wh` or what it can in whole Wh; returns (Wh delivered, dispatch)."""
    hours = interval_minutes / 60.0
    run = dispatch(plant, state, wanted_wh / 1000.0 / hours, hours)
    return round(run.delivered_kw * hours * 1000.0), run


def schedule_plant(plant: Plant, lacking_wh: Wh, utility_ueur_per_kwh: Wh, interval_minutes: int) -> FuelUse:
    """What a fuel cell delivers while the grid is connected and its tank is kept full.

    Parameters
    ----------
    plant
        Its ratings.
    lacking_wh
        Demand that it may serve, (T,).
    utility_ueur_per_kwh
        What the others would pay else, (T,).
    interval_minutes
        Length of an interval.
    """
    hours = interval_minutes / 60.0
    delivered, fuel = np.zeros(lacking_wh.size, np.int64), np.zeros(lacking_wh.size)
    find_capability = lru_cache(lambda state: interval_capability(plant, state, interval_minutes))
    find_cost = lru_cache(lambda wanted_wh: _fuel_eur_per_kwh(plant, wanted_wh / 1000.0 / hours))
    run = lru_cache(lambda state, wanted_wh: run_plant(plant, state, wanted_wh, interval_minutes))
    state = PlantState(plant.tank_kg)
    for t in range(lacking_wh.size):  # a plant at rest, or at its rating, is in few states, each computed once
        can = find_capability(state)
        wanted = min(int(lacking_wh[t]), can.max_wh or int(plant.nominal_kw * hours * 1000.0))
        worth_it = wanted > 0 and int(utility_ueur_per_kwh[t]) / UEUR_PER_EUR >= find_cost(wanted)
        delivered[t], ran = run(state, wanted if worth_it else 0)
        fuel[t] = ran.fuel_kg
        state = ran.state._replace(hydrogen_kg=plant.tank_kg)
    return FuelUse(delivered, fuel)


def _fuel_eur_per_kwh(plant: Plant, p_kw: float) -> float:
    """What the fuel of a power costs; infinite where the plant cannot run at it."""
    if not plant.minimum_kw <= p_kw * (1 + 1e-9):
        return math.inf
    return float(specific_cost_eur_per_kwh(plant, min(p_kw, plant.nominal_kw)))
