"""Who pays for the wires: markets with and without a scenario's network charges, as a table and a page.

Nobody's orders depend on network charges, so each market is run once: without them a house has what it paid more, and
the network operator as much less.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cosim.case.case import build_market
from cosim.errors import ScenarioError
from cosim.report.elements import Column, Figure, PageSection, tabulate
from cosim.report.page import render_page
from cosim.report.palette import CYCLE, style_figure
from cosim.results.charges import CHARGES_TABLE
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.studies.balance import check_residuals
from cosim.studies.study import Task, vary
from market.exchanges import NEUR_PER_EUR

ALONE = "none"
MARKETS = (ALONE, "trading", "trading_battery", "sharing_central", "sharing_p2p", "sharing_hybrid", "sharing_selfish")
COLUMNS = (
    Column("mechanism", "market"),
    Column("withdrawn_kwh", "charged for, kWh", 1),
    Column("charges_eur", "charges, EUR", 2),
    Column("operator_without_eur", "operator, not charging, EUR", 2),
    Column("operator_eur", "operator, charging, EUR", 2),
    Column("panels_gain_without_eur", "houses with panels gain, no charges, EUR", 2),
    Column("panels_gain_eur", "houses with panels gain, charges, EUR", 2),
    Column("others_gain_without_eur", "other houses gain, no charges, EUR", 2),
    Column("others_gain_eur", "other houses gain, charges, EUR", 2),
)
"""Columns of the means; a gain is the mean of a house over what it has where each house trades with the grid alone."""


def list_charge_tasks(scenario: Scenario, seeds: int) -> list[Task]:
    """A task per market and seed.

    Raises
    ------
    ScenarioError
        If the scenario charges nothing, or keeps its records private.
    """
    if not scenario.charges.is_on:
        raise ScenarioError(
            f"scenario '{scenario.name}', charges: expected a section [charges] with prices for study charges, got "
            "none; add one"
        )
    return [
        Task(
            {"mechanism": name, "seed": seed},
            vary(scenario, "study", seed=seed, market={"mechanism": name}),
            measure_charges,
        )
        for seed in range(1, seeds + 1)
        for name in MARKETS
    ]


def measure_charges(scenario: Scenario) -> dict[str, Any]:
    """What a run charges, what is left to the operator, and what houses with and without panels have and paid.

    Returns
    -------
    dict
        Sums and means over houses, kWh and EUR. `_has_` is the mean change of wallet and utility account together,
        without network charges; `_paid_` the mean of the charges. Missing where there is no such house.
    """
    result = run(scenario)
    check_residuals(result.table("energy_balance", ("residual_wh",))["residual_wh"].to_numpy(), scenario.name)
    opening = build_market(scenario).opening.wallet_neur
    houses = result.table("houses", ("house", "pv_wh", "wallet_neur", "account_neur")).to_pandas()
    last = houses.tail(opening.size).set_index("house")
    charges = result.table(CHARGES_TABLE, ("house", "total_neur")).to_pandas()
    paid = charges.groupby("house", observed=False)["total_neur"].sum().reindex(last.index)
    has = last["wallet_neur"] + last["account_neur"] - opening + paid
    has_panels = houses.groupby("house", observed=False)["pv_wh"].sum().reindex(last.index) > 0
    found = result.summary[CHARGES_TABLE]
    measures = {
        "withdrawn_kwh": found["withdrawn_kwh"],
        "charges_eur": found["total_eur"],
        "losses_eur": result.summary["money_eur"]["losses"],
        "operator_without_eur": found["operator_eur"] - found["total_eur"],
        "operator_eur": found["operator_eur"],
    }
    for name, chosen in (("panels", has_panels), ("others", ~has_panels)):
        for key, values in (("has", has), ("paid", paid)):
            measures[f"{name}_{key}_eur"] = values[chosen].mean() / NEUR_PER_EUR
    return measures


def average_charges(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds by market, and what houses gain over trading with the grid alone, without and with charges."""
    means = table.drop(columns="seed").groupby("mechanism", sort=False).mean()
    for name in ("panels", "others"):
        without = means[f"{name}_has_eur"]
        paying = without - means[f"{name}_paid_eur"]
        means[f"{name}_gain_without_eur"] = without - without[ALONE]
        means[f"{name}_gain_eur"] = paying - paying[ALONE]
    return means.reset_index()


def write_charge_study(directory: Path, table: pd.DataFrame, scenario: Scenario) -> list[Path]:
    """Write every run and the means as CSV, and a page; returns the files."""
    files = [directory / name for name in ("charges.csv", "charges_means.csv", "charges.html")]
    means = average_charges(table)
    write_whole(files[0], format_csv(table))
    write_whole(files[1], format_csv(means))
    write_whole(files[2], make_page(means, scenario))
    return files


def make_page(means: pd.DataFrame, scenario: Scenario) -> str:
    """The means as a page that needs nothing else."""
    text = (
        "A gain is what a house has more, on average, than where each house trades with the grid alone. Orders do not "
        "depend on network charges: markets deliver the same with and without them.",
    )
    table = tabulate("charges", "Means over seeds.", COLUMNS, means)
    figures = (
        Figure("gains", "Mean gain of a house over trading with the grid alone, EUR.", draw_gains(means)),
        Figure("operator", "Left to the network operator, EUR.", draw_operator(means)),
    )
    section = PageSection("charges", "Who gains, who pays", text, tables=(table,), figures=figures)
    return render_page("Who pays for the wires", f"scenario {scenario.name}", None, [section])


def draw_gains(means: pd.DataFrame) -> go.Figure:
    """Gains by market: houses with panels and others, without and with charges."""
    named = {
        "with panels, without charges": "panels_gain_without_eur",
        "with panels, with charges": "panels_gain_eur",
        "others, without charges": "others_gain_without_eur",
        "others, with charges": "others_gain_eur",
    }
    return _draw_bars(means, named)


def draw_operator(means: pd.DataFrame) -> go.Figure:
    """What is left to the operator by market, without and with charges."""
    return _draw_bars(means, {"without charges": "operator_without_eur", "with charges": "operator_eur"})


def _draw_bars(means: pd.DataFrame, named: dict[str, str]) -> go.Figure:
    bars = [
        go.Bar(name=label, x=means["mechanism"], y=means[key], marker_color=colour)
        for (label, key), colour in zip(named.items(), CYCLE, strict=False)
    ]
    figure = go.Figure(bars)
    return style_figure(figure, y="EUR", barmode="group")


def format_markdown(means: pd.DataFrame) -> str:
    """The means as a Markdown table; a dash where there is none."""
    rows = [_list_cells(row) for row in means.to_dict(orient="records")]
    heading = [column.header for column in COLUMNS]
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _list_cells(row: dict[Any, Any]) -> Sequence[str]:
    return [
        str(row[column.key])
        if column.digits is None
        else "–"
        if row[column.key] != row[column.key]
        else f"{row[column.key]:,.{column.digits}f}"
        for column in COLUMNS
    ]
