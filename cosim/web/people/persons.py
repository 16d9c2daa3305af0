"""Persons: who has signed in, by which proof, and whether the operator has admitted them to a house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cosim.results.labels import name_house, number_house
from cosim.web.people.eip4361 import name_key
from cosim.web.people.errors import FullError, PeopleError, StateError, UnknownError
from cosim.web.people.file import PeopleFile
from market.ledger.format.records import SIZE

MOST_STRANGERS = 1000
MOST_REQUESTS = 1000
MOST_ASKED = 5
"""How often a person may ask to join after refusals."""
FORGET_S = 24 * 3600
"""A stranger who asked for nothing may be forgotten after so long, where room is needed."""
LONGEST_SUBJECT = 1400
LARGEST_HOUSE = 1_000_000
_RECORDS = (3, 5)
"""Records of a registration: the statement, and the two of each of one or two signatures."""
_COLUMNS = "number, kind, subject, page_key, state, house, wish, asked_at, decided_at, reason, registration"


class State(StrEnum):
    """What a person is to the market."""

    STRANGER = "stranger"
    ASKED = "asked"
    ADMITTED = "admitted"
    REFUSED = "refused"
    REVOKED = "revoked"


class Kind(StrEnum):
    """How a person proves who it is."""

    WALLET = "wallet"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Person:
    """A person, as the store knows it.

    Attributes
    ----------
    number
        Its number in the store.
    kind, subject
        How it signs in, and with what: an address in small letters, or the passkey's id. For the operator's eyes only.
    page_key
        Ed25519 key of the person's page, 32 bytes: that of the newest sign-in until it is admitted, then that which
        signs for it on the ledger.
    state, house
        What it is to the market, and its house while it is admitted.
    wish
        The house it has asked for, if any.
    asked_at, decided_at, reason
        Of the newest request and decision; seconds since 1970.
    registration
        Records by which the page registers its key on the ledger, as bytes.
    """

    number: int
    kind: Kind
    subject: str = field(repr=False)
    page_key: bytes = field(repr=False)
    state: State
    house: int | None
    wish: int | None
    asked_at: int | None
    decided_at: int | None
    reason: str
    registration: bytes | None = field(repr=False)

    @property
    def label(self) -> str:
        """What others see of it."""
        return f"person {self.number}" if self.house is None else name_house(self.house)


class Persons:
    """The persons of a store."""

    def __init__(self, file: PeopleFile, clock: Callable[[], float]) -> None:
        self._file, self._clock = file, clock

    def find_person(self, number: int) -> Person:
        """Find a person by its number.

        Raises
        ------
        UnknownError
            If there is none.
        """
        found = self._select("number = ?", number)
        if not found:
            raise UnknownError(
                f"person {number}: expected the number of a person, got one that nobody has; "
                "gridsettle members requests DIR --all lists them"
            )
        return found[0]

    def find_member(self, house: int) -> Person | None:
        """The person who is admitted to a house; None if nobody is."""
        found = self._select("house = ?", house)
        return found[0] if found else None

    def find_by_subject(self, kind: Kind, subject: str) -> Person | None:
        """The person of a wallet or passkey; None if it never signed in."""
        found = self._select("kind = ? AND subject = ?", kind, subject)
        return found[0] if found else None

    def list_persons(self, *states: State) -> list[Person]:
        """List the persons in some states, those of longest standing first; all where none is named."""
        return [person for person in self._select("1") if not states or person.state in states]

    def list_requests(self) -> list[Person]:
        """List those who wait for the operator's decision, in the order in which they asked."""
        return sorted(self.list_persons(State.ASKED), key=lambda person: (person.asked_at or 0, person.number))

    def greet(self, kind: Kind, subject: str, page_key: bytes) -> Person:
        """Find or make the person whose identity is proven, within the caller's transaction.

        Raises
        ------
        PeopleError
            If the key of the page is none, or the subject too long.
        FullError
            If too many strangers came within a day.
        """
        name_key(page_key)
        if len(subject) > LONGEST_SUBJECT:
            raise PeopleError(f"expected at most {LONGEST_SUBJECT} characters of identity, got {len(subject)}")
        person, now = self.find_by_subject(kind, subject), int(self._clock())
        if person is None:
            self._make_room(now)
            number = self._file.write(
                "INSERT INTO person VALUES(NULL,?,?,?,?,NULL,NULL,?,NULL,0,NULL,'',NULL)",
                *(kind, subject, page_key, State.STRANGER, now),
            )
            return self.find_person(number)
        key = person.page_key if person.state == State.ADMITTED else page_key
        self._file.write("UPDATE person SET page_key = ?, seen_at = ? WHERE number = ?", key, now, person.number)
        return self.find_person(person.number)

    def ask_to_join(self, number: int, wish: int | None = None) -> Person:
        """Ask the operator to admit a person, perhaps to the house that it wishes for.

        Raises
        ------
        UnknownError, StateError
            If there is no such person, or it may not ask (again).
        FullError
            If too many requests wait.
        """
        if wish is not None:
            check_house(wish)
        with self._file.transaction():
            person = self.expect_state(number, "asks to join", State.STRANGER, State.REFUSED)
            asked = self._file.rows("SELECT asked_times FROM person WHERE number = ?", number)[0][0]
            if asked >= MOST_ASKED:
                raise StateError(f"expected at most {MOST_ASKED} requests of a person, got one more; ask the operator")
            if self._count(State.ASKED) >= MOST_REQUESTS:
                raise FullError(f"expected at most {MOST_REQUESTS} requests that wait, got one more; try again later")
            self._file.write(
                "UPDATE person SET state = ?, wish = ?, asked_at = ?, asked_times = ? WHERE number = ?",
                *(State.ASKED, wish, int(self._clock()), asked + 1, person.number),
            )
        return self.find_person(number)

    def give_registration(self, number: int, records: bytes) -> None:
        """Keep the statement that registers the page's key; it is checked by `check_registration` before.

        Raises
        ------
        PeopleError
            If it has another size than a statement with its signatures.
        UnknownError, StateError
            If there is no such person, or it is not admitted.
        """
        if len(records) not in [count * SIZE for count in _RECORDS]:
            raise PeopleError(
                f"registration: expected {_RECORDS[0]} or {_RECORDS[1]} records of {SIZE} bytes, "
                f"got {len(records)} bytes"
            )
        with self._file.transaction():
            self.expect_state(number, "registers a key", State.ADMITTED)
            self._file.write("UPDATE person SET registration = ? WHERE number = ?", records, number)

    def drop_registration(self, number: int) -> None:
        """Forget a statement that came too late for the ledger; the page signs another at the person's next visit."""
        with self._file.transaction():
            self._file.write("UPDATE person SET registration = NULL WHERE number = ?", number)

    def expect_state(self, number: int, what: str, *states: State) -> Person:
        """Find a person that must be in one of some states.

        Raises
        ------
        UnknownError, StateError
            If there is none, or it is in another state.
        """
        person = self.find_person(number)
        if person.state not in states:
            raise StateError(
                f"person {number}: expected the state {' or '.join(states)} where it {what}, got {person.state}"
            )
        return person

    def _select(self, condition: str, *values: object) -> list[Person]:
        query = f"SELECT {_COLUMNS} FROM person WHERE {condition} ORDER BY number"
        return [_make_person(*row) for row in self._file.rows(query, *values)]

    def _count(self, state: State) -> int:
        return int(self._file.rows("SELECT count(*) FROM person WHERE state = ?", state)[0][0])

    def _make_room(self, now: int) -> None:
        """Forget strangers of long ago where there are too many; the newest stays, so that no number is given twice."""
        if self._count(State.STRANGER) < MOST_STRANGERS:
            return
        old = "SELECT number FROM person WHERE state = ? AND seen_at <= ? AND number < (SELECT max(number) FROM person)"
        values = (State.STRANGER, now - FORGET_S)
        for table in ("session", "passkey"):
            self._file.write(f"DELETE FROM {table} WHERE person IN ({old})", *values)
        if self._file.write(f"DELETE FROM person WHERE number IN ({old})", *values) == 0:
            raise FullError(f"expected at most {MOST_STRANGERS} new people a day, got one more; try again tomorrow")


def _make_person(number: int, kind: str, subject: str, page_key: bytes, state: str, *others: Any) -> Person:
    return Person(number, Kind(kind), subject, page_key, State(state), *others)


def check_house(house: int) -> None:
    """Check that a number can be a house's.

    Raises
    ------
    PeopleError
        If it cannot.
    """
    if not 0 <= house < LARGEST_HOUSE:
        raise PeopleError(f"house: expected a number from 1 to {LARGEST_HOUSE}, got {number_house(house)}")
