"""The command `gridsettle portfolio run`: every feeder of an index, on cores of this machine or a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosim.cli import progress, terminal
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail, make_printable
from cosim.cli.statements import read_key
from cosim.interrupts.stop import Stopped
from cosim.portfolio import DEFAULT_KEEP, keeping, made
from cosim.portfolio import index as indexes
from cosim.portfolio import portfolio as portfolios
from cosim.portfolio import table as tables
from cosim.portfolio.medium_voltage import results
from cosim.scenario import files, model

if TYPE_CHECKING:
    from cosim.portfolio.entry import Entry
    from cosim.portfolio.portfolio import Portfolio
    from cosim.scenario.model import Scenario

portfolio_app = typer.Typer(help="Portfolios: many feeders, one table with a row a feeder.", no_args_is_help=True)

MOST_SHOWN = 5


@portfolio_app.command("run")
def run(
    index: Annotated[
        Path | None,
        typer.Argument(help="CSV or Parquet with a row a feeder, or a folder with a network or scenario a feeder."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="New or empty directory. Default: runs/portfolio-001.")] = None,
    scenario: Annotated[
        str | None, typer.Option(help="TOML file or bundled scenario: what a feeder has that its row says nothing of.")
    ] = None,
    simbench: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Instead of an index: a SimBench grid; may be repeated.")
    ] = None,
    named: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="Instead of an index: pandapower's nets with that word, such as kerber."),
    ] = None,
    generate: Annotated[
        int | None, typer.Option(metavar="N", help="Instead of an index: N feeders that are drawn.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="With --generate: where random numbers begin. Default: 1.")
    ] = None,
    hours: Annotated[int | None, typer.Option(min=1, help="Hours to simulate instead of the scenario's.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler, e.g. tcp://127.0.0.1:8786, whose workers run the feeders.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the portfolio in --out.")] = False,
    keep: Annotated[
        str,
        typer.Option(
            help="Whose runs are kept in --out, with reports: all, none, or 'worst 20': most energy cut first, then "
            "highest loading, then by name."
        ),
    ] = DEFAULT_KEEP,
    mv: Annotated[
        Path | None,
        typer.Option(
            metavar="NET.json", help="Medium-voltage net (pandapower) that all feeders hang on, each at its mv_bus."
        ),
    ] = None,
    hosting: Annotated[bool, typer.Option("--hosting", help="Find the hosting capacity of each feeder too.")] = False,
    key: Annotated[
        Path | None,
        typer.Option(help="Private key that signs the checkpoint over all heads. Default: a demonstration key."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="End with exit code 1 if a feeder failed, or a medium-voltage limit stays broken."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on stdout.")] = False,
) -> None:
    """Run every feeder of an index: a row a feeder in portfolio.parquet. A feeder that fails is a row that says why.

    Examples
    --------
      gridsettle portfolio run feeders.csv --out runs/feeders

      gridsettle portfolio run --generate 100 --out runs/drawn

      gridsettle portfolio run feeders.csv --mv net.json --out runs/town

      gridsettle portfolio run feeders.csv --out runs/feeders --scheduler tcp://10.0.0.1:8786 --resume
    """
    with bad_input_ends():
        if resume and out is None:
            fail("--resume: expected the directory of the portfolio to go on with, got none; add --out DIR")
        signer = None if key is None else read_key(key)
        base = model.Scenario() if scenario is None else files.load_scenario(scenario)
        if hours is not None:
            base = base.with_changes("--hours", horizon={"hours": hours})
        entries = _list_entries(index, base, simbench or [], named or [], generate, seed)
        directory = out or _next_directory()
        with progress.show_feeders() as listener:
            try:
                found = portfolios.run_portfolio(
                    entries,
                    directory,
                    scheduler=scheduler,
                    workers=workers,
                    resume=resume,
                    keep=keep,
                    hosting=hosting,
                    key=signer,
                    mv=mv,
                    listener=listener,
                )
            except Stopped:
                how = f"gridsettle portfolio run … --out {directory} --resume"
                raise Stopped(
                    f"stopped; go on with: {how}" if directory.exists() else "stopped; nothing was written"
                ) from None
    told = describe(found)
    if taken := told["taken_over"]:
        typer.echo(
            make_printable(
                f"gridsettle: took {taken:,} of {told['feeders']:,} rows over from {directory}: they are believed, not "
                "computed here"
            ),
            err=True,
        )
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        under = told["medium_voltage"]
        terminal.show_portfolio(told, results.describe(under) if under else ())
    if strict and (told["failed"] or (told["medium_voltage"] or {}).get("broken_intervals")):
        raise typer.Exit(ANSWER_IS_NO)


def _list_entries(
    index: Path | None, base: Scenario, simbench: list[str], named: list[str], generate: int | None, seed: int | None
) -> list[Entry]:
    """Feeders of the one source that is given."""
    given = [index is not None, bool(simbench), bool(named), generate is not None]
    if sum(given) != 1:
        fail(
            "portfolio run: expected one of INDEX, --simbench, --named and --generate, got "
            f"{'none' if not any(given) else 'several'}; give one"
        )
    if seed is not None and generate is None:
        fail("--seed: expected --generate, whose feeders are drawn, got none; add it, or leave --seed out")
    if index is not None:
        return indexes.read_index(index, base)
    if generate is not None:
        return made.generate_entries(generate, 1 if seed is None else seed, base)
    return made.load_simbench(simbench, base) if simbench else made.name_entries(named, base)


def _next_directory() -> Path:
    number = 1
    while (Path("runs") / f"portfolio-{number:03d}").exists():
        number += 1
    return Path("runs") / f"portfolio-{number:03d}"


def describe(found: Portfolio) -> dict[str, Any]:
    """Outcome of a portfolio in a few words; JSON-ready."""
    rows = found.table.to_pylist()
    keys = ("feeder", "cut_kwh", "curtailed_hours", "highest_loading_percent", "lowest_vm_pu", "highest_vm_pu")
    worst = [{key: row[key] for key in (*keys, "binding_element")} for row in keeping.rank_rows(rows)[:MOST_SHOWN]]
    runs = found.directory / keeping.RUNS
    return {
        "feeders": len(rows),
        "run": len(rows) - len(found.failed),
        "taken_over": found.taken_over,
        "failed": [{"feeder": name, "message": message} for name, message in found.failed.items()],
        "switched_off": [
            {"feeder": row["feeder"], "message": row["message"]}
            for row in rows
            if row["message"] and row["feeder"] not in found.failed
        ],
        "worst": worst,
        "table": str(found.directory / tables.TABLE),
        "runs": str(runs) if runs.exists() else None,
        "medium_voltage": results.read_summary(found.directory),
    }
