"""Table `house_summary`: what each house used, traded and paid, and what voltage it had."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.elements import Column, Table, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.fairness import CURTAILED_KINDS
from cosim.results.labels import ENERGY
from market.exchanges import NEUR_PER_EUR

ENERGIES = (
    *("load", "pv", "fuel_cell", "bought", "sold", "imported", "exported", "spilled", "shed"),
    *("charge", "discharge"),
)
SHOWN = (
    Column("load_kwh", f"{ENERGY['load']}, kWh", 0),
    Column("pv_kwh", f"{ENERGY['pv']}, kWh", 0),
    Column("fuel_cell_kwh", f"{ENERGY['fuel_cell']}, kWh", 0),
    Column("bought_kwh", "bought, kWh", 0),
    Column("sold_kwh", "sold, kWh", 0),
    Column("imported_kwh", f"{ENERGY['imported']}, kWh", 0),
    Column("exported_kwh", f"{ENERGY['exported']}, kWh", 0),
    Column("spilled_kwh", f"{ENERGY['spilled']}, kWh", 0),
    Column("curtailed_kwh", f"{ENERGY['curtailed']}, kWh", 1),
    Column("shed_kwh", f"{ENERGY['shed']}, kWh", 1),
    Column("wallet_eur", "wallet, EUR", 2),
    Column("account_eur", "utility account, EUR", 2),
    Column("drawn_kvarh", "reactive energy drawn, kvarh", 0),
    Column("min_vm_pu", "lowest, pu", 4),
    Column("max_vm_pu", "highest, pu", 4),
)
LISTED = 60


def summarise_houses(run: RunTables) -> pd.DataFrame:
    """One row per house.

    Returns
    -------
    DataFrame
        `house`, `bus`; `…_kwh` of its meters over the run; `curtailed_kwh`, what it sold or exported and did not
        deliver; `wallet_eur`, `account_eur` at the end; `drawn_kvarh`, reactive energy of loads less that of inverters,
        where there is any; `min_vm_pu`, `max_vm_pu` at its bus, missing if that was without supply throughout.
    """
    houses = list(run.feeder.participants)
    at = run.feeder.net.bus.index.get_indexer(run.feeder.bus)
    columns: dict[str, object] = {"house": houses, "bus": [run.vm_pu.columns[k] for k in at]}
    for name in ENERGIES:
        columns[f"{name}_kwh"] = run.meter(f"{name}_wh").sum().to_numpy() / 1000.0
    cut = run.curtailment[run.curtailment["kind"].isin(CURTAILED_KINDS)]
    cut_wh = cut.groupby(cut["seller"].astype(str))["curtailed_wh"].sum()
    columns["curtailed_kwh"] = cut_wh.reindex(houses).fillna(0.0).to_numpy(np.float64) / 1000.0
    for name in ("wallet", "account"):
        columns[f"{name}_eur"] = run.meter(f"{name}_neur").iloc[-1].to_numpy() / NEUR_PER_EUR
    if run.reactive:
        hours = run.result.scenario.horizon.interval_minutes / 60.0
        columns["drawn_kvarh"] = run.meter("q_var").sum().to_numpy() * hours / -1000.0
    voltages = run.vm_pu.iloc[:, at]
    columns["min_vm_pu"] = voltages.min().to_numpy()
    columns["max_vm_pu"] = voltages.max().to_numpy()
    return pd.DataFrame(columns)


def make_house_table(summary: pd.DataFrame) -> Table:
    """The first houses as a table of the report, without quantities that no house has."""
    columns = [
        Column("house", "house"),
        *(column for column in SHOWN if column.key in summary and summary[column.key].any()),
    ]
    more = f"; {len(summary) - LISTED} more are in the file" if len(summary) > LISTED else ""
    caption = f"Houses over the whole run; all columns are in house_summary.csv{more}."
    return tabulate("houses", caption, columns, summary.head(LISTED))
