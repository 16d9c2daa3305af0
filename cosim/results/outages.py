"""Tables of intervals with events: one row per part of the network, and one per answer to a device's request.

A grid-forming device ("former" in the tables) holds voltage and frequency of an island. Its frequency is computed
after the fact from the droops of batteries and fuel cells: power flows are balanced already. Metrics over these tables
belong to `cosim.results.resilience`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosim.case.case import Case
from cosim.case.state import ADMITTED
from cosim.interval.chunk import Chunk
from cosim.interval.device_requests import name_standing
from cosim.islands.event_interval import EventInterval, PartResult
from cosim.islands.formers import estimate_capacity_wh
from cosim.islands.phases import Phase
from cosim.results.columns import make_schema
from cosim.results.tables import interval_times
from grid_models.devices.frequency import droop_frequency
from grid_models.feeder.topology import Supply

OUTAGE_TABLES = ("outage_intervals", "registrations")

_ENERGIES_WH = (
    *("load_wh", "served_wh", "critical_wh", "critical_served_wh", "pv_wh", "fuel_cell_wh", "discharge_wh"),
    *("charge_wh", "losses_wh", "spilled_wh", "imported_wh", "stored_wh", "capacity_wh"),
)
OUTAGE_INTERVALS = make_schema(
    *("time", "part", "supply", "former", "houses", *_ENERGIES_WH, "soc", "hydrogen_kg", "frequency_hz"),
    *("in_band", "grid_ready", "dispatch"),
)
"""`supply` is `grid`, `island` or `dark`; `grid_ready` says whether an island is waiting to be reconnected.

`dispatch` is `hourly`, or `ahead` where energy is kept for critical load.
"""

REGISTRATIONS = make_schema("time", "device", "rated_kw", "answer", "reason", "element", "energy_wh")


def has_events(case: Case) -> bool:
    """Whether the scenario has outages, or devices that join or leave."""
    return bool(case.timeline.has_event.any())


def make_outage_tables(case: Case, chunk: Chunk) -> dict[str, pa.Table]:
    """Tables `outage_intervals` and `registrations` of a chunk; empty where the network was whole."""
    time, event = interval_times(case, np.array([chunk.first]))[0].as_py(), chunk.event
    parts = [] if event is None else [_make_row(case, chunk, event, part) for part in event.parts]
    answers = [
        {
            "time": time,
            "device": case.fleet.devices[decision.device].label,
            "rated_kw": case.fleet.devices[decision.device].rated_kw,
            "answer": name_standing(decision.standing),
            "reason": decision.reason.name.lower(),
            "element": decision.element,
            "energy_wh": decision.energy_wh,
        }
        for decision in chunk.decisions
    ]
    rows = [{"time": time, "part": number, **row} for number, row in enumerate(parts)]
    return {
        "outage_intervals": pa.Table.from_pylist(rows, OUTAGE_INTERVALS),
        "registrations": pa.Table.from_pylist(answers, REGISTRATIONS),
    }


def critical_wh(load_wh: npt.NDArray[Any], share: float) -> npt.NDArray[np.int64]:
    """Part of a load that is shed last, Wh."""
    return np.rint(load_wh * share).astype(np.int64)


def _make_row(case: Case, chunk: Chunk, event: EventInterval, part: PartResult) -> dict[str, Any]:
    meters = chunk.window.meters[0][part.inside]
    total = {name: int(meters[name].sum()) for name in meters.dtype.names or () if name.endswith("_wh")}
    served = meters["load_wh"] - meters["shed_wh"]
    critical = critical_wh(meters["load_wh"], case.scenario.community.critical_share)
    stored = total["own_wh"] + total["hosted_wh"]
    capacity = round(float(estimate_capacity_wh(case, event.before)[part.inside].sum()))
    cells = [
        k
        for k, device in case.fleet.fuel_cells.items()
        if part.inside[device.house] and chunk.network.standing[k] == ADMITTED
    ]
    return {
        **{name: total[name] for name in _ENERGIES_WH if name in total},
        "supply": part.supply.name.lower(),
        "former": "" if part.former is None else case.profiles.participants[part.former.house],
        "houses": int(part.inside.sum()),
        "served_wh": int(served.sum()),
        "critical_wh": int(critical.sum()),
        "critical_served_wh": int(np.minimum(critical, served).sum()),
        "pv_wh": total["pv_wh"] - total["spilled_wh"],
        "losses_wh": part.losses_wh,
        "stored_wh": stored,
        "capacity_wh": capacity,
        "soc": stored / capacity if capacity else None,
        "hydrogen_kg": float(chunk.network.plants[cells, 0].sum()) if cells else None,
        "dispatch": "ahead" if chunk.network.looks_ahead else "hourly",
        "grid_ready": bool((chunk.network.phase[part.inside] == Phase.SYNCHRONISING).any()),
        **(_find_frequency(case, event, part, cells, total) if part.supply == Supply.ISLAND else {}),
    }


def _find_frequency(
    case: Case, event: EventInterval, part: PartResult, cells: list[int], total: dict[str, int]
) -> dict[str, Any]:
    """Droop frequency of an island, Hz, and whether it lies within the band."""
    hours = case.interval_minutes / 60.0
    inverters_kw = event.before.ratings.max_discharge_wh[part.inside] / 1000.0 / hours
    rated_kw = [*inverters_kw[inverters_kw > 0], *(case.fleet.devices[k].rated_kw for k in cells)]
    delivered_wh = total["discharge_wh"] + total["fuel_cell_wh"] - total["charge_wh"]
    settled = droop_frequency(delivered_wh / 1000.0 / hours, rated_kw)
    return {"frequency_hz": float(settled.hz[0]), "in_band": bool(settled.in_band[0])}
