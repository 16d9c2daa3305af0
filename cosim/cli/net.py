"""The commands `gridsettle net …`: a network as given, without a market."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, make_printable
from cosim.cli.net_import import import_net
from cosim.nets import judges, opendss, solution
from cosim.nets import solve as solving
from cosim.results import directory, folders

Network = Annotated[
    Path, typer.Argument(metavar="FILE_OR_FOLDER", help="pandapower JSON, or a folder of tables for four_wire.")
]

net_app = typer.Typer(help="A network as given: solved, and judged by other programs.", no_args_is_help=True)


@net_app.command()
def solve(
    network: Network,
    model: Annotated[
        str,
        typer.Option(help="balanced, three_phase or four_wire. Default: four_wire for a folder, balanced for a file."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for voltage.csv and branch_current.csv, new or empty.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Solve by another program, too, and print the largest difference: runpp (balanced), runpp_3ph "
            "and pgm (three_phase), opendss (three_phase, four_wire)."
        ),
    ] = None,
) -> None:
    """Solve the power flow of a network as given: its own elements at their own powers and phases.

    Exit code 1: no solution. Exit code 2: refused, and why.
    """
    with progress.tell_compiling(), bad_input_ends():
        if out is not None:
            folders.check_empty(out)
        chosen = solving.choose_model(model, network)
        asked = None if judge is None else judges.choose_judge(judge, chosen)
        given = solving.read_network(network, chosen)
        found = solving.solve_network(given, chosen, str(network))
        if not found.converged:
            typer.echo(f"gridsettle: {make_printable(str(network))}: no solution; nothing is written", err=True)
            raise typer.Exit(ANSWER_IS_NO)
        difference = None if asked is None else judges.compare(found, given, asked)
        if out is not None:
            solution.write_solution(found, out)
        terminal.show_net(found, network, out)
        if difference is not None:
            terminal.show_difference(str(asked), difference)


@net_app.command()
def export(
    network: Network,
    to: Annotated[Path, typer.Option("--opendss", help="File for the script of OpenDSS.")],
) -> None:
    """Write a network as given as a script of OpenDSS: a file in three phases, a folder of tables with four wires."""
    with progress.tell_compiling(), bad_input_ends():
        chosen = solving.choose_model("four_wire" if network.is_dir() else "three_phase", network)
        directory.write_whole(to, opendss.format_opendss(solving.read_network(network, chosen), chosen))
        terminal.show_written([to])


net_app.command("import")(import_net)
