"""Summary of a run: energy, money, network and fairness in a few numbers, computed from its tables and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cosim.results.columns import is_named, name_columns
from cosim.results.fairness import CURTAILED_KINDS, measure_fairness
from cosim.results.sums import Parts
from grid_models.arrays import Floats
from grid_models.feeder.connection import CONDUCTORS
from market.exchanges import NEUR_PER_EUR

BACKGROUND_COLUMNS = ("from_grid_wh", "to_grid_wh", "background_load_wh", "background_generation_wh")
METERED = ("load", "pv", "fuel_cell", "charge", "discharge", "imported", "exported", "spilled", "shed")
EXTREMES = {
    "lowest_voltage": ("vm_pu", 4, "pu"),
    "highest_voltage": ("vm_pu", 4, "pu"),
    "largest_unbalance": ("vuf_percent", 2, "%"),
    "highest_neutral_loading": ("loading_percent", 1, "%"),
    "highest_neutral_voltage": ("neutral_v", 1, "V"),
    "highest_loading": ("loading_percent", 1, "%"),
}
"""Extremes of the network by their key in the summary: the quantity, the decimals to show, and the unit.

Unbalance and neutrals are those of an unbalanced run, a neutral's voltage to earth is that of one with four wires.
"""
ONLY_FOUR_WIRES = ("highest_neutral_voltage",)
ONLY_UNBALANCED = ("largest_unbalance", "highest_neutral_loading", *ONLY_FOUR_WIRES)


def summarise(
    parts: Parts,
    intervals: pa.Table,
    exchange_sums: pa.Table,
    curtailed: pa.Table,
    metered: pa.Table,
    by_house: pa.Table,
    *,
    unbalanced: bool = False,
    four_wires: bool = False,
) -> dict[str, Any]:
    """Summary of a run.

    Parameters
    ----------
    parts
        Reads `bus_voltage` and `branch_loading`.
    intervals
        The table of that name.
    exchange_sums, curtailed, metered
        Of `cosim.results.sums`: exchanges summed, those that were curtailed, meters summed by house.
    by_house
        Of `cosim.results.fairness.make_curtailed_by_house_table`.
    unbalanced
        Whether the tables of the network have a column for each phase or conductor.
    four_wires
        Whether that of the buses has the voltage of the neutral to earth.

    Returns
    -------
    dict
        Sections `energy_kwh`, `money_eur`, `network`, `fairness` of curtailment, and the intervals of which nothing is
        settled, `not_settled`; JSON-ready.
    """
    return {
        "energy_kwh": {
            **metered_kwh(metered),
            "from_grid": from_grid_kwh(metered, exchange_sums),
            **exchanged_kwh(exchange_sums),
        },
        "money_eur": money_eur(exchange_sums),
        "network": {**count_outcomes(intervals), **find_extremes(parts, unbalanced=unbalanced, four_wires=four_wires)},
        "fairness": measure_fairness(by_house),
        "not_settled": list_not_settled(find_switched_off(intervals), curtailed),
    }


def metered_kwh(metered: pa.Table) -> dict[str, float]:
    """Meters over all houses and intervals, kWh."""
    return {name: _sum(metered[f"{name}_wh"]) / 1000 for name in METERED}


def from_grid_kwh(metered: pa.Table, exchange_sums: pa.Table) -> float:
    """What the grid delivers, kWh: the imports of the houses and the losses that no grid-forming device carries."""
    bought = pc.and_(is_named(exchange_sums["kind"], "loss"), is_named(exchange_sums["seller"], "grid"))
    losses = exchange_sums["delivered_wh"].filter(bought)
    return (_sum(metered["imported_wh"]) + _sum(losses)) / 1000


def background_kwh(balance: pa.Table) -> dict[str, float]:
    """Energies of the net's own elements, and of the exchange with the grid that they are part of, kWh.

    Parameters
    ----------
    balance
        Columns `BACKGROUND_COLUMNS` of the table `energy_balance`.
    """
    return {name.removesuffix("_wh"): _sum(balance[name]) / 1000 for name in BACKGROUND_COLUMNS}


def exchanged_kwh(exchange_sums: pa.Table) -> dict[str, float]:
    """Exchanges by what they are, kWh."""
    delivered, cleared = (_sum_by_kind(exchange_sums, name) for name in ("delivered_wh", "cleared_wh"))
    wh = {
        "p2p": delivered["p2p"],
        "lot_sale": delivered["lot_sale"],
        "shared": delivered["share_use"] + delivered["share_store"],
        "losses": delivered["loss"],
        "curtailed": sum(cleared[kind] - delivered[kind] for kind in CURTAILED_KINDS),
    }
    return {name: value / 1000 for name, value in wh.items()}


def money_eur(exchange_sums: pa.Table) -> dict[str, float]:
    """Money by kind of exchange, EUR."""
    amount, fee = (_sum_by_kind(exchange_sums, name) for name in ("amount_neur", "fee_neur"))
    contract_sales = _sum(exchange_sums["amount_neur"].filter(is_named(exchange_sums["seller"], "contract")))
    shared = amount["share_use"] + amount["share_store"] + amount["lot_sale"]
    neur = {
        "paid_to_grid": amount["grid_import"],
        "feed_in": amount["grid_export"],
        "earned_from_p2p": amount["p2p"] - fee["p2p"],
        "fees": fee["p2p"],
        "earned_from_sharing": shared - contract_sales,
        "contract_sales": contract_sales,
        "losses": amount["loss"],
        "compensation": amount["compensation"],
    }
    return {name: value / NEUR_PER_EUR for name, value in neur.items()}


def count_outcomes(intervals: pa.Table) -> dict[str, Any]:
    """Number of intervals, in all and by outcome, and of power flows solved for them."""
    outcome = intervals["outcome"].cast(pa.string())
    counts = {row["values"]: row["counts"] for row in pc.value_counts(outcome.combine_chunks()).to_pylist()}
    return {"intervals": len(intervals), "outcomes": counts, "power_flows": _sum(intervals["power_flows"])}


def find_extremes(parts: Parts, *, unbalanced: bool = False, four_wires: bool = False) -> dict[str, dict[str, Any]]:
    """Lowest and highest voltage and highest loading with their place and time; none where nothing was supplied.

    In an unbalanced run voltages are those of phases, loadings those of phases and neutrals, and their `phase` says of
    which; the largest unbalance and the highest loading of a neutral stand beside them, with four wires also the
    highest voltage of a neutral to earth.
    """
    buses, conductors = (CONDUCTORS["bus"], CONDUCTORS["line"]) if unbalanced else (("",), ("",))
    voltage = _find_outermost(parts, "bus_voltage", "bus", "vm_pu", buses)
    loading = _find_outermost(parts, "branch_loading", "element", "loading_percent", conductors)
    found: dict[str, tuple[pa.Table, Any]] = {
        "lowest_voltage": (voltage, np.argmin),
        "highest_voltage": (voltage, np.argmax),
    }
    if unbalanced:
        unbalance = _find_outermost(parts, "bus_voltage", "bus", "vuf_percent")
        neutral = _find_outermost(parts, "branch_loading", "element", "loading_percent", ("n",)).drop_columns("phase")
        found |= {"largest_unbalance": (unbalance, np.argmax), "highest_neutral_loading": (neutral, np.argmax)}
    if four_wires:
        found["highest_neutral_voltage"] = (_find_outermost(parts, "bus_voltage", "bus", "neutral_v"), np.argmax)
    found["highest_loading"] = (loading, np.argmax)
    return {name: _describe_extreme(rows, find) for name, (rows, find) in found.items() if len(rows)}


def _find_outermost(
    parts: Parts, name: str, element: str, quantity: str, conductors: Sequence[str] = ("",)
) -> pa.Table:
    """Rows with the lowest and the highest value of each part of a table, of any conductor; of equals the first.

    Columns are the element, the quantity, the time, and where conductors have names their `phase`.
    """
    columns = name_columns(quantity, conductors)
    rows = []
    for part in parts(name, (element, *columns.values(), "time")):
        values = np.stack([part[column].to_numpy() for column in columns.values()], axis=1).reshape(-1)
        known = not np.all(np.isnan(values))
        found = [int(find(values)) for find in (np.nanargmin, np.nanargmax)] if known else []
        chosen = part.select((element, "time")).take(pa.array([at // len(columns) for at in found], pa.int64()))
        chosen = chosen.add_column(1, quantity, pa.array(values[found], pa.float64()))
        if any(conductors):
            phases = [conductors[at % len(columns)] for at in found]
            chosen = chosen.append_column("phase", pa.array(phases, pa.string()))
        rows.append(chosen)
    return pa.concat_tables(rows)


def _describe_extreme(rows: pa.Table, find: Callable[[Floats], Any]) -> dict[str, Any]:
    element, quantity = rows.column_names[:2]
    row = rows.slice(int(find(rows[quantity].to_numpy())), 1).to_pylist()[0]
    phase = {key: row[key] for key in ("phase",) if key in row}
    return {quantity: row[quantity], element: row[element], **phase, "time": row["time"].isoformat()}


def find_switched_off(intervals: pa.Table) -> pa.ChunkedArray:
    """Times of the intervals in which no admissible operation was found and the feeder was switched off."""
    return intervals["time"].filter(is_named(intervals["outcome"], "de_energised"))


def list_not_settled(off: pa.ChunkedArray, curtailed: pa.Table) -> list[dict[str, str]]:
    """The intervals switched off, and for what reason."""
    rejected = is_named(curtailed["status"], "rejected")
    rows = curtailed.filter(pc.and_(rejected, pc.is_in(curtailed["time"], off.combine_chunks())))
    reason = dict(zip(rows["time"].to_pylist(), rows["reason"].cast(pa.string()).to_pylist(), strict=True))
    return [{"time": time.isoformat(), "reason": reason.get(time, "none")} for time in off.to_pylist()]


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column.cast(pa.int64())).as_py() or 0)


def _sum_by_kind(exchange_sums: pa.Table, column: str) -> Counter[str]:
    """Sums of a column by kind of exchange; 0 for a kind that does not occur."""
    grouped = exchange_sums.group_by("kind", use_threads=False).aggregate([(column, "sum")])
    return Counter(dict(zip(grouped["kind"].to_pylist(), grouped[f"{column}_sum"].to_pylist(), strict=True)))
