"""The commands `gridsettle portfolio report` and `prove`: pages of a portfolio, and proofs of its feeders' heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import terminal
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import Quiet
from cosim.portfolio import report as reports
from market.ledger import durable
from market.ledger.check import heads as trees

portfolio_report_app = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="Directory of the portfolio.")]


@portfolio_report_app.command("report")
def report(directory: Folder, quiet: Quiet = False) -> None:
    """Write report.html and portfolio.csv of a portfolio: the worst feeders, what would mend them, how all are spread.

    Examples
    --------
      gridsettle portfolio report runs/feeders
    """
    with bad_input_ends():
        written = reports.write_portfolio_report(directory)
    if not quiet:
        terminal.show_written(written)


@portfolio_report_app.command("prove")
def prove(
    directory: Folder,
    feeder: Annotated[str, typer.Argument(help="Name of the feeder.")],
    out: Annotated[Path | None, typer.Option(help="File to write. Default: stdout.")] = None,
) -> None:
    """Write the proof of one feeder's head, which needs no other feeder: for 'ledger verify --portfolio FILE'.

    Examples
    --------
      gridsettle portfolio prove runs/feeders north-7 --out north-7.proof.json
    """
    with bad_input_ends():
        found = trees.read_heads(directory)
        proof = trees.prove_head(found, feeder)
        if proof is None:
            some = ", ".join(head.feeder for head in found.heads[:5]) + (", …" if len(found.heads) > 5 else "")
            fail(f"{directory}: expected a feeder of this portfolio, got '{feeder}'; choose of {some}")
        if out is None:
            typer.echo(proof.text(), nl=False)
        else:
            durable.write_durably(out, proof.text())
            terminal.show_written([out])
