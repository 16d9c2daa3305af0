"""Energy in numbers: what came in, what went out, and that nothing is missing between them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cosim.report.elements import Cell, Fact, Figure, PageSection, Table, number, words
from cosim.report.figures.market import draw_sankey, list_energy_links
from cosim.report.tables.run_tables import RunTables
from cosim.results.energy_balance import SOURCES, USES

ENERGIES = {
    "load": "load asked for",
    "pv": "PV generation",
    "fuel_cell": "fuel cells",
    "imported": "from the grid",
    "exported": "to the grid",
    "p2p": "traded P2P",
    "lot_sale": "lots sold out of batteries",
    "shared": "shared",
    "spilled": "spilled",
    "charge": "batteries charged",
    "discharge": "batteries discharged",
}
LABELS = {
    "pv_wh": "PV",
    "fuel_cell_wh": "fuel cells",
    "discharge_wh": "discharged",
    "from_grid_wh": "from the grid",
    "served_wh": "load served",
    "charge_wh": "charged",
    "spilled_wh": "spilled",
    "to_grid_wh": "to the grid",
    "losses_wh": "losses",
}
DAYS_SHOWN, MONTHS_SHOWN = 14, 24


def make_energy_section(run: RunTables) -> PageSection:
    """Energy in numbers, as a balance and as flows."""
    energy = run.result.summary["energy_kwh"]
    facts = tuple(
        Fact(f"energy_{key}", label, number(energy[key]), "kWh")
        for key, label in ENERGIES.items()
        if energy[key]
    )
    links = list_energy_links(energy, losses_of_islands_kwh(run))
    caption = "Energy from where it came to where it went, kWh."
    figure = Figure("energy-flow", caption, draw_sankey(links, "kWh"), printed=False)
    return PageSection(
        "energy",
        "Energy",
        (describe_balance(run),),
        facts=facts,
        tables=(make_balance_table(run.balance),),
        figures=(figure,),
    )


def losses_of_islands_kwh(run: RunTables) -> float:
    """Losses that the formers of islands carried, kWh."""
    from_grid = int(run.balance["from_grid_wh"].sum())
    imported = int(run.meters["imported_wh"].to_numpy().sum())
    return (int(run.balance["losses_wh"].sum()) - (from_grid - imported)) / 1000.0


def describe_balance(run: RunTables) -> str:
    """The balance in a sentence, and how far the meters are from the AC power flow."""
    residual = run.balance["residual_wh"]
    broken = int((residual != 0).sum())
    metered_kw = (run.balance["from_grid_wh"] - run.balance["to_grid_wh"]) / (1000.0 * run.hours)
    apart = (metered_kw - run.intervals["p_grid_kw"]).abs().max()
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
    rows: list[tuple[Cell, ...]] = [
        (words(pd.Timestamp(str(at)).strftime(look)), *_cells(row)) for at, row in sums.iterrows()
    ]
    rows.append((words("whole run"), *_cells(balance.sum())))
    header = ("period", *(f"{LABELS[name]}, kWh" for name in (*SOURCES, *USES)), "residual, Wh")
    caption = (
        "Energy balance: PV + fuel cells + discharged + from the grid = load served + charged + spilled + to the grid "
        "+ losses. Charged and discharged are measured at the terminals."
    )
    return Table("energy_balance", caption, header, rows)


def choose_row_period(times: pd.DatetimeIndex) -> tuple[str, str]:
    """Period to sum over, as pandas calls it, and how it is written; about two dozen rows at most.

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


def _cells(sums: pd.Series) -> tuple[Cell, ...]:
    kwh = (number(float(sums[name]) / 1000.0) for name in (*SOURCES, *USES))
    return (*kwh, number(float(sums["residual_wh"]), 0))
