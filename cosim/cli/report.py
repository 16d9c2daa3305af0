"""The commands `gridsettle report` and `gridsettle compare`: pictures and tables of finished runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cosim.cli import terminal
from cosim.cli.errors import bad_input_ends
from cosim.cli.options import Directory, Quiet
from cosim.report import comparison, page
from cosim.report import pdf as printing
from cosim.results import private_files, result

if TYPE_CHECKING:
    import pandas as pd


def report(
    directory: Directory,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also print report.pdf, by a headless Chromium.")] = False,
    hosting: Annotated[
        bool,
        typer.Option("--hosting", help="Also compute how much PV the feeder holds; takes a few seconds."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write report.html, branch_summary.csv and house_summary.csv of a finished run.

    Examples
    --------
      gridsettle report runs/default-001

      gridsettle report runs/default-001 --pdf --hosting
    """
    with bad_input_ends():
        browser = printing.find_browser() if pdf else None
        found = result.Result.load(directory)
        written = [page.write_report(found, hosting=hosting)]
        if browser is not None:
            with private_files.write_for_owner(found.scenario.ledger.private):
                written.append(printing.print_pdf(written[0], directory / "report.pdf", browser))
    if not quiet:
        terminal.show_written(written)


def compare(
    directories: Annotated[list[Path], typer.Argument(help="Run directories; differences are from the first.")],
    out: Annotated[
        Path, typer.Option(help="Folder for comparison.csv and comparison.html; overwritten if there.")
    ] = Path("runs/comparison"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Set runs side by side: energy, money, curtailment, loading, with their differences.

    Examples
    --------
      gridsettle compare runs/default-001 runs/stressed-001

      gridsettle compare runs/a runs/b runs/c --out runs/abc
    """
    with bad_input_ends():
        table = comparison.compare_runs(directories)
        private = any(result.Result.load(directory).scenario.ledger.private for directory in directories)
        with private_files.write_for_owner(private):
            written = comparison.write_comparison(table, out)
    if as_json:
        rows = table.reset_index().to_dict(orient="records")
        without_nan = [{str(k): None if v != v else v for k, v in row.items()} for row in rows]
        typer.echo(json.dumps(without_nan, indent=2))
    elif not quiet:
        show_comparison(table)
        terminal.show_written(written)


def show_comparison(table: pd.DataFrame) -> None:
    """Print a comparison of runs as one table, a section for each group of quantities."""
    shown = terminal.make_table("comparison", "what")
    for name in table.columns:
        run, minus, _ = str(name).partition(" minus ")
        shown.add_column(f"Δ {run}" if minus else run, justify="right", overflow="fold")
    shown.add_column("unit")
    last = None
    for (group, quantity, unit), row in zip(table.index, table.to_numpy(), strict=True):
        if last not in (None, group):
            shown.add_section()
        last = group
        digits = comparison.choose_digits(quantity, unit, row)
        shown.add_row(quantity, *("–" if value != value else f"{value:,.{digits}f}" for value in row), unit)
    console = Console()
    console.print(shown)
    for warning in comparison.list_warnings(table):
        console.print(f"note: {warning}", soft_wrap=True, highlight=False, markup=False)
