"""Carry out what the operator has decided, on this page or on the command line: put it on the ledger."""

from __future__ import annotations

import logging

from cosim.web.live.run import LiveRun
from cosim.web.people.decisions import Decision, Verdict
from cosim.web.people.persons import Person
from cosim.web.people.registration import check_registration
from cosim.web.people.store import People
from market.errors import MarketError
from market.ledger.format.records import Role
from market.ledger.format.statements import revoke
from market.ledger.store.tip import decode_records

logger = logging.getLogger(__name__)


def carry_out(live: LiveRun, people: People) -> int:
    """Carry out all decisions that can be; returns how many.

    An admission stays open until the person's key is on the ledger: its browser signs for the house, and signs again
    where the ledger went on meanwhile. A decision may have been carried out just before a crash: what the ledger says
    already is not said twice.
    """
    done = 0
    for decision in people.decisions.list_decisions_to_carry_out():
        try:
            if _carry_out(live, decision):
                people.decisions.mark_carried_out(decision.number)
                done += 1
        except MarketError as reason:
            logger.warning("decision %d is not carried out yet: %s", decision.number, reason)
    return done


def find_last_key(live: LiveRun, house: int) -> bytes:
    """Public key that the ledger names last for a house, in force or soon; empty if there is none, or no longer."""
    tenures = live.registry.keys.get(house, ())
    return tenures[-1].public_key if tenures else b""


def _carry_out(live: LiveRun, decision: Decision) -> bool:
    """Carry out one decision; False if it has to wait for the person's browser."""
    is_there = decision.house is not None and find_last_key(live, decision.house) == decision.page_key
    if decision.kind == Verdict.ADMIT and not is_there:
        if decision.person.registration is None:
            return False
        live.state_statement(decode_records(decision.person.registration))
    elif decision.kind == Verdict.REVOKE and is_there and decision.house is not None:
        role, number = Role(live.registry.roles[decision.house]), live.next_number(decision.house)
        live.state_statement(revoke(decision.house, role, number, live.next_height + 1))
    return True


def take_registration(live: LiveRun, people: People, person: Person, house: int, records: bytes) -> None:
    """Put the statement by which an admitted person's key becomes that of its house on the ledger.

    Raises
    ------
    cosim.web.people.errors.PeopleError, market.errors.LedgerError
        If it is no such statement, or the ledger went on meanwhile: the browser may sign it again.
    """
    height = live.next_height
    rows = check_registration(records, chain_id=live.chain_id, house=house, page_key=person.page_key, height=height)
    people.persons.give_registration(person.number, records)
    live.state_statement(rows)
