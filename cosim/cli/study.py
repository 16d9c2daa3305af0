"""The commands `gridsettle study …`: many runs, one table and one figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.case import case as cases
from cosim.cli import progress, terminal
from cosim.cli.errors import bad_input_ends
from cosim.scenario import files
from cosim.studies import charges as charge_study
from cosim.studies import microgrid_tables, outage_failures, outages, study, survival, survival_curves, sweeps
from cosim.studies import microgrids as microgrid_study
from cosim.studies import reference as reference_study
from grid_models.devices import reliability

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cosim.scenario.model import Scenario

study_app = typer.Typer(help="Studies: many runs, one table and one figure.", no_args_is_help=True)

Seeds = Annotated[int, typer.Option(min=1, max=1000, help="Number of seeds.")]
Out = Annotated[Path | None, typer.Option(help="New or empty directory. Default: runs/study-NAME.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Dask scheduler, e.g. tcp://127.0.0.1:8786, whose workers run the tasks.")
]
Hours = Annotated[int | None, typer.Option(min=1, help="Hours to simulate instead of all of the scenario or file.")]
Base = Annotated[str, typer.Argument(help="TOML file or bundled scenario to vary.")]

_AT_START = "What outages begin with, as a share"
SWEEPS = {
    "beta-tau": "P2P sharing over β (0.1 to 0.9) and τ (1 to 48 h).",
    "production": "Five markets over production, 10 % to 200 % of demand without cars and heat pumps, panels scaled.",
    "storage": "Five markets over battery capacity, 0 to 30 kWh a house.",
}
"""Sweeps over two keys of a scenario, with what their help says."""


def _shorten(scenario: Scenario, hours: int | None) -> Scenario:
    return scenario if hours is None else scenario.with_changes("--hours", horizon={"hours": hours})


def _run(name: str, tasks: Sequence[study.Task], workers: int | None, scheduler: str | None = None) -> pd.DataFrame:
    with progress.show_tasks(name) as listener:
        return study.run_tasks(tasks, workers=workers, scheduler=scheduler, listener=listener)


@study_app.command("reference")
def reference(
    spain: Annotated[Path | None, typer.Option(help="The Kaggle file energy_dataset.csv.")] = None,
    seeds: Seeds = 10,
    hours: Hours = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """The reference study's table, published against ours, on four years of hours."""
    with bad_input_ends():
        scenario = _shorten(reference_study.load_reference(spain), hours)
        directory = study.make_directory("reference", out)
        tasks = reference_study.list_reference_tasks(scenario, seeds)
        table = _run("reference study", tasks, workers, scheduler)
        written = reference_study.write_reference(directory, table, scenario)
    typer.echo(reference_study.format_markdown(table, scenario))
    terminal.show_written(written)


def _add_sweep(name: str, meaning: str) -> None:
    @study_app.command(name, help=meaning)
    def sweep(
        scenario: Base = "reference",
        seeds: Seeds = 3,
        hours: Hours = None,
        out: Out = None,
        workers: Workers = None,
        scheduler: Scheduler = None,
    ) -> None:
        with bad_input_ends():
            chosen = _shorten(files.load_scenario(scenario), hours)
            tasks, notes = sweeps.list_sweep_tasks(name, chosen, seeds), sweeps.list_sweep_notes(name, chosen)
            directory = study.make_directory(name, out)
            table = _run(name, tasks, workers, scheduler)
            written = sweeps.write_sweep(directory, name, table)
        terminal.show_notes(notes)
        terminal.show_written(written)


for _name, _meaning in SWEEPS.items():
    _add_sweep(_name, _meaning)


@study_app.command("outage")
def outage(
    scenario: Base = "outage",
    seeds: Seeds = 10,
    out: Out = None,
    workers: Workers = None,
) -> None:
    """Outages at random: energy not served and survival against fuel cell, battery, panels, plug-in and market."""
    with bad_input_ends():
        chosen = files.load_scenario(scenario)
        tasks, notes = outages.list_outage_tasks(chosen, seeds), outages.list_outage_notes(chosen)
        directory = study.make_directory("outage", out)
        table = _run("outage", tasks, workers)
        written = outages.write_outage_study(directory, table)
    terminal.show_notes(notes)
    typer.echo(outages.format_markdown(outages.average_outages(table)))
    terminal.show_written(written)


@study_app.command("survival")
def survive(
    scenario: Base = "outage",
    starts: Annotated[int, typer.Option(min=1, help="Number of outages, spread over the hours.")] = 146,
    longest: Annotated[int, typer.Option(min=1, max=1000, help="Longest outage, hours.")] = 168,
    hours: Annotated[int, typer.Option(min=1, help="Hours in which outages begin, from the scenario's start.")] = 8760,
    charge: Annotated[float | None, typer.Option(min=0, max=1, help=f"{_AT_START} of the batteries' range.")] = None,
    tank: Annotated[float | None, typer.Option(min=0, max=1, help=f"{_AT_START} of the tanks. Default: full.")] = None,
    cell_availability: Annotated[float, typer.Option(min=0, max=1, help="Chance that a fuel cell is there.")] = 1.0,
    cell_start: Annotated[float, typer.Option(min=0, max=1, help="Chance that a fuel cell starts.")] = 1.0,
    cell_hours: Annotated[float, typer.Option(min=1, help="Mean hours to failure of a fuel cell.")] = math.inf,
    battery_availability: Annotated[float, typer.Option(min=0, max=1, help="Chance that a battery is there.")] = 1.0,
    battery_hours: Annotated[float, typer.Option(min=1, help="Mean hours to failure of a battery's inverter.")] = (
        math.inf
    ),
    draws: Annotated[int | None, typer.Option(min=1, max=1000, help="Draws of failures an outage. Default: 1.")] = None,
    out: Out = None,
    workers: Workers = None,
) -> None:
    """Survival by length of the outage, with another dispatch, one more fuel cell, no market: curves with bands."""
    with bad_input_ends():
        chosen = files.load_scenario(scenario)
        cells = reliability.Units(1, cell_availability, cell_start, cell_hours)
        batteries = reliability.Units(1, battery_availability, mean_hours_to_failure=battery_hours)
        failures = outage_failures.make_failures(cells, batteries, draws)
        outset = survival.Outset(charge, tank)
        tasks = survival.list_survival_tasks(chosen, starts, longest, hours, outset=outset, failures=failures)
        notes = survival.list_survival_notes(chosen)
        directory = study.make_directory("survival", out)
        rows = survival_curves.spread_rows(_run("survival", tasks, workers))
        curves = survival_curves.make_curves(rows, hours, chosen.outage.lost_load_eur_per_kwh)
        written = survival_curves.write_survival(directory, rows, curves)
    terminal.show_notes(notes)
    typer.echo(survival_curves.format_markdown(curves))
    terminal.show_written(written)


@study_app.command("microgrids")
def microgrids(
    scenarios: Annotated[list[str], typer.Argument(help="Scenarios, one a feeder, over the same hours.")],
    capacity_kw: Annotated[float, typer.Option(min=0.0, help="Largest exchange of a feeder with the others.")] = 50.0,
    hours: Annotated[int, typer.Option(min=1, help="Hours to simulate.")] = 168,
    out: Out = None,
) -> None:
    """Several feeders with a market between them, against each by itself."""
    with bad_input_ends():
        feeders = [cases.build_case(_shorten(files.load_scenario(name), hours)) for name in scenarios]
        directory = study.make_directory("microgrids", out)
        alone = microgrid_study.run_microgrids(feeders, 0.0)
        together = microgrid_study.run_microgrids(feeders, capacity_kw)
        typer.echo(microgrid_tables.write_microgrids(directory, alone, together))


@study_app.command("charges")
def charges(
    scenario: Annotated[str, typer.Argument(help="TOML file with a section charges.")],
    seeds: Seeds = 1,
    hours: Hours = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Seven markets with and without network charges: who gains, who pays, what is left to the network operator."""
    with bad_input_ends():
        chosen = _shorten(files.load_scenario(scenario), hours)
        tasks = charge_study.list_charge_tasks(chosen, seeds)
        directory = study.make_directory("charges", out)
        table = _run("charges", tasks, workers, scheduler)
        written = charge_study.write_charge_study(directory, table, chosen)
    typer.echo(charge_study.format_markdown(charge_study.average_charges(table)))
    terminal.show_written(written)
