"""The commands `gridsettle report` and `gridsettle compare`: pictures and tables of finished runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.cli.errors import bad_input_ends

if TYPE_CHECKING:
    import pandas as pd


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(report)
    app.command()(compare)


def report(
    directory: Annotated[Path, typer.Argument(help="Run directory.")],
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print report.pdf, by a headless Chromium.")
    ] = False,
    hosting: Annotated[
        bool,
        typer.Option("--hosting", help="Also compute how much PV the feeder holds; takes a few seconds."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Write report.html, branch_summary.csv and house_summary.csv of a finished run.

    Examples
    --------
      gridsettle report runs/default-001

      gridsettle report runs/default-001 --pdf --hosting
    """
    with bad_input_ends():
        from cosim.report.page import write_report
        from cosim.report.pdf import find_browser, print_pdf
        from cosim.results.result import Result

        browser = find_browser() if pdf else None
        written = [write_report(Result.load(directory), hosting=hosting)]
        if browser is not None:
            written.append(print_pdf(written[0], directory / "report.pdf", browser))
        if not quiet:
            typer.echo("wrote " + ", ".join(str(path) for path in written))


def compare(
    directories: Annotated[
        list[Path], typer.Argument(help="Run directories; differences are from the first.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for comparison.csv and comparison.html; overwritten if there.")
    ] = Path("runs/comparison"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Set runs side by side: energy, money, curtailment, loading, with their differences.

    Examples
    --------
      gridsettle compare runs/default-001 runs/stressed-001

      gridsettle compare runs/a runs/b runs/c --out runs/abc
    """
    with bad_input_ends():
        from cosim.report.comparison import compare_runs, write_comparison

        table = compare_runs(directories)
        files = write_comparison(table, out)
        if as_json:
            typer.echo(json.dumps(_records(table), indent=2))
        elif not quiet:
            show_comparison(table)
            typer.echo("wrote " + ", ".join(str(path) for path in files))


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    rows = table.reset_index().to_dict(orient="records")
    return [{str(k): None if v != v else v for k, v in row.items()} for row in rows]


def show_comparison(table: pd.DataFrame) -> None:
    """Print a comparison as one table, a section per group."""
    from rich.console import Console
    from rich.table import Table

    from cosim.report.comparison import digits_of

    screen = Table(title="gridsettle: comparison", title_justify="left")
    screen.add_column("what")
    for name in table.columns:
        run, minus, _ = str(name).partition(" minus ")
        screen.add_column(f"Δ {run}" if minus else run, justify="right", overflow="fold")
    screen.add_column("unit")
    last = None
    for (group, quantity, unit), row in zip(table.index, table.to_numpy(), strict=True):
        if last not in (None, group):
            screen.add_section()
        last = group
        cells = ["–" if value != value else f"{value:,.{digits_of(unit)}f}" for value in row]
        screen.add_row(quantity, *cells, unit)
    Console().print(screen)
