"""A member's store: its private records with their salts, encrypted to the member and to the readers that it grants.

The records of some intervals, a *chunk*, are encrypted under a fresh key, and that key is sealed to every reader. So
writing needs public keys only. A reader that is granted later gets the keys of older chunks from the member.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from market.errors import LedgerError
from market.ledger.crypto.keys import public_bytes
from market.ledger.crypto.sealed import seal, unseal
from market.ledger.database import Schema, create, open_to_read, open_to_write
from market.ledger.format.records import SIZE

FOLDER = "vaults"
_ENTRY = np.dtype([("interval", "<u4"), ("seq", "<u4"), ("record", f"V{SIZE}"), ("salt", "V32")])
_INTERVALS = 1 << 32
LAST_INTERVAL = _INTERVALS - 1
"""No ledger reaches it; the private records of the first block lie under it."""
_NONCE = bytes(12)  # every chunk has a key of its own
SCHEMA = Schema(
    "a member's store of private records",
    """
CREATE TABLE chunk(first INTEGER PRIMARY KEY, stop INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE box(
  first INTEGER, reader BLOB, box BLOB NOT NULL, PRIMARY KEY(first, reader)) STRICT, WITHOUT ROWID;
""",
    0,
    1 << 28,
)


class Entry(NamedTuple):
    """A private record in clear, with the salt of its commitment and its place on the ledger."""

    interval: int
    seq: int
    record: bytes
    salt: bytes


_EMPTY = Entry(0, 0, bytes(SIZE), bytes(32))
"""Fills up a chunk."""


def vault_path(directory: Path, member: int) -> Path:
    """Default path of a member's store, for the ledger in `directory`."""
    return directory / FOLDER / f"{'operator' if member < 0 else member}.sqlite"


class Vault:
    """An open member store; a context manager.

    Parameters
    ----------
    path
        Its file; if it does not exist it is created, readable by its owner only.
    to_read
        Open it to read only: then nothing is created, and nothing of a stranger's file is changed.

    Raises
    ------
    LedgerError
        If it is no member store, or cannot be used.
    """

    def __init__(self, path: Path, *, to_read: bool = False) -> None:
        self.path = path
        if to_read:
            self._database = open_to_read(path, SCHEMA)
            return
        with self._report_errors():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
            new = path.is_file() and path.stat().st_size == 0
            self._database = create(path, SCHEMA) if new else open_to_write(path, SCHEMA)

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    @contextmanager
    def _report_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as reason:
            raise LedgerError(f"{self.path}: expected a member store that can be used, got: {reason}") from reason

    def write(
        self, first: int, stop: int, entries: Sequence[Entry], readers: Sequence[bytes], n_entries: int = 0
    ) -> None:
        """Write the entries of intervals first … stop - 1 for some readers; they are durable when it returns.

        Entries of `first` and later that the store already has are replaced: they come from an interrupted run. Those
        of the first block lie under `LAST_INTERVAL` and stay.

        Parameters
        ----------
        first, stop
            Intervals.
        entries
            Records and salts.
        readers
            Public keys of the member and of its readers, 32 bytes each.
        n_entries
            Fill up with empty entries to this number, so that the size does not tell how many there are.
        """
        key = ChaCha20Poly1305.generate_key()
        filled = [*map(tuple, entries), *[tuple(_EMPTY)] * (n_entries - len(entries))]
        content = np.array(filled, _ENTRY).tobytes()
        body = ChaCha20Poly1305(key).encrypt(_NONCE, content, _associated_data(first, stop))
        with self._report_errors(), self._database.transaction():
            connection = self._database.connection
            later = (first, LAST_INTERVAL if first < LAST_INTERVAL else _INTERVALS)
            connection.execute("DELETE FROM chunk WHERE first >= ? AND first < ?", later)
            connection.execute("DELETE FROM box WHERE first >= ? AND first < ?", later)
            connection.execute("INSERT INTO chunk VALUES(?,?,?)", (first, stop, body))
            connection.executemany(
                "INSERT OR REPLACE INTO box VALUES(?,?,?)",
                [(first, reader, seal(key, reader)) for reader in readers],
            )

    def read(self, key: Ed25519PrivateKey, first: int = 0, stop: int = _INTERVALS) -> list[Entry]:
        """Decrypt the entries of intervals first … stop - 1 of all chunks that are sealed to this key, in order.

        Raises
        ------
        LedgerError
            If no chunk is, or one has been changed.
        """
        chunk_keys = self._chunk_keys(key)
        if not chunk_keys:
            raise LedgerError(
                f"{self.path}: expected records sealed to this key, found none; ask its owner for a grant"
            )
        chunks = self._database.stream("SELECT first, stop, body FROM chunk ORDER BY first")
        return [
            entry
            for begin, end, body in chunks
            if begin in chunk_keys and not _lies_outside(begin, end, first, stop)
            for entry in self._decrypt(chunk_keys[begin], begin, end, body)
            if first <= entry.interval < stop and entry != _EMPTY
        ]

    def _decrypt(self, key: bytes, first: int, stop: Any, body: Any) -> list[Entry]:
        """Entries of a chunk; a damaged file may hold anything in place of its end and its body."""
        if not isinstance(stop, int) or not isinstance(body, bytes) or not 0 <= first < stop <= _INTERVALS:
            raise self._database.damaged(f"a chunk of intervals {first} to {stop}")
        try:
            content = ChaCha20Poly1305(key).decrypt(_NONCE, body, _associated_data(first, stop))
        except InvalidTag as reason:
            raise LedgerError(
                f"{self.path}: the records of intervals {first} to {stop - 1} have been changed"
            ) from reason
        if len(content) % _ENTRY.itemsize:
            raise self._database.damaged(f"a chunk of {len(content)} bytes")
        return [Entry(*row) for row in np.frombuffer(content, _ENTRY).tolist()]

    def share(self, key: Ed25519PrivateKey, reader: bytes) -> int:
        """Let another reader open all that `key` can open; returns the number of chunks.

        Parameters
        ----------
        key
            The member's own key.
        reader
            Public key of the reader: that of a granted member, or the next one of the member itself.
        """
        boxes = [(first, reader, seal(opened, reader)) for first, opened in self._chunk_keys(key).items()]
        with self._report_errors(), self._database.transaction():
            self._database.connection.executemany("INSERT OR REPLACE INTO box VALUES(?,?,?)", boxes)
        return len(boxes)

    def withdraw(self, reader: bytes) -> None:
        """Remove the keys that are sealed to a reader; it may still know what it has read before."""
        with self._report_errors(), self._database.transaction():
            self._database.connection.execute("DELETE FROM box WHERE reader = ?", (reader,))

    def _chunk_keys(self, key: Ed25519PrivateKey) -> dict[int, bytes]:
        query = "SELECT first, box FROM box WHERE reader = ?"
        boxes = self._database.rows(query, (public_bytes(key),))
        return {first: unseal(box if isinstance(box, bytes) else b"", key) for first, box in boxes}


def _lies_outside(begin: int, end: Any, first: int, stop: int) -> bool:
    """Whether a sound chunk holds no interval of first … stop - 1; of a damaged one nobody knows."""
    return isinstance(end, int) and begin < end and (begin >= stop or end <= first)


def _associated_data(first: int, stop: int) -> bytes:
    return b"gridsettle vault v1\0" + first.to_bytes(8, "little") + stop.to_bytes(8, "little")
