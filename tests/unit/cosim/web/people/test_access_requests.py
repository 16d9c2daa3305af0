"""Members ask one another for access; who has read what is kept."""

from __future__ import annotations

import pytest
from people_world import Clock, meet, settle

from cosim.web.people.access import Answer, Read
from cosim.web.people.errors import FullError, PeopleError, StateError, UnknownError
from cosim.web.people.store import People


@pytest.fixture
def street(people: People) -> People:
    """Persons 1, 2, 3 in houses 11, 12, 13."""
    for number in (1, 2, 3):
        settle(people, number, 10 + number)
    return people


def test_asked_granted_withdrawn_and_asked_again(street: People, clock: Clock) -> None:
    asked = street.access.ask_access(1, 12)
    assert (asked.asker, asked.asker_house, asked.owner, asked.owner_house) == (1, 11, 2, 12)
    assert (asked.state, asked.asked_at, asked.answered_at) == (Answer.ASKED, clock.now, None)
    assert street.access.list_asked_of(2) == street.access.list_asked_by(1) == [asked]
    clock.now += 10
    street.access.answer_access(asked.number, 2, granted=True)
    (granted,) = street.access.list_asked_by(1)
    assert (granted.state, granted.answered_at) == (Answer.GRANTED, clock.now)
    with pytest.raises(StateError, match="it is granted"):
        street.access.ask_access(1, 12)
    street.access.withdraw_access(granted.number, 2)
    assert street.access.list_asked_by(1)[0].state == Answer.WITHDRAWN
    assert street.access.ask_access(1, 12).state == Answer.ASKED
    assert len(street.access.list_asked_by(1)) == 1


def test_refused_and_asked_again(street: People) -> None:
    street.access.answer_access(street.access.ask_access(1, 12).number, 2, granted=False)
    assert street.access.list_asked_by(1)[0].state == Answer.REFUSED
    assert street.access.ask_access(1, 12).state == Answer.ASKED


def test_the_asker_may_take_it_back(street: People) -> None:
    street.access.withdraw_access(street.access.ask_access(1, 12).number, 1)
    assert street.access.list_asked_of(2)[0].state == Answer.WITHDRAWN


def test_only_the_owner_answers(street: People) -> None:
    number = street.access.ask_access(1, 12).number
    for somebody in (1, 3, 99):
        with pytest.raises(UnknownError, match="open to you"):
            street.access.answer_access(number, somebody, granted=True)
    assert street.access.list_asked_of(2)[0].state == Answer.ASKED


def test_only_the_two_withdraw(street: People) -> None:
    number = street.access.ask_access(1, 12).number
    with pytest.raises(UnknownError, match="open to you"):
        street.access.withdraw_access(number, 3)
    street.access.answer_access(number, 2, granted=False)
    with pytest.raises(UnknownError, match="open to you"):
        street.access.withdraw_access(number, 2)


def test_nobody_asks_itself_an_empty_house_or_as_a_stranger(street: People) -> None:
    with pytest.raises(StateError, match="got your own"):
        street.access.ask_access(1, 11)
    with pytest.raises(UnknownError, match="a house with a member"):
        street.access.ask_access(1, 99)
    meet(street, 4)
    with pytest.raises(StateError, match="got stranger"):
        street.access.ask_access(4, 11)


def test_requests_of_a_member_are_bounded(street: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.web.people.access.MOST_ASKED", 1)
    street.access.ask_access(1, 12)
    with pytest.raises(FullError, match="at most 1 requests"):
        street.access.ask_access(1, 13)


def test_the_next_person_of_a_house_inherits_no_access(street: People) -> None:
    for asker, house, owner in ((1, 12, 2), (3, 11, 1)):
        street.access.answer_access(street.access.ask_access(asker, house).number, owner, granted=True)
    street.decisions.revoke(1)
    settle(street, 4, 11)
    for person in (1, 2, 3, 4):
        assert street.access.list_asked_of(person) == street.access.list_asked_by(person) == []


def test_an_admission_that_fails_leaves_no_access_behind(street: People) -> None:
    street.access.ask_access(1, 12)
    decision = street.decisions.list_decisions_to_carry_out()[0]
    assert decision.person.number == 1
    street.decisions.mark_carried_out(decision.number, failure="no")
    assert street.access.list_asked_of(2) == []


def test_readings_of_an_hour_are_one_row(street: People, clock: Clock) -> None:
    start = int(clock.now)
    street.access.record_read(1, 2, "account")
    clock.now += 60
    street.access.record_read(1, 2, "account")
    street.access.record_read(3, 2, "bill 2026-06")
    clock.now += 3600
    street.access.record_read(1, 2, "account")
    street.access.record_read(1, 3, "account")
    assert street.access.list_reads_of(2) == [
        Read(1, 11, "account", start + 3660, 1),
        Read(1, 11, "account", start + 60, 2),
        Read(3, 13, "bill 2026-06", start + 60, 1),
    ]
    street.decisions.revoke(1)
    assert street.access.list_reads_of(2)[0].reader_house is None  # what was read stays known
    for what in ("x" * 81, "\ud800"):
        with pytest.raises(PeopleError, match="at most 80 printable characters"):
            street.access.record_read(1, 2, what)
