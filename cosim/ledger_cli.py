"""The command `gridsettle ledger …`: verify and show what a run recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.cli_errors import bad_input_ends, fail

ledger_app = typer.Typer(help="Verify and show the ledger of a run.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(help="Run directory.")]
ANSWER_IS_NO = 1


@ledger_app.command("verify")
def verify(
    directory: Directory,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Signed checkpoint kept elsewhere; shows a rollback.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file with the operator's public key, pinned by you.")
    ] = None,
) -> None:
    """Verify every byte, link, root, signature and account; exit code 1 names the first bad block."""
    from market.ledger.keys import read_public_key
    from market.ledger.verify import verify_ledger

    with bad_input_ends():
        pinned = None if key is None else read_public_key(key)
        note = None if checkpoint is None else read_text(checkpoint)
        report = verify_ledger(directory, operator=pinned, checkpoint=note)
    if not report.ok:
        typer.echo(f"{directory}: BROKEN at block {report.height}: {report.reason}")
        raise typer.Exit(ANSWER_IS_NO)
    typer.echo(
        f"{directory}: ok, {report.n_blocks:,} blocks, {report.n_records:,} records, head {report.head.hex()}"
    )
    if not report.pinned:
        typer.echo(
            "The operator's key was taken from the ledger itself; pin one with --key to know who signed."
        )


@ledger_app.command("show")
def show(
    directory: Directory,
    block: Annotated[
        int, typer.Argument(help="Height; interval t is block t + 1. Negative counts from the end.")
    ] = -1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print a block: its header and every record with its fields by name."""
    from market.ledger.show import header_fields, record_fields
    from market.ledger.store import Store

    with bad_input_ends(), Store.open_to_read(directory) as store:
        height = block if block >= 0 else store.size() + block
        found = store.block(height)
        lines = [header_fields(found), *record_fields(found)]
    for line in lines:
        typer.echo(json.dumps(line) if as_json else as_text(line))


def as_text(fields: dict[str, Any]) -> str:
    """Fields of a record on one line."""
    return "  ".join(f"{name}={value}" for name, value in fields.items())


def read_text(path: Path) -> str:
    """Content of a text file; ends with a message if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        fail(f"{path}: expected a readable text file, got {reason}")
