"""Table of the fuel cells: energy, hydrogen, starts and fuel cost in every interval, with the grid and without."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case.case import Case
from cosim.case.state import ADMITTED
from cosim.interval.chunk import Chunk
from cosim.results.columns import make_schema
from cosim.results.tables import interval_times
from grid_models.feeder.topology import Supply

FUEL_CELL_TABLE = "fuel_cells"

FUEL_CELLS = make_schema(
    *("time", "device", "house", "delivered_wh", "power_kw", "hydrogen_kg", "tank_kg", "cost_eur", "start")
)
"""`power_kw` is the mean over the interval, `hydrogen_kg` what was used, `tank_kg` what is left at its end, `start`
whether it delivers after an interval in which it did not."""


def has_fuel_cells(case: Case) -> bool:
    """Whether any fuel cell takes part or asks to."""
    return bool(case.fleet.fuel_cells)


def make_fuel_cells_table(case: Case, chunk: Chunk) -> pa.Table:
    """Table `fuel_cells` of a chunk: one row per interval and fuel cell that is admitted then."""
    standing = chunk.network.standing if chunk.event is None else chunk.event.network.standing
    admitted = [k for k in case.fleet.fuel_cells if standing[k] == ADMITTED]
    times = interval_times(case, np.arange(chunk.first, chunk.stop)).to_pylist()
    rows = [
        {"time": time, **_make_row(case, chunk, k, standing, t)}
        for t, time in enumerate(times, start=chunk.first)
        for k in admitted
    ]
    return pa.Table.from_pylist(rows, FUEL_CELLS)


def _make_row(case: Case, chunk: Chunk, k: int, standing: npt.NDArray[np.int8], t: int) -> dict[str, Any]:
    device = case.fleet.fuel_cells[k]
    delivered, fuel, tank, start = _read_islanded(case, chunk, k) or _read_scheduled(case, k, standing, t)
    return {
        "device": device.label,
        "house": case.profiles.participants[device.house],
        "delivered_wh": delivered,
        "power_kw": delivered / 1000.0 / (case.interval_minutes / 60.0),
        "hydrogen_kg": fuel,
        "tank_kg": tank,
        "cost_eur": fuel * device.plant.fuel_eur_per_kg,
        "start": start,
    }


_Use = tuple[int, float, float, bool]
"""Energy delivered, Wh; hydrogen used and left, kg; whether the fuel cell started."""


def _read_islanded(case: Case, chunk: Chunk, k: int) -> _Use | None:
    """Use of a fuel cell in a part without the grid; None where the grid feeds it."""
    event = chunk.event
    if event is None:
        return None
    house = case.fleet.fuel_cells[k].house
    part = next(part for part in event.parts if part.inside[house])
    if part.supply == Supply.GRID:
        return None
    before, after = event.plants[k], event.network.plants[k]
    return part.fuel_wh.get(k, 0), float(before[0] - after[0]), float(after[0]), bool(after[1] > before[1])


def _read_scheduled(case: Case, k: int, standing: npt.NDArray[np.int8], t: int) -> _Use:
    """Use of a fuel cell at the grid, where it follows its schedule and its tank is kept full."""
    use = case.fleet.schedule(standing)[k]
    delivered = int(use.delivered_wh[t])
    start = delivered > 0 and (t == 0 or use.delivered_wh[t - 1] == 0)
    return delivered, float(use.fuel_kg[t]), case.fleet.fuel_cells[k].plant.tank_kg, bool(start)


FUEL_CELL_SUMMED = ("delivered_wh", "hydrogen_kg", "cost_eur", "start")


def summarise_fuel_cells(table: pa.Table) -> Mapping[str, float]:
    """Energy, hydrogen, fuel cost, starts and intervals of running of all fuel cells together.

    Sums are exact before they are rounded: they do not depend on the parts in which a run was written.
    """
    delivered, hydrogen, cost, start = (table[name].to_pylist() for name in FUEL_CELL_SUMMED)
    return {
        "delivered_kwh": sum(delivered) / 1000.0,
        "hydrogen_kg": fsum(hydrogen),
        "fuel_eur": fsum(cost),
        "starts": sum(start),
        "intervals_running": sum(wh > 0 for wh in delivered),
    }
