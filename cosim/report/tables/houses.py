"""Table `summarise_houses`: what each house used, traded, paid, and what voltage it had."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.elements import Cell, Table, number, words
from cosim.report.tables.run_tables import RunTables
from cosim.results.fairness import CURTAILED_KINDS

ENERGIES = (
    *("load", "pv", "fuel_cell", "bought", "sold", "imported", "exported", "spilled", "shed"),
    *("charge", "discharge"),
)
SHOWN = (
    ("load_kwh", "load, kWh", 0),
    ("pv_kwh", "PV, kWh", 0),
    ("fuel_cell_kwh", "fuel cell, kWh", 0),
    ("bought_kwh", "bought, kWh", 0),
    ("sold_kwh", "sold, kWh", 0),
    ("imported_kwh", "from the grid, kWh", 0),
    ("exported_kwh", "to the grid, kWh", 0),
    ("spilled_kwh", "spilled, kWh", 0),
    ("curtailed_kwh", "curtailed, kWh", 1),
    ("shed_kwh", "shed, kWh", 1),
    ("wallet_eur", "wallet, EUR", 2),
    ("account_eur", "utility account, EUR", 2),
    ("min_vm_pu", "lowest, pu", 4),
    ("max_vm_pu", "highest, pu", 4),
)
LISTED = 60


def summarise_houses(run: RunTables) -> pd.DataFrame:
    """One row per house.

    Returns
    -------
    DataFrame
        `house`, `bus`; `…_kwh` of its meters over the run; `curtailed_kwh`, what it sold or exported and did not
        deliver; `wallet_eur`, `account_eur` at the end; `min_vm_pu`, `max_vm_pu` at its bus, missing where that was
        dark throughout.
    """
    houses = list(run.meters["load_wh"].columns)
    at = run.feeder.net.bus.index.get_indexer(run.feeder.bus)
    columns: dict[str, object] = {"house": houses, "bus": [run.vm_pu.columns[k] for k in at]}
    for name in ENERGIES:
        columns[f"{name}_kwh"] = run.meters[f"{name}_wh"].sum().to_numpy() / 1000.0
    cut = run.curtailment[run.curtailment["kind"].isin(CURTAILED_KINDS)]
    cut_wh = cut.groupby(cut["seller"].astype(str))["curtailed_wh"].sum()
    columns["curtailed_kwh"] = cut_wh.reindex(houses).fillna(0.0).to_numpy(np.float64) / 1000.0
    for name in ("wallet", "account"):
        columns[f"{name}_eur"] = run.meters[f"{name}_neur"].iloc[-1].to_numpy() / 1e9
    voltages = run.vm_pu.iloc[:, at]
    columns["min_vm_pu"] = voltages.min().to_numpy()
    columns["max_vm_pu"] = voltages.max().to_numpy()
    return pd.DataFrame(columns)


def make_house_table(summary: pd.DataFrame) -> Table:
    """The houses as a table of the report; quantities that no house has are left out, of many houses the first."""
    shown = [entry for entry in SHOWN if summary[entry[0]].any()]
    rows: list[tuple[Cell, ...]] = [
        (words(row["house"]), *(number(float(row[key]), digits) for key, _, digits in shown))
        for row in summary.head(LISTED).to_dict(orient="records")
    ]
    more = f"; {len(summary) - LISTED} more are in the file" if len(summary) > LISTED else ""
    caption = f"Houses over the whole run; all columns are in house_summary.csv{more}."
    return Table("houses", caption, ("house", *(label for _, label, _ in shown)), rows)
