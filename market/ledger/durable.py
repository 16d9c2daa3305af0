"""Write files that a crash cannot leave half written."""

from __future__ import annotations

import os
from pathlib import Path

from market.errors import LedgerError


def write_durably(path: Path, content: str) -> None:
    """Write a text file; after a crash it holds all of the old or all of the new content.

    Raises
    ------
    LedgerError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as reason:
        raise LedgerError(f"{path}: expected a file that can be written, got {reason.strerror}") from reason


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
