"""What `gridsettle ledger verify --portfolio` finds: whether a ledger is the one that a portfolio says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.check import heads as trees
from market.ledger.durable import shorten
from market.ledger.format import checkpoint as checkpoints
from market.ledger.format import note as notes
from market.ledger.format.heads import FeederHead, HeadProof


class InPortfolio(NamedTuple):
    """What was found.

    Attributes
    ----------
    feeder
        Name under which the ledger was looked for.
    reason
        Why it is not the feeder's; empty if it is.
    origin
        Origin of the portfolio; empty where nothing is proven.
    place, n_feeders
        Number of the feeder's leaf, from 0, and of all leaves.
    pinned
        Whether the caller gave the portfolio's key.
    """

    feeder: str
    reason: str
    origin: str = ""
    place: int = -1
    n_feeders: int = 0
    pinned: bool = False


def check_in_portfolio(portfolio: Path, key: Path | None, ledger: FeederHead) -> InPortfolio:
    """Hold a verified ledger against a portfolio.

    Parameters
    ----------
    portfolio
        Folder of the portfolio, all of whose heads are verified, or the proof of one feeder.
    key
        File of the portfolio's public key. Default: the one in the folder; a proof has none.
    ledger
        Name of the feeder, head and number of blocks of its ledger.

    Raises
    ------
    market.errors.LedgerError
        If a file is none, or a proof is given without a key.
    """
    if not portfolio.is_dir():
        if key is None:
            raise LedgerError(
                f"{portfolio}: expected a key for the proof of a feeder, got none; pin the portfolio's with "
                "--portfolio-key"
            )
        proof = trees.read_proof(portfolio)
        return _check(proof, ledger, *notes.read_pinned_key(key), pinned=True)
    found = trees.read_heads(portfolio)
    public, origin = _read_key(portfolio, key)
    if wrong := trees.find_wrong_heads(found, public, origin):
        return InPortfolio(ledger.feeder, wrong)
    own = trees.prove_head(found, ledger.feeder)
    if own is None:
        return InPortfolio(ledger.feeder, trees.find_unnamed_head(found, ledger))
    return _check(own, ledger, public, origin, pinned=key is not None)


def _read_key(portfolio: Path, key: Path | None) -> tuple[bytes, str | None]:
    if key is not None:
        return notes.read_pinned_key(key)
    own = trees.read_own_key(portfolio)
    return own.public_key, own.name


def _check(proof: HeadProof, ledger: FeederHead, public: bytes, origin: str | None, *, pinned: bool) -> InPortfolio:
    if wrong := trees.find_wrong_head(proof, ledger, public, origin):
        return InPortfolio(ledger.feeder, wrong)
    signed = checkpoints.parse_checkpoint(notes.split_note(proof.checkpoint)[0])
    return InPortfolio(ledger.feeder, "", signed.origin, proof.place, signed.size, pinned)


def describe_in_portfolio(found: InPortfolio) -> list[str]:
    """What was found, in sentences."""
    if found.reason:
        return [f"NOT IN THE PORTFOLIO: {found.reason}"]
    where = f"number {found.place + 1:,} of {found.n_feeders:,} in {found.origin}"
    said = [f"portfolio: this is the head of feeder {shorten(found.feeder)}, {where}"]
    if not found.pinned:
        said.append("The portfolio's key was taken from its folder; pin one with --portfolio-key to know who signed.")
    return said
