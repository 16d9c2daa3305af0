"""Sessions: a random token in the browser's cookie, its hash here.

What a session may do is decided by the person's state, which is read with it every time.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from cosim.web.people.errors import UnknownError
from cosim.web.people.file import PeopleFile
from cosim.web.people.persons import Person, Persons, State

IDLE_S = 30 * 60
ABSOLUTE_S = 12 * 3600
MOST_A_PERSON = 10
_TOUCH_S = 60
_TOKEN_LENGTH = 43  # of 32 bytes in base64


@dataclass(frozen=True, slots=True)
class Session:
    """A session in force.

    Attributes
    ----------
    person
        Whose it is, as the store knows the person now; None for the operator.
    page_key
        The page's key that the sign-in named; another than `person.page_key` where a member uses a second browser.
    csrf
        What every form and call of this session must bring along, to be compared in constant time.
    opened_at
        Seconds since 1970.
    """

    person: Person | None = field(repr=False)
    page_key: bytes = field(repr=False)
    csrf: str = field(repr=False)
    opened_at: int

    @property
    def is_operator(self) -> bool:
        """Whether it is the operator's."""
        return self.person is None

    @property
    def house(self) -> int | None:
        """House of the member that it belongs to; None where that is no member, or no longer one."""
        return None if self.person is None or self.person.state != State.ADMITTED else self.person.house


class Sessions:
    """The sessions of a store."""

    def __init__(self, file: PeopleFile, persons: Persons, clock: Callable[[], float]) -> None:
        self._file, self._persons, self._clock = file, persons, clock

    def open_session(self, person: int | None, page_key: bytes = b"") -> str:
        """Open a session of a person, or (None) of the operator, whose identity is proven.

        Returns
        -------
        str
            The token for the cookie; it is nowhere else.

        Raises
        ------
        UnknownError
            If there is no such person.
        """
        token = secrets.token_urlsafe(32)
        now = int(self._clock())
        with self._file.transaction():
            if person is not None:
                self._persons.find_person(person)
            self._drop_old(person, now)
            self._file.write("INSERT INTO session VALUES(?,?,?,?,?)", _hash(token), person, page_key, now, now)
        return token

    def _drop_old(self, person: int | None, now: int) -> None:
        """End what has expired, and the oldest of a person's sessions that are too many."""
        oldest = (now - IDLE_S, now - ABSOLUTE_S)
        self._file.write("DELETE FROM session WHERE seen_at <= ? OR opened_at <= ?", *oldest)
        self._file.write(
            "DELETE FROM session WHERE person IS ? AND hash NOT IN"
            " (SELECT hash FROM session WHERE person IS ? ORDER BY opened_at DESC, rowid DESC LIMIT ?)",
            *(person, person, MOST_A_PERSON - 1),
        )

    def find_session(self, token: str) -> Session | None:
        """Find the session of a token and count it as used; None if there is none, or none any longer."""
        if len(token) != _TOKEN_LENGTH:
            return None
        hashed, now = _hash(token), int(self._clock())
        query = "SELECT person, page_key, opened_at, seen_at FROM session WHERE hash = ?"
        for person, page_key, opened_at, seen_at in self._file.rows(query, hashed):
            if now >= seen_at + IDLE_S or now >= opened_at + ABSOLUTE_S:
                return None
            if now >= seen_at + _TOUCH_S:
                with self._file.transaction():
                    self._file.write("UPDATE session SET seen_at = ? WHERE hash = ?", now, hashed)
            try:
                whose = None if person is None else self._persons.find_person(person)
            except UnknownError:  # another process has just forgotten a stranger of long ago
                return None
            return Session(whose, page_key, _make_csrf(token), opened_at)
        return None

    def close_session(self, token: str) -> None:
        """End the session of a token, if there is one."""
        with self._file.transaction():
            self._file.write("DELETE FROM session WHERE hash = ?", _hash(token))

    def close_all(self, person: int | None) -> None:
        """End all sessions of a person, or (None) of the operator."""
        with self._file.transaction():
            self._file.write("DELETE FROM session WHERE person IS ?", person)


def _hash(token: str) -> bytes:
    return sha256(b"gridsettle session v1\0" + token.encode("utf-8", "replace")).digest()


def _make_csrf(token: str) -> str:
    """The token of a session's forms; of the cookie's token nothing can be learned from it."""
    return hmac.new(token.encode(), b"gridsettle csrf v1", "sha256").hexdigest()
