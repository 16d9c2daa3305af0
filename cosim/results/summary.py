"""A run in a few numbers: energy, money, network; computed from the tables and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import is_named
from cosim.results.fairness import measure_fairness
from cosim.results.sums import Parts
from market.exchanges import NEUR_PER_EUR

CURTAILED_KINDS = ("p2p", "lot_sale", "share_use", "share_store", "grid_export")
"""Exchanges whose sellers lose what is not delivered."""


def summarise(
    parts: Parts, intervals: pa.Table, booked: pa.Table, cut: pa.Table, metered: pa.Table, by_house: pa.Table
) -> dict[str, Any]:
    """Summary of a run.

    Parameters
    ----------
    parts
        Reads `bus_voltage` and `branch_loading`.
    intervals
        The table of that name.
    booked, cut, metered
        Of the functions of `cosim.results.sums`: exchanges summed, those that were cut, meters summed by house.
    by_house
        Of `cosim.results.fairness.make_curtailed_by_house_table`.

    Returns
    -------
    dict
        Sections `energy_kwh`, `money_eur`, `network`, `fairness` of curtailment, and the intervals of which nothing is
        settled, `list_not_settled`; JSON-ready.
    """
    return {
        "energy_kwh": {**metered_kwh(metered), **exchanged_kwh(booked)},
        "money_eur": money_eur(booked),
        "network": {**count_outcomes(intervals), **find_extremes(parts)},
        "fairness": measure_fairness(by_house),
        "not_settled": list_not_settled(find_switched_off(intervals), cut),
    }


METERED = ("load", "pv", "fuel_cell", "charge", "discharge", "imported", "exported", "spilled", "shed")


def metered_kwh(metered: pa.Table) -> dict[str, float]:
    """Meters over all houses and intervals, kWh."""
    return {name: _sum(metered[f"{name}_wh"]) / 1000 for name in METERED}


def exchanged_kwh(booked: pa.Table) -> dict[str, float]:
    """Exchanges by what they are, kWh."""
    delivered, cleared = _by_kind(booked, "delivered_wh"), _by_kind(booked, "cleared_wh")
    shared = delivered.get("share_use", 0) + delivered.get("share_store", 0)
    curtailed = sum(cleared.get(kind, 0) - delivered.get(kind, 0) for kind in CURTAILED_KINDS)
    return {
        "p2p": delivered.get("p2p", 0) / 1000,
        "lot_sale": delivered.get("lot_sale", 0) / 1000,
        "shared": shared / 1000,
        "losses": delivered.get("loss", 0) / 1000,
        "curtailed": curtailed / 1000,
    }


def money_eur(booked: pa.Table) -> dict[str, float]:
    """Money by kind of exchange, EUR."""
    amount, fee = _by_kind(booked, "amount_neur"), _by_kind(booked, "fee_neur")
    shared = amount.get("share_use", 0) + amount.get("share_store", 0)
    contract_sales = _sum(booked["amount_neur"].filter(is_named(booked["seller"], "contract")))
    eur = {
        "paid_to_grid": amount.get("grid_import", 0),
        "feed_in": amount.get("grid_export", 0),
        "earned_from_p2p": amount.get("p2p", 0) - fee.get("p2p", 0),
        "fees": fee.get("p2p", 0),
        "earned_from_sharing": shared + amount.get("lot_sale", 0) - contract_sales,
        "contract_sales": contract_sales,
        "losses": amount.get("loss", 0),
        "compensation": amount.get("compensation", 0),
    }
    return {name: neur / NEUR_PER_EUR for name, neur in eur.items()}


def count_outcomes(intervals: pa.Table) -> dict[str, Any]:
    """How the intervals became what was settled, and what that took."""
    outcome = intervals["outcome"].cast(pa.string())
    counts = {row["values"]: row["counts"] for row in pc.value_counts(outcome.combine_chunks()).to_pylist()}
    return {"intervals": len(intervals), "outcomes": counts, "power_flows": _sum(intervals["power_flows"])}


def find_extremes(parts: Parts) -> dict[str, dict[str, Any]]:
    """Lowest and highest voltage and highest loading with their place and time; none where nothing was supplied."""
    voltage = _outermost(parts, "bus_voltage", "bus", "vm_pu")
    loading = _outermost(parts, "branch_loading", "element", "loading_percent")
    return {
        **_spot("lowest_voltage", voltage, np.argmin),
        **_spot("highest_voltage", voltage, np.argmax),
        **_spot("highest_loading", loading, np.argmax),
    }


def _outermost(parts: Parts, name: str, element: str, column: str) -> pa.Table:
    """Rows with the lowest and the highest value of each part of a table; of equals the first."""
    rows = []
    for part in parts(name, (element, column, "time")):
        values = part[column].to_numpy()
        known = not np.all(np.isnan(values))
        found = [int(find(values)) for find in (np.nanargmin, np.nanargmax)] if known else []
        rows.append(part.take(pa.array(found, pa.int64())))
    return pa.concat_tables(rows)


def _spot(
    name: str, rows: pa.Table, find: Callable[[npt.NDArray[np.float64]], Any]
) -> dict[str, dict[str, Any]]:
    if not len(rows):
        return {}
    element, column, _ = rows.column_names
    row = rows.slice(int(find(rows[column].to_numpy())), 1).to_pylist()[0]
    return {name: {column: row[column], element: row[element], "time": row["time"].isoformat()}}


def find_switched_off(intervals: pa.Table) -> pa.ChunkedArray:
    """Times of the intervals that nothing could bring within the limits, the feeder being switched off."""
    return intervals["time"].filter(is_named(intervals["outcome"], "de_energised"))


def list_not_settled(off: pa.ChunkedArray, cut: pa.Table) -> list[dict[str, str]]:
    """The intervals switched off, and for what reason."""
    rejected = is_named(cut["status"], "rejected")
    cut = cut.filter(pc.and_(rejected, pc.is_in(cut["time"], off.combine_chunks())))
    reason = dict(zip(cut["time"].to_pylist(), cut["reason"].cast(pa.string()).to_pylist(), strict=True))
    return [{"time": time.isoformat(), "reason": reason.get(time, "none")} for time in off.to_pylist()]


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column.cast(pa.int64())).as_py() or 0)


def _by_kind(booked: pa.Table, column: str) -> dict[str, int]:
    grouped = booked.select(["kind", column]).group_by("kind").aggregate([(column, "sum")])
    return dict(zip(grouped["kind"].to_pylist(), grouped[f"{column}_sum"].to_pylist(), strict=True))
