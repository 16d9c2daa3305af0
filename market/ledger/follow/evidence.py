"""What a node keeps when a log contradicts itself: both signed notes, and where their histories part."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from market.errors import LedgerError
from market.ledger.durable import report_unwritable, write_durably
from market.ledger.follow.source import Note

FOLDER = "evidence"


class LyingError(LedgerError):
    """What a log shows contradicts what it has shown before, or does not verify; the message says how."""


def keep_evidence(
    directory: Path, kind: str, seen: str | None, shown: Note, found: dict[str, Any], records: bytes = b""
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
    digest = sha256((seen or "").encode() + shown.text.encode()).hexdigest()[:8]
    folder = directory / FOLDER / f"{kind}-{shown.checkpoint.size}-{digest}"
    with report_unwritable(folder, "folder"):
        folder.mkdir(parents=True, exist_ok=True)
    if seen is not None:
        write_durably(folder / "seen.checkpoint", seen)
    write_durably(folder / "shown.checkpoint", shown.text)
    if records:
        write_durably(folder / "records.bin", records)
    write_durably(folder / "found.json", json.dumps({"kind": kind, **found}, indent=1) + "\n")
    return folder
