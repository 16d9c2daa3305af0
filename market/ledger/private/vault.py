"""A member's own store: its private records with their salts, sealed to the member and to the readers it granted.

Records are encrypted a chunk at a time under a fresh key; that key is sealed to every reader. Whoever writes needs
public keys alone; whoever is granted later gets the keys of the older chunks from the member.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.sealed import seal, unseal
from market.ledger.format.records import SIZE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = "vaults"
_ENTRY = 4 + 4 + SIZE + 32
_NONCE = bytes(12)  # every chunk has a key of its own
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunk(first INTEGER PRIMARY KEY, stop INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS box(
  first INTEGER, reader BLOB, box BLOB NOT NULL, PRIMARY KEY(first, reader)) STRICT, WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """A private record in clear, with the salt of its commitment and its place on the ledger."""

    interval: int
    seq: int
    record: bytes
    salt: bytes


def vault_path(directory: Path, member: int) -> Path:
    """Where the store of a member of the ledger in `directory` lies by default."""
    return directory / FOLDER / f"{'operator' if member < 0 else member}.sqlite"


class Vault:
    """An open member store; a context manager.

    Parameters
    ----------
    path
        Its file; made, for its owner's eyes only, if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._usable():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None)
            try:
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.executescript(_SCHEMA)
            except sqlite3.Error:
                self._connection.close()
                raise

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as reason:
            raise LedgerError(
                f"{self.path}: expected a member store that can be used, got: {reason}"
            ) from reason

    def write(self, first: int, stop: int, entries: Sequence[Entry], readers: Sequence[bytes]) -> None:
        """Keep the entries of intervals first … stop - 1 for some readers, durable when it returns.

        What the store knew of `first` and later is replaced: it came from a run that was interrupted.

        Parameters
        ----------
        first, stop
            Intervals.
        entries
            Records and salts.
        readers
            Public keys of the member and of its readers.
        """
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        key = ChaCha20Poly1305.generate_key()
        content = b"".join(
            entry.interval.to_bytes(4, "little") + entry.seq.to_bytes(4, "little") + entry.record + entry.salt
            for entry in entries
        )
        body = ChaCha20Poly1305(key).encrypt(_NONCE, content, _place(first, stop))
        with self._usable():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM chunk WHERE first >= ?", (first,))
            self._connection.execute("DELETE FROM box WHERE first >= ?", (first,))
            self._connection.execute("INSERT INTO chunk VALUES(?,?,?)", (first, stop, body))
            self._connection.executemany(
                "INSERT OR REPLACE INTO box VALUES(?,?,?)",
                [(first, reader, seal(key, reader)) for reader in readers],
            )
            self._connection.execute("COMMIT")

    def read(self, key: Ed25519PrivateKey) -> list[Entry]:
        """Entries of all chunks that are sealed to this key, in order.

        Raises
        ------
        LedgerError
            If none is, or a chunk has been changed.
        """
        chunk_keys = self._chunk_keys(key)
        if not chunk_keys:
            raise LedgerError(
                f"{self.path}: expected records sealed to this key, found none; ask its owner for a grant"
            )
        with self._usable():
            chunks = list(self._connection.execute("SELECT first, stop, body FROM chunk ORDER BY first"))
        return [
            entry
            for first, stop, body in chunks
            if first in chunk_keys
            for entry in self._entries(chunk_keys[first], first, stop, body)
        ]

    def _entries(self, key: bytes, first: int, stop: int, body: bytes) -> Iterator[Entry]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        try:
            content = ChaCha20Poly1305(key).decrypt(_NONCE, body, _place(first, stop))
        except InvalidTag as reason:
            raise LedgerError(
                f"{self.path}: the records of intervals {first} to {stop - 1} have been changed"
            ) from reason
        for at in range(0, len(content), _ENTRY):
            interval, seq = (int.from_bytes(content[at + k : at + k + 4], "little") for k in (0, 4))
            record = content[at + 8 : at + 8 + SIZE]
            yield Entry(interval, seq, record, content[at + 8 + SIZE : at + _ENTRY])

    def share(self, key: Ed25519PrivateKey, reader: bytes) -> int:
        """Seal what `key` can open to another reader too; returns the number of chunks.

        Parameters
        ----------
        key
            The member's own key.
        reader
            Public key of the reader: a granted member's, or the member's next own one.
        """
        boxes = [(first, reader, seal(opened, reader)) for first, opened in self._chunk_keys(key).items()]
        with self._usable():
            self._connection.executemany("INSERT OR REPLACE INTO box VALUES(?,?,?)", boxes)
        return len(boxes)

    def withdraw(self, reader: bytes) -> None:
        """Remove a reader's boxes. What it has read it knows; from here on nothing is sealed to it."""
        with self._usable():
            self._connection.execute("DELETE FROM box WHERE reader = ?", (reader,))

    def _chunk_keys(self, key: Ed25519PrivateKey) -> dict[int, bytes]:
        reader = key.public_key().public_bytes_raw()
        with self._usable():
            boxes = list(self._connection.execute("SELECT first, box FROM box WHERE reader = ?", (reader,)))
        return {first: unseal(box, key) for first, box in boxes}


def _place(first: int, stop: int) -> bytes:
    return b"gridsettle vault v1\0" + first.to_bytes(8, "little") + stop.to_bytes(8, "little")
