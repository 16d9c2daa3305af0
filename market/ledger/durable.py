"""Write files that a crash cannot leave half written; read small ones that somebody else may have written."""

from __future__ import annotations

import os
import stat
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


def read_bounded(path: Path, what: str, most: int = 1 << 20) -> bytes:
    """Read a small regular file; a device or a pipe, which may never end, is refused before it is read.

    Parameters
    ----------
    path, what
        The file, and what it is called in messages, such as "a key file".
    most
        Its greatest size, bytes.

    Raises
    ------
    LedgerError
        If there is none, it cannot be read, it is no regular file, or it is larger.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LedgerError(f"{path}: expected {what}, got no regular file")
            content = file.read(most + 1)
    except OSError as reason:
        raise LedgerError(f"{path}: expected {what}, got {reason.strerror or reason}") from reason
    if len(content) > most:
        raise LedgerError(f"{path}: expected {what} of at most {most:,} bytes, got a larger file")
    return content


def read_text_bounded(path: Path, what: str, most: int = 1 << 20) -> str:
    """Read a small regular file of text in UTF-8; as `read_bounded`, also if it is no such text."""
    try:
        return read_bounded(path, what, most).decode("utf-8")
    except UnicodeDecodeError as reason:
        raise LedgerError(f"{path}: expected {what}, got bytes that are no text in UTF-8") from reason


@contextmanager
def name_file(path: Path) -> Iterator[None]:
    """Put the name of the file in front of the message of a LedgerError about its content."""
    try:
        yield
    except LedgerError as reason:
        raise LedgerError(f"{path}: {reason}") from reason


def shorten(content: str, most: int = 80) -> str:
    """What was found, for a message: at most `most` characters of it, in quotes."""
    return repr(content if len(content) <= most else f"{content[:most]}…")


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file at once, even a pipe that nobody writes to."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def write_durably(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8; after a crash it holds all of the old or all of the new content.

    Raises
    ------
    LedgerError
        If it cannot be written.
    """
    partial = free_partial_path(path)
    with report_unwritable(path):
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)


def free_partial_path(path: Path) -> Path:
    """Where a file is written until it is whole: a hidden file beside it, which is not there.

    What lies there is removed: what was left half written, or a link by which a stranger's folder leads out of it.

    Raises
    ------
    LedgerError
        If the path names a folder, such as `/` or `.`, and no file; or what is in the way cannot be removed.
    """
    if not path.name or path.is_dir():
        raise LedgerError(f"{path}: expected a file to write, got a folder; add a file name")
    partial = path.with_name(f".{path.name}.partial")
    with report_unwritable(path):
        partial.unlink(missing_ok=True)
    return partial


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
