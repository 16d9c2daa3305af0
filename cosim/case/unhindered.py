"""What cars and heat pumps take where the network hinders them less than in a run, or not at all.

A car or heat pump looks at its own content, at prices and at the surplus of its house, and at nothing that a market
clears. So what it takes where nothing is cut follows from the inputs alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import MarketCase
from cosim.delivery.flexible import follow_devices
from market.exchanges import CAR, Rows
from market.storage import Wh


class DeviceLoad(NamedTuple):
    """Energy that cars and heat pumps of each house take, (T, N) Wh each."""

    cars_wh: Wh
    heat_pumps_wh: Wh


def follow_unhindered(
    case: MarketCase, cut_wh: Wh | None = None, opening: Rows | None = None, chosen: slice = slice(None)
) -> Rows:
    """Rows of all devices in K intervals, (K, D) `FLEXIBLE` rows.

    Parameters
    ----------
    case
        Devices, and the inputs that they look at.
    cut_wh
        What each is not given of what it wants, (K, D); nothing if left out.
    opening
        Their rows before these intervals; those before the run if left out.
    chosen
        Which intervals; all if left out.
    """
    inputs = case.inputs
    surplus = (inputs.pv_wh + inputs.fuel_cell_wh - inputs.load_wh)[chosen]
    before = case.opening.flexible if opening is None else opening
    cut = np.zeros((surplus.shape[0], before.size), np.int64) if cut_wh is None else cut_wh
    return follow_devices(inputs.devices, before, chosen.start or 0, surplus, cut)


def find_device_load(case: MarketCase) -> DeviceLoad:
    """What cars and heat pumps take where nothing is cut: as their strategies say, from the begin of the run on."""
    load = DeviceLoad(np.zeros_like(case.inputs.load_wh), np.zeros_like(case.inputs.load_wh))
    if case.inputs.devices.kind.size:
        rows = follow_unhindered(case)
        for j, (kind, house) in enumerate(zip(case.inputs.devices.kind, case.inputs.devices.house, strict=True)):
            column = load.cars_wh if kind == CAR else load.heat_pumps_wh
            column[:, house] += rows["given_wh"][:, j]
    return load
