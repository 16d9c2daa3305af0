"""Outages one by one: unbroken spells in which some part of the network was without the grid, and how each was met."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.columns import TIME, is_named
from cosim.resilience import resilience

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


def without_grid(outage_intervals: pa.Table) -> pa.Table:
    """Rows of the parts that the grid does not feed."""
    return outage_intervals.filter(pc.invert(is_named(outage_intervals["supply"], "grid")))


def spells(outage_intervals: pa.Table, interval_minutes: int) -> list[pa.Array]:
    """Times of each unbroken spell without the grid, in order.

    Examples
    --------
    >>> from datetime import datetime
    >>> hours = [datetime(2017, 1, 1, hour) for hour in (3, 4, 9)]
    >>> rows = pa.table({"time": pa.array(hours, TIME), "supply": ["island"] * 3})
    >>> [len(spell) for spell in spells(rows, 60)]
    [2, 1]
    """
    moments = pc.unique(without_grid(outage_intervals)["time"]).sort()
    at = moments.to_numpy(zero_copy_only=False)
    breaks = np.flatnonzero(np.diff(at) > np.timedelta64(60 * interval_minutes, "s")) + 1
    bounds = [0, *breaks.tolist(), len(moments)]
    return [moments.slice(a, b - a) for a, b in pairwise(bounds) if b > a]


def resilience_table(
    tables: Mapping[str, pa.Table], critical_share: float, interval_minutes: int
) -> pa.Table:
    """Table `resilience`: one row per outage, and a first row `all`.

    Parameters
    ----------
    tables
        `outage_intervals` and `houses`.
    critical_share
        Share of a house's load that is critical.
    interval_minutes
        Length of an interval.

    Returns
    -------
    pyarrow.Table
        `outage` (`all`, `1`, `2`, …), `begin`, `end`, and the metrics of `cosim.resilience.resilience`; missing where
        an outage has no such value. Empty where no part of the network ever was without the grid.
    """
    parts, length = tables["outage_intervals"], np.timedelta64(60 * interval_minutes, "s")
    found = spells(parts, interval_minutes)
    named = [(str(number), moments) for number, moments in enumerate(found, start=1)]
    records = []
    for name, moments in [("all", pa.concat_arrays(found)), *named] if found else []:
        inside = parts.filter(pc.is_in(parts["time"], moments))
        metrics = resilience({**tables, "outage_intervals": inside}, critical_share, interval_minutes)
        begin, end = pc.min(moments).as_py(), pc.max(moments).as_py() + length.astype(object)
        records.append({"outage": name, "begin": begin, "end": end, **metrics})
    return pa.Table.from_pylist(records, RESILIENCE)
