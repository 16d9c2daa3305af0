"""Who can hold the voltage of a part of the network that has lost the grid, and in which order they are asked.

A grid former is a device whose inverter sets voltage and frequency for an island: a battery inverter or a fuel cell's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cosim.case.case import Case
from cosim.case.houses import list_rows
from cosim.case.state import ADMITTED, NetworkState, make_plant_state
from cosim.case.timeline import Mask
from cosim.islands.island import Former, Part
from cosim.islands.local_dispatch import FuelRange
from cosim.islands.phases import BLACK_START_SOC, Phase
from grid_models.devices.fuel_cell_plant import interval_capability
from grid_models.feeder.connection import ABC
from market.state import State
from market.storage import deliverable_wh


def list_fuel_cells(case: Case, network: NetworkState, inside: Mask) -> tuple[list[int], tuple[FuelRange, ...]]:
    """Fuel cells in a part that are admitted: their device numbers, and what each can deliver in the interval."""
    numbers, ranges = [], []
    for k, device in case.fleet.fuel_cells.items():
        if network.standing[k] == ADMITTED and inside[device.house]:
            can = interval_capability(device.plant, make_plant_state(network.plants[k]), case.interval_minutes)
            numbers.append(k)
            ranges.append(FuelRange(device.house, can.min_wh, can.max_wh, can.may_stop))
    return numbers, tuple(ranges)


def rank_formers(part: Part, network: NetworkState) -> Iterator[Former]:
    """Grid formers that a part can try, best first: the one of the interval before, then batteries, then fuel cells.

    Batteries and fuel cells are sorted by headroom, the energy they can still deliver in the interval. To start a
    part that is dark (black start) a battery needs a state of charge of `BLACK_START_SOC`. What is on one phase holds
    none of the others.
    """
    ratings, own = part.state.ratings, part.state.own_wh
    capacity_wh = estimate_capacity_wh(part.case, part.state)
    dark = bool((network.phase[part.inside] == Phase.DARK).all())
    candidates: list[tuple[bool, int, int, Former]] = []
    for i in np.flatnonzero(part.inside):
        stock = int(own[i] - ratings.soc_min_wh[i])
        headroom = min(int(part.orders.discharge_left_wh[i]), deliverable_wh(stock, ratings.discharge_ppm[i]))
        charged = not dark or own[i] >= BLACK_START_SOC * capacity_wh[i]
        if headroom > 0 and charged and holds_all_phases(part.case, "battery", int(i)):
            candidates.append((not network.is_forming[i], 0, -headroom, Former(int(i), -1)))
    for k, cell in enumerate(part.fuel_cells):
        if cell.high_wh > 0 and holds_all_phases(part.case, "fuel_cell", cell.house):
            candidates.append((not network.is_forming[cell.house], 1, -cell.high_wh, Former(cell.house, k)))
    for _, _, _, former in sorted(candidates):
        yield former


def holds_all_phases(case: Case, device: str, house: int) -> bool:
    """Whether a house's device is on three phases, as all are in the balanced model."""
    connections = case.feeder.connections
    return connections is None or bool(getattr(connections, device)[house] == ABC)


def estimate_capacity_wh(case: Case, state: State) -> npt.NDArray[np.float64]:
    """Nominal capacity of each battery, (N,) Wh, from the upper end of its state-of-charge window."""
    rows, soc_max = list_rows(case.scenario, case.profiles.participants), case.scenario.battery.soc_max
    highest = np.array([soc_max if row is None or row.soc_max is None else row.soc_max for row in rows])
    return np.asarray(state.ratings.soc_max_wh / np.maximum(highest, 1e-9), dtype=np.float64)
