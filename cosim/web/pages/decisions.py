"""Carry out what the operator has decided, on this page or on the command line: put it on the ledger."""

from __future__ import annotations

import logging

from cosim.web.live.run import LiveRun
from cosim.web.people.decisions import Decision, Verdict
from cosim.web.people.registration import check_registration
from cosim.web.people.store import People
from market.errors import MarketError
from market.ledger.format.records import Role
from market.ledger.format.statements import revoke
from market.ledger.store.tip import decode_records

logger = logging.getLogger(__name__)


def carry_out(live: LiveRun, people: People) -> int:
    """Carry out all decisions that can be; returns how many.

    An admission waits until the person's browser has signed the statement for its house. A decision may have been
    carried out just before a crash: what the ledger says already is not said twice.
    """
    done = 0
    for decision in people.decisions.list_decisions_to_carry_out():
        if decision.kind == Verdict.ADMIT and decision.person.registration is None:
            continue
        try:
            _carry_out(live, decision)
        except MarketError as reason:
            logger.warning("decision %d was not carried out: %s", decision.number, reason)
            people.decisions.mark_carried_out(decision.number, str(reason))
        else:
            people.decisions.mark_carried_out(decision.number)
            done += 1
    return done


def find_last_key(live: LiveRun, house: int) -> bytes:
    """Public key that the ledger names last for a house, in force or soon; empty if there is none, or no longer."""
    tenures = live.registry.keys.get(house, ())
    return tenures[-1].public_key if tenures else b""


def _carry_out(live: LiveRun, decision: Decision) -> None:
    if decision.house is None:
        return
    is_there = find_last_key(live, decision.house) == decision.page_key
    if decision.kind == Verdict.ADMIT and decision.person.registration is not None and not is_there:
        live.state_statement(decode_records(decision.person.registration))
    elif decision.kind == Verdict.REVOKE and is_there:
        role, number = Role(live.registry.roles[decision.house]), live.next_number(decision.house)
        live.state_statement(revoke(decision.house, role, number, live.next_height + 1))


def take_registration(live: LiveRun, people: People, person: int, records: bytes) -> None:
    """Keep the statement by which an admitted person's key becomes that of its house, once it is known to be one.

    Raises
    ------
    cosim.web.people.errors.PeopleError
        If it is no such statement.
    """
    found = people.persons.find_person(person)
    house = -1 if found.house is None else found.house
    height = live.next_height
    check_registration(records, chain_id=live.chain_id, house=house, page_key=found.page_key, height=height)
    people.persons.give_registration(person, records)
