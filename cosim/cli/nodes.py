"""The commands `gridsettle ledger follow|collect|compare`: members' own copies of a log, and their cosignatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.cli import progress
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail, make_printable
from cosim.cli.options import Directory
from cosim.cli.statements import read_key
from cosim.interrupts import processes
from cosim.results import labels
from market.ledger import durable
from market.ledger.check import promises as promising
from market.ledger.check import witness as witnesses
from market.ledger.crypto import keys
from market.ledger.follow import collect as collecting
from market.ledger.follow import compare as comparing
from market.ledger.follow import cosigning, evidence, rounds
from market.ledger.follow import node as nodes
from market.ledger.follow import remote as remotes
from market.ledger.follow import server as servers
from market.ledger.follow import source as sources
from market.ledger.format import checkpoint as checkpoints
from market.ledger.format import note as notes
from market.ledger.format import quorum as quorums
from market.ledger.format import submissions
from market.ledger.read import tiles
from market.ledger.store import store as stores

if TYPE_CHECKING:
    from market.errors import LedgerError
    from market.ledger.check.verify import Report

nodes_app = typer.Typer()


@nodes_app.command("follow")
def follow(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the log is served: http(s)://host:port/path.")],
    out: Annotated[Path, typer.Option(help="Directory of your copy; made if there is none.")],
    key: Annotated[
        str | None,
        typer.Option(
            metavar="VKEY", help="Operator's verifier key: the line or its file. Default: pinned on first use."
        ),
    ] = None,
    cosign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Your private key: cosign every checkpoint that was verified.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Your name as a witness. Default: node/ and a pseudonym of the key.")
    ] = None,
    serve: Annotated[
        int | None, typer.Option(min=0, max=65535, metavar="PORT", help="Serve the copy on; 0: any free port.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve at.")] = "127.0.0.1",
    once: Annotated[bool, typer.Option("--once", help="Catch up and end.")] = False,
    every: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds between two rounds.")] = 10.0,
) -> None:
    """Keep your own copy of a log, verified block by block; exit code 1 if the log rolls back, forks or is broken.

    Whatever proves that is kept in OUT/evidence. Blocks are verified as 'ledger verify' does it.

    Examples
    --------
      gridsettle ledger follow https://market.example/log --out my-copy --key operator.vkey --once

      gridsettle ledger follow http://127.0.0.1:8000 --out my-copy --cosign witness.pem --serve 8001
    """
    with progress.tell_compiling(), bad_input_ends(), _lies_end(out), ExitStack() as stack:
        if once and serve is not None:
            fail("--serve: expected a node that stays, got --once; leave one of them out")
        cosigner = None if cosign is None else make_cosigner(cosign, name)
        log, inbox = sources.Log(remotes.Remote(url)), rounds.Inbox()
        node = stack.enter_context(nodes.Node(log, out, None if key is None else parse_key(key)))
        if cosigner is not None:
            typer.echo(f"cosigning as {cosigner.verifier_key().text()}")
        if serve is not None:
            ask = None if cosigner is None else inbox.ask
            processes.ignore_broken_pipes()
            typer.echo(f"serving at {stack.enter_context(servers.CopyServer(out, host, serve, ask)).url}")
        teller = _Teller(node)
        if once:
            teller.tell(rounds.run_round(node, cosigner))
        else:
            rounds.run_rounds(node, cosigner, inbox, every, teller.tell)


class _Teller:
    """Prints what is new in a round, and once why there was none."""

    def __init__(self, node: nodes.Node) -> None:
        self._node, self._said = node, ""
        self._pinned = not node.first_use

    def tell(self, found: rounds.Round | LedgerError) -> None:
        """Print a round, unless it is like the one before."""
        if isinstance(found, rounds.Round):
            if not self._pinned and self._node.pinned is not None:
                self._pinned = True
                typer.echo(f"pinned on first use: {self._node.pinned.text()}")
                typer.echo(
                    f"It is in {self._node.directory / nodes.KEY_FILE}; ask the operator whether it is this one."
                )
            new, size = found.progress.n_new, found.progress.size
            text = f"{self._node.directory}: {size:,} blocks, head {self._node.verification.hashes[-1].hex()}"
            done = f" ({new:,} new, verified{', cosigned' * found.cosigned})" if new or found.cosigned else ""
        else:
            text, done = f"waiting: {make_printable(str(found))}", ""
        if text + done != self._said and (done or text != self._said):
            typer.echo(text + done)
        self._said = text


@contextmanager
def _lies_end(directory: Path) -> Iterator[None]:
    """End with exit code 1 if the log contradicts itself or what was cosigned."""
    try:
        yield
    except (evidence.LyingError, witnesses.RefusedError) as reason:
        typer.echo(f"{directory}: {make_printable(str(reason))}")
        raise typer.Exit(ANSWER_IS_NO) from None


def parse_key(text: str) -> notes.VerifierKey:
    """Verifier key of a log, given as its line or the name of its file."""
    path = Path(text)
    key = notes.read_verifier_key(path) if "+" not in text or path.is_file() else notes.parse_verifier_key(text)
    if key.kind != notes.ED25519:
        fail(f"--key: expected the verifier key of a log, got that of witness '{key.name}'")
    return key


def make_cosigner(path: Path, name: str | None) -> cosigning.Cosigner:
    """Witness with the key of a file; what it has cosigned last is kept beside the key."""
    key = read_key(path)
    called = f"node/{keys.pseudonym(keys.public_bytes(key))}" if name is None else name
    if not notes.is_key_name(called):
        fail(f"--name: expected a name without spaces and plus signs, got '{called}'")
    return cosigning.Cosigner(called, key, path.with_suffix(".seen"))


@nodes_app.command("collect")
def collect(
    directory: Directory,
    urls: Annotated[list[str], typer.Argument(metavar="URL", help="Where witnesses are asked.")],
    witness: Annotated[
        list[Path] | None,
        typer.Option(help="File with a witness's verifier key line. Default: the witnesses of the first block."),
    ] = None,
) -> None:
    """Ask witnesses to cosign the newest checkpoint; exit code 1 if fewer do than the first block asks for.

    The cosignatures are kept with the ledger, and in the checkpoint beside the directory.

    Examples
    --------
      gridsettle ledger collect runs/default-001 http://127.0.0.1:8001 http://127.0.0.1:8002
    """
    with bad_input_ends(), stores.Store.open_to_write(directory) as store:
        quorum = tiles.read_terms_of_quorum(store)
        known = [quorums.name_witness(notes.read_verifier_key(path)) for path in witness or []]
        known = known or ([] if quorum is None else list(quorum.witnesses))
        note = store.last_checkpoint()
        if not known or note is None:
            fail(
                f"{directory}: expected a checkpoint and witnesses in the first block, got none; name some by --witness"
            )
        found = collecting.collect_cosignatures(note, known, urls, witnesses.make_prover(store))
        store.add_checkpoint(sources.parse_note(note).checkpoint.size, found.note)
        durable.write_durably(checkpoints.checkpoint_path(directory), found.note)
    for url, answer in found.answers.items():
        typer.echo(f"{url}: {make_printable(answer)}")
    n, needed = len(quorums.list_cosigners(found.note, known)), len(known) if quorum is None else quorum.needed
    typer.echo(f"{directory}: {n} of {needed} cosignatures that are asked for")
    if n < needed:
        raise typer.Exit(ANSWER_IS_NO)


@nodes_app.command("promises")
def promises(
    directory: Directory,
    kept: Annotated[Path, typer.Argument(metavar="FILE", help="Promises that the account page saved.")],
) -> None:
    """Check that the operator has applied what it acknowledged; exit code 1 if a promise is broken.

    Examples
    --------
      gridsettle ledger promises my-copy promises.json
    """
    with bad_input_ends(), stores.Store.open_to_read(directory) as store:
        found = promising.check_promises(store, promising.read_promises(kept))
    for each in found:
        row = submissions.Submission(each.promise.record, b"").row
        house = f"{labels.name_house(int(row['house']))} (ledger index {row['house']})"
        name = f"{house}, submission {row['number']}, intervals {row['first']} to {row['last']}"
        told = each.fault or f"applied in {len(each.applied)}"
        if each.broken:
            told = f"LEFT OUT in interval {', '.join(map(str, each.broken[:5]))}{' …' if len(each.broken) > 5 else ''}"
        typer.echo(f"{name}: {told}")
    n_wrong = sum(bool(each.fault or each.broken) for each in found)
    typer.echo(f"{kept}: {len(found) - n_wrong} of {len(found)} promises kept so far")
    if n_wrong:
        raise typer.Exit(ANSWER_IS_NO)


@nodes_app.command("compare")
def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="Directory with a ledger or published tiles, or URL.")],
    other: Annotated[str, typer.Argument(metavar="B", help="What it is compared with.")],
) -> None:
    """Where two histories of one log part, if they do: exit code 1 names the first block that differs.

    Examples
    --------
      gridsettle ledger compare my-copy https://market.example/log
    """
    with bad_input_ends():
        found = comparing.compare_histories(one, other)
    (m, n), (here, there) = found.sizes, (make_printable(one), make_printable(other))
    if found.height is None:
        short, long = (here, there) if m < n else (there, here)
        typer.echo(
            f"equal: {m:,} blocks"
            if m == n
            else f"{short} is the first {min(m, n):,} of {max(m, n):,} blocks of {long}"
        )
        return
    typer.echo(f"PARTED at block {found.height}: the {found.height:,} blocks before it are the same")
    for where, size, digest in zip((here, there), found.sizes, found.hashes, strict=True):
        typer.echo(f"{where}: {size:,} blocks, block {found.height} is {digest.hex()}")
    typer.echo(
        make_printable(found.proof) or "No signature of the operator under both was found; verify both with --key."
    )
    raise typer.Exit(ANSWER_IS_NO)


def describe_witnessed(report: Report) -> list[str]:
    """How far the quorum of a ledger has come, in words; nothing without one."""
    if not report.quorum:
        return []
    asked = f"{report.quorum} of {report.witnesses} witnesses"
    behind = report.n_blocks - report.witnessed
    if behind <= 0:
        return [f"Witnessed: {asked} have cosigned all blocks."]
    if not report.witnessed:
        return [f"NOT YET WITNESSED: no checkpoint is cosigned by {asked}."]
    return [f"NOT YET WITNESSED: the last {behind:,} blocks; {asked} have cosigned the first {report.witnessed:,}."]
