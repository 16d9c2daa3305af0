"""What an audit of a ledger answers, and what the answer does not cover."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cosim.audit import sample as samples
from cosim.cli.errors import ANSWER_IS_NO, fail
from market.ledger.read import extent as extents
from market.ledger.store import store as stores

if TYPE_CHECKING:
    from cosim.audit.audit import Audit
    from cosim.audit.rerun import Rerun

SAMPLE = 48
"""Blocks of a sample whose size is not given."""

FALSE_BLOCKS = (1, 2, 5, 10)
"""Numbers of false blocks for which it is told how likely a sample misses all of them."""


PHASES_TAKEN = "Phases of houses: taken from the ledger itself; no table of participants was kept to hold them against."


def check_options(sample: int | None, *, every: bool, rerun: bool, nonce: str | None) -> None:
    """End with a message where an option would do nothing beside another."""
    if rerun and (sample or every or nonce):
        fail("--rerun: expected neither --sample, --all nor --nonce, since it compares every block; leave them out")
    if every and (sample or nonce):
        fail("--all: expected neither --sample nor --nonce, since nothing is drawn; leave them out")


def tell_audit(directory: Path, found: Audit, show: int) -> None:
    """Print what an audit found; exit code 1 if anything is wrong."""
    if found.findings:
        tell_findings([f"block {finding.height}: {finding.what}" for finding in found.findings], show)
        n_findings = count(len(found.findings), "finding")
        typer.echo(f"{directory}: INADMISSIBLE, {n_findings} in {count(len(found.heights), 'block')}")
    else:
        again = f", {len(found.cleared):,} cleared again" if found.cleared else ""
        typer.echo(
            f"{directory}: ok, {count(len(found.heights), 'block')} solved again by {found.judge}, "
            f"{len(found.islanded):,} of them islanded{again}; all within limits, all verdicts confirmed"
        )
    if found.n_drawn < found.n_blocks:
        typer.echo(
            f"Drawn from {found.n_blocks:,} blocks by the ledger's head and the nonce {found.nonce.hex()} "
            "(--nonce draws the same again)."
        )
        typer.echo(f"Such a sample misses {list_chances(found.n_blocks, found.n_drawn)}; --all misses none.")
    if found.takes_phases:
        typer.echo(PHASES_TAKEN)
    if found.findings:
        raise typer.Exit(ANSWER_IS_NO)


def list_chances(n_blocks: int, n_drawn: int) -> str:
    """How likely a sample misses all of some false blocks, in words.

    Examples
    --------
    >>> list_chances(72, 48)
    '1 false block with 33 % probability, 2 with 11 %, 5 with 0.3 %, 10 with 0.0004 %'
    """
    chances = [100.0 * samples.miss_probability(n_blocks, n_drawn, n_false) for n_false in FALSE_BLOCKS]
    told = [f"{n_false} with {format_percent(chance)}" for n_false, chance in zip(FALSE_BLOCKS, chances, strict=True)]
    first = f"1 false block with {format_percent(chances[0])} probability"
    return ", ".join([first, *told[1:]])


def describe_end(directory: Path) -> list[str]:
    """That a ledger ends before its run does, in words; nothing if it does not."""
    with stores.Store.open_to_read(directory) as store:
        held, wanted = extents.read_extent(store)
    return [] if held == wanted else [f"It ends after {held:,} of {wanted:,} intervals: unfinished, or cut short."]


def format_percent(percent: float) -> str:
    """A probability with the digits that tell it from 0 and from 100 %.

    Examples
    --------
    >>> format_percent(99.45), format_percent(0.0), format_percent(0.0312)
    ('99.5 %', '0 %', '0.03 %')
    """
    return f"{percent:.1f} %" if percent >= 99.0 else f"{percent:.2g} %" if percent >= 10 else f"{percent:.1g} %"


def tell_rerun(directory: Path, found: Rerun) -> None:
    """Print what a rerun found; exit code 1 if anything differs."""
    for difference in found.differences:
        typer.echo(f"block {difference.height}: {difference}")
    for finding in found.findings:
        typer.echo(f"block {finding.height}: {finding.what}")
    if found.ok:
        typer.echo(
            f"{directory}: ok, {found.n_intervals:,} intervals run again; every field of {found.n_records:,} records "
            "is what the run gives"
        )
    else:
        shown, differ = len(found.differences), count(found.n_different, "block")
        more = f", the first difference of {shown} is shown" if shown < found.n_different else ""
        typer.echo(f"{directory}: NOT WHAT THE RUN GIVES, {differ} with other records{more}")
    if found.n_given:
        typer.echo(
            f"Another simulator gave the inputs of {count(found.n_given, 'interval')}, taken as given_inputs.csv holds "
            "them: that they are true is not proven."
        )
    typer.echo(f"Profiles: {found.origin.value}. Signatures and keys: see gridsettle ledger verify.")
    for height, house, number in found.registered:
        typer.echo(f"block {height}: device {number} of house {house} is registered, and takes no part in the run.")
    if found.takes_phases:
        typer.echo(PHASES_TAKEN)
    if not found.ok:
        raise typer.Exit(ANSWER_IS_NO)


def count(n: int, what: str) -> str:
    """A number of things.

    Examples
    --------
    >>> count(1, "block"), count(8760, "block")
    ('1 block', '8,760 blocks')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def tell_findings(lines: Sequence[str], show: int) -> None:
    """Print the first findings, and how many there are beyond."""
    for line in lines[:show]:
        typer.echo(line)
    if len(lines) > show:
        typer.echo(f"… and {len(lines) - show:,} more")
