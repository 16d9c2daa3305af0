"""Checkpoints, or signed tree heads: size and root of the history tree at some time (C2SP tlog-checkpoint).

A ledger that was cut short is still valid in itself; only a checkpoint kept elsewhere shows the rollback.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.durable import shorten


class Checkpoint(NamedTuple):
    """Size and root of the history tree of the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The signed part of the note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def log_origin(chain_id: bytes) -> str:
    """Log origin of a chain: the name of the log in its checkpoints."""
    return f"gridsettle/{chain_id.hex()[:32]}"


def checkpoint_path(directory: Path) -> Path:
    """Path of a run's checkpoint: outside its directory, so that restoring an old directory does not restore it.

    Raises
    ------
    LedgerError
        If there is no place beside it: it is the root, or a link that leads to itself.
    """
    try:
        resolved = directory.resolve()
    except (OSError, RuntimeError) as reason:
        raise LedgerError(f"{directory}: expected a run directory, got: {reason}") from reason
    if not resolved.name:
        raise LedgerError(f"{directory}: expected a run directory, got the root; choose another")
    return resolved.with_name(resolved.name + ".checkpoint")


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse a note's text; lines after the third are extensions and ignored.

    Raises
    ------
    LedgerError
        If it is not origin, size and base64 root on three lines.
    """
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError) as reason:
        raise LedgerError(f"checkpoint: expected origin, size and root on three lines, got {shorten(text)}") from reason
    if not origin or not 0 <= size < 2**63 or str(size) != lines[1] or len(root) != 32 or lines[-1] or "" in lines[:-1]:
        raise LedgerError(
            f"checkpoint: expected an origin, a size without leading zeros and a root of 32 bytes, got {shorten(text)}"
        )
    return Checkpoint(origin, size, root)
