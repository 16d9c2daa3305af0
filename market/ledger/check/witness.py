"""A witness: it cosigns a checkpoint only if the log extends the last one that it cosigned.

It keeps that last checkpoint in a file of its own, which is written before the cosignature is given away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.ledger.crypto.merkle import consistency_proof, is_consistent
from market.ledger.durable import read_text_bounded, write_durably
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.note import VerifierKey, add_cosignature, open_note
from market.ledger.store.store import Store

Prover = Callable[[int, int], Sequence[bytes]]
"""Function that returns the consistency proof between two sizes of the log."""


class RefusedError(LedgerError):
    """The witness does not cosign: the log was rolled back, or is another than the one it has seen."""


def cosign(
    note: str, log: VerifierKey, prover: Prover, seen_file: Path, name: str, key: Ed25519PrivateKey, time: int
) -> str:
    """Cosign a checkpoint; returns its note with the witness's cosignature added.

    Parameters
    ----------
    note
        Signed checkpoint.
    log
        The log's key, pinned.
    prover
        Asks the log for a consistency proof; its answer is not trusted.
    seen_file
        File in which the witness keeps the last checkpoint that it cosigned; created if it does not exist.
    name, key
        Name and key of the witness.
    time
        Time of the cosignature, seconds since 1970-01-01 UTC.

    Raises
    ------
    RefusedError
        If the log is shorter than the last checkpoint, or does not extend it.
    LedgerError
        If the note is not signed by the log.
    """
    checkpoint = parse_checkpoint(open_note(note, log))
    if checkpoint.origin != log.name:
        raise LedgerError(f"checkpoint: expected origin '{log.name}', got '{checkpoint.origin}'")
    if seen_file.exists():
        seen = read_text_bounded(seen_file, "the checkpoint that the witness has seen last")
        _check_extension(parse_checkpoint(seen), checkpoint, prover)
    write_durably(seen_file, checkpoint.text())
    return add_cosignature(note, name, key, time)


def _check_extension(seen: Checkpoint, new: Checkpoint, prover: Prover) -> None:
    if seen.origin != new.origin:
        raise LedgerError(f"witness: expected log '{seen.origin}', which it has seen before, got '{new.origin}'")
    if new.size < seen.size:
        raise RefusedError(f"ROLLBACK: the checkpoint knows {new.size} blocks, {seen.size} were there before")
    if seen.size == 0:
        return
    proof = prover(seen.size, new.size)
    if not is_consistent(seen.size, seen.root, new.size, new.root, proof):
        raise RefusedError(f"FORK: the log of {new.size} blocks does not extend the one of {seen.size} blocks")


def make_prover(store: Store) -> Prover:
    """Make a prover of a stored ledger; its proof is empty where there is none."""

    def prove(first: int, second: int) -> Sequence[bytes]:
        hashes = store.hashes()[:second]
        return consistency_proof(hashes, first) if first <= len(hashes) else []

    return prove
