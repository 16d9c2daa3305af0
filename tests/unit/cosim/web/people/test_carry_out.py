"""Decisions put on the ledger: once each, however often the server is killed between the ledger and its mark."""

from __future__ import annotations

import pytest
from people_world import CHAIN, Clock, meet, page_key, settle

from cosim.web.people.carry_out import carry_out_decisions
from cosim.web.people.persons import State
from cosim.web.people.store import People
from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.format.records import RecordBytes, Role, number_records
from market.ledger.format.statements import register
from market.ledger.store.registry import EMPTY, Registry, find_key_in_force, next_number, replay_statements


class KilledError(Exception):
    """The server is killed here."""


class Chain:
    """A ledger in memory that admits statements as a real one does."""

    def __init__(self) -> None:
        self.chain_id, self.next_height = CHAIN, 1
        self.next_interval = 0
        self.registry: Registry = EMPTY._replace(keys={OPERATOR: ()}, numbers={OPERATOR: 0}, replacement_wait=5)
        self.killed_after_block = False

    def next_number(self, house: int) -> int:
        return next_number(self.registry, house)

    def state_statement(self, records: RecordBytes) -> int:
        numbered = number_records(records, 0)
        self.registry = replay_statements(self.registry, numbered, self.chain_id, self.next_height)
        self.next_height += 1
        if self.killed_after_block:
            raise KilledError
        return self.next_height - 1

    def key_of(self, house: int) -> bytes | None:
        return find_key_in_force(self.registry, house, self.next_height + 1, 0)


@pytest.fixture
def chain() -> Chain:
    return Chain()


def sign(people: People, chain: Chain, number: int, *, ahead: int = 1) -> None:
    """What the person's page does at its next visit."""
    house = people.persons.find_person(number).house
    assert house is not None
    statement = register(
        CHAIN, house, Role.PARTICIPANT, chain.next_number(house), chain.next_height + ahead, page_key(number)
    )
    people.persons.give_registration(number, statement.tobytes())


def public(number: int) -> bytes:
    return page_key(number).public_key().public_bytes_raw()


def test_an_admission_waits_for_the_page_and_is_then_on_the_ledger(people: People, chain: Chain) -> None:
    settle(people, 1, 8)
    assert carry_out_decisions(people, chain) == []
    sign(people, chain, 1)
    ((decision, height, failure),) = carry_out_decisions(people, chain)
    assert (decision.house, height, failure) == (8, 1, "")
    assert chain.key_of(8) == public(1)
    assert carry_out_decisions(people, chain) == []


def test_a_kill_between_the_ledger_and_the_mark_repeats_nothing(people: People, chain: Chain) -> None:
    settle(people, 1, 8)
    sign(people, chain, 1)
    chain.killed_after_block = True
    with pytest.raises(KilledError):
        carry_out_decisions(people, chain)
    chain.killed_after_block = False
    ((_, height, failure),) = carry_out_decisions(people, chain)
    assert (height, failure, chain.next_height) == (None, "", 2)
    people.decisions.revoke(1)
    chain.killed_after_block = True
    with pytest.raises(KilledError):
        carry_out_decisions(people, chain)
    chain.killed_after_block = False
    ((_, height, failure),) = carry_out_decisions(people, chain)
    assert (height, failure, chain.next_height) == (None, "", 3)
    assert chain.key_of(8) is None


def test_a_statement_that_came_too_late_is_signed_again(people: People, chain: Chain) -> None:
    settle(people, 1, 8)
    sign(people, chain, 1, ahead=0)
    assert carry_out_decisions(people, chain) == []
    assert people.persons.find_person(1).registration is None
    sign(people, chain, 1, ahead=3)
    chain.registry = chain.registry._replace(numbers={**chain.registry.numbers, 8: 4})
    assert carry_out_decisions(people, chain) == []
    assert people.persons.find_person(1).registration is None
    sign(people, chain, 1)
    assert len(carry_out_decisions(people, chain)) == 1


def test_a_revoked_member_is_ended_and_the_next_one_of_the_house_registered(people: People, chain: Chain) -> None:
    settle(people, 1, 8)
    sign(people, chain, 1)
    carry_out_decisions(people, chain)
    people.decisions.revoke(1)
    settle(people, 2, 8)
    ((decision, height, _),) = carry_out_decisions(people, chain)
    assert (decision.kind, height) == ("revoke", 2)
    sign(people, chain, 2, ahead=2)
    ((decision, height, _),) = carry_out_decisions(people, chain)
    assert (decision.kind, height) == ("admit", 3)
    assert chain.registry.keys[8][-1].public_key == public(2)
    assert chain.registry.keys[8][-1].from_interval == 5  # the ledger lets a replacement wait


def test_who_was_never_registered_is_revoked_without_a_block(people: People, chain: Chain) -> None:
    settle(people, 1, 8)
    people.decisions.revoke(1)
    ((decision, height, failure),) = carry_out_decisions(people, chain)
    assert (decision.kind, height, failure, chain.next_height) == ("revoke", None, "", 1)


def test_refusals_concern_nobody_but_the_store(people: People, chain: Chain) -> None:
    meet(people, 1)
    people.persons.ask_to_join(1)
    people.decisions.refuse(1)
    ((_, height, failure),) = carry_out_decisions(people, chain)
    assert (height, failure, chain.next_height) == (None, "", 1)


def test_a_house_with_another_key_on_the_ledger_is_told_to_the_operator(people: People, chain: Chain) -> None:
    chain.state_statement(register(CHAIN, 8, Role.PARTICIPANT, 1, 2, page_key(9)))
    settle(people, 1, 8)
    sign(people, chain, 1)
    ((_, height, failure),) = carry_out_decisions(people, chain)
    assert height is None
    assert "expected no key in force" in failure
    person = people.persons.find_person(1)
    assert (person.state, person.reason) == (State.ASKED, failure)


def test_a_disk_that_is_full_is_no_decision(people: People, chain: Chain, clock: Clock) -> None:
    settle(people, 1, 8)
    sign(people, chain, 1)

    class Full(Chain):
        def state_statement(self, records: RecordBytes) -> int:
            raise LedgerError("expected a file that can be written, got No space left on device")

    with pytest.raises(LedgerError, match="No space"):
        carry_out_decisions(people, Full())
    assert people.persons.find_person(1).state == State.ADMITTED
    assert len(people.decisions.list_decisions_to_carry_out()) == 1
    assert issubclass(LedgerError, ValueError)
