"""SQLite files, ours and those of strangers: opened so that nothing in them runs and every query ends.

A file of a stranger may hold views that never end, triggers, trees of pages that lead in circles, or a journal that
names other files. Therefore the schema must be exactly the expected one, no query may return more than the file can
hold, and what is only read is opened as immutable: nothing is written, not even a shared memory file beside it.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from market.errors import LedgerError

_MAGIC = b"SQLite format 3\0"
_JOURNAL_NAMES_ANOTHER_FILE = bytes.fromhex("d9d505f920a163d7")
"""Last bytes of a rollback journal that names a further file, which SQLite would delete; ours never do."""

_LARGEST_LOG = 1 << 32
_LEAST_ROW = 16
"""No row of our tables takes fewer bytes of the file, since each holds a hash, a signature or more."""
_STEPS_AT_A_TIME = 20_000
_STEPS_A_ROW = 100

_LIMITS = (
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 2000),
    (sqlite3.SQLITE_LIMIT_COLUMN, 20),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 20),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 2),
    (sqlite3.SQLITE_LIMIT_VDBE_OP, 10_000),
    (sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 8),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)


class DamagedError(LedgerError):
    """A database file cannot be read, or is not one of ours."""


class Schema(NamedTuple):
    """What a database file must hold.

    Attributes
    ----------
    what
        What the file is called in messages.
    text
        The statements that create its tables.
    application_id
        The number in the file's header, 0 for none.
    longest
        Bytes of the longest value.
    """

    what: str
    text: str
    application_id: int
    longest: int

    def list_tables(self) -> dict[str, str]:
        """Statement that creates each table, by name, with spaces and `NOT NULL` left out."""
        statements = (_normalise(statement) for statement in self.text.split(";"))
        return {statement.split("(")[0].split()[-1]: statement for statement in statements if statement}


class Database:
    """An open SQLite file of a known schema; a context manager.

    Made by `open_to_read`, `open_to_write` or `create`; `connection` is there to write through.
    """

    def __init__(
        self, path: Path, schema: Schema, connection: sqlite3.Connection, copy: TemporaryDirectory[str] | None
    ) -> None:
        self.path, self.connection = path, connection
        self._schema, self._copy = schema, copy

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        """All rows of a query.

        Raises
        ------
        DamagedError
            If the file cannot be read, or the query returns more than it can hold.
        """
        return list(self.stream(query, values))

    def stream(self, query: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        """Rows of a query one after the other; raises as `rows` does."""
        with self.report_damage():
            returned, held = 0, self.bytes_held()
            self._allow_steps((held // _LEAST_ROW + 100) * _STEPS_A_ROW)
            for row in self.connection.execute(query, values):
                returned += max(_LEAST_ROW, sum(len(value) for value in row if isinstance(value, (bytes, str))))
                if returned > held and returned > (held := self.bytes_held()):  # a run may have written on
                    raise sqlite3.DatabaseError("rows that no file of this size can hold")
                yield row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, however many steps it takes; nothing is kept of one that fails.

        Raises
        ------
        sqlite3.Error
            If it cannot be written.
        """
        self.connection.set_progress_handler(None, 0)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise

    def bytes_held(self) -> int:
        """Bytes of the file and of its log: no query of a sound file returns more."""
        return _size_of(self._file())

    def harden(self) -> None:
        """Forbid everything that a schema could bring along, and bound how long a query runs."""
        for limit, value in (*_LIMITS, (sqlite3.SQLITE_LIMIT_LENGTH, self._schema.longest)):
            self.connection.setlimit(limit, value)
        # A damaged file may hold text that is not UTF-8; it must still be read.
        self.connection.text_factory = lambda content: content.decode("utf-8", "replace")
        self._allow_steps(100 * _STEPS_AT_A_TIME)
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "synchronous = FULL"):
            self.connection.execute(f"PRAGMA {setting}")

    def check(self) -> None:
        """Check that the file holds the tables of the schema and nothing else.

        Raises
        ------
        DamagedError
            If it does not.
        """
        wanted = self._schema.list_tables()
        for kind, name, table, sql in self.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema"):
            if sql is None and kind == "index" and f"{name}".startswith(f"sqlite_autoindex_{table}_"):
                continue  # SQLite makes it where a column is UNIQUE
            if kind != "table" or not isinstance(sql, str) or wanted.pop(name, None) != _normalise(sql):
                raise self.damaged(f"{kind} {name!r}, which is not one of its tables")
        if wanted:
            raise self.damaged(f"one without table {min(wanted)!r}")
        (number,) = self.rows("PRAGMA application_id")[0]
        if number != self._schema.application_id:
            raise self.damaged(f"a database of another application ({number:#x})")

    def damaged(self, found: str) -> DamagedError:
        """The error that says what was found instead of the expected file."""
        return DamagedError(f"{self.path}: expected {self._schema.what}, got {found}")

    @contextmanager
    def report_damage(self) -> Iterator[None]:
        """Raise a DamagedError in place of an error of SQLite."""
        try:
            yield
        except (sqlite3.Error, OverflowError) as reason:
            raise self.damaged(f"a file that cannot be read: {reason}") from reason

    def _file(self) -> Path:
        return self.path if self._copy is None else Path(self._copy.name) / self.path.name

    def _allow_steps(self, steps: int) -> None:
        """Let a query take so many steps; SQLite asks every `_STEPS_AT_A_TIME` of them, and ends it at the first 1.

        No line of Python answers: an interrupt that was raised there would be lost, and the query end as if it failed.
        """
        answers = chain(repeat(0, steps // _STEPS_AT_A_TIME), repeat(1))
        self.connection.set_progress_handler(answers.__next__, _STEPS_AT_A_TIME)


def open_to_read(path: Path, schema: Schema, *, live: bool = False) -> Database:
    """Open a file to read it; nothing is written beside it.

    What a killed writer left in a log or journal beside the file is applied to a copy of both.

    Parameters
    ----------
    path, schema
        The file, and what it must hold.
    live
        Whether another connection is writing to it: then it is read together with that connection's log.

    Raises
    ------
    DamagedError
        If it is not such a file.
    """
    if live:
        return _open(path, schema, "mode=ro", None)
    _check_header(path, schema)
    left = [log for log in map(path.with_name, _names_beside(path)) if log.exists() and _size_of(log) > 0]
    if not left:
        return _open(path, schema, "mode=ro&immutable=1", None)
    copy = TemporaryDirectory(prefix="gridsettle-")
    try:
        for file in (path, *left):
            _check_log(file, schema)
            shutil.copyfile(file, Path(copy.name) / file.name)
        return _open(path, schema, "mode=rw", copy)
    except OSError as reason:
        copy.cleanup()
        raise DamagedError(
            f"{path}: expected room for a copy of it and of what a killed writer left beside it, got: {reason}"
        ) from reason
    except LedgerError:
        copy.cleanup()
        raise


def open_to_write(path: Path, schema: Schema) -> Database:
    """Open a file that this process may write to; raises as `open_to_read` does."""
    _check_header(path, schema)
    for log in map(path.with_name, _names_beside(path)):
        _check_log(log, schema)
    return _open(path, schema, "mode=rw", None)


def create(path: Path, schema: Schema, page_size: int = 4096) -> Database:
    """Make a new file with the tables of the schema.

    Raises
    ------
    sqlite3.Error
        If it cannot be written.
    """
    made = Database(path, schema, _connect(path, "mode=rwc"), None)
    try:
        made.connection.execute(f"PRAGMA page_size = {page_size}")
        made.connection.execute(f"PRAGMA application_id = {schema.application_id}")
        made.connection.executescript(f"BEGIN;{schema.text}COMMIT;")
        made.harden()
    except sqlite3.Error:
        made.close()
        raise
    return made


def _open(path: Path, schema: Schema, mode: str, copy: TemporaryDirectory[str] | None) -> Database:
    file = path if copy is None else Path(copy.name) / path.name
    try:
        opened = Database(path, schema, _connect(file, mode), copy)
    except sqlite3.Error as reason:
        raise DamagedError(f"{path}: expected {schema.what}, got: {reason}") from reason
    try:
        with opened.report_damage():
            opened.harden()
        opened.check()
    except LedgerError:
        opened.close()
        raise
    return opened


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # One thread at a time, not always the same: whoever shares a file between threads holds a lock (`cosim.web.live`).
    address = f"{path.resolve().as_uri()}?{mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=1, check_same_thread=False)


def _check_header(path: Path, schema: Schema) -> None:
    """Refuse what is no regular file, or does not even begin as a database."""
    if not path.is_file():
        raise DamagedError(f"{path}: expected {schema.what}, got no regular file")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DamagedError(f"{path}: expected {schema.what}, got a file that is not a database")


def _names_beside(path: Path) -> tuple[str, str]:
    return f"{path.name}-wal", f"{path.name}-journal"


def _check_log(log: Path, schema: Schema) -> None:
    """Refuse a log or journal that is no regular file, too large, or names other files."""
    if not log.exists():
        return
    if not log.is_file() or _size_of(log) > _LARGEST_LOG:
        raise DamagedError(f"{log}: expected what a killed writer of {schema.what} left, got another file; remove it")
    with log.open("rb") as file:
        file.seek(max(_size_of(log) - len(_JOURNAL_NAMES_ANOTHER_FILE), 0))
        if file.read() == _JOURNAL_NAMES_ANOTHER_FILE:
            raise DamagedError(
                f"{log}: expected a journal of {schema.what}, got one that names another file; remove it"
            )


def _size_of(path: Path) -> int:
    """Bytes of a file and of the log beside it."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _normalise(statement: str) -> str:
    """A CREATE statement without optional words and spaces, so that equal tables have equal text."""
    text = re.sub(r"\b(NOT\s+NULL|IF\s+NOT\s+EXISTS)\b", " ", statement)
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.split())).strip()


def is_locked(lock: Path) -> bool:
    """Whether a process holds a lock file, as a writer does; a file with content is no lock of ours."""
    if not lock.is_file() or lock.stat().st_size > 0:
        return False
    try:
        with closing(sqlite3.connect(f"{lock.resolve().as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
            connection.execute("PRAGMA user_version").fetchall()
    except sqlite3.OperationalError as reason:
        return "locked" in str(reason)
    return False
