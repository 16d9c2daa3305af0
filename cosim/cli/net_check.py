"""The commands `gridsettle net check` and `net show`: the doctor of networks, and its map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail
from cosim.nets.doctor import checks, subject
from cosim.report.figures import findings_map
from cosim.results import directory

if TYPE_CHECKING:
    from cosim.nets.doctor.finding import Diagnosis
    from cosim.nets.doctor.subject import Subject

Network = Annotated[
    Path,
    typer.Argument(
        metavar="FILE_OR_FOLDER", help="pandapower JSON, a folder of four-wire tables, or a scenario (.toml)."
    ),
]
ScenarioBeside = Annotated[
    str, typer.Option("--scenario", help="Scenario to be run on this network: its profiles and places are looked at.")
]

net_check_app = typer.Typer()


def _examine(network: Path, scenario: str) -> tuple[Subject, Diagnosis]:
    looked_at = subject.read_subject(network, scenario)
    return looked_at, checks.examine(looked_at)


@net_check_app.command()
def check(
    network: Network,
    scenario: ScenarioBeside = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print every finding as JSON.")] = False,
) -> None:
    """Look a network over: what is wrong, at which element, why it matters, and what to do; with a score.

    Exit code 0: no error was found. Exit code 1: errors were found. Exit code 2: it cannot be read.
    """
    with progress.tell_compiling(), bad_input_ends():
        _, found = _examine(network, scenario)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        terminal.show_diagnosis(found, network)
    if not found.is_sound:
        raise typer.Exit(ANSWER_IS_NO)


@net_check_app.command()
def show(
    network: Network,
    out: Annotated[Path, typer.Option(help="File for the map, an SVG.")],
    scenario: ScenarioBeside = "",
) -> None:
    """Draw a network with what `net check` finds in it marked at its element."""
    with progress.tell_compiling(), bad_input_ends():
        if out.suffix.lower() != ".svg":
            fail(f"--out: expected a file name that ends with .svg, got {out.name}; rename it")
        looked_at, found = _examine(network, scenario)
        directory.write_whole(out, findings_map.draw_findings(looked_at.net, found, network.name))
    terminal.show_written([out])
    terminal.show_score(found)
