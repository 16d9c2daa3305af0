"""A run in a few numbers: energy, money, network; computed from the tables and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.columns import is_named
from cosim.fairness import fairness

NEUR_PER_EUR = 1e9
CURTAILED_KINDS = ("p2p", "lot_sale", "share_use", "share_store", "grid_export")
"""Exchanges whose sellers lose what is not delivered."""


def summarise(tables: Mapping[str, pa.Table], by_house: pa.Table) -> dict[str, Any]:
    """Summary of a run.

    Parameters
    ----------
    tables
        `exchanges`, `houses`, `intervals`, `bus_voltage`, `branch_loading` as in `cosim.tables`.
    by_house
        Of `cosim.fairness.curtailed_by_house`.

    Returns
    -------
    dict
        Sections `energy_kwh`, `money_eur`, `network`, `fairness` of curtailment, and the intervals of which nothing is
        settled, `not_settled`; JSON-ready.
    """
    # All about one table before the next: a run on disk reads each when it is asked for and keeps the last.
    off = switched_off(tables["intervals"])
    exchanged, money, not_settled = about_exchanges(tables["exchanges"], off)
    found = network(tables)
    return {
        "energy_kwh": {**metered_kwh(tables["houses"]), **exchanged},
        "money_eur": money,
        "network": found,
        "fairness": fairness(by_house),
        "not_settled": not_settled,
    }


def about_exchanges(
    exchanges: pa.Table, off: pa.ChunkedArray
) -> tuple[dict[str, float], dict[str, float], list[dict[str, str]]]:
    """Energy, money and what was not settled, of the table `exchanges` and the intervals switched off."""
    return exchanged_kwh(exchanges), money_eur(exchanges), not_settled(off, exchanges)


METERED = ("load", "pv", "fuel_cell", "charge", "discharge", "imported", "exported", "spilled", "shed")


def metered_kwh(houses: pa.Table) -> dict[str, float]:
    """Meters over all houses and intervals, kWh."""
    return {name: _sum(houses[f"{name}_wh"]) / 1000 for name in METERED}


def exchanged_kwh(exchanges: pa.Table) -> dict[str, float]:
    """Exchanges by what they are, kWh."""
    delivered, cleared = _by_kind(exchanges, "delivered_wh"), _by_kind(exchanges, "cleared_wh")
    shared = delivered.get("share_use", 0) + delivered.get("share_store", 0)
    curtailed = sum(cleared.get(kind, 0) - delivered.get(kind, 0) for kind in CURTAILED_KINDS)
    return {
        "p2p": delivered.get("p2p", 0) / 1000,
        "lot_sale": delivered.get("lot_sale", 0) / 1000,
        "shared": shared / 1000,
        "losses": delivered.get("loss", 0) / 1000,
        "curtailed": curtailed / 1000,
    }


def money_eur(exchanges: pa.Table) -> dict[str, float]:
    """Money by kind of exchange, EUR."""
    amount, fee = _by_kind(exchanges, "amount_neur"), _by_kind(exchanges, "fee_neur")
    shared = amount.get("share_use", 0) + amount.get("share_store", 0)
    contract_sales = _sum(exchanges["amount_neur"].filter(is_named(exchanges["seller"], "contract")))
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


def network(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """How the network fared: outcomes, extremes with their place and time."""
    intervals = tables["intervals"]
    outcome = intervals["outcome"].cast(pa.string())
    counts = {row["values"]: row["counts"] for row in pc.value_counts(outcome.combine_chunks()).to_pylist()}
    result: dict[str, Any] = {"intervals": len(intervals), "outcomes": counts}
    result["power_flows"] = _sum(intervals["power_flows"])
    for name, source, column, element, find in (
        ("lowest_voltage", "bus_voltage", "vm_pu", "bus", np.nanargmin),
        ("highest_voltage", "bus_voltage", "vm_pu", "bus", np.nanargmax),
        ("highest_loading", "branch_loading", "loading_percent", "element", np.nanargmax),
    ):
        table = tables[source]
        values = table[column].to_numpy()
        if np.all(np.isnan(values)):
            continue
        k = int(find(values))
        result[name] = {
            column: float(values[k]),
            element: table[element][k].as_py(),
            "time": table["time"][k].as_py().isoformat(),
        }
    return result


def switched_off(intervals: pa.Table) -> pa.ChunkedArray:
    """Times of the intervals that nothing could bring within the limits, the feeder being switched off."""
    return intervals["time"].filter(is_named(intervals["outcome"], "de_energised"))


def not_settled(off: pa.ChunkedArray, exchanges: pa.Table) -> list[dict[str, str]]:
    """The intervals switched off, and for what reason."""
    rejected = is_named(exchanges["status"], "rejected")
    cut = exchanges.filter(pc.and_(rejected, pc.is_in(exchanges["time"], off.combine_chunks())))
    reason = dict(zip(cut["time"].to_pylist(), cut["reason"].cast(pa.string()).to_pylist(), strict=True))
    return [{"time": time.isoformat(), "reason": reason.get(time, "none")} for time in off.to_pylist()]


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column.cast(pa.int64())).as_py() or 0)


def _by_kind(exchanges: pa.Table, column: str) -> dict[str, int]:
    grouped = exchanges.select(["kind", column]).group_by("kind").aggregate([(column, "sum")])
    return dict(zip(grouped["kind"].to_pylist(), grouped[f"{column}_sum"].to_pylist(), strict=True))
