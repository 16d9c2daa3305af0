"""How a run came through its outages: metrics over all of them, and over each.

An outage is an unbroken spell of intervals in which some part of the network is without the grid. A customer counts as
interrupted while its critical load is not served in full; SAIDI and SAIFI are those of IEEE Std 1366, per customer.

Hours without the grid are those in which it feeds some part not and does not wait beside it either. Once it is back, an
island runs beside it until both are joined: `restoration_hours`. All other metrics count both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import is_named, make_schema
from cosim.results.outages import critical_wh

METRICS = (
    *("hours_without_grid", "energy_not_served_kwh", "served_share", "critical_served_share"),
    *("hours_to_first_critical_shed", "saidi_hours", "saifi", "lowest_soc", "lowest_hydrogen_kg"),
    *("restoration_hours", "dark_part_hours", "hours_out_of_band"),
)
LOST_LOAD = "lost_load_eur"
"""Energy not served times the value of lost load, where the scenario has one."""
_HEAD = ("outage", "begin", "end")


def make_resilience_table(
    outage_intervals: pa.Table,
    houses: pa.Table,
    critical_share: float,
    interval_minutes: int,
    end: datetime,
    devices: Sequence[Mapping[str, float]] = (),
    lost_load_eur_per_kwh: float | None = None,
) -> pa.Table:
    """Table `resilience`: one row per outage, and a first row `all`.

    Parameters
    ----------
    outage_intervals, houses, critical_share, interval_minutes, end
        As for `measure_resilience`.
    devices
        What cars and heat pumps missed, for all outages and for each; nothing without such devices.
    lost_load_eur_per_kwh
        Value of lost load; None to price nothing.

    Returns
    -------
    pyarrow.Table
        `outage` (`all`, `1`, `2`, …), `begin`, `end`, when all parts are joined to the grid or the run ends, and the
        metrics of `measure_resilience`, then those of `devices`; missing where an outage has no such value. Empty where
        no part of the network ever was without the grid.
    """
    length = np.timedelta64(60 * interval_minutes, "s").astype(object)
    spells = find_spells(outage_intervals, interval_minutes)
    named = [(str(number), times) for number, times in enumerate(spells, start=1)]
    records = []
    for k, (name, times) in enumerate([("all", pa.concat_arrays(spells)), *named] if spells else []):
        inside = outage_intervals.filter(pc.is_in(outage_intervals["time"], times))
        metrics = measure_resilience(inside, houses, critical_share, interval_minutes, end)
        begin, over = pc.min(times).as_py(), pc.max(times).as_py() + length
        cost = price_lost_load(metrics, lost_load_eur_per_kwh)
        more = {**cost, **(devices[k] if devices else {})}
        records.append({"outage": name, "begin": begin, "end": over, **metrics, **more})
    priced = () if lost_load_eur_per_kwh is None else (LOST_LOAD,)
    metered = (*METRICS, *priced, *(devices[0] if devices else ()))
    schema = pa.schema([*make_schema(*_HEAD), *(pa.field(name, pa.float64()) for name in metered)])
    return pa.Table.from_pylist(records, schema)


def price_lost_load(metrics: Mapping[str, Any], eur_per_kwh: float | None) -> dict[str, float]:
    """Cost of the energy not served; nothing without a value of lost load.

    Examples
    --------
    >>> price_lost_load({"energy_not_served_kwh": 2.5}, 8.0), price_lost_load({"energy_not_served_kwh": 2.5}, None)
    ({'lost_load_eur': 20.0}, {})
    """
    return {} if eur_per_kwh is None else {LOST_LOAD: eur_per_kwh * metrics.get("energy_not_served_kwh", 0.0)}


def measure_resilience(
    outage_intervals: pa.Table, houses: pa.Table, critical_share: float, interval_minutes: int, end: datetime
) -> dict[str, Any]:
    """Metrics over the intervals in which a part of the network was without the grid, or waited to be joined to it.

    Parameters
    ----------
    outage_intervals
        The table of that name.
    houses
        Rows of the table `houses`, those at `find_times_without_grid` among them.
    critical_share
        Share of a house's load that is critical.
    interval_minutes
        Length of an interval.
    end
        End of the run, UTC.

    Returns
    -------
    dict
        `METRICS`: hours, kWh and shares; `hours_to_first_critical_shed` is None where none was shed,
        `restoration_hours` where the grid did not come back before the end of the run.
    """
    hours = interval_minutes / 60.0
    parts = find_parts_without_grid(outage_intervals)
    if len(parts) == 0:
        return {"hours_without_grid": 0.0}
    times = find_times_without_grid(outage_intervals)
    total = {
        name: int(pc.sum(parts[f"{name}_wh"]).as_py()) for name in ("load", "served", "critical", "critical_served")
    }
    short = find_interrupted(houses, times, critical_share)
    critical_shed = parts.filter(pc.less(parts["critical_served_wh"], parts["critical_wh"]))
    first = pc.min(critical_shed["time"]).as_py()
    begun = pc.min(parts["time"]).as_py()
    without = parts.filter(pc.invert(parts["grid_ready"]))
    dark = parts.filter(is_named(parts["supply"], "dark"))
    return {
        "hours_without_grid": len(pc.unique(without["time"])) * hours,
        "energy_not_served_kwh": (total["load"] - total["served"]) / 1000.0,
        "served_share": total["served"] / max(total["load"], 1),
        "critical_served_share": total["critical_served"] / max(total["critical"], 1),
        "hours_to_first_critical_shed": None if first is None else (first - begun).total_seconds() / 3600.0,
        "saidi_hours": float(short.sum()) * hours / short.shape[1],
        "saifi": float(_count_interruptions(short, _begins_spell(times, interval_minutes))) / short.shape[1],
        "lowest_soc": pc.min(parts["soc"]).as_py(),
        "lowest_hydrogen_kg": pc.min(parts["hydrogen_kg"]).as_py(),
        "restoration_hours": _measure_restoration(parts, interval_minutes, end),
        "dark_part_hours": len(dark) * hours,
        "hours_out_of_band": len(parts.filter(pc.equal(parts["in_band"], False))) * hours,
    }


def _measure_restoration(parts: pa.Table, interval_minutes: int, end: datetime) -> float | None:
    """Hours in which islands waited beside the grid, summed over the outages that are over before the run ends.

    None if there is no such outage.
    """
    ready, without = (parts.filter(mask)["time"] for mask in (parts["grid_ready"], pc.invert(parts["grid_ready"])))
    last = pa.scalar(end - timedelta(minutes=interval_minutes), parts.schema.field("time").type)
    over = [
        times
        for times in find_spells(parts, interval_minutes)
        if times[-1] != last or not pc.any(pc.equal(without, last)).as_py()
    ]
    if not over:
        return None
    waited = ready.filter(pc.is_in(ready, pa.concat_arrays(over)))
    return len(pc.unique(waited)) * interval_minutes / 60.0


def find_parts_without_grid(outage_intervals: pa.Table) -> pa.Table:
    """Rows of the parts that the grid does not feed."""
    return outage_intervals.filter(pc.invert(is_named(outage_intervals["supply"], "grid")))


def find_times_without_grid(outage_intervals: pa.Table) -> pa.Array:
    """Times at which the grid does not feed some part, each once, in order."""
    return pc.unique(find_parts_without_grid(outage_intervals)["time"]).sort()


def find_spells(outage_intervals: pa.Table, interval_minutes: int) -> list[pa.Array]:
    """Times of each outage, in order.

    Examples
    --------
    >>> from datetime import datetime
    >>> hours = [datetime(2017, 1, 1, hour) for hour in (3, 4, 9)]
    >>> rows = pa.table({"time": hours, "supply": ["island"] * 3})
    >>> [len(spell) for spell in find_spells(rows, 60)]
    [2, 1]
    """
    times = find_times_without_grid(outage_intervals)
    bounds = [*np.flatnonzero(_begins_spell(times, interval_minutes)).tolist(), len(times)]
    return [times.slice(a, b - a) for a, b in pairwise(bounds)]


def find_interrupted(houses: pa.Table, times: pa.Array, critical_share: float) -> npt.NDArray[np.bool_]:
    """Whether each house's critical load was short at each of some times, (T, N)."""
    during = houses.filter(pc.is_in(houses["time"], times))
    load, shed = (during[name].to_numpy().astype(np.int64) for name in ("load_wh", "shed_wh"))
    short = load - shed < critical_wh(load, critical_share)
    return np.asarray(short.reshape(len(times), -1), dtype=bool)


def _begins_spell(times: pa.Array, interval_minutes: int) -> npt.NDArray[np.bool_]:
    """Whether a time does not follow directly upon the one before it, (T,)."""
    steps = np.diff(times.to_numpy(zero_copy_only=False), prepend=np.datetime64("NaT"))
    return np.asarray(steps != np.timedelta64(60 * interval_minutes, "s"), dtype=bool)


def _count_interruptions(short: npt.NDArray[np.bool_], begins: npt.NDArray[np.bool_]) -> int:
    """How often a house's load falls short that did not in the interval before, or when an outage begins."""
    before = np.vstack([np.zeros((1, short.shape[1]), bool), short[:-1]]) & ~begins[:, None]
    return int((short & ~before).sum())
