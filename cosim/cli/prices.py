"""The command `gridsettle prices`: what one kWh more costs at each node, as energy, losses and congestion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import bad_input_ends
from cosim.cli.options import ScenarioName, SummaryAsJson
from cosim.prices import local_prices
from cosim.report.figures import local_prices as map_of_prices
from cosim.results import folders
from cosim.scenario import files as scenario_files
from cosim.studies import figures
from cosim.validation import envelope_files


def prices(
    scenario: ScenarioName = "default",
    first: Annotated[int, typer.Option(min=0, help="First interval, counted from 0.")] = 0,
    intervals: Annotated[int, typer.Option(min=1, help="How many intervals follow one another from there.")] = 24,
    lost_load_eur_per_kwh: Annotated[
        float | None,
        typer.Option(help="Value of lost load. Default: outage.lost_load_eur_per_kwh of the scenario, else 10."),
    ] = None,
    waiting_eur_per_kwh: Annotated[
        float | None,
        typer.Option(help="What a device that can wait is paid for it, above the price of its energy. Default: 0.05."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the table of prices: .csv or .parquet.")] = None,
    limits_out: Annotated[
        Path | None, typer.Option("--limits", help="File for the table of limits that bind: .csv or .parquet.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="HTML page: prices over the feeder, in the intervals with the widest range.")
    ] = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Local prices: what one kWh more costs at each node, as energy, losses and congestion."""
    with progress.tell_compiling(), bad_input_ends():
        for file, option in ((out, "--out"), (limits_out, "--limits")):
            if file is not None:
                folders.make_folder(envelope_files.check_ending(file, option).parent)
        if figure is not None:
            folders.make_folder(envelope_files.check_html(figure).parent)
        found = local_prices.find_local_prices(
            scenario_files.load_scenario(scenario),
            first=first,
            n_intervals=intervals,
            lost_load_eur_per_kwh=lost_load_eur_per_kwh,
            waiting_eur_per_kwh=waiting_eur_per_kwh,
        )
        if out is not None:
            envelope_files.write_table(found.table, out)
        if limits_out is not None:
            envelope_files.write_table(found.limits, limits_out)
        if figure is not None:
            envelope_files.write_page(
                figures.make_page(map_of_prices.draw_local_prices(found.table, found.net)), figure
            )
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        terminal.show_local_prices(found, [path for path in (out, limits_out, figure) if path is not None])
