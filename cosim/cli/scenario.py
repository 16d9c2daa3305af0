"""The commands `gridsettle scenario …`: list, show, check and make scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.case import case as cases
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import ScenarioName
from cosim.results import directory
from cosim.scenario import files

scenario_app = typer.Typer(help="List, show, check and make scenarios.", no_args_is_help=True)


@scenario_app.command("list")
def list_scenarios() -> None:
    """Names of the bundled scenarios."""
    for name, text in files.read_bundled().items():
        first = text.splitlines()[0].lstrip("# ")
        typer.echo(f"{name:<12} {first}")


@scenario_app.command("show")
def show_scenario(scenario: ScenarioName = "default") -> None:
    """Print a scenario with every key, unit and default filled in."""
    with bad_input_ends():
        typer.echo(files.format_toml(files.load_scenario(scenario)), nl=False)


@scenario_app.command("check")
def check_scenario(scenario: ScenarioName) -> None:
    """Read a scenario and everything it names; say what is wrong or that nothing is."""
    with bad_input_ends():
        case = cases.build_case(files.load_scenario(scenario))
    minutes = case.interval_minutes
    typer.echo(
        f"{scenario}: {case.profiles.n_participants} participants, {case.n_intervals} intervals of "
        f"{minutes} minute{'s' * (minutes != 1)}, feeder '{case.feeder.name}' with {len(case.feeder.net.bus)} buses: ok"
    )
    for note in (*case.feeder.notes, *filter(None, [case.profiles.provenance.get("notes")])):
        typer.echo(f"note: {note}")


@scenario_app.command("new")
def new_scenario(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    like: Annotated[str, typer.Option(help="Bundled scenario or TOML file to start from.")] = "default",
) -> None:
    """Write a commented scenario with every option, its unit and its default."""
    with bad_input_ends():
        text = files.format_toml(files.load_scenario(like))
        if file.exists():
            fail(f"{file}: expected a file that does not exist yet; choose another name")
        if not file.resolve().parent.is_dir():
            fail(f"{file}: expected an existing folder, found none; make it first")
        directory.write_whole(file, text)
    typer.echo(f"wrote {file}; run it with: gridsettle run {file}")
