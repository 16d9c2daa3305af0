"""Hold a feeder's ledger against the tree of heads of its portfolio; nothing of the portfolio is trusted but a key.

The proof of one feeder says that its line stands in the signed tree. Only the file of all lines shows that no other
line bears the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.merkle import inclusion_proof, leaf_hash, root_from_inclusion_proof
from market.ledger.durable import name_file, read_text_bounded, shorten
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.heads import (
    HEADS_FILE,
    HEADS_KEY,
    HEADS_NOTE,
    LONGEST_HEADS,
    FeederHead,
    HeadProof,
    is_origin,
    make_checkpoint,
    parse_heads,
    parse_proof,
)
from market.ledger.format.note import ED25519, VerifierKey, open_note, read_note, read_verifier_key, split_note


class Heads(NamedTuple):
    """Tree of heads of a portfolio.

    Attributes
    ----------
    heads
        Of all feeders, sorted by name.
    checkpoint
        Signed note; nothing of it is verified.
    """

    heads: tuple[FeederHead, ...]
    checkpoint: str


def read_heads(directory: Path) -> Heads:
    """Read the tree of heads in the folder of a portfolio; nothing is verified but its form.

    Raises
    ------
    LedgerError
        If there is none, it is damaged, or a name stands twice.
    """
    path = directory / HEADS_FILE
    text = read_text_bounded(path, "the heads of a portfolio", LONGEST_HEADS)
    with name_file(path):
        heads = parse_heads(text)
    return Heads(tuple(heads), read_note(directory / HEADS_NOTE))


def read_own_key(directory: Path) -> VerifierKey:
    """Read the verifier key that lies in the folder of a portfolio; who wrote the folder wrote it too.

    Raises
    ------
    LedgerError
        If it is none.
    """
    return read_verifier_key(directory / HEADS_KEY)


def read_proof(path: Path) -> HeadProof:
    """Read the proof of a feeder's head from a file.

    Raises
    ------
    LedgerError
        If it is none.
    """
    text = read_text_bounded(path, "the folder of a portfolio, or the proof of a feeder")
    with name_file(path):
        return parse_proof(text)


def prove_head(found: Heads, feeder: str) -> HeadProof | None:
    """Proof of a feeder's line; None where the portfolio has no feeder of this name."""
    at = next((k for k, head in enumerate(found.heads) if head.feeder == feeder), None)
    if at is None:
        return None
    path = inclusion_proof([leaf_hash(head.leaf()) for head in found.heads], at)
    return HeadProof(found.heads[at], at, tuple(path), found.checkpoint)


def find_wrong_heads(found: Heads, key: bytes, origin: str | None = None) -> str:
    """Why the lines of a portfolio are not those that were signed; empty if they are.

    Parameters
    ----------
    found
        The lines and the note.
    key, origin
        Public key that must have signed, and the portfolio's origin if the caller pins that too.
    """
    checkpoint = _open(found.checkpoint, key, origin)
    if isinstance(checkpoint, str):
        return checkpoint
    made = make_checkpoint(checkpoint.origin, found.heads)
    if made.size != checkpoint.size:
        return f"the checkpoint is over {checkpoint.size:,} feeders, the file of heads has {made.size:,}"
    return "" if made.root == checkpoint.root else "the heads are not those that were signed"


def find_wrong_head(proof: HeadProof, ledger: FeederHead, key: bytes, origin: str | None = None) -> str:
    """Why a ledger is not the one that a portfolio says; empty if it is.

    Parameters
    ----------
    proof
        Of a line of the portfolio.
    ledger
        Name of the feeder, with head and number of blocks of its verified ledger.
    key, origin
        Public key that must have signed, and the portfolio's origin if the caller pins that too.
    """
    checkpoint = _open(proof.checkpoint, key, origin)
    if isinstance(checkpoint, str):
        return checkpoint
    leaf = leaf_hash(proof.head.leaf())
    if root_from_inclusion_proof(leaf, proof.place, checkpoint.size, proof.path) != checkpoint.root:
        return "the feeder's line is not in the tree that was signed"
    said, name = proof.head, shorten(ledger.feeder)
    if said.feeder != ledger.feeder:
        return f"the proof is of feeder {shorten(said.feeder)}, not of {name}"
    if said.head is None:
        return f"the portfolio says that feeder {name} failed, so that it has no ledger"
    if said.head != ledger.head or said.n_blocks != ledger.n_blocks:
        return (
            f"feeder {name} has head {said.head.hex()} after {said.n_blocks:,} blocks there, this ledger "
            f"{'none' if ledger.head is None else ledger.head.hex()} after {ledger.n_blocks:,}"
        )
    return ""


def find_unnamed_head(found: Heads, ledger: FeederHead) -> str:
    """Why a feeder has no line in a portfolio: its name is not there, and perhaps its head is under another."""
    others = [head.feeder for head in found.heads if head.head is not None and head.head == ledger.head]
    also = f"; its head stands there under {shorten(others[0])}" if others else ""
    return f"no feeder {shorten(ledger.feeder)} among {len(found.heads):,}{also}"


def _open(note: str, key: bytes, origin: str | None) -> Checkpoint | str:
    """The checkpoint of a note that the key has signed under its own origin, or why there is none."""
    try:
        named = parse_checkpoint(split_note(note)[0]).origin
        if not is_origin(named):
            return f"the checkpoint is of log {shorten(named)}, not of a portfolio"
        if origin not in (None, named):
            return f"the checkpoint is of {shorten(named)}, the pinned key of {shorten(str(origin))}"
        return parse_checkpoint(open_note(note, VerifierKey(named, ED25519, key)))
    except LedgerError as reason:
        return str(reason)
