"""The command `gridsettle study NAME`: one command per study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.cli.errors import bad_input_ends

if TYPE_CHECKING:
    from cosim.scenario.model import Scenario

study_app = typer.Typer(help="Studies: many runs, one table and one figure.", no_args_is_help=True)

Seeds = Annotated[int, typer.Option(min=1, max=1000, help="Number of seeds.")]
Out = Annotated[Path | None, typer.Option(help="New or empty directory. Default: runs/study-NAME.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Dask scheduler, e.g. tcp://127.0.0.1:8786, whose workers run the tasks.")
]
Hours = Annotated[int | None, typer.Option(min=1, help="Hours to simulate instead of the scenario's 35,064.")]


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
    from cosim.cli.terminal import task_progress
    from cosim.studies.reference import as_markdown, reference_scenario, reference_tasks, write_reference
    from cosim.studies.study import run_tasks, study_directory

    with bad_input_ends():
        scenario = _shortened(reference_scenario(spain), hours)
        directory = study_directory("reference", out)
        tasks = reference_tasks(scenario, seeds)
        with task_progress("reference study") as listener:
            table = run_tasks(tasks, workers=workers, scheduler=scheduler, listener=listener)
        files = write_reference(directory, table)
        typer.echo(as_markdown(table))
        typer.echo("wrote " + ", ".join(str(file) for file in files))


def _sweep(
    name: str,
    scenario: str,
    seeds: int,
    hours: int | None,
    out: Path | None,
    workers: int | None,
    scheduler: str | None,
) -> None:
    from cosim.cli.terminal import task_progress
    from cosim.scenario.files import load_scenario
    from cosim.studies.study import run_tasks, study_directory
    from cosim.studies.sweeps import sweep_tasks, write_sweep

    with bad_input_ends():
        chosen = _shortened(load_scenario(scenario), hours)
        directory = study_directory(name, out)
        with task_progress(name) as listener:
            tasks = sweep_tasks(name, chosen, seeds)
            table = run_tasks(tasks, workers=workers, scheduler=scheduler, listener=listener)
        typer.echo("wrote " + ", ".join(str(file) for file in write_sweep(directory, name, table)))


def _shortened(scenario: Scenario, hours: int | None) -> Scenario:
    from cosim.scenario.files import change_scenario

    return scenario if hours is None else change_scenario(scenario, "--hours", horizon={"hours": hours})


Base = Annotated[str, typer.Argument(help="TOML file or bundled scenario to vary.")]


@study_app.command("beta-tau")
def beta_tau(
    scenario: Base = "reference",
    seeds: Seeds = 3,
    hours: Hours = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """P2P sharing over β (0.1 to 0.9) and τ (1 to 48 h)."""
    _sweep("beta-tau", scenario, seeds, hours, out, workers, scheduler)


@study_app.command("production")
def production(
    scenario: Base = "reference",
    seeds: Seeds = 3,
    hours: Hours = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Five markets over production, 10 % to 200 % of demand, panels scaled."""
    _sweep("production", scenario, seeds, hours, out, workers, scheduler)


@study_app.command("storage")
def storage(
    scenario: Base = "reference",
    seeds: Seeds = 3,
    hours: Hours = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Five markets over battery capacity, 0 to 30 kWh a house."""
    _sweep("storage", scenario, seeds, hours, out, workers, scheduler)


@study_app.command("outage")
def outage(
    scenario: Base = "outage",
    seeds: Seeds = 10,
    out: Out = None,
    workers: Workers = None,
) -> None:
    """Outages at random: energy not served and survival against fuel cell, battery, panels, plug-in and market."""
    from cosim.cli.terminal import task_progress
    from cosim.scenario.files import load_scenario
    from cosim.studies.outages import as_markdown, expected, outage_tasks, write_outage_study
    from cosim.studies.study import run_tasks, study_directory

    with bad_input_ends():
        chosen = load_scenario(scenario)
        directory = study_directory("outage", out)
        with task_progress("outage") as listener:
            table = run_tasks(outage_tasks(chosen, seeds), workers=workers, listener=listener)
        typer.echo(as_markdown(expected(table)))
        typer.echo("wrote " + ", ".join(str(file) for file in write_outage_study(directory, table)))


@study_app.command("microgrids")
def microgrids(
    scenarios: Annotated[list[str], typer.Argument(help="Scenarios, one a feeder, over the same hours.")],
    capacity_kw: Annotated[
        float, typer.Option(min=0.0, help="Largest exchange of a feeder with the others.")
    ] = 50.0,
    hours: Annotated[int, typer.Option(min=1, help="Hours to simulate.")] = 168,
    out: Out = None,
) -> None:
    """Several feeders with a market between them, against each by itself."""
    from cosim.case.case import build_case
    from cosim.scenario.files import load_scenario
    from cosim.studies.microgrids import run_microgrids, write_microgrids
    from cosim.studies.study import study_directory

    with bad_input_ends():
        cases = [build_case(_shortened(load_scenario(name), hours)) for name in scenarios]
        directory = study_directory("microgrids", out)
        alone, together = run_microgrids(cases, 0.0), run_microgrids(cases, capacity_kw)
        typer.echo(write_microgrids(directory, alone, together))
