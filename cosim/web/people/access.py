"""Members ask one another for access to their accounts; and who has read whose.

The ledger's GRANT statements say what is allowed. Here is only the asking, and the reading that a page has shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cosim.results.labels import name_house
from cosim.web.people.errors import FullError, PeopleError, StateError, UnknownError
from cosim.web.people.file import PeopleFile
from cosim.web.people.persons import Persons, State

MOST_ASKED = 1000
LONGEST_WHAT = 80
_HOUR_S = 3600
MOST_SHOWN = 1000


class Answer(StrEnum):
    """What became of a request for access."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A request for access: numbers of the persons, their houses now, what became of it, seconds since 1970."""

    number: int
    asker: int
    asker_house: int
    owner: int
    owner_house: int
    state: Answer
    asked_at: int
    answered_at: int | None


@dataclass(frozen=True, slots=True)
class Read:
    """What somebody has read within one hour: when last (seconds since 1970), and how often."""

    reader: int
    reader_house: int | None
    what: str
    last_at: int
    times: int


class Access:
    """Requests for access, and readings, of a store."""

    def __init__(self, file: PeopleFile, persons: Persons, clock: Callable[[], float]) -> None:
        self._file, self._persons, self._clock = file, persons, clock

    def ask_access(self, asker: int, owner_house: int) -> AccessRequest:
        """Ask the member of another house for access to its account.

        Raises
        ------
        UnknownError, StateError
            If no member is there, or the asker is none, asks itself, or has asked before and waits or has it.
        FullError
            If it has asked too many.
        """
        with self._file.transaction():
            self._persons.expect_state(asker, "asks for access", State.ADMITTED)
            owner = self._persons.find_member(owner_house)
            if owner is None:
                raise UnknownError(f"{name_house(owner_house)}: expected a house with a member, got one without")
            if owner.number == asker:
                raise StateError("expected another's house, got your own")
            known = self._file.rows("SELECT state FROM access WHERE asker = ? AND owner = ?", asker, owner.number)
            if known and known[0][0] in (Answer.ASKED, Answer.GRANTED):
                raise StateError(
                    f"{name_house(owner_house)}: expected a first request, got another; it is {known[0][0]}"
                )
            if self._file.rows("SELECT count(*) FROM access WHERE asker = ?", asker)[0][0] >= MOST_ASKED:
                raise FullError(f"expected at most {MOST_ASKED} requests of a member, got one more")
            self._file.write("DELETE FROM access WHERE asker = ? AND owner = ?", asker, owner.number)
            number = self._file.write(
                "INSERT INTO access VALUES(NULL,?,?,?,?,NULL)",
                *(asker, owner.number, Answer.ASKED, int(self._clock())),
            )
            return self._select("a.number = ?", number)[0]

    def list_asked_of(self, owner: int) -> list[AccessRequest]:
        """List what others ask of a person, oldest first."""
        return self._select("a.owner = ?", owner)

    def list_asked_by(self, asker: int) -> list[AccessRequest]:
        """List what a person asks of others, oldest first."""
        return self._select("a.asker = ?", asker)

    def answer_access(self, number: int, owner: int, *, granted: bool) -> None:
        """Answer a request that waits, as its owner, once the GRANT statement is accepted.

        Raises
        ------
        UnknownError
            If no request of that number waits for that owner.
        """
        state = Answer.GRANTED if granted else Answer.REFUSED
        self._set_state(number, state, owner, "owner", "'asked'")

    def withdraw_access(self, number: int, person: int) -> None:
        """End a request or an access, as either of both.

        Raises
        ------
        UnknownError
            If there is none of that number between that person and another.
        """
        self._set_state(number, Answer.WITHDRAWN, person, "owner, asker", "'asked', 'granted'")

    def _set_state(self, number: int, state: Answer, person: int, sides: str, before: str) -> None:
        """Set the state of a request if the person is on one of its sides and it was in one of some states before."""
        statement = (
            f"UPDATE access SET state = ?, answered_at = ? WHERE number = ? AND ? IN ({sides}) AND state IN ({before})"
        )
        with self._file.transaction():
            if self._file.write(statement, state, int(self._clock()), number, person) == 0:
                raise UnknownError(f"request for access {number}: expected one that is open to you, got another")

    def record_read(self, reader: int, owner: int, what: str) -> None:
        """Write down that a person is about to see something of another's; readings within an hour are one row.

        Raises
        ------
        PeopleError
            If `what` is too long, or no printable text.
        """
        if len(what) > LONGEST_WHAT or not what.isprintable():
            raise PeopleError(
                f"expected at most {LONGEST_WHAT} printable characters that say what is read, got {len(what)} others"
            )
        now = int(self._clock())
        with self._file.transaction():
            self._file.write(
                "INSERT INTO reading VALUES(?,?,?,?,?,1)"
                " ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at), times = times + 1",
                *(reader, owner, what, now // _HOUR_S, now),
            )

    def list_reads_of(self, owner: int) -> list[Read]:
        """List who has read what of a person, the newest first; the last thousand."""
        query = (
            "SELECT reader, house, what, last_at, times FROM reading LEFT JOIN person ON number = reader"
            " WHERE owner = ? ORDER BY last_at DESC, reader, what LIMIT ?"
        )
        return [Read(*row) for row in self._file.rows(query, owner, MOST_SHOWN)]

    def _select(self, condition: str, person: int) -> list[AccessRequest]:
        query = (
            "SELECT a.number, asker, p.house, owner, q.house, a.state, a.asked_at, answered_at FROM access a"
            f" JOIN person p ON p.number = asker JOIN person q ON q.number = owner WHERE {condition} ORDER BY a.number"
        )
        return [
            AccessRequest(number, asker, asker_house, owner, owner_house, Answer(state), asked_at, answered_at)
            for number, asker, asker_house, owner, owner_house, state, asked_at, answered_at in self._file.rows(
                query, person
            )
        ]
