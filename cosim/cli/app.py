"""The command `gridsettle`: what it is made of, the options before a command, and its entry point.

Exit codes: 0 done; 1 the answer is no; 2 bad input, with one message and never a traceback; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated

import typer

from cosim.cli.examples import add_examples
from cosim.cli.log import log_to_stderr
from cosim.cli.on_demand import import_on_demand
from cosim.simulation.version import find_version

with import_on_demand():
    from cosim.cli.ledger import ledger_app
    from cosim.cli.members import members_app
    from cosim.cli.report import compare, report
    from cosim.cli.run import run
    from cosim.cli.scenario import scenario_app
    from cosim.cli.study import study_app
    from cosim.cli.validate import hosting, validate

# The matrices here are small: more threads of BLAS than one cost more than they bring, most of all on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(name="gridsettle", no_args_is_help=True, pretty_exceptions_enable=False)
for command in (run, report, compare, validate, hosting):
    app.command()(command)
app.add_typer(scenario_app, name="scenario")
app.add_typer(study_app, name="study")
app.add_typer(ledger_app, name="ledger")
ledger_app.registered_commands[:0] = members_app.registered_commands
add_examples(app)


def show_version(wanted: bool) -> None:
    """Print the version and end, if it is asked for."""
    if wanted:
        typer.echo(f"gridsettle {find_version('gridsettle')}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            help="Log the steps on stderr; -vv: also every window of intervals.",
        ),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Local energy trades that settle only if the wires can carry them."""
    if verbose:
        context.with_resource(log_to_stderr(verbose))


def main() -> None:
    """Entry point of the command `gridsettle`."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's or pipe's encoding lacks, such as Δ or …, is shown as ?, and no reason to fail.
            stream.reconfigure(errors="replace")
    app()


if __name__ == "__main__":
    main()
