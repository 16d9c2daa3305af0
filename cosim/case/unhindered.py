"""What cars and heat pumps take where the network puts nothing off.

A car or heat pump looks at its own content, at prices and at the surplus of its house, and at nothing that a market
clears. So what it takes where nothing is cut follows from the inputs alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case, MarketCase
from cosim.delivery.flexible import UNLIMITED_WH, follow_devices
from cosim.delivery.setpoints import Kw, spread_devices
from market.exchanges import CAR, Ints
from market.storage import Wh


class DeviceLoad(NamedTuple):
    """Energy that cars and heat pumps of each house take, (T, N) Wh each."""

    cars_wh: Wh
    heat_pumps_wh: Wh


def find_device_load(case: MarketCase) -> DeviceLoad:
    """What cars and heat pumps take where nothing is cut: as their strategies say, from the begin of the run on."""
    inputs, devices = case.inputs, case.inputs.devices
    load = DeviceLoad(np.zeros_like(inputs.load_wh), np.zeros_like(inputs.load_wh))
    if devices.kind.size:
        unlimited = np.full((inputs.load_wh.shape[0], devices.kind.size), UNLIMITED_WH, np.int64)
        surplus = inputs.pv_wh + inputs.fuel_cell_wh - inputs.load_wh
        rows = follow_devices(devices, case.opening.flexible, 0, surplus, unlimited)
        for j, (kind, house) in enumerate(zip(devices.kind, devices.house, strict=True)):
            (load.cars_wh if kind == CAR else load.heat_pumps_wh)[:, house] += rows["given_wh"][:, j]
    return load


def find_drawn_kw(case: Case, devices: DeviceLoad, intervals: Ints) -> Kw:
    """Mean power that houses draw in some intervals with their cars and heat pumps, at their phases, (K, C) kW."""
    drawn_wh = {
        "load": (case.profiles.load_wh + devices.heat_pumps_wh)[intervals],
        "ev": devices.cars_wh[intervals],
    }
    return spread_devices(drawn_wh, case.interval_minutes, case.feeder.connections)
