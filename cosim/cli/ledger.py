"""The commands `gridsettle ledger …` about what a run recorded: verify, audit, show, export, prove and cosign it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cosim.audit import audit as audits
from cosim.audit import rerun as reruns
from cosim.audit import sample as samples
from cosim.cli import anchored as anchoring
from cosim.cli import audit_answers as answers
from cosim.cli import nodes, portfolio_head, progress
from cosim.cli.chain_terms import CONFIRMATIONS, PATIENCE, ChainId, Confirmations, ReadPatience, TrustedUrl
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail
from cosim.cli.options import Directory, LinesAsJson, OpenWith
from cosim.cli.statements import read_key
from market import cores, exchanges
from market.ledger import durable
from market.ledger.check import kept_elsewhere
from market.ledger.check import receipt as receipts
from market.ledger.check import verify as verification
from market.ledger.check import witness as witnesses
from market.ledger.format import checkpoint as checkpoints
from market.ledger.format import heads as feeders
from market.ledger.format import note as notes
from market.ledger.private import vault as vaults
from market.ledger.read import export as exports
from market.ledger.read import show as texts
from market.ledger.store import store as stores

ledger_app = typer.Typer(
    help="Verify, show and prove the ledger of a run; its members, keys and grants.", no_args_is_help=True
)

Pinned = Annotated[
    Path | None,
    typer.Option("--key", help="Operator's public key, pinned by you: a PEM file or a verifier key line."),
]


@ledger_app.command("verify")
def verify(
    directory: Directory,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Signed checkpoint kept elsewhere. Default: the one beside the directory."),
    ] = None,
    key: Pinned = None,
    first: Annotated[int, typer.Option("--from", help="Height of the first block to verify in full.")] = 0,
    last: Annotated[int | None, typer.Option("--to", help="Height of the last block to verify.")] = None,
    witness: Annotated[
        list[Path] | None, typer.Option(help="File with a witness's verifier key line; may be repeated.")
    ] = None,
    threshold: Annotated[
        int | None, typer.Option(help="Witnesses that must have cosigned the checkpoint. Default: all.")
    ] = None,
    open_with: OpenWith = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that verify signatures.")] = 2,
    witnessed: Annotated[
        bool, typer.Option("--witnessed", help="Exit code 1 also if blocks lack the cosignatures of the quorum.")
    ] = False,
    anchor: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Contract whose anchors the ledger is held against; needs --rpc."),
    ] = None,
    rpc: TrustedUrl = None,
    chain_id: ChainId = None,
    confirmations: Confirmations = CONFIRMATIONS,
    patience: ReadPatience = PATIENCE,
    portfolio: Annotated[
        Path | None,
        typer.Option(help="Folder of a portfolio that the ledger is held against, or the proof of one feeder."),
    ] = None,
    portfolio_key: Annotated[
        Path | None, typer.Option(help="The portfolio's public key, pinned by you: PEM or verifier key line.")
    ] = None,
    feeder: Annotated[
        str | None, typer.Option(help="Name of the feeder in the portfolio. Default: that of the directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify every byte, link, root, signature and account; exit code 1 names the first bad block.

    Examples
    --------
      gridsettle ledger verify runs/default-001

      gridsettle ledger verify DIR --checkpoint /elsewhere/run.checkpoint --key operator.pub

      gridsettle ledger verify overnight/runs/north-7 --portfolio overnight --portfolio-key portfolio.pub
    """
    for option, given in (("--portfolio-key", portfolio_key), ("--feeder", feeder)):
        if given is not None and portfolio is None:
            fail(f"{option}: expected a portfolio that it is about, got none; add --portfolio")
    whole = ("--witnessed", witnessed), ("--anchor", anchor is not None), ("--portfolio", portfolio is not None)
    for option, wanted in whole:
        if wanted and last is not None:
            fail(f"{option}: expected all blocks to be read, got --to; leave one of them out")
    with progress.tell_compiling(), bad_input_ends():
        operator, origin = (None, None) if key is None else notes.read_pinned_key(key)
        beside = checkpoints.checkpoint_path(directory)
        kept = checkpoint or (beside if beside.exists() and last is None else None)
        report = verification.verify_ledger(
            directory,
            operator=operator,
            origin=origin,
            checkpoint=None if kept is None else notes.read_note(kept),
            policy=make_policy(witness or [], threshold),
            entries=None if open_with is None else read_private_entries(directory, open_with),
            first=first,
            last=last,
            n_processes=processes if is_long(directory) else 1,
        )
        if witnessed and report.ok and not report.quorum:
            fail(f"--witnessed: expected a ledger whose first block names witnesses, got {directory}, which names none")
        anchored = None
        if anchor is not None and report.ok:
            anchored = anchoring.check_anchored(directory, anchor, rpc, chain_id, confirmations, patience)
        held = None
        if portfolio is not None and report.ok:
            ledger = feeders.FeederHead(feeder or directory.resolve().name, report.head, report.n_blocks)
            held = portfolio_head.check_in_portfolio(portfolio, portfolio_key, ledger)
    if as_json:
        shown = {} if anchored is None else {"anchors": anchored.show()}
        shown |= {} if held is None else {"portfolio": held._asdict()}
        typer.echo(json.dumps({**report._asdict(), "head": report.head.hex(), **shown}))
    elif report.ok:
        typer.echo(
            f"{directory}: ok, {report.n_blocks:,} blocks, {report.n_records:,} records, head {report.head.hex()}"
        )
        ends = [] if last is not None else answers.describe_end(directory)
        quorum = [] if last is not None else nodes.describe_witnessed(report)
        on_chain = [] if anchored is None else anchoring.describe_anchored(anchored, report.n_blocks)
        in_portfolio = [] if held is None else portfolio_head.describe_in_portfolio(held)
        for line in [*ends, *quorum, *on_chain, *in_portfolio, *list_caveats(report.pinned, report.in_sums, kept)]:
            typer.echo(line)
    else:
        typer.echo(f"{directory}: BROKEN at block {report.height}: {report.reason}")
    contradicted = anchored is not None and anchored.contradiction
    elsewhere = held is not None and bool(held.reason)
    if not report.ok or contradicted or elsewhere or (witnessed and report.witnessed < report.n_blocks):
        raise typer.Exit(ANSWER_IS_NO)


def list_caveats(pinned: bool, in_sums: bool, checkpoint: Path | None) -> list[str]:
    """What a good report does not cover."""
    found = []
    if not pinned:
        found.append("The operator's key was taken from the ledger itself; pin one with --key to know who signed.")
    if checkpoint is None:
        found.append("No checkpoint was at hand; only one kept elsewhere (--checkpoint) shows a rollback.")
    if in_sums:
        found.append("Private records were verified in sums over all houses; open them with --open-with.")
    return found


def is_long(directory: Path) -> bool:
    """Whether a ledger is long enough for starting processes to pay."""
    with stores.Store.open_to_read(directory) as store:
        try:
            return store.size() > 5000
        except ValueError:
            return False


def make_policy(files: Sequence[Path], threshold: int | None) -> kept_elsewhere.Policy | None:
    """Policy that asks for the cosignatures of the witnesses in these files; None without any."""
    if not files:
        return None if threshold is None else fail("--threshold: expected witnesses (--witness FILE), got none")
    keys = tuple(notes.read_verifier_key(path) for path in files)
    wanted = len(keys) if threshold is None else threshold
    if not 0 < wanted <= len(keys):
        fail(f"--threshold: expected 1 to {len(keys)} witnesses, got {wanted}")
    return kept_elsewhere.Policy(keys, wanted)


def read_private_entries(directory: Path, key: Path) -> dict[tuple[int, int], vaults.Entry]:
    """Private records from the operator's store, by interval and number."""
    path = vaults.vault_path(directory, exchanges.OPERATOR)
    if not path.exists():
        fail(f"{path}: expected the operator's store of private records, found none")
    with vaults.Vault(path, to_read=True) as vault:
        return {(entry.interval, entry.seq): entry for entry in vault.read(read_key(key))}


@ledger_app.command("show")
def show(
    directory: Directory,
    block: Annotated[
        int, typer.Argument(help="Height; interval t is usually block t + 1. Negative counts from the end.")
    ] = -1,
    as_json: LinesAsJson = False,
) -> None:
    """Print a block: its header and every record with its fields by name."""
    with bad_input_ends(), stores.Store.open_to_read(directory) as store:
        height = block if block >= 0 else store.size() + block
        found = store.block(height)
        header = texts.show_header(found)
        records = [*texts.show_records(found), *texts.find_replacements(store, found)]
    lines = map(json.dumps, (header, *records)) if as_json else texts.format_block(header, records)
    typer.echo("\n".join(lines))


@ledger_app.command("export")
def export(
    directory: Directory,
    out: Annotated[Path, typer.Argument(help="FILE.jsonl for JSON lines, or a folder for Parquet tables.")],
) -> None:
    """Write the ledger as JSON lines, or as Parquet tables of exchanges, meters, verdicts, topology and blocks."""
    with bad_input_ends(), stores.Store.open_to_read(directory) as store:
        if out.suffix == ".jsonl":
            typer.echo(f"wrote {texts.write_json_lines(store, out):,} lines to {out}")
        elif out.suffix:
            fail(f"{out}: expected FILE.jsonl or a folder without a suffix, got '{out.suffix}'")
        else:
            for name, n_rows in exports.export_tables(store, out).items():
                typer.echo(f"wrote {n_rows:,} rows to {out / name}.parquet")


@ledger_app.command("prove")
def prove(
    directory: Directory,
    interval: Annotated[int, typer.Argument(help="Number of the interval, from 0.")],
    seq: Annotated[int, typer.Argument(help="Number of the record in its block, from 0.")],
    out: Annotated[Path | None, typer.Option(help="File to write. Default: stdout.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Blocks of its checkpoint, such as an anchored one. Default: the newest.")
    ] = None,
) -> None:
    """Write a receipt: a record and the proof that it stands on the ledger."""
    with bad_input_ends(), stores.Store.open_to_read(directory) as store:
        text = receipts.prove(store, interval, seq, size).text()
        if out is None:
            typer.echo(text, nl=False)
        else:
            durable.write_durably(out, text)


@ledger_app.command("verify-receipt")
def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="Receipt that 'prove' wrote.")],
    key: Annotated[Path, typer.Option(help="Operator's public key, pinned by you: PEM or verifier key line.")],
    anchor: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Contract that must prove it too; needs --rpc.")
    ] = None,
    rpc: TrustedUrl = None,
    chain_id: ChainId = None,
    confirmations: Confirmations = CONFIRMATIONS,
    patience: ReadPatience = PATIENCE,
) -> None:
    """Check a receipt with nothing but the pinned key; exit code 1 if it proves nothing.

    With --anchor the contract proves it as well: its checkpoint must be anchored ('ledger prove --size').
    """
    with bad_input_ends():
        read = receipts.read_receipt(receipt)
        found = receipts.check_receipt(read, *notes.read_pinned_key(key))
        if anchor is not None and not isinstance(found, str):
            found = anchoring.find_unproven(read, found, anchor, rpc, chain_id, confirmations, patience) or found
    if isinstance(found, str):
        typer.echo(f"{receipt}: NOT PROVEN: {found}")
        raise typer.Exit(ANSWER_IS_NO)
    typer.echo(
        f"{receipt}: proven, block {found.height} of {found.checkpoint_size} on log {found.origin}, "
        f"interval from {found.interval_start} s since 1970 UTC"
    )
    shown = texts.show_record(found.record, found.version)
    typer.echo("  ".join(f"{name}={value}" for name, value in shown.items()))


@ledger_app.command("cosign")
def cosign(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint; the cosignature is added to it.")],
    key: Annotated[Path, typer.Option(help="The witness's private key.")],
    name: Annotated[str, typer.Option(help="The witness's name, such as witness.example.org/one.")],
    log: Annotated[Path, typer.Option(help="The log's verifier key line, pinned by the witness.")],
    ledger: Annotated[Path, typer.Option(help="Run directory that proves consistency; it is not trusted.")],
    seen: Annotated[
        Path | None, typer.Option(help="Where the witness keeps what it saw last. Default: beside its key.")
    ] = None,
) -> None:
    """Cosign a checkpoint as a witness, if the log still extends the last one it cosigned; exit code 1 if not."""
    with bad_input_ends():
        if not notes.is_key_name(name):
            fail(f"--name: expected a name without spaces and plus signs, got '{name}'")
        own, pinned = read_key(key), notes.read_verifier_key(log)
        try:
            with stores.Store.open_to_read(ledger) as store:
                prover, memory = witnesses.make_prover(store), seen or key.with_suffix(".seen")
                note = witnesses.cosign(
                    notes.read_note(checkpoint), pinned, prover, memory, name, own, int(time.time())
                )
        except witnesses.RefusedError as reason:
            typer.echo(f"{checkpoint}: REFUSED: {reason}")
            raise typer.Exit(ANSWER_IS_NO) from None
        durable.write_durably(checkpoint, note)
    typer.echo(f"{checkpoint}: cosigned; the witness's verifier key is")
    typer.echo(notes.VerifierKey(name, notes.COSIGNATURE, own.public_key().public_bytes_raw()).text())


@ledger_app.command("audit")
def audit(
    directory: Directory,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Blocks to audit, drawn at random. Default: 48.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Audit every block.")] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run the run again and compare every field of every record.")
    ] = False,
    nonce: Annotated[
        str | None, typer.Option(metavar="HEX", help="Draw the sample that an audit with this nonce drew.")
    ] = None,
    so_far: Annotated[
        bool, typer.Option("--so-far", help="The run goes on: that its ledger ends early is no finding.")
    ] = False,
    open_with: OpenWith = None,
    show: Annotated[int, typer.Option(min=1, help="Findings to print; all are counted.")] = 20,
) -> None:
    """Check what a ledger holds, not only how it is signed; exit code 1 names what is wrong.

    Recorded intervals are solved again by pandapower and held against limits and verdicts: a sample, or all. With
    --rerun the whole run is made again, and every record must be what it gives.
    """
    answers.check_options(sample, every=every, rerun=rerun, nonce=nonce)
    with progress.tell_compiling(), bad_input_ends():
        entries = None if open_with is None else read_private_entries(directory, open_with)
        if rerun:
            answers.tell_rerun(directory, reruns.rerun_ledger(directory, entries=entries, so_far=so_far, show=show))
            return
        found = audits.audit_ledger(
            directory,
            sample=None if every else sample or answers.SAMPLE,
            nonce=None if nonce is None else samples.parse_nonce(nonce),
            entries=entries,
            so_far=so_far,
            n_processes=cores.count_usable_cores(),
        )
    answers.tell_audit(directory, found, show)
