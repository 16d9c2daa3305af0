"""One signed checkpoint over the heads of all feeders of a portfolio.

Without a key of its own a portfolio signs with a demonstration key, which everybody can derive: it makes equal
portfolios equal to the byte, and says nothing about who signed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.portfolio.row import RUN
from market.ledger.crypto.keys import public_bytes
from market.ledger.durable import write_durably
from market.ledger.format.checkpoint import Checkpoint
from market.ledger.format.heads import (
    HEADS_FILE,
    HEADS_KEY,
    HEADS_NOTE,
    FeederHead,
    format_heads,
    make_checkpoint,
    make_origin,
    parse_heads,
)
from market.ledger.format.note import ED25519, VerifierKey, sign_note


def make_demonstration_portfolio_key() -> Ed25519PrivateKey:
    """Key of a portfolio that is given none; anybody can derive it, as they can that of a run."""
    return Ed25519PrivateKey.from_private_bytes(sha256(b"gridsettle demonstration portfolio key\0").digest())


def list_heads(rows: Iterable[Mapping[Any, Any]]) -> list[FeederHead]:
    """Heads of feeders by the rows of a portfolio; a feeder that failed has none."""
    return [
        FeederHead(row["feeder"], bytes.fromhex(row["head"]), row["height"] + 1)
        if row["status"] == RUN
        else FeederHead(row["feeder"], None, 0)
        for row in rows
    ]


class SignedHeads(NamedTuple):
    """Heads of a portfolio as files: lines, the signed checkpoint over them, who signed it; and the checkpoint."""

    lines: str
    note: str
    verifier_key: VerifierKey
    checkpoint: Checkpoint


def sign_heads(heads: Iterable[FeederHead], digest: bytes, key: Ed25519PrivateKey | None = None) -> SignedHeads:
    """Sign the heads of all feeders.

    Parameters
    ----------
    heads
        Of all feeders, failed ones included, in any order.
    digest
        What identifies the portfolio, 32 bytes: digest of what it was asked to run.
    key
        Key that signs. Default: the demonstration key.

    Raises
    ------
    market.errors.LedgerError
        If a name stands twice or cannot be one, or there is no feeder.
    """
    lines = format_heads(list(heads))
    signer, origin = key or make_demonstration_portfolio_key(), make_origin(digest)
    checkpoint = make_checkpoint(origin, parse_heads(lines))
    note = sign_note(checkpoint.text(), origin, signer)
    return SignedHeads(lines, note, VerifierKey(origin, ED25519, public_bytes(signer)), checkpoint)


def write_heads(directory: Path, signed: SignedHeads) -> None:
    """Write the signed heads into the folder of a portfolio, the checkpoint last.

    Raises
    ------
    market.errors.LedgerError
        If a file cannot be written.
    """
    write_durably(directory / HEADS_FILE, signed.lines)
    write_durably(directory / HEADS_KEY, signed.verifier_key.text() + "\n")
    write_durably(directory / HEADS_NOTE, signed.note)


def show_root(checkpoint: Checkpoint) -> str:
    """Root of a tree of heads as its note spells it."""
    return base64.b64encode(checkpoint.root).decode()
