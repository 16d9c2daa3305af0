"""How a run came through its outages: one row per part of the network and interval, and the metrics over them.

A customer counts as interrupted while its critical load is not served in full; SAIDI and SAIFI are then those of IEEE
Std 1366, per customer. Droop frequency is a post-process: what batteries and fuel cells deliver moves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.case.case import Case
from cosim.case.state import ADMITTED
from cosim.interval.chunk import Chunk
from cosim.interval.device_requests import name_standing
from cosim.islands.event_interval import PartResult
from cosim.islands.formers import estimate_capacity_wh
from cosim.islands.phases import Phase
from cosim.results.columns import TIME, is_named
from grid_models.devices.frequency import droop_frequency
from grid_models.feeder.topology import Supply

OUTAGE_TABLES = ("outage_intervals", "registrations")

OUTAGE_INTERVALS = pa.schema(
    [
        ("time", TIME),
        ("part", pa.int64()),
        ("supply", pa.string()),
        ("former", pa.string()),
        ("houses", pa.int64()),
        *((f"{name}_wh", pa.int64()) for name in ("load", "served", "critical", "critical_served")),
        *(
            (f"{name}_wh", pa.int64())
            for name in ("pv", "fuel_cell", "discharge", "charge", "losses", "spilled")
        ),
        ("imported_wh", pa.int64()),
        ("stored_wh", pa.int64()),
        ("capacity_wh", pa.int64()),
        ("soc", pa.float64()),
        ("hydrogen_kg", pa.float64()),
        ("frequency_hz", pa.float64()),
        ("in_band", pa.bool_()),
        ("grid_ready", pa.bool_()),
    ]
)
REGISTRATIONS = pa.schema(
    [
        ("time", TIME),
        ("device", pa.string()),
        ("rated_kw", pa.float64()),
        ("answer", pa.string()),
        ("reason", pa.string()),
        ("element", pa.int64()),
        ("energy_wh", pa.int64()),
    ]
)


def make_outage_tables(case: Case, chunk: Chunk) -> dict[str, pa.Table]:
    """Tables `outage_intervals` and `registrations` of a chunk; empty where the network was whole."""
    step = np.timedelta64(60 * case.interval_minutes, "s")
    time = (case.profiles.start + chunk.first * step).astype("datetime64[s]").astype(object)
    parts = () if chunk.event is None else chunk.event.parts
    rows = [{"time": time, "part": number, **_row(case, chunk, part)} for number, part in enumerate(parts)]
    answers = [
        {
            "time": time,
            "device": case.fleet.devices[answer.device].label,
            "rated_kw": case.fleet.devices[answer.device].rated_kw,
            "answer": name_standing(answer.standing),
            "reason": answer.reason.name.lower(),
            "element": answer.element,
            "energy_wh": answer.energy_wh,
        }
        for answer in chunk.decisions
    ]
    return {
        "outage_intervals": pa.Table.from_pylist(rows, OUTAGE_INTERVALS),
        "registrations": pa.Table.from_pylist(answers, REGISTRATIONS),
    }


def critical_wh(load_wh: npt.NDArray[Any], share: float) -> npt.NDArray[np.int64]:
    """Part of a load that is shed last."""
    return np.rint(load_wh * share).astype(np.int64)


def _row(case: Case, chunk: Chunk, part: PartResult) -> dict[str, Any]:
    meters = chunk.window.meters[0][part.inside]
    total = {name: int(meters[f"{name}_wh"].sum()) for name in ("pv", "fuel_cell", "discharge", "charge")}
    served = meters["load_wh"] - meters["shed_wh"]
    critical = critical_wh(meters["load_wh"], case.scenario.community.critical_share)
    stored = int(meters["own_wh"].sum()) + int(meters["hosted_wh"].sum())
    room = _capacity_wh(case, chunk, part)
    cells = _fuel_cells(case, chunk, part)
    hz, in_band = _frequency(case, chunk, part, cells, total)
    spilled = int(meters["spilled_wh"].sum())
    return {
        "supply": part.supply.name.lower(),
        "former": "" if part.former is None else case.profiles.participants[part.former.house],
        "houses": int(part.inside.sum()),
        "load_wh": int(meters["load_wh"].sum()),
        "served_wh": int(served.sum()),
        "critical_wh": int(critical.sum()),
        "critical_served_wh": int(np.minimum(critical, served).sum()),
        **{f"{name}_wh": wh for name, wh in total.items()},
        "pv_wh": total["pv"] - spilled,
        "losses_wh": part.losses_wh,
        "spilled_wh": spilled,
        "imported_wh": int(meters["imported_wh"].sum()),
        "stored_wh": stored,
        "capacity_wh": room,
        "soc": stored / room if room else None,
        "hydrogen_kg": float(chunk.network.plants[cells, 0].sum()) if cells else None,
        "frequency_hz": hz,
        "in_band": in_band,
        "grid_ready": bool((chunk.network.phase[part.inside] == Phase.SYNCHRONISING).any()),
    }


def _capacity_wh(case: Case, chunk: Chunk, part: PartResult) -> int:
    assert chunk.event is not None
    return round(float(estimate_capacity_wh(case, chunk.event.before)[part.inside].sum()))


def _fuel_cells(case: Case, chunk: Chunk, part: PartResult) -> list[int]:
    return [
        k
        for k, device in enumerate(case.fleet.devices)
        if device.plant is not None and part.inside[device.house] and chunk.network.standing[k] == ADMITTED
    ]


def _frequency(
    case: Case, chunk: Chunk, part: PartResult, cells: list[int], total: Mapping[str, int]
) -> tuple[float | None, bool | None]:
    """Droop frequency of an island, and whether it lies within the band."""
    if part.supply != Supply.ISLAND or chunk.event is None:
        return None, None
    hours = case.interval_minutes / 60.0
    inverters_kw = chunk.event.before.ratings.max_discharge_wh[part.inside] / 1000.0 / hours
    rated_kw = [*inverters_kw[inverters_kw > 0], *(case.fleet.devices[k].rated_kw for k in cells)]
    delivered_kw = (total["discharge"] + total["fuel_cell"] - total["charge"]) / 1000.0 / hours
    settled = droop_frequency(delivered_kw, rated_kw)
    return float(settled.hz[0]), bool(settled.in_band[0])


def measure_resilience(
    outage_intervals: pa.Table, houses: pa.Table, critical_share: float, interval_minutes: int
) -> dict[str, Any]:
    """Metrics over the intervals in which a part of the network was without the grid.

    Parameters
    ----------
    outage_intervals
        The table of that name.
    houses
        Rows of the table `houses`, those of `find_moments_without_grid` among them.
    critical_share
        Share of a house's load that is critical.
    interval_minutes
        Length of an interval.

    Returns
    -------
    dict
        Hours, kWh and shares; `hours_to_first_critical_shed` is None where none was shed.
    """
    hours = interval_minutes / 60.0
    parts = find_parts_without_grid(outage_intervals)
    if len(parts) == 0:
        return {"hours_without_grid": 0.0}
    moments = find_moments_without_grid(outage_intervals)
    total = {
        name: int(pc.sum(parts[f"{name}_wh"]).as_py())
        for name in ("load", "served", "critical", "critical_served")
    }
    short = find_interrupted(houses, moments, critical_share)
    critical_shed = parts.filter(pc.less(parts["critical_served_wh"], parts["critical_wh"]))
    first = pc.min(critical_shed["time"]).as_py()
    begun = pc.min(parts["time"]).as_py()
    ready = parts.filter(parts["grid_ready"])
    dark = parts.filter(is_named(parts["supply"], "dark"))
    return {
        "hours_without_grid": len(moments) * hours,
        "energy_not_served_kwh": (total["load"] - total["served"]) / 1000.0,
        "served_share": total["served"] / max(total["load"], 1),
        "critical_served_share": total["critical_served"] / max(total["critical"], 1),
        "hours_to_first_critical_shed": None if first is None else (first - begun).total_seconds() / 3600.0,
        "saidi_hours": float(short.sum()) * hours / short.shape[1],
        "saifi": float(_beginnings(short, _apart(moments, interval_minutes))) / short.shape[1],
        "lowest_soc": pc.min(parts["soc"]).as_py(),
        "lowest_hydrogen_kg": pc.min(parts["hydrogen_kg"]).as_py(),
        "restoration_hours": len(pc.unique(ready["time"])) * hours,
        "dark_part_hours": len(dark) * hours,
        "hours_out_of_band": len(parts.filter(pc.equal(parts["in_band"], False))) * hours,
    }


def find_parts_without_grid(outage_intervals: pa.Table) -> pa.Table:
    """Rows of the parts that the grid does not feed."""
    return outage_intervals.filter(pc.invert(is_named(outage_intervals["supply"], "grid")))


def find_moments_without_grid(outage_intervals: pa.Table) -> pa.Array:
    """Times at which the grid does not feed some part, each once, in order."""
    return pc.unique(find_parts_without_grid(outage_intervals)["time"]).sort()


def find_interrupted(houses: pa.Table, moments: pa.Array, critical_share: float) -> npt.NDArray[np.bool_]:
    """Whether each house's critical load was short in each of the moments, (T, N)."""
    during = houses.filter(pc.is_in(houses["time"], moments))
    load, shed = (during[name].to_numpy().astype(np.int64) for name in ("load_wh", "shed_wh"))
    short = load - shed < critical_wh(load, critical_share)
    return np.asarray(short.reshape(len(moments), -1), dtype=bool)


def _apart(moments: pa.Array, interval_minutes: int) -> npt.NDArray[np.bool_]:
    """Whether a moment does not follow directly upon the one before it, (T,)."""
    at = moments.to_numpy(zero_copy_only=False)
    steps = np.diff(at, prepend=np.datetime64(0, "s"))
    return np.asarray(steps != np.timedelta64(60 * interval_minutes, "s"), dtype=bool)


def _beginnings(short: npt.NDArray[np.bool_], apart: npt.NDArray[np.bool_]) -> int:
    """How often a house's load falls short that did not in the interval before."""
    before = np.vstack([np.zeros((1, short.shape[1]), bool), short[:-1]]) & ~apart[:, None]
    return int((short & ~before).sum())
