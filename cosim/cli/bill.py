"""The command `gridsettle bill`: what houses bought, sold and paid for the network in a month, as bills."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.bills import bill as bills
from cosim.bills import page
from cosim.cli import progress, terminal
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import Directory, Quiet


def bill(
    directory: Directory,
    house: Annotated[str | None, typer.Option(help="Name of a house. Default: all.")] = None,
    month: Annotated[str | None, typer.Option(help="Month, such as 2017-06. Default: all.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; overwritten if there. Default: bills.html in RUN_DIR.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Also write every line, exact, as CSV beside it.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write bills of a finished run, a sheet each: energy by counterpart, network charges, losses, compensation, fees.

    The ledger is verified first, and a bill's lines sum to what the account moved by, to the nEUR.

    Examples
    --------
      gridsettle bill runs/default-001 --csv

      gridsettle bill runs/default-001 --house house_03 --month 2017-06 --out house_03.html
    """
    target = directory / "bills.html" if out is None else out
    if target.suffix not in (".html", ".htm"):
        fail(f"--out: expected a file FILE.html, got '{target}'; add .html")
    if not target.resolve().parent.is_dir():
        fail(f"{target}: expected an existing folder, found none; make it first")
    with progress.tell_compiling(), bad_input_ends():
        written = page.write_bills(bills.make_bills(directory, house, month), target, csv=csv)
    if not quiet:
        terminal.show_written(written)
