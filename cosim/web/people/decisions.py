"""What the operator decides about people.

A decision holds at once: a revoked member's sessions end, whoever decides and wherever. What it means for the ledger is
done by the server, which alone may write there, and marked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from cosim.results.labels import name_house
from cosim.web.people.errors import PeopleError, StateError, UnknownError
from cosim.web.people.file import PeopleFile
from cosim.web.people.persons import Person, Persons, State, check_house

LONGEST_REASON = 200


class Verdict(StrEnum):
    """What is decided."""

    ADMIT = "admit"
    REFUSE = "refuse"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the operator.

    Attributes
    ----------
    number
        Its number in the store.
    person
        Whom it is about, as the store knows the person now.
    kind, house, reason, at
        What was decided about which house, why, and when (seconds since 1970).
    page_key
        The person's key at that time, 32 bytes: a revocation ends it on the ledger if it is in force there.
    """

    number: int
    person: Person
    kind: Verdict
    house: int | None
    page_key: bytes = field(repr=False)
    reason: str
    at: int


class Decisions:
    """The decisions of a store."""

    def __init__(self, file: PeopleFile, persons: Persons, clock: Callable[[], float]) -> None:
        self._file, self._persons, self._clock = file, persons, clock

    def admit(self, number: int, house: int) -> Decision:
        """Admit a person to a house; its page then signs the statement that the server puts on the ledger.

        Raises
        ------
        PeopleError, UnknownError, StateError
            If it can be no house, there is no such person, it does not ask, or the house has a person.
        """
        check_house(house)
        with self._file.transaction():
            person = self._persons.expect_state(number, "is admitted", State.ASKED, State.REFUSED, State.REVOKED)
            member = self._persons.find_member(house)
            if member is not None:
                raise StateError(
                    f"{name_house(house)}: expected a house without a person, got that of person {member.number}; "
                    "revoke that person first, or choose another house"
                )
            return self._decide(person, Verdict.ADMIT, State.ADMITTED, house, "")

    def refuse(self, number: int, reason: str = "") -> Decision:
        """Refuse a person who asks; it sees the reason and may ask again.

        Raises
        ------
        PeopleError, UnknownError, StateError
            If the reason is too long, there is no such person, or it does not ask.
        """
        _check_reason(reason)
        with self._file.transaction():
            person = self._persons.expect_state(number, "is refused", State.ASKED)
            return self._decide(person, Verdict.REFUSE, State.REFUSED, None, reason)

    def revoke(self, number: int, reason: str = "") -> Decision:
        """End a person's membership: its sessions and what it asked of others end at once, its key by the server.

        Raises
        ------
        PeopleError, UnknownError, StateError
            If the reason is too long, there is no such person, or it is no member.
        """
        _check_reason(reason)
        with self._file.transaction():
            person = self._persons.expect_state(number, "is revoked", State.ADMITTED)
            self._file.write("DELETE FROM session WHERE person = ?", number)
            self._end_access(number)
            return self._decide(person, Verdict.REVOKE, State.REVOKED, None, reason, about=person.house)

    def list_decisions_to_carry_out(self) -> list[Decision]:
        """List what the server has not carried out yet, oldest first.

        A server may have been killed between the ledger and the mark: look first whether the ledger says so already.
        """
        query = (
            "SELECT number, person, kind, house, page_key, reason, at FROM decision WHERE closed_at IS NULL"
            " ORDER BY number"
        )
        return [
            Decision(number, self._persons.find_person(person), Verdict(kind), *others)
            for number, person, kind, *others in self._file.rows(query)
        ]

    def mark_carried_out(self, number: int, failure: str = "") -> None:
        """Close a decision; with a failure, a person that was to be admitted waits again as one who asks.

        Raises
        ------
        UnknownError
            If no decision of that number is open.
        """
        with self._file.transaction():
            found = self._file.rows("SELECT person, kind FROM decision WHERE number = ? AND closed_at IS NULL", number)
            if not found:
                raise UnknownError(f"decision {number}: expected one that is to be carried out, got another")
            self._close("number = ?", failure[:LONGEST_REASON], number)
            ((person, kind),) = found
            if failure and kind == Verdict.ADMIT:
                self._end_access(person)
                self._file.write(
                    "UPDATE person SET state = ?, house = NULL, registration = NULL, reason = ?"
                    " WHERE number = ? AND state = ?",
                    *(State.ASKED, failure[:LONGEST_REASON], person, State.ADMITTED),
                )

    def _decide(
        self, person: Person, kind: Verdict, state: State, house: int | None, reason: str, about: int | None = None
    ) -> Decision:
        """Write a decision down, in place of one about the person that is still open."""
        now = int(self._clock())
        self._close("person = ? AND kind <> ?", "another decision came", person.number, Verdict.REVOKE)
        self._file.write(
            "UPDATE person SET state = ?, house = ?, decided_at = ?, reason = ?, registration = NULL WHERE number = ?",
            *(state, house, now, reason, person.number),
        )
        about = house if about is None else about
        number = self._file.write(
            "INSERT INTO decision VALUES(NULL,?,?,?,?,?,?,NULL,'')",
            *(person.number, kind, about, person.page_key, reason, now),
        )
        return Decision(number, self._persons.find_person(person.number), kind, about, person.page_key, reason, now)

    def _end_access(self, person: int) -> None:
        """Forget what somebody asked of others, and they of them, as a member of a house that is now free."""
        self._file.write("DELETE FROM access WHERE ? IN (asker, owner)", person)

    def _close(self, condition: str, failure: str, *values: object) -> None:
        statement = f"UPDATE decision SET closed_at = ?, failure = ? WHERE closed_at IS NULL AND {condition}"
        self._file.write(statement, int(self._clock()), failure, *values)


def _check_reason(reason: str) -> None:
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise PeopleError(f"reason: expected at most {LONGEST_REASON} printable characters, got {len(reason)} others")
