"""The store: SQLite, strict tables, one transaction per group of blocks with the run's state in it.

A block's records lie in one blob, 72 bytes each, so that a proof can slice them and hashing needs no decoding.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from market.errors import LedgerError
from market.ledger.merkle import History, peak_positions

FILE = "ledger.sqlite"
APPLICATION_ID = 0x67737431  # "gst1"

_SCHEMA = """
CREATE TABLE block(
  height INTEGER PRIMARY KEY, header BLOB NOT NULL, hash BLOB NOT NULL UNIQUE,
  signature BLOB NOT NULL, records BLOB NOT NULL) STRICT;
CREATE TABLE node(level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY(level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE run_state(height INTEGER PRIMARY KEY, blob BLOB NOT NULL) STRICT;
"""


class StoredBlock(NamedTuple):
    """A block as stored."""

    height: int
    header: bytes
    hash: bytes
    signature: bytes
    records: bytes


class Store:
    """An open store; the only thing that touches the database.

    Use `Store.create`, `Store.open_to_write` or `Store.open_to_read`, as a context manager.
    """

    def __init__(self, connection: sqlite3.Connection, lock: IO[str] | None) -> None:
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(cls, directory: Path) -> Store:
        """New, empty store in `directory`; this process is its only writer.

        Raises
        ------
        LedgerError
            If there is one already, or another process is writing one.
        """
        path = directory / FILE
        if path.exists():
            raise LedgerError(f"{path}: expected no ledger, found one; resume it or choose another directory")
        lock = _exclusive(path)
        connection = _connect(path, writing=True)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.executescript(_SCHEMA)
        return cls(connection, lock)

    @classmethod
    def open_to_write(cls, directory: Path) -> Store:
        """Existing store, this process its only writer.

        Raises
        ------
        LedgerError
            If there is none, it is no ledger, or another process is writing.
        """
        path = _existing(directory)
        lock = _exclusive(path)
        try:
            return cls(_checked(path, writing=True), lock)
        except LedgerError:
            lock.close()
            raise

    @classmethod
    def open_to_read(cls, directory: Path) -> Store:
        """Existing store, read only; works while a run writes.

        Raises
        ------
        LedgerError
            If there is none, or it is no ledger.
        """
        return cls(_checked(_existing(directory), writing=False), None)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and let other writers in."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def append(
        self, blocks: Sequence[StoredBlock], nodes: Sequence[tuple[int, int, bytes]], state: bytes | None
    ) -> None:
        """Make blocks, their tree nodes and the state behind them durable, all or none.

        Raises
        ------
        LedgerError
            If the disk is full or fails; nothing of the group is kept then.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO block VALUES(?,?,?,?,?)", blocks)
            self._connection.executemany("INSERT INTO node VALUES(?,?,?)", nodes)
            if state is not None:
                self._connection.execute("DELETE FROM run_state")
                self._connection.execute("INSERT INTO run_state VALUES(?,?)", (blocks[-1].height, state))
            self._connection.execute("COMMIT")
        except sqlite3.Error as reason:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise LedgerError(
                f"ledger: expected to write blocks {blocks[0].height} to {blocks[-1].height}, got {reason}; "
                "what was written before is safe: make room and go on with --resume"
            ) from reason

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a checkpoint's note."""
        self._connection.execute("INSERT OR REPLACE INTO checkpoint VALUES(?,?)", (size, note))

    def size(self) -> int:
        """Number of blocks."""
        return int(self._connection.execute("SELECT count(*) FROM block").fetchone()[0])

    def block(self, height: int) -> StoredBlock:
        """One block.

        Raises
        ------
        LedgerError
            If there is none at that height.
        """
        row = self._connection.execute("SELECT * FROM block WHERE height = ?", (height,)).fetchone()
        if row is None:
            raise LedgerError(f"ledger: expected a block at height {height}, found none (size {self.size()})")
        return StoredBlock(*row)

    def blocks(self, first: int = 0) -> Iterator[StoredBlock]:
        """Blocks from height `first` on, in order of height."""
        rows = self._connection.execute("SELECT * FROM block WHERE height >= ? ORDER BY height", (first,))
        for row in rows:
            yield StoredBlock(*row)

    def hashes(self) -> list[bytes]:
        """Header hashes of all blocks, in order."""
        return [row[0] for row in self._connection.execute("SELECT hash FROM block ORDER BY height")]

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Stored nodes of the history tree."""
        yield from self._connection.execute("SELECT level, idx, hash FROM node")

    def checkpoints(self) -> list[tuple[int, str]]:
        """All checkpoints as (size, note), smallest first."""
        return list(self._connection.execute("SELECT size, note FROM checkpoint ORDER BY size"))

    def history(self) -> History:
        """The history tree, ready to grow."""
        size = self.size()
        peaks = []
        for level, index in peak_positions(size):
            row = self._connection.execute(
                "SELECT hash FROM node WHERE level = ? AND idx = ?", (level, index)
            )
            found = row.fetchone()
            if found is None:
                raise LedgerError(
                    f"ledger: expected node {index} of level {level}, found none; run ledger verify"
                )
            peaks.append(found[0])
        return History(size, peaks)

    def state(self) -> tuple[int, bytes] | None:
        """Height and bytes of the state behind the last group, None if none was kept."""
        row = self._connection.execute("SELECT height, blob FROM run_state").fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))


def _existing(directory: Path) -> Path:
    path = directory / FILE
    if not path.is_file():
        raise LedgerError(f"{directory}: expected a run directory with {FILE}, found none")
    return path


def _checked(path: Path, *, writing: bool) -> sqlite3.Connection:
    try:
        connection = _connect(path, writing=writing)
        known = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    except sqlite3.Error as reason:
        raise LedgerError(
            f"{path}: expected a gridsettle ledger, got a file SQLite cannot read: {reason}"
        ) from reason
    if not known:
        connection.close()
        raise LedgerError(f"{path}: expected a gridsettle ledger, got another SQLite database")
    return connection


def _connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    mode = "rwc" if writing else "ro"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=1
    )
    if writing:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def _exclusive(path: Path) -> IO[str]:
    """Lock on a file beside the database, held for as long as the file is open; released even by a kill."""
    lock = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as reason:
        lock.close()
        raise LedgerError(
            f"{path}: expected to be the only writer, but another run is writing to it"
        ) from reason
    return lock
