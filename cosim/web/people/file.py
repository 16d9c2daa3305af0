"""The SQLite file with everything about people, beside the ledger; what is acknowledged survives a kill and a crash.

Only hashes of tokens and codes lie in it, yet it tells whose house is whose: only its owner may read it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Any

from cosim.web.people.errors import PeopleError
from market.ledger.database import Schema, create, open_to_write
from market.ledger.durable import sync_folder

NAME = "people.sqlite"
VERSION = 1
_WAIT_MS = 20_000
"""How long a transaction waits for that of another process."""

SCHEMA = Schema(
    "a store of people",
    """
CREATE TABLE secret(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE person(
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, page_key BLOB NOT NULL, state TEXT NOT NULL,
  house INTEGER UNIQUE, wish INTEGER, seen_at INTEGER NOT NULL, asked_at INTEGER, asked_times INTEGER NOT NULL,
  decided_at INTEGER, reason TEXT NOT NULL, registration BLOB, UNIQUE(kind, subject)) STRICT;
CREATE TABLE passkey(person INTEGER PRIMARY KEY, public_key BLOB NOT NULL, sign_count INTEGER NOT NULL) STRICT;
CREATE TABLE decision(
  number INTEGER PRIMARY KEY, person INTEGER NOT NULL, kind TEXT NOT NULL, house INTEGER, page_key BLOB NOT NULL,
  reason TEXT NOT NULL, at INTEGER NOT NULL, closed_at INTEGER, failure TEXT NOT NULL) STRICT;
CREATE TABLE nonce(nonce TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
CREATE TABLE session(
  hash BLOB PRIMARY KEY, person INTEGER, page_key BLOB NOT NULL, opened_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL) STRICT;
CREATE TABLE code(hash BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT;
CREATE TABLE access(
  number INTEGER PRIMARY KEY, asker INTEGER NOT NULL, owner INTEGER NOT NULL, state TEXT NOT NULL,
  asked_at INTEGER NOT NULL, answered_at INTEGER, UNIQUE(asker, owner)) STRICT;
CREATE TABLE reading(
  reader INTEGER, owner INTEGER, what TEXT, hour INTEGER, last_at INTEGER NOT NULL,
  times INTEGER NOT NULL, PRIMARY KEY(owner, reader, what, hour)) STRICT;
""",
    0x67735045,  # "gsPE"
    1 << 16,
)


def people_path(directory: Path) -> Path:
    """Where the store of the run in `directory` lies."""
    return directory / NAME


class PeopleFile:
    """The open file; several threads share it by a lock, several processes by SQLite's.

    Parameters
    ----------
    path
        The file.
    make
        Whether it is made where it does not exist.

    Raises
    ------
    LedgerError, PeopleError
        If it is not there, not ours, of another version, or cannot be used.
    """

    def __init__(self, path: Path, *, make: bool) -> None:
        self.path = path
        self._lock = RLock()
        if not path.exists() and not path.is_symlink():
            if not make:
                raise PeopleError(
                    f"{path}: expected the store of people of a served run, found none; "
                    f"gridsettle serve --out {path.parent} makes it"
                )
            with self._report_errors():
                _make_file(path)
        _check_file(path)
        self._database = open_to_write(path, SCHEMA)
        self._database.connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def rows(self, query: str, *values: object) -> list[Any]:
        """All rows of a query; none where a value is a number that no row can hold.

        Raises
        ------
        LedgerError
            If the file cannot be read.
        """
        if not _fit(values):
            return []
        with self._lock:
            return self._database.rows(query, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable at its end; within it nobody else writes.

        Raises
        ------
        PeopleError
            If it cannot be written.
        """
        with self._lock, self._report_errors(), self._database.transaction():
            yield

    def write(self, statement: str, *values: object) -> int:
        """Carry out a statement within a transaction.

        Returns
        -------
        int
            The number of the row that an INSERT has made; for others the number of rows changed.
        """
        if not _fit(values):
            return 0
        done = self._database.connection.execute(statement, values)
        return int(done.lastrowid or 0) if statement.startswith("INSERT") else done.rowcount

    def read_secret(self, name: str) -> bytes:
        """A random secret of 32 bytes of this store, made when the store was."""
        found = self.rows("SELECT value FROM secret WHERE name = ?", name)
        if not found:
            raise PeopleError(f"{self.path}: expected a whole store of people, got one without its secrets; remove it")
        return bytes(found[0][0])

    @contextmanager
    def _report_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as reason:
            raise PeopleError(f"{self.path}: expected a store that can be written, got: {reason}") from reason


NONCE_SECRET = "nonce"


def _fit(values: tuple[object, ...]) -> bool:
    """Whether all numbers among some values fit into 64 bits."""
    return all(-(1 << 63) <= value < 1 << 63 for value in values if isinstance(value, int))


def _make_file(path: Path) -> None:
    """Make a store out of sight and link it to its name when it is whole; another process may have been quicker."""
    with TemporaryDirectory(prefix=".people-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with create(new, SCHEMA) as database:
            database.connection.execute("PRAGMA synchronous = OFF")  # nobody sees the file before it is synced below
            database.connection.execute("INSERT INTO secret VALUES(?,?)", (NONCE_SECRET, secrets.token_bytes(32)))
            database.connection.execute(f"PRAGMA user_version = {VERSION}")
            database.connection.execute("PRAGMA journal_mode = WAL")
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        try:
            os.link(new, path)
        except FileExistsError:
            return
        sync_folder(path.parent)


def _check_file(path: Path) -> None:
    """Refuse a link and a store of another version; close a file to other users that lies open to them."""
    if path.is_symlink() or not path.is_file():
        raise PeopleError(f"{path}: expected a store of people, got no regular file; remove it")
    with path.open("rb") as file:
        header = file.read(100)
    version = int.from_bytes(header[60:64], "big")
    if header[68:72] == SCHEMA.application_id.to_bytes(4, "big") and version != VERSION:
        raise PeopleError(
            f"{path}: expected a store of people of version {VERSION}, got version {version}; use the gridsettle that "
            "made it, or move the file away and let people join again"
        )
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
