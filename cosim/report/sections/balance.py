"""Section on energy: sources, uses, and the check that they balance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.elements import Column, Fact, Figure, PageSection, Table, number, tabulate
from cosim.report.figures.market import draw_sankey, list_energy_links
from cosim.report.tables.run_tables import RunTables
from cosim.results.energy_balance import SOURCES
from cosim.results.labels import ENERGIES, ENERGY, SERVED

LABELS = {  # sources, then uses
    "pv_wh": ENERGY["pv"],
    "fuel_cell_wh": ENERGY["fuel_cell"],
    "discharge_wh": ENERGY["discharge"],
    "from_grid_wh": ENERGY["from_grid"],
    "served_wh": SERVED,
    "charge_wh": ENERGY["charge"],
    "spilled_wh": ENERGY["spilled"],
    "to_grid_wh": ENERGY["exported"],
    "losses_wh": ENERGY["losses"],
}
DAYS_SHOWN, MONTHS_SHOWN = 14, 24


def make_energy_section(run: RunTables) -> PageSection:
    """Energy in numbers, as a balance and as flows."""
    energy = run.result.summary["energy_kwh"]
    facts = tuple(Fact(f"energy_{key}", ENERGY[key], number(energy[key]), "kWh") for key in ENERGIES if energy.get(key))
    links = list_energy_links(energy, losses_of_islands_kwh(run))
    caption = "Energy from where it came to where it went, kWh."
    figure = Figure("energy-flow", caption, draw_sankey(links, "kWh"), printed=False)
    return PageSection(
        "energy",
        "Energy",
        (describe_balance(run),),
        facts=facts,
        tables=(make_balance_table(run.result.energy_balance),),
        figures=(figure,),
    )


def losses_of_islands_kwh(run: RunTables) -> float:
    """Losses that the grid-forming devices of islands carried, kWh."""
    sums = run.result.energy_balance[["losses_wh", "from_grid_wh"]].sum()
    imported = int(run.meter("imported_wh").to_numpy().sum())
    return (int(sums["losses_wh"]) - (int(sums["from_grid_wh"]) - imported)) / 1000.0


def describe_balance(run: RunTables) -> str:
    """The balance in a sentence, and how far the meters are from the AC power flow."""
    balance = run.result.energy_balance
    residual = balance["residual_wh"]
    broken = int((residual != 0).sum())
    metered_kw = (balance["from_grid_wh"] - balance["to_grid_wh"]) / (1000.0 * run.hours)
    apart = (metered_kw - run.result.intervals["p_grid_kw"]).abs().max()
    flow = (
        ""
        if np.isnan(apart)
        else f" The exchange with the grid differs from that of the AC power flow by {1000 * apart * run.hours:.1f} Wh "
        "an interval at most, the rounding of losses to whole Wh."
    )
    return (
        f"Sources minus uses over all {len(residual):,} intervals: {int(residual.sum()):,} Wh; intervals that do not "
        f"balance to the Wh: {broken:,}. Every interval is in energy_balance.parquet.{flow}"
    )


def make_balance_table(balance: pd.DataFrame) -> Table:
    """Sources, uses and residual by month, or by year of a long run; the last row is the whole run."""
    code, look = choose_row_period(pd.DatetimeIndex(balance.index))
    sums = balance.resample(code).sum()
    sums.index = pd.DatetimeIndex(sums.index).strftime(look)
    sums.loc["whole run"] = balance.sum()
    frame = (sums[list(LABELS)] / 1000.0).assign(period=sums.index, residual=sums["residual_wh"])
    energies = [Column(name, f"{label}, kWh", 1) for name, label in LABELS.items()]
    sources = " + ".join(LABELS[name] for name in SOURCES)
    uses = " + ".join(label for name, label in LABELS.items() if name not in SOURCES)
    caption = f"Energy balance: {sources} = {uses}. Batteries are measured at their terminals."
    columns = [Column("period", "period"), *energies, Column("residual", "residual, Wh", 0)]
    return tabulate("energy_balance", caption, columns, frame)


def choose_row_period(times: pd.DatetimeIndex) -> tuple[str, str]:
    """Period of a row, as pandas calls it, and the format of its name; the table has about two dozen rows at most.

    Examples
    --------
    >>> choose_row_period(pd.date_range("2017", periods=8760, freq="h"))
    ('MS', '%Y-%m')
    >>> choose_row_period(pd.date_range("2017", periods=35064, freq="h"))
    ('YS', '%Y')
    """
    length = times[-1] - times[0]
    if length <= pd.Timedelta(days=DAYS_SHOWN):
        return "D", "%Y-%m-%d"
    return ("MS", "%Y-%m") if length <= pd.Timedelta(days=31 * MONTHS_SHOWN) else ("YS", "%Y")
