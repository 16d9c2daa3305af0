"""The commands `gridsettle community …`: a run settled by the law of a country, checked again, and its gain shared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import community_answers as answers
from cosim.cli import ledger, progress
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail
from cosim.cli.options import Directory, OpenWith, SummaryAsJson
from cosim.community import bench, delivered, files, sharing, terms
from cosim.results import folders
from cosim.validation import envelope_files

TermsFile = Annotated[Path, typer.Option("--terms", help="TOML file with the community's terms.")]

community_app = typer.Typer(
    help="Energy communities as the law has them: a run settled, checked again, its gain shared.", no_args_is_help=True
)


@community_app.command("settle")
def settle(
    directory: Directory,
    terms_file: TermsFile,
    out: Annotated[Path, typer.Option(help="Folder for tables and settlement.json, new or empty.")],
    open_with: OpenWith = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Settle what a run delivered by the law that terms name: Spain, Austria, Italy or France.

    The ledger is verified first. Energies are those of its meters, after the network's verdict and curtailment.
    """
    with progress.tell_compiling(), bad_input_ends():
        folders.check_empty(out)
        texts = files.read_texts(terms_file)
        found = files.settle_run(texts, read_run(directory, open_with), str(terms_file))
        files.write_settlement(found, out)
    if as_json:
        typer.echo(json.dumps(found.summary, indent=2))
    else:
        answers.tell_settlement(found.summary, out)


@community_app.command("check")
def check(
    settlement: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that settle wrote.")],
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Run directory.")],
    agreed: Annotated[
        Path | None, typer.Option("--terms", help="Terms that you agreed to. Default: those in the folder.")
    ] = None,
    open_with: OpenWith = None,
) -> None:
    """Settle again from the ledger and compare every file exactly; exit code 1 names what differs."""
    with progress.tell_compiling(), bad_input_ends():
        kept = settlement / files.TERMS
        texts = files.read_texts(kept if agreed is None else agreed)
        again = files.settle_run(texts, read_run(run_dir, open_with), str(kept if agreed is None else agreed))
        different = files.find_difference(settlement, again)
    if different is not None:
        typer.echo(f"{settlement}: NOT WHAT THE LEDGER GIVES: {different}")
        raise typer.Exit(ANSWER_IS_NO)
    typer.echo(f"{settlement}: ok, every file is what the ledger with head {again.summary['ledger_head']} gives")
    if agreed is None:
        typer.echo("The terms were taken from the folder itself; give those you agreed to with --terms.")


@community_app.command("share")
def share(
    directory: Annotated[Path | None, typer.Argument(metavar="[RUN_DIR]", help="Run directory, with --terms.")] = None,
    rule: Annotated[str, typer.Option(help="shapley or nucleolus.")] = "shapley",
    worth: Annotated[
        Path | None, typer.Option(help="CSV coalition,worth_eur with every coalition, members joined by +.")
    ] = None,
    terms_file: Annotated[
        Path | None, typer.Option("--terms", help="Terms by which coalitions of the run's houses are settled.")
    ] = None,
    orders: Annotated[
        int | None, typer.Option(min=30, help="Sample the Shapley value of a run from so many orders of its members.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="With --orders: where random numbers begin. Default: 1.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="With --orders: confidence of each interval. Default: 0.95.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the table: .csv or .parquet.")] = None,
    open_with: OpenWith = None,
    as_json: SummaryAsJson = False,
) -> None:
    """Share a gain by Shapley value or nucleolus, and say whether a coalition would do better alone.

    The worth of a coalition of a run's houses is what its members save by the law's settlement against each alone.
    """
    with progress.tell_compiling(), bad_input_ends():
        check_source(directory, worth, terms_file, orders, seed, confidence, open_with)
        if out is not None:
            envelope_files.check_ending(out)
        sharing.check_rule(rule)
        if worth is not None:
            found = sharing.share_game(sharing.read_worth(worth), rule)
        elif directory is not None and terms_file is not None:
            agreed, _ = terms.read_terms(terms_file)
            beside = bench.read_files(agreed, terms_file.parent)
            ready = bench.make_bench(agreed, beside, read_run(directory, open_with))
            chance = 0.95 if confidence is None else confidence
            found = sharing.share_run(ready, rule, n_orders=orders, seed=1 if seed is None else seed, confidence=chance)
        if out is not None:
            folders.make_folder(out.parent)
            envelope_files.write_table(found.table, out)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        answers.tell_sharing(found, out)


def check_source(
    directory: Path | None,
    worth: Path | None,
    terms_file: Path | None,
    orders: int | None,
    seed: int | None,
    confidence: float | None,
    open_with: Path | None,
) -> None:
    """End with a message unless there is one game, and every option does something."""
    of_run = {"RUN_DIR": directory, "--terms": terms_file, "--orders": orders, "--open-with": open_with}
    if worth is not None:
        for option, given in of_run.items():
            if given is not None:
                fail(f"{option}: expected none with --worth, whose table is the game; leave one of them out")
    elif directory is None or terms_file is None:
        fail("share: expected --worth TABLE, or RUN_DIR with --terms, got neither; give one")
    for option, value in (("--seed", seed), ("--confidence", confidence)):
        if value is not None and orders is None:
            fail(f"{option}: expected it with --orders, whose sample it is of, got none; add it")


def read_run(directory: Path, open_with: Path | None) -> delivered.Delivered:
    """What a run delivered, its private records opened where a key is given."""
    entries = None if open_with is None else ledger.read_private_entries(directory, open_with)
    return delivered.read_delivered(directory, entries)
