"""What every fuel cell did in every interval, with the grid and without: energy, hydrogen, starts, cost of its fuel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import fsum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.case.state import ADMITTED
from cosim.interval.chunk import Chunk
from cosim.results.columns import TIME
from grid_models.feeder.topology import Supply

FUEL_CELL_TABLE = "fuel_cells"

FUEL_CELLS = pa.schema(
    [
        ("time", TIME),
        ("device", pa.string()),
        ("house", pa.string()),
        ("delivered_wh", pa.int64()),
        ("power_kw", pa.float64()),
        ("hydrogen_kg", pa.float64()),
        ("tank_kg", pa.float64()),
        ("cost_eur", pa.float64()),
        ("start", pa.bool_()),
    ]
)
"""`power_kw` is the mean over the interval, `hydrogen_kg` what was used, `tank_kg` what is left at its end, `start`
whether it delivers after an interval in which it did not."""


def has_fuel_cells(case: Case) -> bool:
    """Whether any fuel cell takes part or asks to."""
    return any(device.plant is not None for device in case.fleet.devices)


def make_fuel_cells_table(case: Case, chunk: Chunk) -> pa.Table:
    """Table `fuel_cells` of a chunk: one row per interval and fuel cell that is admitted then."""
    rows: list[dict[str, Any]] = []
    standing = chunk.network.standing if chunk.event is None else chunk.event.network.standing
    for k, device in enumerate(case.fleet.devices):
        if device.plant is not None and standing[k] == ADMITTED:
            rows += _rows(case, chunk, k, standing)
    rows.sort(key=lambda row: row["time"])
    return pa.Table.from_pylist(rows, FUEL_CELLS)


def _rows(case: Case, chunk: Chunk, k: int, standing: npt.NDArray[np.int8]) -> Iterator[dict[str, Any]]:
    device = case.fleet.devices[k]
    plant = device.plant
    assert plant is not None
    step = np.timedelta64(60 * case.interval_minutes, "s")
    hours = case.interval_minutes / 60.0
    for t in range(chunk.first, chunk.stop):
        delivered, fuel, tank, start = _alone(case, chunk, k) or _scheduled(case, k, standing, t)
        yield {
            "time": (case.profiles.start + t * step).astype("datetime64[s]").astype(object),
            "device": device.label,
            "house": case.profiles.participants[device.house],
            "delivered_wh": delivered,
            "power_kw": delivered / 1000.0 / hours,
            "hydrogen_kg": fuel,
            "tank_kg": tank,
            "cost_eur": fuel * plant.fuel_eur_per_kg,
            "start": start,
        }


_Row = tuple[int, float, float, bool]


def _alone(case: Case, chunk: Chunk, k: int) -> _Row | None:
    """Energy, hydrogen used and left, start, in a part without the grid; None where the grid feeds it."""
    done = chunk.event
    if done is None:
        return None
    house = case.fleet.devices[k].house
    part = next(part for part in done.parts if part.inside[house])
    if part.supply == Supply.GRID:
        return None
    before, after = done.plants[k], done.network.plants[k]
    return part.fuel_wh.get(k, 0), float(before[0] - after[0]), float(after[0]), bool(after[1] > before[1])


def _scheduled(case: Case, k: int, standing: npt.NDArray[np.int8], t: int) -> _Row:
    """The same while the grid is there and the tank is kept full."""
    plant = case.fleet.devices[k].plant
    assert plant is not None
    use = case.fleet.schedule(standing)[k]
    delivered = int(use.delivered_wh[t])
    start = delivered > 0 and (t == 0 or use.delivered_wh[t - 1] == 0)
    return delivered, float(use.fuel_kg[t]), plant.tank_kg, bool(start)


FUEL_CELL_SUMMED = ("delivered_wh", "hydrogen_kg", "cost_eur", "start")


def summarise_fuel_cells(table: pa.Table) -> Mapping[str, float]:
    """Energy, hydrogen, fuel cost, starts and hours of running of all fuel cells together.

    Sums are exact before they are rounded: they do not depend on the parts in which a run was written.
    """
    return {
        "delivered_kwh": (pc.sum(table["delivered_wh"]).as_py() or 0) / 1000.0,
        "hydrogen_kg": fsum(table["hydrogen_kg"].to_pylist()),
        "fuel_eur": fsum(table["cost_eur"].to_pylist()),
        "starts": int(pc.sum(table["start"]).as_py() or 0),
        "intervals_running": int(pc.sum(pc.greater(table["delivered_wh"], 0)).as_py() or 0),
    }
