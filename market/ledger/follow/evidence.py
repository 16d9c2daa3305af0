"""What a node keeps when a log contradicts itself: both signed notes, and where their histories part."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from market.errors import LedgerError
from market.ledger.durable import report_unwritable, write_durably
from market.ledger.follow.partings import Parting, show_block
from market.ledger.follow.source import Note
from market.ledger.store.store import StoredBlock

FOLDER = "evidence"


class LyingError(LedgerError):
    """What a log shows contradicts what it has shown before, or does not verify; the message says how."""


def prove_rollback(directory: Path, seen: Note, shown: Note) -> LyingError:
    """Keep both notes of a rollback; returns what to say."""
    sizes = {"seen_blocks": seen.checkpoint.size, "shown_blocks": shown.checkpoint.size}
    folder = keep_evidence(directory, "rollback", seen, shown, sizes)
    return LyingError(
        f"ROLLBACK: the log shows {shown.checkpoint.size} blocks, it has shown {seen.checkpoint.size} before; both "
        f"signed notes are in {folder}"
    )


def prove_fork(directory: Path, seen: Note | None, shown: Note, parting: Parting | None) -> LyingError:
    """Keep what the operator has signed of two histories; returns what to say."""
    folder = keep_evidence(directory, "fork", seen, shown, {} if parting is None else parting.show())
    where = " are two" if parting is None else f" part at block {parting.height}"
    return LyingError(
        f"FORK: the log of {shown.checkpoint.size} blocks and the one that it has shown before{where}; "
        f"what the operator has signed of both is in {folder}"
    )


def prove_broken(directory: Path, seen: Note | None, shown: Note, block: StoredBlock, reason: str) -> LyingError:
    """Keep a block that the operator has signed and that does not verify; returns what to say."""
    found = {"block": block.height, "reason": reason, **show_block(block)}
    folder = keep_evidence(directory, "broken", seen, shown, found, block.records)
    return LyingError(
        f"BROKEN at block {block.height}: {reason}; the block and the checkpoint, as signed, are in {folder}"
    )


def keep_evidence(
    directory: Path, kind: str, seen: Note | None, shown: Note, found: dict[str, Any], records: bytes = b""
) -> Path:
    """Write what a log has shown into a folder of its own; the same once again changes nothing.

    Parameters
    ----------
    directory
        The node's directory.
    kind
        Such as `fork` or `rollback`.
    seen, shown
        Note that the node has accepted before, None for none, and the note that contradicts it.
    found
        Where and how, as JSON can hold it.
    records
        Records of the block that is wrong, if it is one.

    Returns
    -------
    Path
        The folder.
    """
    digest = sha256(("" if seen is None else seen.text).encode() + shown.text.encode()).hexdigest()[:8]
    folder = directory / FOLDER / f"{kind}-{shown.checkpoint.size}-{digest}"
    with report_unwritable(folder, "folder"):
        folder.mkdir(parents=True, exist_ok=True)
    if seen is not None:
        write_durably(folder / "seen.checkpoint", seen.text)
    write_durably(folder / "shown.checkpoint", shown.text)
    if records:
        write_durably(folder / "records.bin", records)
    write_durably(folder / "found.json", json.dumps({"kind": kind, **found}, indent=1) + "\n")
    return folder
