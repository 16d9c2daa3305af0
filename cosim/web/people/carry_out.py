"""What the operator has decided is put on the ledger, by the one process that may write there.

A server may be killed between the ledger and the mark in the store. So each decision is first looked for on the ledger,
and carrying out is repeated until both say the same.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from cosim.web.people.decisions import Decision, Verdict
from cosim.web.people.errors import PeopleError
from cosim.web.people.registration import check_registration
from cosim.web.people.store import People
from market.errors import LedgerError
from market.ledger.format.records import RecordBytes, Role, decode_record, number_records
from market.ledger.format.statements import revoke
from market.ledger.store.registry import Registry, replay_statements


class MembersOnLedger(Protocol):
    """A ledger that is being written, as far as members go."""

    @property
    def chain_id(self) -> bytes:
        """The chain, 32 bytes."""

    @property
    def registry(self) -> Registry:
        """Members after the last block."""

    @property
    def next_height(self) -> int:
        """Height of the next block."""

    @property
    def next_interval(self) -> int:
        """Intervals recorded so far."""

    def next_number(self, house: int) -> int:
        """Number of a member's next statement."""

    def state_statement(self, records: RecordBytes) -> int:
        """Append a block with a statement, (M, 72); returns its height."""


class Outcome(NamedTuple):
    """What became of a decision: the block that states it, None where none had to; and why it failed, if it did."""

    decision: Decision
    height: int | None
    failure: str


def carry_out_decisions(people: People, ledger: MembersOnLedger) -> list[Outcome]:
    """Carry out what can be carried out now; call it at the start of a server and after every interval.

    An admission waits until the person's page has signed its registration. One that came too late, because blocks were
    written meanwhile, is dropped, and the page signs another.

    Parameters
    ----------
    people
        The store.
    ledger
        The ledger; the caller holds the lock under which it is written.

    Returns
    -------
    list[Outcome]
        The decisions that are closed by this, in their order.

    Raises
    ------
    LedgerError, OSError, PeopleError
        If the ledger or the store cannot be written; then the decision stays open.
    """
    outcomes = [_carry_out(people, ledger, decision) for decision in people.decisions.list_decisions_to_carry_out()]
    return [outcome for outcome in outcomes if outcome is not None]


def _carry_out(people: People, ledger: MembersOnLedger, decision: Decision) -> Outcome | None:
    """Close one decision, or leave it open."""
    records = None
    if decision.kind == Verdict.ADMIT and not _is_last_key(ledger, decision, decision.person.page_key):
        records = _find_registration(people, ledger, decision)
        if records is None:
            return None
    elif decision.kind == Verdict.REVOKE and _is_last_key(ledger, decision, decision.page_key):
        try:
            records = _make_revocation(ledger, decision)
        except (LedgerError, OverflowError, ValueError) as reason:  # one decision must not keep all others waiting
            people.decisions.mark_carried_out(decision.number, f"the key cannot be ended: {reason}")
            return Outcome(decision, None, str(reason))
    failure = "" if records is None else _find_fault(ledger, records)
    height = None if records is None or failure else ledger.state_statement(records)
    people.decisions.mark_carried_out(decision.number, failure)
    return Outcome(decision, height, failure)


def _find_fault(ledger: MembersOnLedger, records: RecordBytes) -> str:
    """Why the ledger would not admit a statement, empty if it would; a disk that is full is another matter."""
    try:
        numbered = number_records(records, ledger.next_interval)
        replay_statements(ledger.registry, numbered, ledger.chain_id, ledger.next_height)
    except LedgerError as reason:
        return str(reason)
    return ""


def _is_last_key(ledger: MembersOnLedger, decision: Decision, key: bytes) -> bool:
    """Whether the newest key that the ledger knows of the house is this one."""
    tenures = ledger.registry.keys.get(decision.house if decision.house is not None else -1, ())
    return bool(tenures) and tenures[-1].public_key == key


def _find_registration(people: People, ledger: MembersOnLedger, decision: Decision) -> RecordBytes | None:
    """The statement of the person's page, None if there is none (any more)."""
    person, house = decision.person, decision.house
    if person.registration is None or house is None:
        return None
    try:
        records = check_registration(
            person.registration,
            chain_id=ledger.chain_id,
            house=house,
            page_key=person.page_key,
            height=ledger.next_height,
        )
    except PeopleError:
        records = None
    if records is None or decode_record(records[0].tobytes())["number"] < ledger.next_number(house):
        people.persons.drop_registration(person.number)
        return None
    return records


def _make_revocation(ledger: MembersOnLedger, decision: Decision) -> RecordBytes:
    """The operator's statement that ends a member's key; its header's signature is the operator's word."""
    house = decision.house if decision.house is not None else -1
    role = Role(ledger.registry.roles[house])
    since = ledger.registry.keys[house][-1].since
    return revoke(house, role, ledger.next_number(house), max(ledger.next_height, since) + 1)
