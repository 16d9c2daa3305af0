"""A witness: it cosigns a checkpoint only if the log still extends the last one it cosigned.

What it has seen lies in a file of its own, which it renews before it gives its cosignature away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from market.errors import LedgerError
from market.ledger.crypto.merkle import consistency_proof, is_consistent
from market.ledger.durable import write_durably
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.note import VerifierKey, cosigned, open_note
from market.ledger.store.store import Store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Prover = Callable[[int, int], Sequence[bytes]]
"""Consistency proof between two sizes of the log."""


class RefusedError(LedgerError):
    """The witness does not cosign: the log went back, or is not the one it saw before."""


def cosign(
    note: str,
    log: VerifierKey,
    prover: Prover,
    seen_file: Path,
    name: str,
    key: Ed25519PrivateKey,
    time: int,
) -> str:
    """The note with the witness's cosignature.

    Parameters
    ----------
    note
        Signed checkpoint.
    log
        The log's key, pinned.
    prover
        Asks the log for a consistency proof; its answer is not trusted.
    seen_file
        Where the witness keeps what it cosigned last; made if it does not exist.
    name, key
        The witness's.
    time
        Seconds since 1970-01-01 UTC.

    Raises
    ------
    RefusedError
        If the log is shorter than, or not consistent with, what was seen before.
    LedgerError
        If the note is not signed by the log.
    """
    checkpoint = parse_checkpoint(open_note(note, log))
    if checkpoint.origin != log.name:
        raise LedgerError(f"checkpoint: expected origin '{log.name}', got '{checkpoint.origin}'")
    if seen_file.exists():
        _expect_extension(parse_checkpoint(seen_file.read_text(encoding="utf-8")), checkpoint, prover)
    write_durably(seen_file, checkpoint.text())
    return cosigned(note, name, key, time)


def _expect_extension(seen: Checkpoint, new: Checkpoint, prover: Prover) -> None:
    if seen.origin != new.origin:
        raise LedgerError(
            f"witness: expected log '{seen.origin}', which it has seen before, got '{new.origin}'"
        )
    if new.size < seen.size:
        raise RefusedError(f"ROLLBACK: the checkpoint knows {new.size} blocks, {seen.size} were there before")
    if seen.size == 0:
        return
    proof = prover(seen.size, new.size)
    if not is_consistent(seen.size, seen.root, new.size, new.root, proof):
        raise RefusedError(
            f"FORK: the log of {new.size} blocks does not extend the one of {seen.size} blocks"
        )


def prover_of(store: Store) -> Prover:
    """Consistency proofs from a stored ledger; an empty proof where it has none."""

    def prove(first: int, second: int) -> Sequence[bytes]:
        hashes = store.hashes()[:second]
        return consistency_proof(hashes, first) if first <= len(hashes) else []

    return prove
