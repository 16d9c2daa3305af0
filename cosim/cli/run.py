"""The command `gridsettle run`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.case import checks, memory
from cosim.cli import beside, progress, terminal
from cosim.cli.chain_terms import CONFIRMATIONS, ChainId, Confirmations
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import Quiet, SummaryAsJson
from cosim.interrupts.stop import Stopped
from cosim.nets.importing import simbench, written
from cosim.results import folders
from cosim.scenario import files
from cosim.simulation import simulate

if TYPE_CHECKING:
    from cosim.results.result import Result
    from cosim.scenario.model import Scenario

RUN = "run"
"""Folder of the run in that of a grid that the command has written."""


def run(
    scenario: Annotated[
        str, typer.Argument(help="TOML file or bundled scenario; see 'gridsettle scenario list'.")
    ] = "default",
    out: Annotated[
        Path | None, typer.Option(help="Run directory, new or empty. Default: runs/NAME-001, 002, …")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="Stop at this UTC time instead of the scenario's end.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed instead of the scenario's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")] = False,
    report: Annotated[bool, typer.Option(help="Write report.html into the run directory.")] = True,
    quiet: Quiet = False,
    as_json: SummaryAsJson = False,
    chain: Annotated[
        str | None, typer.Option(metavar="URL", help="Anchor the ledger meanwhile: JSON-RPC of a node of a chain.")
    ] = None,
    contract: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="With --chain: contract that 'ledger deploy' made.")
    ] = None,
    chain_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --chain: key of the account that made the contract.")
    ] = None,
    chain_password_file: Annotated[
        Path | None, typer.Option(help="Password of that key, if it is a keystore. Default: $GRIDSETTLE_PASSPHRASE.")
    ] = None,
    chain_id: ChainId = None,
    confirmations: Confirmations = CONFIRMATIONS,
    anchor_every: Annotated[
        int, typer.Option(min=1, metavar="BLOCKS", help="Blocks after which to anchor again.")
    ] = 24,
    code: Annotated[
        str | None,
        typer.Option(
            "--simbench",
            metavar="CODE",
            help="Run a SimBench grid with its own profiles instead of a scenario; network, profiles and scenario are "
            "written into --out, the run into its folder 'run'.",
        ),
    ] = None,
) -> None:
    """Run a scenario: clear, check by AC power flow, curtail, settle, record, sum up.

    Examples
    --------
      gridsettle run

      gridsettle run reference --out runs/reference

      gridsettle run my.toml --until 2017-02-01 --json

      gridsettle run --simbench 1-LV-rural1--0-sw --out rural --until 2016-01-02

      gridsettle run --chain http://127.0.0.1:8545 --contract ADDRESS --chain-key account.key
    """
    with bad_input_ends():
        if code is None:
            chosen = _with_options(files.load_scenario(scenario), seed, until)
        else:
            if scenario != "default":
                fail(f"--simbench: expected no scenario beside it, got '{scenario}'; leave one of the two out")
            begun = out or next_directory(code)
            if resume:
                fail(
                    f"--resume: expected a scenario to go on with, got --simbench; go on with: gridsettle run "
                    f"{begun / written.SCENARIO} --out {begun / RUN} --resume"
                )
            chosen, out = _import_simbench(code, begun, seed, until), begun / RUN
        if resume and out is None:
            fail("--resume: expected the directory of the run to go on with, got none; add --out DIR")
        if report and chosen.profiles.source != "table":
            _check_memory_of_report(chosen)
        directory = out or next_directory(chosen.name)
        anchoring = None
        if any(value is not None for value in (chain, contract, chain_key)):  # else nothing of chains is imported
            asked = (chain, contract, chain_key, chain_password_file, chain_id, confirmations)
            anchoring = beside.begin_beside(beside.Wanted(*asked, every=anchor_every), directory)
        recorded = None if anchoring is None else anchoring.notice
        result = _run_with_progress(chosen, directory, resume=resume, quiet=quiet or as_json, recorded=recorded)
        if report:
            _write_report(result)
        if as_json:
            typer.echo(json.dumps(result.summary, indent=2))
        elif not quiet:
            terminal.show_summary(result)
        if anchoring is not None:
            beside.end_beside(anchoring, directory, quiet=quiet or as_json)


def _with_options(chosen: Scenario, seed: int | None, until: datetime | None) -> Scenario:
    """The scenario with what the command's options change."""
    if seed is not None:
        chosen = chosen.with_changes("--seed", seed=seed)
    if until is not None:
        chosen = chosen.with_changes("--until", horizon={"hours": _hours_until(chosen, until)})
    return chosen


def _import_simbench(code: str, folder: Path, seed: int | None, until: datetime | None) -> Scenario:
    """Scenario of a SimBench grid, written into a new or empty folder with its network and profiles."""
    folders.check_empty(folder)
    prepared = written.prepare_files(simbench.import_simbench(code), folder / "feeder.json", code)
    _with_options(files.parse_scenario(prepared.scenario, code), seed, until)  # is refused before anything is written
    written.write_files(prepared)
    return _with_options(files.load_scenario(folder / written.SCENARIO), seed, until)


def _check_memory_of_report(chosen: Scenario) -> None:
    balanced = chosen.network.model == "balanced"
    keeps = memory.Keeps.REPORT if balanced else memory.Keeps.REPORT_OF_PHASES
    checks.check_memory(chosen.houses.n_houses, chosen.horizon.n_intervals, keeps=keeps)


def _hours_until(scenario: Scenario, until: datetime) -> float:
    horizon = scenario.horizon
    start = horizon.start.replace(tzinfo=None)
    seconds = (until.replace(tzinfo=None) - start).total_seconds()
    if seconds <= 0:
        fail(f"--until: expected a time after the scenario's start {start:%Y-%m-%d %H:%M}, got {until}")
    if seconds % (60 * horizon.interval_minutes):
        fail(
            f"--until: expected the begin of a {horizon.interval_minutes}-minute interval counted from "
            f"{start:%Y-%m-%d %H:%M}, got {until}; round it, or choose a shorter horizon.interval_minutes"
        )
    return seconds / 3600


def next_directory(name: str) -> Path:
    """Directory of a run that is given none: runs/NAME with the next number that is free."""
    number = 1
    while (Path("runs") / f"{name}-{number:03d}").exists():
        number += 1
    return Path("runs") / f"{name}-{number:03d}"


def _run_with_progress(
    scenario: Scenario, directory: Path, *, resume: bool, quiet: bool, recorded: simulate.Recorded | None
) -> Result:
    with progress.show_progress(quiet=quiet, scenario=scenario.name) as listener:
        try:
            return simulate.run(scenario, directory, resume=resume, listener=listener, recorded=recorded)
        except Stopped:
            begun = directory.exists()
            how = f"go on with: gridsettle run … --out {directory} --resume" if begun else "nothing was written"
            raise Stopped(f"stopped; {how}") from None


def _write_report(result: Result) -> None:
    try:
        result.report()
    except Stopped:
        how = f"write it with: gridsettle report {result.directory}"
        raise Stopped(f"stopped before the report was written, the run is finished; {how}") from None
