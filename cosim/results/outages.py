"""Outages one by one: unbroken spells in which some part of the network was without the grid, and how each was met."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import TIME
from cosim.results.resilience import find_moments_without_grid, measure_resilience

METRICS = (
    *("hours_without_grid", "energy_not_served_kwh", "served_share", "critical_served_share"),
    *("hours_to_first_critical_shed", "saidi_hours", "saifi", "lowest_soc", "lowest_hydrogen_kg"),
    *("restoration_hours", "dark_part_hours", "hours_out_of_band"),
)
RESILIENCE = pa.schema(
    [
        ("outage", pa.string()),
        ("begin", TIME),
        ("end", TIME),
        *((name, pa.float64()) for name in METRICS),
    ]
)


def find_spells(outage_intervals: pa.Table, interval_minutes: int) -> list[pa.Array]:
    """Times of each unbroken spell without the grid, in order.

    Examples
    --------
    >>> from datetime import datetime
    >>> hours = [datetime(2017, 1, 1, hour) for hour in (3, 4, 9)]
    >>> rows = pa.table({"time": pa.array(hours, TIME), "supply": ["island"] * 3})
    >>> [len(spell) for spell in find_spells(rows, 60)]
    [2, 1]
    """
    moments = find_moments_without_grid(outage_intervals)
    at = moments.to_numpy(zero_copy_only=False)
    breaks = np.flatnonzero(np.diff(at) > np.timedelta64(60 * interval_minutes, "s")) + 1
    bounds = [0, *breaks.tolist(), len(moments)]
    return [moments.slice(a, b - a) for a, b in pairwise(bounds) if b > a]


def make_resilience_table(
    outage_intervals: pa.Table, houses: pa.Table, critical_share: float, interval_minutes: int
) -> pa.Table:
    """Table `resilience`: one row per outage, and a first row `all`.

    Parameters
    ----------
    outage_intervals, houses
        As for `cosim.results.resilience.measure_resilience`.
    critical_share
        Share of a house's load that is critical.
    interval_minutes
        Length of an interval.

    Returns
    -------
    pyarrow.Table
        `outage` (`all`, `1`, `2`, …), `begin`, `end`, and the metrics of `cosim.results.resilience.measure_resilience`;
        missing where an outage has no such value. Empty where no part of the network ever was without the grid.
    """
    length = np.timedelta64(60 * interval_minutes, "s")
    found = find_spells(outage_intervals, interval_minutes)
    named = [(str(number), moments) for number, moments in enumerate(found, start=1)]
    records = []
    for name, moments in [("all", pa.concat_arrays(found)), *named] if found else []:
        inside = outage_intervals.filter(pc.is_in(outage_intervals["time"], moments))
        metrics = measure_resilience(inside, houses, critical_share, interval_minutes)
        begin, end = pc.min(moments).as_py(), pc.max(moments).as_py() + length.astype(object)
        records.append({"outage": name, "begin": begin, "end": end, **metrics})
    return pa.Table.from_pylist(records, RESILIENCE)
