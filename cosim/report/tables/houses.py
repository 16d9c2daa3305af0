"""Table `house_summary`: what each house used, traded and paid, and what voltage it had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cosim.case.participants import PHASE_EV
from cosim.report.elements import Column, Table, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.columns import TIME
from cosim.results.fairness import CURTAILED_KINDS
from cosim.results.labels import ENERGY
from cosim.results.sums import sum_meters
from cosim.results.supply import Mask
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
PHASES = {
    "phase": ("load_kwh",),
    "phase_pv": ("pv_kwh",),
    "phase_battery": ("charge_kwh", "discharge_kwh"),
    "phase_fuel_cell": ("fuel_cell_kwh",),
}
"""Columns of phases, and the energies of the device that each is of."""
SHOWN_PHASES = (
    Column("phase", "phase of load"),
    Column("phase_pv", "of PV"),
    Column("phase_battery", "of battery"),
    Column("phase_fuel_cell", "of fuel cell"),
    Column(PHASE_EV, "of wall box"),
)
LISTED = 60


def summarise_houses(run: RunTables) -> pd.DataFrame:
    """One row per house.

    Returns
    -------
    DataFrame
        `house`, `bus`; `…_kwh` of its meters over the run; `curtailed_kwh`, what it sold or exported and did not
        deliver; `wallet_eur`, `account_eur` at the end; `drawn_kvarh`, reactive energy of loads less that of inverters,
        where there is any; `min_vm_pu`, `max_vm_pu` at its bus, missing if that was without supply throughout. In an
        unbalanced run they are those of the phases of its devices, which the columns `PHASES` name.
    """
    houses = list(run.feeder.participants)
    at = run.feeder.net.bus.index.get_indexer(run.feeder.bus)
    columns: dict[str, object] = {"house": houses, "bus": [run.buses[k] for k in at]}
    sums, _ = sum_meters(run.result.parts, len(houses), pa.array([], TIME))
    for name in ENERGIES:
        columns[f"{name}_kwh"] = sums[f"{name}_wh"].to_numpy() / 1000.0
    cut = run.curtailment[run.curtailment["kind"].isin(CURTAILED_KINDS)]
    cut_wh = cut.groupby(cut["seller"].astype(str))["curtailed_wh"].sum()
    columns["curtailed_kwh"] = cut_wh.reindex(houses).fillna(0.0).to_numpy(np.float64) / 1000.0
    for name in ("wallet", "account"):
        columns[f"{name}_eur"] = run.meter(f"{name}_neur").iloc[-1].to_numpy() / NEUR_PER_EUR
    if run.reactive:
        hours = run.result.scenario.horizon.interval_minutes / 60.0
        columns["drawn_kvarh"] = run.meter("q_var").sum().to_numpy() * hours / -1000.0
    phases = list_phases_in_use(run.phases, columns) if run.unbalanced else {}
    low, high = (
        np.stack([frame.iloc[:, at].agg(extreme).to_numpy(np.float64) for frame in run.voltages.values()])
        for extreme in ("min", "max")
    )
    if run.unbalanced:
        elsewhere = ~find_connected(phases, list(run.voltages))
        low[elsewhere] = high[elsewhere] = np.nan
    columns["min_vm_pu"] = np.fmin.reduce(low, axis=0)
    columns["max_vm_pu"] = np.fmax.reduce(high, axis=0)
    return pd.DataFrame({**columns, **phases})


def list_phases_in_use(phases: pd.DataFrame, energies: Mapping[str, Any]) -> dict[str, list[str]]:
    """Columns `PHASES`: phases of every house's load, and of each device that gave or took energy; else empty.

    Parameters
    ----------
    phases
        The table of that name.
    energies
        `…_kwh` of every house, (N,).
    """
    used = {column: np.any([energies[name] > 0 for name in names], axis=0) for column, names in PHASES.items()}
    return (
        {"phase": list(phases["phase"])}
        | {column: list(np.where(mask, phases[column], "")) for column, mask in used.items() if column != "phase"}
        | ({PHASE_EV: list(phases[PHASE_EV])} if PHASE_EV in phases else {})
    )


def find_connected(phases: Mapping[str, Sequence[str]], names: Sequence[str]) -> Mask:
    """Whether each house has a device on each phase, (phases, N)."""
    return np.array(
        [[any(name in on for on in house) for house in zip(*phases.values(), strict=True)] for name in names]
    )


def make_house_table(summary: pd.DataFrame) -> Table:
    """The first houses as a table of the report, without quantities that no house has."""
    columns = [
        Column("house", "house"),
        *(column for column in SHOWN_PHASES if column.key in summary and summary[column.key].any()),
        *(column for column in SHOWN if column.key in summary and summary[column.key].any()),
    ]
    more = f"; {len(summary) - LISTED} more are in the file" if len(summary) > LISTED else ""
    caption = f"Houses over the whole run; all columns are in house_summary.csv{more}."
    return tabulate("houses", caption, columns, summary.head(LISTED))
