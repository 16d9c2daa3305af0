"""Write files that a crash cannot leave half written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from market.errors import LedgerError


@contextmanager
def report_unwritable(path: Path, what: str = "file") -> Iterator[None]:
    """Raise a LedgerError that names the path in place of an OSError; `what` is "file" or "folder"."""
    try:
        yield
    except OSError as reason:
        raise LedgerError(f"{path}: expected a {what} that can be written, got {reason.strerror or reason}") from reason


def write_durably(path: Path, content: str) -> None:
    """Write a text file; after a crash it holds all of the old or all of the new content.

    Raises
    ------
    LedgerError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    with report_unwritable(path):
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
