"""Carry out what the operator has decided, on this page or on the command line: put it on the ledger."""

from __future__ import annotations

import logging

from cosim.web.live.run import LiveRun
from cosim.web.people.persons import Decision
from cosim.web.people.registration import check_registration
from cosim.web.people.store import People
from market.errors import MarketError
from market.ledger.format.records import Role, decode_record
from market.ledger.format.statements import revoke
from market.ledger.store.registry import Tenure
from market.ledger.store.tip import decode_records

logger = logging.getLogger(__name__)


def carry_out(live: LiveRun, people: People) -> int:
    """Carry out all decisions that can be; returns how many.

    An admission waits until the person's browser has signed the statement for its house. A decision may have been
    carried out just before a crash: what the ledger says already is not said twice.
    """
    done = 0
    for decision in people.persons.list_decisions_to_carry_out():
        if decision.kind == "admit" and decision.person.registration is None:
            continue
        try:
            _carry_out(live, decision)
        except MarketError as reason:
            logger.warning("decision %d was not carried out: %s", decision.number, reason)
            people.persons.mark_carried_out(decision.number, str(reason))
        else:
            people.persons.mark_carried_out(decision.number)
            done += 1
    return done


def find_last_tenure(live: LiveRun, house: int | None) -> Tenure | None:
    """Last tenure of a house that is or was a member."""
    tenures = live.registry.keys.get(-4 if house is None else house, ())
    return tenures[-1] if tenures else None


def _carry_out(live: LiveRun, decision: Decision) -> None:
    last = find_last_tenure(live, decision.house)
    if decision.kind == "admit" and decision.person.registration is not None:
        if last is None or last.public_key != decode_record(decision.person.registration[:72])["public_key"]:
            live.state_statement(decode_records(decision.person.registration))
    elif decision.kind == "revoke" and decision.house is not None and last is not None:
        if last.public_key == decision.person.page_key:
            number, height = live.next_number(decision.house), live.next_height + 1
            live.state_statement(revoke(decision.house, Role.PARTICIPANT, number, height))


def take_registration(live: LiveRun, people: People, person: int, records: bytes) -> None:
    """Take the statement by which an admitted person's key becomes that of its house, and put it on the ledger.

    Raises
    ------
    cosim.web.people.errors.PeopleError, market.errors.LedgerError
        If it is no such statement.
    """
    found = people.persons.find_person(person)
    rows = check_registration(
        records, chain_id=live.chain_id, house=found.house or 0, page_key=found.page_key, height=live.next_height
    )
    people.persons.give_registration(person, rows.tobytes())
