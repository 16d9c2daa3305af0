"""How a house's supply changes in an outage: one table of transitions; and what is carried between intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.devices import Device
from grid_models.devices.fuel_cell_plant import PlantState

ASKING, ADMITTED, REFUSED, RETIRED, LEAVING = 0, 1, 2, 3, 4
"""Standing of a device; a battery is leaving while it holds energy of others that would not fit elsewhere."""


class NetworkState(NamedTuple):
    """What outages carry from one interval to the next, beside the market's state.

    Attributes
    ----------
    phase
        (N,) `Phase` of each house.
    former
        (N,) whether a house's device held an island in the last interval.
    pickup
        (N,) intervals for which its load is still raised after darkness.
    open
        (E,) outages in force in the last interval, whether or not they are over.
    standing
        (D,) standing of each device.
    plants
        (D, 4) hydrogen in kg, on, kW, hours of warming up of each fuel cell.
    """

    phase: npt.NDArray[np.int8]
    former: npt.NDArray[np.bool_]
    pickup: npt.NDArray[np.int64]
    open: npt.NDArray[np.bool_]
    standing: npt.NDArray[np.int8]
    plants: npt.NDArray[np.float64]

    @property
    def calm(self) -> bool:
        """Whether nothing of an outage lingers, and no battery waits to leave."""
        lingers = self.phase.any() or self.pickup.any() or self.open.any()
        return not (lingers or (self.standing == LEAVING).any())


def make_opening_network(
    n_houses: int, n_outages: int, devices: Sequence[Device], n_requests: int
) -> NetworkState:
    """All connected, tanks full; devices that will ask to be registered, the last `n_requests`, are not there yet."""
    standing = np.full(len(devices), ADMITTED, np.int8)
    standing[len(devices) - n_requests :] = ASKING
    plants = np.zeros((len(devices), 4))
    plants[:, 0] = [0.0 if device.plant is None else device.plant.tank_kg for device in devices]
    return NetworkState(
        np.zeros(n_houses, np.int8),
        np.zeros(n_houses, bool),
        np.zeros(n_houses, np.int64),
        np.zeros(n_outages, bool),
        standing,
        plants,
    )


def plant_state(row: npt.NDArray[np.float64]) -> PlantState:
    """A fuel cell's state from its row in `OutageState.plants`."""
    return PlantState(float(row[0]), bool(row[1]), float(row[2]), float(row[3]))
