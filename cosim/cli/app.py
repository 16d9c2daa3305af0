"""The command line: `gridsettle run`, `gridsettle scenario …`, `gridsettle ledger …`.

Heavy libraries are imported inside the commands, so that help is quick. Exit codes: 0 ok; 1 the answer is no; 2 bad
input, with one message and never a traceback.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.cli import audit as audit_cli
from cosim.cli import report as report_cli
from cosim.cli import validate as validate_cli
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.examples import add_examples
from cosim.cli.ledger import ledger_app
from cosim.cli.study import study_app

# The matrices here are small: more threads of BLAS than one cost more than they bring, most of all on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="gridsettle",
    help="Local energy trades that settle only if the wires can carry them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
scenario_app = typer.Typer(help="List, show, check and make scenarios.", no_args_is_help=True)
app.add_typer(scenario_app, name="scenario")
app.add_typer(study_app, name="study")
audit_cli.register(ledger_app)
app.add_typer(ledger_app, name="ledger")

INTERRUPTED = 130


@app.command()
def run(
    scenario: Annotated[
        str, typer.Argument(help="TOML file or bundled scenario; see 'gridsettle scenario list'.")
    ] = "default",
    out: Annotated[
        Path | None, typer.Option(help="Run directory, new or empty. Default: runs/NAME-001, 002, …")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Stop at this UTC time instead of the scenario's end.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed instead of the scenario's.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Write report.html into the run directory.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Run a scenario: clear, check by AC power flow, curtail, settle, record, sum up.

    Examples
    --------
      gridsettle run

      gridsettle run reference --out runs/reference

      gridsettle run my.toml --until 2017-02-01 --json
    """
    from cosim.scenario.files import change_scenario, load_scenario

    with bad_input_ends():
        chosen = load_scenario(scenario)
        if seed is not None:
            chosen = change_scenario(chosen, "--seed", seed=seed)
        if until is not None:
            chosen = change_scenario(chosen, "--until", horizon={"hours": _hours_until(chosen, until)})
        directory = out or (Path("runs") if resume else _next_directory(chosen.name))
        result = _run_with_progress(chosen, directory, resume=resume, quiet=quiet or as_json)
        if report:
            result.report()
        if as_json:
            typer.echo(json.dumps(result.summary, indent=2))
        elif not quiet:
            from cosim.cli.terminal import show_summary

            show_summary(result)


def _hours_until(scenario: Any, until: datetime) -> int:
    start = scenario.horizon.start.replace(tzinfo=None)
    hours = int((until.replace(tzinfo=None) - start).total_seconds() // 3600)
    if hours < 1:
        fail(f"--until: expected a time after the scenario's start {start:%Y-%m-%d %H:%M}, got {until}")
    return hours


def _next_directory(name: str) -> Path:
    number = 1
    while (Path("runs") / f"{name}-{number:03d}").exists():
        number += 1
    return Path("runs") / f"{name}-{number:03d}"


def _run_with_progress(scenario: Any, directory: Path, *, resume: bool, quiet: bool) -> Any:
    from cosim.cli.terminal import progress_listener

    with progress_listener(quiet=quiet, scenario=scenario.name) as listener:
        from cosim.simulation.simulate import run as run_scenario

        try:
            return run_scenario(scenario, directory, resume=resume, listener=listener)
        except KeyboardInterrupt:
            typer.echo(f"\nStopped. Go on with: gridsettle run … --out {directory} --resume", err=True)
            raise typer.Exit(INTERRUPTED) from None


@scenario_app.command("list")
def list_scenarios() -> None:
    """Names of the bundled scenarios."""
    from cosim.scenario.files import bundled_scenarios

    for name, text in bundled_scenarios().items():
        first = text.splitlines()[0].lstrip("# ")
        typer.echo(f"{name:<12} {first}")


@scenario_app.command("show")
def show_scenario(
    scenario: Annotated[str, typer.Argument(help="TOML file or bundled scenario.")] = "default",
) -> None:
    """Print a scenario with every key, unit and default filled in."""
    from cosim.scenario.files import as_toml, load_scenario

    with bad_input_ends():
        typer.echo(as_toml(load_scenario(scenario)), nl=False)


@scenario_app.command("check")
def check_scenario(scenario: Annotated[str, typer.Argument(help="TOML file or bundled scenario.")]) -> None:
    """Read a scenario and everything it names; say what is wrong or that nothing is."""
    from cosim.case.case import build_case
    from cosim.scenario.files import load_scenario

    with bad_input_ends():
        case = build_case(load_scenario(scenario))
        typer.echo(
            f"{scenario}: {case.profiles.n_participants} participants, {case.n_intervals} intervals of "
            f"{case.interval_minutes} minutes, feeder '{case.feeder.name}' with {len(case.feeder.net.bus)} buses: ok"
        )
        for note in case.feeder.notes:
            typer.echo(f"note: {note}")


@scenario_app.command("new")
def new_scenario(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    like: Annotated[str, typer.Option(help="Bundled scenario or TOML file to start from.")] = "default",
) -> None:
    """Write a commented scenario with every option, its unit and its default."""
    from cosim.results.directory import write_whole
    from cosim.scenario.files import as_toml, load_scenario

    with bad_input_ends():
        chosen = load_scenario(like)
        if file.exists():
            fail(f"{file}: expected a file that does not exist yet; choose another name")
        if not file.resolve().parent.is_dir():
            fail(f"{file}: expected an existing folder, found none; make it first")
        write_whole(file, as_toml(chosen))
        typer.echo(f"wrote {file}; run it with: gridsettle run {file}")


report_cli.register(app)
validate_cli.register(app)
add_examples(app)


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
