"""Anchors beside a run: `run --chain`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import typer

from cosim.cli import chain_terms
from cosim.cli.errors import ANSWER_IS_NO, fail, make_printable
from market.contract import accounts, anchoring, beside


class Wanted(NamedTuple):
    """How a run is to be anchored, as given on the command line."""

    url: str | None
    contract: str | None
    key: Path | None
    password_file: Path | None
    chain_id: int | None
    confirmations: int
    every: int


def begin_beside(wanted: Wanted, directory: Path) -> beside.Beside:
    """Begin to anchor a run, once node, account and contract are known to be usable."""
    if wanted.url is None:
        option = "--chain-key" if wanted.contract is None else "--contract"
        fail(f"{option}: expected --chain URL with it, got none")
    if wanted.contract is None or wanted.key is None:
        fail("--chain: expected --contract ADDRESS and --chain-key FILE with it, got one or none of them")
    account, address = (
        chain_terms.read_account(wanted.key, wanted.password_file),
        accounts.check_address(wanted.contract, "--contract"),
    )
    terms = chain_terms.Terms(
        wanted.url, account, wanted.chain_id, wanted.confirmations, chain_terms.MAX_FEE, chain_terms.PATIENCE
    )

    @contextmanager
    def open_anchorer() -> Iterator[anchoring.Anchorer]:
        with terms.open_sender() as who:
            yield anchoring.Anchorer(who, address)

    with open_anchorer():
        pass  # what cannot be used is told before the run begins
    return beside.Beside(directory, open_anchorer, wanted.every)


def end_beside(running: beside.Beside, directory: Path, *, quiet: bool) -> None:
    """Anchor the end of a run; exit code 1 if that fails, since the run itself is done."""
    if not quiet:
        typer.echo("waiting until the chain has confirmed the last blocks …", err=True)
    failure = running.finish()
    if not failure and not quiet:
        typer.echo(f"{directory}: {running.n_anchored:,} blocks anchored")
    if failure:
        typer.echo(f"gridsettle: {make_printable(failure)}", err=True)
        typer.echo(
            "gridsettle: the run is finished, not all of it is anchored; go on with: gridsettle ledger anchor "
            f"{directory}",
            err=True,
        )
        raise typer.Exit(ANSWER_IS_NO)
