"""What people have submitted and which houses decide for themselves: an SQLite file beside the ledger.

What is acknowledged is on the disk. The file is the server's own; the ledger shows what of it was applied.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from cosim.errors import ScenarioError
from cosim.simulation.served import SUBMISSIONS_FILE
from market.ledger.database import Schema, create, open_to_write
from market.ledger.format.submissions import Submission

SCHEMA = Schema(
    "the submissions of a served run",
    """
CREATE TABLE submission(
  house INTEGER, number INTEGER, record BLOB NOT NULL, signature BLOB NOT NULL, public_key BLOB NOT NULL,
  PRIMARY KEY(house, number)) STRICT, WITHOUT ROWID;
CREATE TABLE manual(house INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
""",
    0x67737332,  # "gss2"
    1 << 16,
)


class Stated(NamedTuple):
    """A submission, and the key that signed it."""

    submission: Submission
    public_key: bytes


class Inbox:
    """Submissions of a served run, in memory and on the disk.

    All methods but `commit` are called by one thread at a time. Submissions that wait to be written go to the disk
    together, so that many people at once do not wait for one another.

    Parameters
    ----------
    directory
        Run directory.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the file cannot be made or is not one of ours.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / SUBMISSIONS_FILE
        try:
            self._database = open_to_write(path, SCHEMA) if path.exists() else create(path, SCHEMA)
            os.chmod(path, 0o600)
            self._database.connection.execute("PRAGMA journal_mode = WAL")
        except (OSError, sqlite3.Error) as reason:
            raise ScenarioError(f"{path}: expected a file that can be written, got {reason}") from reason
        self._stated = defaultdict[int, list[Stated]](list)
        for house, record, signature, key in self._rows("SELECT house, record, signature, public_key FROM submission"):
            self._stated[house].append(Stated(Submission(record, signature), key))
        self._manual = {house for (house,) in self._rows("SELECT house FROM manual")}
        self._waiting: list[Stated] = []
        self._added = self._committed = 0
        self._writing = threading.Lock()

    def _rows(self, query: str) -> list[Any]:
        return self._database.rows(f"{query} ORDER BY 1")

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.commit(self._added)
        self._database.close()

    def count_waiting(self, house: int, interval: int) -> int:
        """Submissions of a house that still hold for an interval from `interval` on."""
        return sum(int(each.submission.row["last"]) >= interval for each in self._known(house))

    def add(self, stated: Stated) -> int:
        """Take a submission; returns the number to be committed before it is acknowledged."""
        self._stated[int(stated.submission.row["house"])].append(stated)
        self._waiting.append(stated)
        self._added += 1
        return self._added

    def commit(self, number: int | None = None) -> None:
        """Write what waits, at least as far as a number of `add`; on the disk when it returns. Called by any thread.

        Raises
        ------
        sqlite3.Error
            If it cannot be written.
        """
        with self._writing:
            if number is not None and self._committed >= number:
                return  # another thread has written it with its own
            n_waiting = len(self._waiting)
            if not n_waiting:
                return  # an empty transaction takes a tenth of an interval of a coupled run
            rows = [self._make_row(stated) for stated in self._waiting[:n_waiting]]
            with self._database.transaction():
                self._database.connection.executemany("INSERT INTO submission VALUES(?, ?, ?, ?, ?)", rows)
            del self._waiting[:n_waiting]
            self._committed += n_waiting

    def _make_row(self, stated: Stated) -> tuple[object, ...]:
        row = stated.submission.row
        return int(row["house"]), int(row["number"]), *stated.submission, stated.public_key

    def _known(self, house: int) -> tuple[Stated, ...]:
        """Submissions of a house at this moment: whoever reads needs no lock, and changes nothing."""
        return tuple(self._stated.get(house, ()))

    def next_number(self, house: int) -> int:
        """Number of the house's next submission."""
        return 1 + max((int(each.submission.row["number"]) for each in self._known(house)), default=0)

    def find(self, house: int, interval: int, public_key: bytes | None) -> Submission | None:
        """The submission of a house that holds for an interval, signed with the key that is in force."""
        holding = [
            each.submission
            for each in self._known(house)
            if each.public_key == public_key and each.submission.holds(interval)
        ]
        return max(holding, key=lambda each: int(each.row["number"]), default=None)

    def forget_before(self, interval: int) -> None:
        """Drop from memory what holds for no interval from `interval` on, but each house's newest."""
        for house, known in self._stated.items():
            newest = max(known, key=lambda each: int(each.submission.row["number"]), default=None)
            self._stated[house] = [
                each for each in known if each is newest or int(each.submission.row["last"]) >= interval
            ]

    def houses(self) -> set[int]:
        """Houses that have submitted or decide for themselves."""
        return {house for house, known in self._stated.items() if known} | self._manual

    def is_manual(self, house: int) -> bool:
        """Whether a house decides for itself."""
        return house in self._manual

    def set_manual(self, house: int, *, manual: bool, interval: int) -> None:
        """Let a house decide for itself from an interval on, or leave it to the rules again."""
        with self._writing, self._database.transaction():
            self._database.connection.execute("DELETE FROM manual WHERE house = ?", (house,))
            if manual:
                self._database.connection.execute("INSERT INTO manual VALUES(?, ?)", (house, interval))
        (self._manual.add if manual else self._manual.discard)(house)
