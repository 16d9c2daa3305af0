"""Devices beside the houses' own, and what the market is supplied with while they stand as they stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cosim.case.community import panels_wh, sun
from cosim.case.devices import Device, FuelUse, schedule
from cosim.case.state import ADMITTED
from cosim.delivery.window import InputSeries
from data.profiles import Profiles

Standing = npt.NDArray[np.int8]


class Fleet:
    """Fuel cells and panels of a scenario; each schedule is made once.

    Parameters
    ----------
    devices
        D devices.
    profiles
        Load, generation and price without them.
    """

    def __init__(self, devices: Sequence[Device], profiles: Profiles) -> None:
        self.devices = tuple(devices)
        self._profiles = profiles
        self._schedules: dict[bytes, tuple[FuelUse, ...]] = {}

    def schedule(self, standing: Standing) -> tuple[FuelUse, ...]:
        """Schedule of each device while the grid is there, (D,); nothing for those that are not admitted.

        A later fuel cell serves what the earlier ones leave.
        """
        key = standing.tobytes()
        if key not in self._schedules:
            self._schedules[key] = self._made(standing)
        return self._schedules[key]

    def _made(self, standing: Standing) -> tuple[FuelUse, ...]:
        profiles = self._profiles
        pv = self._with_panels(standing)
        lacking = np.maximum(profiles.load_wh.sum(axis=1) - pv.sum(axis=1), 0)
        nothing = FuelUse(np.zeros_like(lacking), np.zeros(lacking.size))
        made = []
        for device, stands in zip(self.devices, standing, strict=True):
            use = nothing
            if device.plant is not None and stands == ADMITTED:
                use = schedule(device.plant, lacking, profiles.price_ueur_per_kwh, profiles.interval_minutes)
                lacking = lacking - use.delivered_wh
            made.append(use)
        return tuple(made)

    def _with_panels(self, standing: Standing) -> npt.NDArray[np.int64]:
        profiles = self._profiles
        pv = profiles.pv_wh.copy()
        for device, stands in zip(self.devices, standing, strict=True):
            if stands == ADMITTED and device.pv_kwp:
                pv[:, device.house] += panels_wh(
                    device.pv_kwp, sun(profiles.pv_wh), profiles.interval_minutes
                )
        return pv

    def supply(self, standing: Standing) -> InputSeries:
        """What the market is supplied with, grid permitting."""
        profiles = self._profiles
        fuel_cell = np.zeros_like(profiles.load_wh)
        for device, use in zip(self.devices, self.schedule(standing), strict=True):
            fuel_cell[:, device.house] += use.delivered_wh
        return InputSeries(
            profiles.load_wh, self._with_panels(standing), fuel_cell, profiles.price_ueur_per_kwh
        )
