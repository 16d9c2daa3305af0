"""Ledgers and folders of published tiles on this machine, read by the paths of a log as a server is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Protocol

from market.ledger.durable import read_bounded
from market.ledger.follow.remote import ServerError


class Body(Protocol):
    """What stands under a path, to be read piece by piece."""

    def read_exactly(self, n: int) -> bytes:
        """The next `n` bytes; raises a ServerError at the end."""


class Server(Protocol):
    """Something that answers the paths of a log."""

    @property
    def url(self) -> str:
        """What it is called in messages."""

    def read(self, path: str, most: int) -> bytes | None:
        """What stands under a path, at most `most` bytes; None if there is nothing."""

    def open(self, path: str, most: int, skip: int = 0) -> AbstractContextManager[Body | None]:
        """The same from byte `skip` on, piece by piece."""

    def close(self) -> None:
        """Let go of connections."""


class Bytes:
    """A body that is at hand."""

    def __init__(self, content: bytes) -> None:
        self._content = BytesIO(content)

    def read_exactly(self, n: int) -> bytes:
        """The next `n` bytes; raises a ServerError if there are fewer."""
        found = self._content.read(n)
        if len(found) < n:
            raise ServerError(f"expected {n - len(found):,} bytes more, got the end")
        return found


class Local:
    """Answers the paths of a log by a function.

    Parameters
    ----------
    url
        What it is called in messages.
    find
        Returns what stands under a path, None if there is nothing.
    """

    def __init__(self, url: str, find: Callable[[str], bytes | None]) -> None:
        self.url, self._find = url, find

    def read(self, path: str, most: int) -> bytes | None:
        """What stands under a path.

        Raises
        ------
        ServerError
            If it has more than `most` bytes.
        """
        content = self._find(path)
        if content is not None and len(content) > most:
            raise ServerError(f"{self.url}/{path}: expected at most {most:,} bytes, got more")
        return content

    @contextmanager
    def open(self, path: str, most: int, skip: int = 0) -> Iterator[Body | None]:
        """What stands under a path, from byte `skip` on."""
        content = self._find(path)
        yield None if content is None else Bytes(content[skip:])

    def close(self) -> None:
        """Nothing: there is no connection."""


def find_in_folder(folder: Path, most: int = 1 << 30) -> Callable[[str], bytes | None]:
    """Function that reads the files of a folder of published tiles.

    The paths that it is asked for are made here, never by a stranger.
    """

    def find(path: str) -> bytes | None:
        """Content of a file, None if there is none."""
        if not (folder / path).exists():
            return None
        return read_bounded(folder / path, "a published file", most)

    return find
