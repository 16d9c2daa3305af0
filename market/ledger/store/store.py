"""The store: an SQLite file; each transaction writes a group of blocks and the run's state after them, all or none.

A block's records are one blob, 72 bytes each, so that a proof can slice them and hashing needs no decoding.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.merkle import History, peak_positions
from market.ledger.durable import sync_folder

FILE = "ledger.sqlite"
APPLICATION_ID = 0x67737431  # "gst1"
PAGE_SIZE = 16384
"""Page size of a new file, bytes: a block of 25 houses takes 4 kB, which smaller pages would split."""

_SCHEMA = """
CREATE TABLE block(
  height INTEGER PRIMARY KEY, header BLOB NOT NULL, hash BLOB NOT NULL UNIQUE,
  signature BLOB NOT NULL, records BLOB NOT NULL) STRICT;
CREATE TABLE node(level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY(level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE run_state(height INTEGER PRIMARY KEY, blob BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
"""


class DamagedError(LedgerError):
    """The database file cannot be read."""


class StoredBlock(NamedTuple):
    """A block as stored: its header, hash and records as bytes, signed by the operator."""

    height: int
    header: bytes
    hash: bytes
    signature: bytes
    records: bytes


class StoredState(NamedTuple):
    """The run's state after the block at `height`, signed by the operator."""

    height: int
    blob: bytes
    signature: bytes


class Store:
    """An open store, a context manager; no other class reads or writes the database.

    Made by `Store.create`, `Store.open_to_write` or `Store.open_to_read`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: sqlite3.Connection | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(cls, directory: Path, first: StoredBlock, state: StoredState) -> Store:
        """Create a store that holds the genesis block; this process is its only writer.

        The file gets its name once the block is durable, so that no ledger without a block is ever found.

        Raises
        ------
        LedgerError
            If there is one already, another process is writing one, or the disk is full or fails.
        """
        path = directory / FILE
        if path.exists():
            raise LedgerError(f"{path}: expected no ledger, found one; resume it or choose another directory")
        lock = _lock_for_writing(path)
        partial = path.with_name(f".{FILE}.partial")
        try:
            for left in directory.glob(f"{partial.name}*"):
                left.unlink()  # of a run that was killed before its ledger had a name
            with closing(_connect(partial, "rwc")) as connection:
                connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.executescript(_SCHEMA)
                cls(path, connection, None).append([first], [(0, 0, first.hash)], state)
                # Before the file has its name: a reader could not undo this step if the writer is killed in it.
                connection.execute("PRAGMA journal_mode = WAL")
            os.replace(partial, path)
            sync_folder(directory)
            return cls(path, _connect(path, "rw"), lock)
        except (sqlite3.Error, OSError, LedgerError) as reason:
            lock.close()
            raise LedgerError(f"{path}: expected to write a new ledger, got: {reason}") from reason

    @classmethod
    def open_to_write(cls, directory: Path) -> Store:
        """Open a store to write; this process is its only writer.

        Raises
        ------
        LedgerError
            If there is none, it is no ledger, or another process writes to it.
        """
        path = _find_file(directory)
        lock = _lock_for_writing(path)
        try:
            with _report_damage(path):
                return cls(path, _connect(path, "rw"), lock)
        except LedgerError:
            lock.close()
            raise

    @classmethod
    def open_to_read(cls, directory: Path) -> Store:
        """Open a store to read; works while a run writes to it.

        Raises
        ------
        LedgerError
            If there is none, or it is no ledger.
        """
        path = _find_file(directory)
        with _report_damage(path):
            return cls(path, _connect(path, "ro"), None)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and release the lock."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def append(
        self,
        blocks: Sequence[StoredBlock],
        nodes: Iterable[tuple[int, int, bytes]],
        state: StoredState | None,
    ) -> None:
        """Write blocks, the nodes of the history tree that they complete, and the state after them, all or none.

        Raises
        ------
        LedgerError
            If the disk is full or fails; then nothing of the group is kept.
        """
        with self._transaction(f"blocks {blocks[0].height} to {blocks[-1].height}"):
            self._connection.executemany("INSERT INTO block VALUES(?,?,?,?,?)", blocks)
            self._connection.executemany("INSERT INTO node VALUES(?,?,?)", nodes)
            if state is not None:
                self._connection.execute("DELETE FROM run_state")
                self._connection.execute("INSERT INTO run_state VALUES(?,?,?)", state)

    def add_checkpoint(self, size: int, note: str) -> None:
        """Store the signed note of a checkpoint.

        Raises
        ------
        LedgerError
            If the disk is full or fails.
        """
        with self._transaction(f"the checkpoint of {size} blocks"):
            self._connection.execute("INSERT OR REPLACE INTO checkpoint VALUES(?,?)", (size, note))

    @contextmanager
    def _transaction(self, what: str) -> Iterator[None]:
        """One transaction; if it fails the store is closed, since it is then uncertain what the disk holds."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as reason:
            self.close()
            raise LedgerError(
                f"{self.path}: expected to write {what}, got: {reason}; "
                "what was written before is safe: make room or mend the disk, then go on with --resume"
            ) from reason

    def size(self) -> int:
        """Number of blocks."""
        return int(self._rows("SELECT count(*) FROM block")[0][0])

    def block(self, height: int) -> StoredBlock:
        """The block at a height.

        Raises
        ------
        LedgerError
            If there is none.
        """
        rows = self._rows("SELECT * FROM block WHERE height = ?", (height,))
        if not rows:
            raise LedgerError(f"{self.path}: expected a block at height {height}, found none (size {self.size()})")
        return StoredBlock(*rows[0])

    def groups(self, n: int = 512) -> Iterator[list[StoredBlock]]:
        """All blocks in order of height, `n` at a time.

        Raises
        ------
        DamagedError
            If the database cannot be read.
        """
        with _report_damage(self.path):
            cursor = self._connection.execute("SELECT * FROM block ORDER BY height")
            while rows := cursor.fetchmany(n):
                yield [StoredBlock(*row) for row in rows]

    def headers(self) -> list[bytes]:
        """Headers of all blocks, in order."""
        return [row[0] for row in self._rows("SELECT header FROM block ORDER BY height")]

    def hashes(self) -> list[bytes]:
        """Hashes of all blocks, in order: the leaf hashes of the history tree."""
        return [row[0] for row in self._rows("SELECT hash FROM block ORDER BY height")]

    def nodes(self) -> list[tuple[int, int, bytes]]:
        """Stored nodes of the history tree, each (level, index, hash)."""
        return self._rows("SELECT level, idx, hash FROM node")

    def checkpoints(self) -> list[tuple[int, str]]:
        """All checkpoints as (size, note), smallest first."""
        return self._rows("SELECT size, note FROM checkpoint ORDER BY size")

    def history(self) -> History:
        """The history tree, to append to.

        Raises
        ------
        LedgerError
            If a node is missing.
        """
        size = self.size()
        peaks = []
        for level, index in peak_positions(size):
            found = self._rows("SELECT hash FROM node WHERE level = ? AND idx = ?", (level, index))
            if not found:
                raise LedgerError(
                    f"{self.path}: expected node {index} of level {level}, found none; run gridsettle ledger verify"
                )
            peaks.append(found[0][0])
        return History(size, peaks)

    def states(self) -> list[StoredState]:
        """Stored states of the run; a valid ledger has at most one."""
        return [StoredState(*row) for row in self._rows("SELECT height, blob, signature FROM run_state")]

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        with _report_damage(self.path):
            return list(self._connection.execute(query, values))


def _find_file(directory: Path) -> Path:
    path = directory / FILE
    if not path.is_file():
        raise LedgerError(f"{directory}: expected a run directory with {FILE}, found none")
    return path


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Connect in mode `rwc` (a new file), `rw` (the writer) or `ro` (a reader)."""
    log = path.with_name(path.name + "-wal")
    if mode == "ro" and not os.access(path.parent, os.W_OK) and not log.exists():
        mode = "ro&immutable=1"  # nobody can write there, and SQLite could not create its shared memory file
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=1)
    try:
        # A damaged file may hold text that is not UTF-8; it must still be read.
        connection.text_factory = lambda content: content.decode("utf-8", "replace")
        connection.execute("PRAGMA synchronous = FULL")
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _report_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OverflowError) as reason:
        raise DamagedError(
            f"{path}: expected a gridsettle ledger, got a file that cannot be read: {reason}"
        ) from reason


def _lock_for_writing(path: Path) -> sqlite3.Connection:
    """Lock a file beside the database until it is closed; if the process is killed it is free. Readers ignore it."""
    lock = sqlite3.connect(path.with_suffix(".lock"), isolation_level=None, timeout=0)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as reason:
        lock.close()
        raise LedgerError(
            f"{path}: expected to be the only writer, but another run is writing to it; wait until it ends"
        ) from reason
    return lock
