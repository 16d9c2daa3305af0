"""The command `gridsettle ledger publish`: what of a run others may have, as a directory or as a log to be followed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import terminal
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import Directory, Quiet
from cosim.results import publication
from market.ledger.read import publish as tiles
from market.ledger.store import store as stores
from market.ledger.store import tip

publish_app = typer.Typer()


@publish_app.command("publish")
def publish(
    directory: Directory,
    copy: Annotated[
        Path | None,
        typer.Argument(metavar="COPY", help="Folder to write, new or empty; the checkpoint is put beside it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Publish the ledger alone, as tiles that any web server can serve, into this folder."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write what others may have of a finished run: ledger, checkpoint, network, manifest; no private file.

    With --out the ledger alone, at any time and again: tiles (c2sp.org/tlog-tiles), of which only new ones are written.

    Examples
    --------
      gridsettle ledger publish runs/private-001 for-everybody

      gridsettle ledger publish runs/default-001 --out /var/www/log
    """
    if (copy is None) == (out is None):
        fail("expected a folder to write, or --out and one for a web server, got neither or both")
    with bad_input_ends():
        if out is not None:
            with stores.Store.open_to_read(directory) as store:
                found, key = tiles.publish_tiles(store, out), tip.read_log_key(store.block(0))
            if not quiet:
                typer.echo(f"{out}: {found.size:,} blocks, {found.n_files:,} files written")
                typer.echo(f"verifier key for those who follow it: {key.text()}")
        elif copy is not None:
            written = publication.publish_run(directory, copy)
            if not quiet:
                terminal.show_written(written)
