"""The store: an SQLite file; each transaction writes a group of blocks and the run's state after them, all or none.

A block's records are one blob, 72 bytes each, so that a proof can slice them and hashing needs no decoding.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.merkle import History, peak_positions
from market.ledger.database import DamagedError, Database, Schema, create, is_locked, open_to_read, open_to_write
from market.ledger.durable import sync_folder

FILE = "ledger.sqlite"
APPLICATION_ID = 0x67737431  # "gst1"
PAGE_SIZE = 16384
"""Page size of a new file, bytes: a block of 25 houses takes 4 kB, which smaller pages would split."""

READERS_ASK_S = 1.0
"""How long a writer waits for the lock that keeps it the only one, seconds."""

LONGEST = 1 << 26
"""Bytes of the longest value: the records of a block of some ten thousand houses."""

SCHEMA = Schema(
    "a gridsettle ledger",
    """
CREATE TABLE block(
  height INTEGER PRIMARY KEY, header BLOB NOT NULL, hash BLOB NOT NULL UNIQUE,
  signature BLOB NOT NULL, records BLOB NOT NULL) STRICT;
CREATE TABLE node(level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY(level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE run_state(height INTEGER PRIMARY KEY, blob BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
""",
    APPLICATION_ID,
    LONGEST,
)


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


OF_A_COPY = StoredState(-1, b"", b"")
"""Stands in a member's copy in place of the run's state, which the operator gives to nobody."""


class Store:
    """An open store, a context manager; no other class reads or writes the database.

    Made by `Store.create`, `Store.open_to_write` or `Store.open_to_read`.
    """

    def __init__(self, path: Path, database: Database, lock: sqlite3.Connection | None) -> None:
        self.path, self._database, self._lock = path, database, lock

    @classmethod
    def create(cls, directory: Path, first: StoredBlock, state: StoredState) -> Store:
        """Create a store that holds the genesis block and a state; this process is its only writer.

        The file gets its name once the block is durable, so that no ledger without a block is ever found.

        Raises
        ------
        LedgerError
            If there is one already, another process is writing one, or the disk is full or fails.
        """
        path = directory / FILE
        if path.exists():
            raise LedgerError(f"{path}: expected no ledger, found one; resume it or choose another directory")
        lock = lock_for_writing(path)
        partial = path.with_name(f".{FILE}.partial")
        try:
            for left in directory.glob(f"{partial.name}*"):
                left.unlink()  # of a run that was killed before its ledger had a name
            with create(partial, SCHEMA, PAGE_SIZE) as database:
                cls(path, database, None).append([first], [(0, 0, first.hash)], state)
                # Before the file has its name: a reader could not undo this step if the writer is killed in it.
                database.connection.execute("PRAGMA journal_mode = WAL")
            os.replace(partial, path)
            sync_folder(directory)
            return cls(path, open_to_write(path, SCHEMA), lock)
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
        lock = lock_for_writing(path)
        try:
            database = open_to_write(path, SCHEMA)
            with database.report_damage():
                database.connection.execute("PRAGMA journal_mode = WAL")
            return cls(path, database, lock)
        except LedgerError:
            lock.close()
            raise

    @classmethod
    def open_to_read(cls, directory: Path) -> Store:
        """Open a store to read; works while a run writes to it, and writes nothing itself.

        Raises
        ------
        LedgerError
            If there is none, or it is no ledger.
        """
        path = _find_file(directory)
        return cls(path, open_to_read(path, SCHEMA, live=is_locked(path.with_suffix(".lock"))), None)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and release the lock."""
        self._database.close()
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
            connection = self._database.connection
            connection.executemany("INSERT INTO block VALUES(?,?,?,?,?)", blocks)
            connection.executemany("INSERT INTO node VALUES(?,?,?)", nodes)
            if state is not None:
                connection.execute("DELETE FROM run_state")
                connection.execute("INSERT INTO run_state VALUES(?,?,?)", state)

    def add_checkpoint(self, size: int, note: str) -> None:
        """Store the signed note of a checkpoint.

        Raises
        ------
        LedgerError
            If the disk is full or fails.
        """
        with self._transaction(f"the checkpoint of {size} blocks"):
            self._database.connection.execute("INSERT OR REPLACE INTO checkpoint VALUES(?,?)", (size, note))

    @contextmanager
    def _transaction(self, what: str) -> Iterator[None]:
        """One transaction; if it fails the store is closed, since it is then uncertain what the disk holds."""
        try:
            with self._database.transaction():
                yield
        except sqlite3.Error as reason:
            self.close()
            raise LedgerError(
                f"{self.path}: expected to write {what}, got: {reason}; "
                "what was written before is safe: make room or mend the disk, then go on with --resume"
            ) from reason

    def size(self) -> int:
        """Number of blocks.

        Raises
        ------
        DamagedError
            If the highest block stands where no file of this size can have one.
        """
        highest = self._database.rows("SELECT max(height) FROM block")[0][0]
        size = 0 if highest is None else int(highest) + 1
        if not 0 <= size <= self._database.bytes_held():
            raise self._database.damaged(f"one with a block at height {highest}")
        return size

    def block(self, height: int) -> StoredBlock:
        """The block at a height.

        Raises
        ------
        LedgerError
            If there is none, or it holds anything but bytes.
        """
        rows = self._database.rows("SELECT * FROM block WHERE height = ?", (height,))
        if not rows:
            raise LedgerError(f"{self.path}: expected a block at height {height}, found none (size {self.size()})")
        return self._check_block(StoredBlock(*rows[0]))

    def groups(self, n: int = 512) -> Iterator[list[StoredBlock]]:
        """All blocks in order of height, `n` at a time; those before a damaged one are given out first.

        Raises
        ------
        DamagedError
            If the database cannot be read, or a block holds anything but bytes.
        """
        group: list[StoredBlock] = []
        damage, last = None, -1
        try:
            for row in self._database.stream("SELECT * FROM block ORDER BY height"):
                block = self._check_block(StoredBlock(*row))
                if block.height <= last:
                    raise self._database.damaged(f"block {block.height} behind block {last}")
                group.append(block)
                last = block.height
                if len(group) == n:
                    yield group
                    group = []
        except DamagedError as reason:
            damage = reason
        if group:
            yield group
        if damage is not None:
            raise damage

    def _check_block(self, block: StoredBlock) -> StoredBlock:
        if not all(isinstance(value, bytes) for value in block[1:]):
            raise self._database.damaged(f"block {block.height} with a column that does not hold bytes")
        return block

    def headers(self) -> list[bytes]:
        """Headers of all blocks, in order; raises as `hashes` does."""
        return self._list_column("header")

    def hashes(self) -> list[bytes]:
        """Hashes of all blocks, in order: the leaf hashes of the history tree.

        Raises
        ------
        DamagedError
            If a block is missing.
        """
        return self._list_column("hash")

    def _list_column(self, name: str) -> list[bytes]:
        found: list[bytes] = []
        for height, value in self._database.stream(f"SELECT height, {name} FROM block ORDER BY height"):
            if height != len(found) or not isinstance(value, bytes):
                raise self._database.damaged(f"one without a sound block {len(found)}; run gridsettle ledger verify")
            found.append(value)
        return found

    def nodes(self) -> list[tuple[int, int, bytes]]:
        """Stored nodes of the history tree, each (level, index, hash); a damaged file may hold anything there."""
        return self._database.rows("SELECT level, idx, hash FROM node")

    def checkpoints(self) -> list[tuple[int, str]]:
        """All checkpoints as (size, note), smallest first; what is no text is an empty note."""
        rows = self._database.rows("SELECT size, note FROM checkpoint ORDER BY size")
        return [(size, note if isinstance(note, str) else "") for size, note in rows]

    def last_checkpoint(self, most: int = 2**63 - 1) -> str | None:
        """Note of the checkpoint of most blocks, but no more than `most`; None if there is none."""
        query = "SELECT note FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1"
        rows = self._database.rows(query, (most,))
        return rows[0][0] if rows and isinstance(rows[0][0], str) else None

    def headers_from(self, first: int, stop: int) -> list[bytes]:
        """Headers of the blocks from one height up to below another; fewer if there are fewer."""
        query = "SELECT header FROM block WHERE height >= ? AND height < ? ORDER BY height"
        return self._list_range(query, first, stop)

    def nodes_from(self, level: int, first: int, stop: int) -> list[bytes]:
        """Nodes of a level of the history tree from one index up to below another; fewer if there are fewer."""
        query = "SELECT hash FROM node WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
        return self._list_range(query, level, first, stop)

    def _list_range(self, query: str, *bounds: int) -> list[bytes]:
        values = [value for (value,) in self._database.stream(query, bounds)]
        if not all(isinstance(value, bytes) for value in values):
            raise self._database.damaged("one with a column that does not hold bytes")
        return values

    def bodies_from(self, first: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """(Signature, records) of the blocks from one height up to below another; fewer if there are fewer."""
        query = "SELECT * FROM block WHERE height >= ? AND height < ? ORDER BY height"
        for row in self._database.stream(query, (first, stop)):
            block = self._check_block(StoredBlock(*row))
            yield block.signature, block.records

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
            found = self._database.rows("SELECT hash FROM node WHERE level = ? AND idx = ?", (level, index))
            if not found or not isinstance(found[0][0], bytes):
                raise LedgerError(
                    f"{self.path}: expected node {index} of level {level}, found none; run gridsettle ledger verify"
                )
            peaks.append(found[0][0])
        return History(size, peaks)

    def states(self) -> list[StoredState]:
        """Stored states of the run; a valid ledger has at most one. What is not bytes is empty."""
        return [
            StoredState(height, *(value if isinstance(value, bytes) else b"" for value in values))
            for height, *values in self._database.rows("SELECT height, blob, signature FROM run_state")
        ]


def _find_file(directory: Path) -> Path:
    path = directory / FILE
    if not path.is_file():
        raise LedgerError(f"{directory}: expected a run directory with {FILE}, found none")
    return path


def lock_for_writing(path: Path) -> sqlite3.Connection:
    """Lock a file beside another until it is closed; if the process is killed it is free. Readers ignore it.

    Raises
    ------
    LedgerError
        If another process has locked it.
    """
    file = path.with_suffix(".lock")
    if path.is_symlink():
        raise LedgerError(f"{path}: expected a file of its own, got a link, which leads elsewhere; put the file there")
    if file.is_symlink() or (file.exists() and (not file.is_file() or file.stat().st_size > 0)):
        raise LedgerError(f"{file}: expected the empty file by which a run locks its ledger, got another; remove it")
    # A reader that asks whether somebody writes (`is_locked`) holds the file for a moment: it is waited for.
    lock = sqlite3.connect(file, isolation_level=None, timeout=READERS_ASK_S, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as reason:
        lock.close()
        raise LedgerError(
            f"{path}: expected to be the only writer, but another run is writing to it; wait until it ends"
        ) from reason
    return lock
