"""The command `gridsettle ledger …`: verify, show, export and prove what a run recorded, and cosign its checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.members import members_app
from cosim.cli.statements import private_key

ledger_app = typer.Typer(
    help="Verify, show and prove the ledger of a run; its members, keys and grants.", no_args_is_help=True
)
ledger_app.registered_commands += members_app.registered_commands

Directory = Annotated[Path, typer.Argument(help="Run directory.")]
Pinned = Annotated[
    Path | None,
    typer.Option("--key", help="Operator's public key, pinned by you: a PEM file or a verifier key line."),
]
ANSWER_IS_NO = 1


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
    open_with: Annotated[
        Path | None,
        typer.Option("--open-with", help="Key that opens the operator's store of private records."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that verify signatures.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify every byte, link, root, signature and account; exit code 1 names the first bad block.

    Examples
    --------
      gridsettle ledger verify runs/default-001

      gridsettle ledger verify DIR --checkpoint /elsewhere/run.checkpoint --key operator.pub
    """
    from cosim.cli.terminal import compiling_is_told
    from market.ledger.check.verify import verify_ledger
    from market.ledger.format.checkpoint import checkpoint_path
    from market.ledger.format.note import read_pinned

    with compiling_is_told(), bad_input_ends():
        operator, origin = (None, None) if key is None else read_pinned(key)
        beside = checkpoint_path(directory)
        kept = checkpoint or (beside if beside.exists() and last is None else None)
        report = verify_ledger(
            directory,
            operator=operator,
            origin=origin,
            checkpoint=None if kept is None else read_text(kept),
            policy=policy_of(witness or [], threshold),
            entries=None if open_with is None else opened_entries(directory, open_with),
            first=first,
            last=last,
            n_processes=processes if worth_processes(directory) else 1,
        )
    if as_json:
        typer.echo(json.dumps({**report._asdict(), "head": report.head.hex()}))
    elif report.ok:
        typer.echo(
            f"{directory}: ok, {report.n_blocks:,} blocks, {report.n_records:,} records, head {report.head.hex()}"
        )
        for note in caveats(report.pinned, report.in_sums, kept):
            typer.echo(note)
    else:
        typer.echo(f"{directory}: BROKEN at block {report.height}: {report.reason}")
    if not report.ok:
        raise typer.Exit(ANSWER_IS_NO)


def caveats(pinned: bool, in_sums: bool, checkpoint: Path | None) -> list[str]:
    """What a good report does not cover."""
    found = []
    if not pinned:
        found.append(
            "The operator's key was taken from the ledger itself; pin one with --key to know who signed."
        )
    if checkpoint is None:
        found.append("No checkpoint was at hand; only one kept elsewhere (--checkpoint) shows a rollback.")
    if in_sums:
        found.append("Private records were verified in sums over all houses; open them with --open-with.")
    return found


def worth_processes(directory: Path) -> bool:
    """Whether a ledger is long enough for starting processes to pay."""
    from market.ledger.store.store import Store

    with Store.open_to_read(directory) as store:
        try:
            return store.size() > 5000
        except ValueError:
            return False


def policy_of(witnesses: Sequence[Path], threshold: int | None) -> Any:
    """Policy of the witnesses in these files; None without any."""
    from market.ledger.check.kept_elsewhere import Policy
    from market.ledger.format.note import parse_verifier_key

    if not witnesses:
        return (
            None if threshold is None else fail("--threshold: expected witnesses (--witness FILE), got none")
        )
    keys = tuple(parse_verifier_key(read_text(path)) for path in witnesses)
    wanted = len(keys) if threshold is None else threshold
    if not 0 < wanted <= len(keys):
        fail(f"--threshold: expected 1 to {len(keys)} witnesses, got {wanted}")
    return Policy(keys, wanted)


def opened_entries(directory: Path, key: Path) -> Any:
    """Private records from the operator's store, by interval and number."""
    from market.exchanges import OPERATOR
    from market.ledger.private.vault import Vault, vault_path

    path = vault_path(directory, OPERATOR)
    if not path.exists():
        fail(f"{path}: expected the operator's store of private records, found none")
    with Vault(path) as vault:
        return {(entry.interval, entry.seq): entry for entry in vault.read(private_key(key))}


@ledger_app.command("show")
def show(
    directory: Directory,
    block: Annotated[
        int, typer.Argument(help="Height; interval t is usually block t + 1. Negative counts from the end.")
    ] = -1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print a block: its header and every record with its fields by name."""
    from market.ledger.read.show import as_tables, header_fields, record_fields
    from market.ledger.store.store import Store

    with bad_input_ends(), Store.open_to_read(directory) as store:
        height = block if block >= 0 else store.size() + block
        found = store.block(height)
        header, records = header_fields(found), record_fields(found)
    for line in (
        [json.dumps(fields) for fields in (header, *records)] if as_json else as_tables(header, records)
    ):
        typer.echo(line)


@ledger_app.command("export")
def export(
    directory: Directory,
    out: Annotated[Path, typer.Argument(help="FILE.jsonl for JSON lines, or a folder for Parquet tables.")],
) -> None:
    """Write the ledger as JSON lines, or as Parquet tables of exchanges, meters, verdicts, topology and blocks."""
    from market.ledger.store.store import Store

    with bad_input_ends(), Store.open_to_read(directory) as store:
        if out.suffix == ".jsonl":
            from market.ledger.read.show import export_lines

            typer.echo(f"wrote {export_lines(store, out):,} lines to {out}")
            return
        if out.suffix:
            fail(f"{out}: expected FILE.jsonl or a folder without a suffix, got '{out.suffix}'")
        from market.ledger.read.export import export_tables

        for name, n_rows in export_tables(store, out).items():
            typer.echo(f"wrote {n_rows:,} rows to {out / name}.parquet")


@ledger_app.command("prove")
def prove(
    directory: Directory,
    interval: Annotated[int, typer.Argument(help="Number of the interval, from 0.")],
    seq: Annotated[int, typer.Argument(help="Number of the record in its block, from 0.")],
    out: Annotated[Path | None, typer.Option(help="File to write. Default: stdout.")] = None,
) -> None:
    """Write a receipt: a record and the proof that it stands on the ledger."""
    from market.ledger.check.receipt import prove as receipt_of
    from market.ledger.durable import write_durably
    from market.ledger.store.store import Store

    with bad_input_ends(), Store.open_to_read(directory) as store:
        text = receipt_of(store, interval, seq).text()
        if out is None:
            typer.echo(text, nl=False)
        else:
            write_durably(out, text)


@ledger_app.command("verify-receipt")
def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="Receipt that 'prove' wrote.")],
    key: Annotated[
        Path, typer.Option(help="Operator's public key, pinned by you: PEM or verifier key line.")
    ],
) -> None:
    """Check a receipt with nothing but the pinned key; exit code 1 if it proves nothing."""
    from market.ledger.check.receipt import check_receipt, parse_receipt
    from market.ledger.format.note import read_pinned
    from market.ledger.read.show import bytes_fields

    with bad_input_ends():
        found = check_receipt(parse_receipt(read_text(receipt)), *read_pinned(key))
    if isinstance(found, str):
        typer.echo(f"{receipt}: NOT PROVEN: {found}")
        raise typer.Exit(ANSWER_IS_NO)
    typer.echo(
        f"{receipt}: proven, block {found.height} of {found.checkpoint_size} on log {found.origin}, "
        f"interval from {found.interval_start} s since 1970 UTC"
    )
    typer.echo("  ".join(f"{name}={value}" for name, value in bytes_fields(found.record).items()))


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
    from market.ledger.check.witness import RefusedError, prover_of
    from market.ledger.check.witness import cosign as cosigned_by
    from market.ledger.durable import write_durably
    from market.ledger.format.note import COSIGNATURE, VerifierKey, is_name, parse_verifier_key
    from market.ledger.store.store import Store

    with bad_input_ends():
        if not is_name(name):
            fail(f"--name: expected a name without spaces and plus signs, got '{name}'")
        own, pinned = private_key(key), parse_verifier_key(read_text(log))
        try:
            with Store.open_to_read(ledger) as store:
                note = cosigned_by(
                    read_text(checkpoint),
                    pinned,
                    prover_of(store),
                    seen or key.with_suffix(".seen"),
                    name,
                    own,
                    int(time.time()),
                )
        except RefusedError as reason:
            typer.echo(f"{checkpoint}: REFUSED: {reason}")
            raise typer.Exit(ANSWER_IS_NO) from None
        write_durably(checkpoint, note)
    typer.echo(f"{checkpoint}: cosigned; the witness's verifier key is")
    typer.echo(VerifierKey(name, COSIGNATURE, own.public_key().public_bytes_raw()).text())


def read_text(path: Path) -> str:
    """Content of a text file; ends with a message if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        fail(f"{path}: expected a readable text file, got {reason}")
