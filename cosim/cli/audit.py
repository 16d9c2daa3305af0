"""The command `gridsettle ledger audit DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosim.cli.errors import bad_input_ends
from cosim.cli.ledger import opened_entries

ANSWER_IS_NO = 1


def register(ledger_app: typer.Typer) -> None:
    """Add the command to the ledger's application."""

    @ledger_app.command("audit")
    def audit(
        directory: Annotated[Path, typer.Argument(help="Run directory.")],
        sample: Annotated[int, typer.Option(min=1, help="Blocks to audit, drawn at random.")] = 48,
        every: Annotated[bool, typer.Option("--all", help="Audit every block.")] = False,
        open_with: Annotated[
            Path | None,
            typer.Option("--open-with", help="Key that opens the operator's store of private records."),
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    ) -> None:
        """Solve recorded intervals again by pandapower and hold them against limits and verdicts."""
        from cosim.audit.audit import audit_ledger

        with bad_input_ends():
            entries = None if open_with is None else opened_entries(directory, open_with)
            found = audit_ledger(directory, sample=None if every else sample, seed=seed, entries=entries)
        if found.findings:
            for finding in found.findings:
                typer.echo(f"block {finding.height}: {finding.what}")
            typer.echo(
                f"{directory}: INADMISSIBLE, {len(found.findings)} findings in {len(found.heights)} blocks"
            )
            raise typer.Exit(ANSWER_IS_NO)
        typer.echo(
            f"{directory}: ok, {len(found.heights):,} blocks solved again by pandapower.runpp, {len(found.islanded):,} "
            "of them islanded; all within limits, all verdicts confirmed"
        )
