"""Section on energy: sources, uses, and the check that they balance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.elements import Column, Fact, Figure, PageSection, Table, number, tabulate
from cosim.report.figures.market import BackgroundFlows, draw_sankey, list_energy_links
from cosim.report.tables.run_tables import RunTables
from cosim.results.energy_balance import BACKGROUND_SOURCES, SOURCES
from cosim.results.labels import BACKGROUND, ENERGIES, ENERGY, SERVED, TO_GRID

LABELS = {  # sources, then uses
    "pv_wh": ENERGY["pv"],
    "fuel_cell_wh": ENERGY["fuel_cell"],
    "discharge_wh": ENERGY["discharge"],
    "from_grid_wh": ENERGY["from_grid"],
    "served_wh": SERVED,
    "charge_wh": ENERGY["charge"],
    "spilled_wh": ENERGY["spilled"],
    "to_grid_wh": TO_GRID,
    "losses_wh": ENERGY["losses"],
}
BACKGROUND_LABELS = {f"{key}_wh": BACKGROUND[key] for key in ("background_generation", "background_load")}
DAYS_SHOWN, MONTHS_SHOWN = 14, 24


def make_energy_section(run: RunTables) -> PageSection:
    """Energy in numbers, as a balance and as flows."""
    energy = run.result.summary["energy_kwh"]
    labels = ENERGY | BACKGROUND
    facts = tuple(Fact(f"energy_{key}", labels[key], number(energy[key]), "kWh") for key in ENERGIES if energy.get(key))
    links = list_energy_links(energy, losses_of_islands_kwh(run), sum_background_kwh(run))
    caption = "Energy from where it came to where it went, kWh."
    figure = Figure("energy-flow", caption, draw_sankey(links, "kWh"))
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
    return _sum_kwh(run, "loss", run.exchange_sums["seller"] != "grid")


def sum_background_kwh(run: RunTables) -> BackgroundFlows | None:
    """Where the background's energy came from and went to, kWh; None where the net has none."""
    energy = run.result.summary["energy_kwh"]
    if "background_load" not in energy:
        return None
    gives, takes = (run.exchange_sums[party] == "operator" for party in ("seller", "buyer"))
    kept, to_houses = (_sum_kwh(run, "background", chosen) for chosen in (gives & takes, gives & ~takes))
    from_houses = _sum_kwh(run, "background", takes & ~gives)
    from_grid = energy["background_load"] - kept - from_houses
    return BackgroundFlows(from_grid, from_houses, kept, to_houses, energy["background_generation"] - kept - to_houses)


def _sum_kwh(run: RunTables, kind: str, chosen: pd.Series) -> float:
    """Delivered energy of exchanges of a kind, kWh."""
    sums = run.exchange_sums
    return int(sums["delivered_wh"][(sums["kind"].astype(str) == kind) & chosen].sum()) / 1000.0


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
    whose = (
        f" The background, elements of the net that belong to nobody, is carried by the network operator: it is in "
        f"'{ENERGY['from_grid']}' and '{TO_GRID}' where the grid feeds it; in islands its energy is nobody's bill."
        if "background_load_wh" in balance
        else ""
    )
    return (
        f"Sources minus uses over all {len(residual):,} intervals: {int(residual.sum()):,} Wh; intervals that do not "
        f"balance to the Wh: {broken:,}. Every interval is in energy_balance.parquet.{flow}{whose}"
    )


def make_balance_table(balance: pd.DataFrame) -> Table:
    """Sources, uses and residual by month, or by year of a long run; the last row is the whole run."""
    code, look = choose_row_period(pd.DatetimeIndex(balance.index))
    sums = balance.resample(code).sum()
    sums.index = pd.DatetimeIndex(sums.index).strftime(look)
    sums.loc["whole run"] = balance.sum()
    labels = LABELS | {name: label for name, label in BACKGROUND_LABELS.items() if name in balance}
    frame = (sums[list(labels)] / 1000.0).assign(period=sums.index, residual=sums["residual_wh"])
    energies = [Column(name, f"{label}, kWh", 1) for name, label in labels.items()]
    given = (*SOURCES, *BACKGROUND_SOURCES)
    sources = " + ".join(label for name, label in labels.items() if name in given)
    uses = " + ".join(label for name, label in labels.items() if name not in given)
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
