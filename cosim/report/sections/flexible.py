"""Section on cars and heat pumps: what they took, what they had to wait for, and what was missing in the end."""

from __future__ import annotations

import pandas as pd

from cosim.report.elements import Column, Fact, PageSection, Table, number, tabulate
from cosim.report.tables.run_tables import RunTables
from cosim.results.labels import CARS, FLEXIBLE, HEAT_PUMPS

MOST_ROWS = 20
CAR_COLUMNS = {
    "given_wh": CARS["charged"],
    "used_wh": CARS["driven"],
    "elsewhere_wh": CARS["charged_elsewhere"],
    "waits_wh": CARS["shifted"],
    "unserved_wh": CARS["not_served"],
}
PUMP_COLUMNS = {
    "given_wh": HEAT_PUMPS["consumed"],
    "demand_wh": HEAT_PUMPS["demand"],
    "waits_wh": HEAT_PUMPS["shifted"],
    "shortfall_wh": HEAT_PUMPS["shortfall"],
}


def make_flexible_sections(run: RunTables) -> list[PageSection]:
    """The section, or nothing where houses have neither cars nor heat pumps."""
    summary = run.result.summary
    found = [section for section in FLEXIBLE if section in summary]
    if not found:
        return []
    facts = tuple(
        Fact(f"{section}_{key}", label, number(summary[section][f"{key}_kwh"]), "kWh")
        for section in found
        for key, label in FLEXIBLE[section].items()
    )
    tables = []
    if "cars" in summary:
        tables.append(make_table_of("cars", run.result.ev, CAR_COLUMNS))
    if "heat_pumps" in summary:
        tables.append(make_table_of("heat pumps", run.result.heat_pumps, PUMP_COLUMNS))
    return [PageSection("devices", "Cars and heat pumps", _describe(run), facts=facts, tables=tuple(tables))]


def _describe(run: RunTables) -> tuple[str, ...]:
    summary, scenario = run.result.summary, run.result.scenario
    text = [
        "What the network cannot carry is put off before any trade is cut: a car is charged later, a heat pump runs "
        "later. The energy is part of the load of its house."
    ]
    if "cars" in summary:
        cars = summary["cars"]
        text.append(
            f"{cars['number']:,} cars, strategy {scenario.ev.strategy}: of {cars['sessions']:,} stays "
            f"{cars['sessions_not_served']:,} ended with less than wanted, {cars['not_served_kwh']:,.1f} kWh in all. "
            "Every car and interval is in ev.parquet."
        )
    if "heat_pumps" in summary:
        pumps = summary["heat_pumps"]
        text.append(
            f"{pumps['number']:,} heat pumps, strategy {scenario.heat_pump.strategy}, with "
            f"{pumps['seasonal_cop']:.2f} kWh of heat from a kWh. Every heat pump and interval is in "
            "heat_pumps.parquet."
        )
    return tuple(text)


def make_table_of(what: str, frame: pd.DataFrame, columns: dict[str, str]) -> Table:
    """Energies by house, of many houses those that miss most."""
    sums = frame.assign(waits_wh=frame["wanted_wh"] - frame["given_wh"]).groupby("house", observed=True)
    shown = (sums[list(columns)].sum() / 1000.0).reset_index()
    missed = list(columns)[-1]
    shown = shown.sort_values([missed, "waits_wh"], ascending=False, kind="stable").head(MOST_ROWS)
    caption = f"Energies of {what} by house, those first that miss most"
    header = [Column("house", "house"), *(Column(name, f"{label}, kWh", 1) for name, label in columns.items())]
    return tabulate(what.replace(" ", "_"), f"{caption}; at most {MOST_ROWS} houses.", header, shown)
