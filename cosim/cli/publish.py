"""The command `gridsettle ledger publish`: what of a run others may have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import terminal
from cosim.cli.errors import bad_input_ends
from cosim.cli.options import Directory, Quiet
from cosim.results import publication

publish_app = typer.Typer()


@publish_app.command("publish")
def publish(
    directory: Directory,
    out: Annotated[Path, typer.Argument(help="Folder to write, new or empty; the checkpoint is put beside it.")],
    quiet: Quiet = False,
) -> None:
    """Write what others may have of a finished run: ledger, checkpoint, network, manifest; no private file.

    Examples
    --------
      gridsettle ledger publish runs/private-001 for-everybody
    """
    with bad_input_ends():
        written = publication.publish_run(directory, out)
    if not quiet:
        terminal.show_written(written)
