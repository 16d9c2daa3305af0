"""What outages and devices carry from one interval to the next, beside the market's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.case.devices import Device, FuelCellDevice
from grid_models.devices.fuel_cell_plant import PlantState
from market.charges import Period, begin_period

ASKING, ADMITTED, REFUSED, RETIRED, LEAVING = 0, 1, 2, 3, 4
"""Standing of a device: only those admitted take part. A battery is leaving while it holds energy of other houses."""

HOUR_BY_HOUR, AHEAD = 1, 2
"""How the outage that the network is in, or was in last, is dispatched, where the scenario asks to look ahead."""
NO_PLAN = np.zeros(0, np.int8)
"""Without a choice: every outage is dispatched hour by hour."""

Standing = npt.NDArray[np.int8]
"""Standing of each device, (D,)."""


class NetworkState(NamedTuple):
    """State of N houses, E outages and D devices after an interval.

    Attributes
    ----------
    phase
        (N,) `Phase` of each house: connected to the grid, in an island, about to be connected again, or without supply.
    is_forming
        (N,) whether its battery or fuel cell was the grid former of an island, which sets voltage and frequency there.
    pickup
        (N,) intervals for which its load is still raised since supply came back (cold load pickup).
    in_force
        (E,) outages in force; one may be, although its time is over, until its island is connected again.
    standing
        (D,) ASKING, ADMITTED, REFUSED, RETIRED or LEAVING.
    plants
        (D, 4) of each fuel cell: hydrogen, kg; whether it runs; power, kW; hours it has been starting.
    tap_pos, tap_waited_s
        (X,) position of each on-load tap changer, and for how long it has been outside its band since its last step.
    plan
        (1,) HOUR_BY_HOUR or AHEAD, chosen when an outage begins; (0,) where the scenario does not ask to look ahead.
    period
        What has come together for the network charges of the month; of no house where there are none.
    """

    phase: npt.NDArray[np.int8]
    is_forming: npt.NDArray[np.bool_]
    pickup: npt.NDArray[np.int64]
    in_force: npt.NDArray[np.bool_]
    standing: Standing
    plants: npt.NDArray[np.float64]
    tap_pos: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    tap_waited_s: npt.NDArray[np.float64] = np.zeros(0)
    plan: npt.NDArray[np.int8] = NO_PLAN
    period: Period = begin_period(0)

    @property
    def looks_ahead(self) -> bool:
        """Whether energy is kept for critical load to come."""
        return bool((self.plan == AHEAD).any())

    @property
    def is_normal(self) -> bool:
        """Whether all houses are connected, no load is raised, no outage in force, and no battery waits to leave."""
        after_outage = self.phase.any() or self.pickup.any() or self.in_force.any()
        return not (after_outage or (self.standing == LEAVING).any())


def make_opening_network(
    n_houses: int, n_outages: int, devices: Sequence[Device], n_requests: int, *, may_look_ahead: bool = False
) -> NetworkState:
    """State before the first interval: all houses connected, tanks full.

    The last `n_requests` devices are those that ask to be admitted in the course of the run; they are not there yet.
    """
    standing = np.full(len(devices), ADMITTED, np.int8)
    standing[len(devices) - n_requests :] = ASKING
    plants = np.zeros((len(devices), 4))
    plants[:, 0] = [one.plant.tank_kg if isinstance(one, FuelCellDevice) else 0.0 for one in devices]
    return NetworkState(
        np.zeros(n_houses, np.int8),
        np.zeros(n_houses, bool),
        np.zeros(n_houses, np.int64),
        np.zeros(n_outages, bool),
        standing,
        plants,
        plan=np.full(1, HOUR_BY_HOUR, np.int8) if may_look_ahead else NO_PLAN,
    )


def make_plant_state(row: npt.NDArray[np.float64]) -> PlantState:
    """A fuel cell's state from its row in `NetworkState.plants`."""
    return PlantState(float(row[0]), bool(row[1]), float(row[2]), float(row[3]))
