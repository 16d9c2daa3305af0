"""The store of people of a served run: one file, and its parts by what they are about."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from cosim.web.people.access import Access
from cosim.web.people.codes import Codes
from cosim.web.people.decisions import Decisions
from cosim.web.people.file import PeopleFile, people_path
from cosim.web.people.nonces import Nonces
from cosim.web.people.passkey import Passkeys
from cosim.web.people.persons import Persons
from cosim.web.people.sessions import Sessions
from market.errors import MarketError


class People:
    """The open store; a context manager. What a method has returned from is on the disk.

    Several threads may use one, and several processes, such as a command beside the server, may open the same file.

    Parameters
    ----------
    directory
        Run directory; it must exist.
    create
        Whether the file is made where it does not exist.
    clock
        Gives the time, seconds since 1970.

    Raises
    ------
    LedgerError, PeopleError
        If the file is not there, not ours, of another version, or cannot be used.

    Attributes
    ----------
    persons, decisions, sessions, nonces, passkeys, codes, access
        The parts.
    """

    def __init__(self, directory: Path, *, create: bool = True, clock: Callable[[], float] = time.time) -> None:
        self.file = PeopleFile(people_path(directory), make=create)
        self.clock = clock
        try:
            self.nonces = Nonces(self.file, clock)
        except MarketError:
            self.file.close()
            raise
        self.persons = Persons(self.file, clock)
        self.decisions = Decisions(self.file, self.persons, clock)
        self.sessions = Sessions(self.file, self.persons, clock)
        self.passkeys = Passkeys(self.file)
        self.codes = Codes(self.file, clock)
        self.access = Access(self.file, self.persons, clock)

    def __enter__(self) -> People:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
