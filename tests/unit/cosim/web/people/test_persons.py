"""Persons and what the operator decides about them: every state, every step between two, and what it brings along."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people_world import Clock, meet, page_key, settle

from cosim.web.people.decisions import LONGEST_REASON, Verdict
from cosim.web.people.errors import FullError, PeopleError, StateError, UnknownError
from cosim.web.people.persons import LARGEST_HOUSE, LONGEST_SUBJECT, MOST_ASKED, Kind, State
from cosim.web.people.store import People

RECORDS = bytes(3 * 72)


def test_from_stranger_to_member_and_back(people: People, clock: Clock) -> None:
    person = meet(people, 1)
    assert (person.state, person.label) == (State.STRANGER, "person 1")
    asked = people.persons.ask_to_join(1, wish=7)
    assert (asked.state, asked.wish, asked.asked_at) == (State.ASKED, 7, clock.now)
    assert people.persons.list_requests() == [asked]
    decision = people.decisions.admit(1, 8)
    assert (decision.kind, decision.house, decision.person.label) == (Verdict.ADMIT, 8, "house 9")
    assert people.persons.list_requests() == []
    assert people.persons.find_member(8) == decision.person
    people.persons.give_registration(1, RECORDS)
    (waiting,) = people.decisions.list_decisions_to_carry_out()
    assert waiting.person.registration == RECORDS
    people.decisions.mark_carried_out(waiting.number)
    ended = people.decisions.revoke(1, "moved away")
    assert (ended.kind, ended.house, ended.person.state) == (Verdict.REVOKE, 8, State.REVOKED)
    assert (ended.person.house, ended.person.label, ended.person.reason) == (None, "person 1", "moved away")
    assert people.decisions.list_decisions_to_carry_out() == [ended]
    assert people.persons.find_member(8) is None


def test_a_revocation_names_the_key_that_the_member_had(people: People) -> None:
    person = settle(people, 1, 8)
    people.decisions.revoke(1)
    with people.file.transaction():
        people.persons.greet(Kind.WALLET, person.subject, bytes(32))
    (decision,) = people.decisions.list_decisions_to_carry_out()
    assert decision.page_key == page_key(1).public_key().public_bytes_raw()
    assert decision.person.page_key == bytes(32)


def test_a_refused_person_sees_why_and_may_ask_five_times(people: People) -> None:
    meet(people, 1)
    for _ in range(MOST_ASKED):
        people.persons.ask_to_join(1)
        refused = people.decisions.refuse(1, "unknown here")
        assert (refused.person.state, refused.person.reason) == (State.REFUSED, "unknown here")
    with pytest.raises(StateError, match="at most 5 requests"):
        people.persons.ask_to_join(1)
    assert people.decisions.admit(1, 3).person.state == State.ADMITTED  # the operator may think again


def test_a_newer_decision_takes_the_place_of_one_that_is_open_but_not_of_a_revocation(people: People) -> None:
    settle(people, 1, 8)
    revoked = people.decisions.revoke(1)
    admitted = people.decisions.admit(1, 9)
    assert people.decisions.list_decisions_to_carry_out() == [
        *[d for d in people.decisions.list_decisions_to_carry_out() if d.number == revoked.number],
        admitted,
    ]
    assert [d.kind for d in people.decisions.list_decisions_to_carry_out()] == [Verdict.REVOKE, Verdict.ADMIT]


def test_a_house_has_one_person(people: People) -> None:
    settle(people, 1, 8)
    meet(people, 2)
    people.persons.ask_to_join(2)
    with pytest.raises(StateError, match="house 9: expected a house without a person, got that of person 1"):
        people.decisions.admit(2, 8)
    assert people.persons.find_person(2).state == State.ASKED
    people.decisions.revoke(1)
    assert people.decisions.admit(2, 8).person.label == "house 9"


def test_an_admission_that_the_ledger_refuses_waits_again(people: People) -> None:
    settle(people, 1, 8)
    people.persons.give_registration(1, RECORDS)
    (decision,) = people.decisions.list_decisions_to_carry_out()
    people.decisions.mark_carried_out(decision.number, failure="a key that is known")
    person = people.persons.find_person(1)
    assert (person.state, person.house, person.registration) == (State.ASKED, None, None)
    assert person.reason == "a key that is known"
    assert people.decisions.list_decisions_to_carry_out() == []
    with pytest.raises(UnknownError, match="expected one that is to be carried out"):
        people.decisions.mark_carried_out(decision.number)


def test_a_registration_of_another_size_is_refused(people: People) -> None:
    settle(people, 1, 8)
    for size in (0, 72, 71 * 3, 4 * 72, 6 * 72, 1 << 20):
        with pytest.raises(PeopleError, match="expected 3 or 5 records of 72 bytes"):
            people.persons.give_registration(1, bytes(size))


def test_sizes_are_limited(people: People) -> None:
    with people.file.transaction(), pytest.raises(PeopleError, match="characters of identity"):
        people.persons.greet(Kind.PASSKEY, "a" * (LONGEST_SUBJECT + 1), bytes(32))
    with people.file.transaction(), pytest.raises(PeopleError, match="expected 32 bytes"):
        people.persons.greet(Kind.PASSKEY, "a", bytes(33))
    meet(people, 1)
    for house in (-1, LARGEST_HOUSE):
        with pytest.raises(PeopleError, match="house: expected a number from 1 to 1000000"):
            people.persons.ask_to_join(1, house)
        with pytest.raises(PeopleError, match="house: expected a number from 1 to 1000000"):
            people.decisions.admit(1, house)
    people.persons.ask_to_join(1)
    for reason in ("x" * (LONGEST_REASON + 1), "two\nlines", "\x1b[31m"):
        with pytest.raises(PeopleError, match="printable characters"):
            people.decisions.refuse(1, reason)


def test_requests_that_wait_are_bounded(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.web.people.persons.MOST_REQUESTS", 2)
    for number in (1, 2, 3):
        meet(people, number)
    people.persons.ask_to_join(1)
    people.persons.ask_to_join(2)
    with pytest.raises(FullError, match="requests that wait"):
        people.persons.ask_to_join(3)


def test_nobody_has_a_number_that_was_not_given(people: People) -> None:
    for act in (people.persons.find_person, people.persons.ask_to_join, people.decisions.refuse):
        with pytest.raises(UnknownError, match="person 5"):
            act(5)
        with pytest.raises(UnknownError, match="person 1000000000000000000000000"):
            act(10**24)
    with pytest.raises(UnknownError, match="open to you"):
        people.access.answer_access(10**24, 1, granted=True)


MAY: dict[str, set[State]] = {
    "ask": {State.STRANGER, State.REFUSED},
    "admit": {State.ASKED, State.REFUSED, State.REVOKED},
    "refuse": {State.ASKED},
    "revoke": {State.ADMITTED},
    "register": {State.ADMITTED},
}
AFTER = {"ask": State.ASKED, "admit": State.ADMITTED, "refuse": State.REFUSED, "revoke": State.REVOKED}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(MAY)), st.integers(1, 3), st.integers(0, 2)), max_size=25)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_is_tried_only_the_steps_of_the_table_happen(
    people: People, steps: list[tuple[str, int, int]]
) -> None:
    with people.file.transaction():
        for table in ("person", "decision", "session"):
            people.file.write(f"DELETE FROM {table}")
    for number in (1, 2, 3):
        meet(people, number)
    for what, number, house in steps:
        before = people.persons.find_person(number)
        act = {
            "ask": lambda n, h: people.persons.ask_to_join(n, h),
            "admit": people.decisions.admit,
            "refuse": lambda n, h: people.decisions.refuse(n),
            "revoke": lambda n, h: people.decisions.revoke(n),
            "register": lambda n, h: people.persons.give_registration(n, RECORDS),
        }[what]
        try:
            act(number, house)
        except StateError:
            assert people.persons.find_person(number) == before
            continue
        assert before.state in MAY[what]
        assert people.persons.find_person(number).state == AFTER.get(what, State.ADMITTED)
    members = people.persons.list_persons(State.ADMITTED)
    assert len({member.house for member in members}) == len(members)
    assert all(person.house is None for person in people.persons.list_persons() if person not in members)
    last = {decision.person.number: decision for decision in people.decisions.list_decisions_to_carry_out()}
    for person in people.persons.list_persons(State.ADMITTED, State.REFUSED, State.REVOKED):
        assert AFTER[last[person.number].kind] == person.state
