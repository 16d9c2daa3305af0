"""Keys of houses on the ledger: the last one that it names, and the statement of a new one."""

from __future__ import annotations

from cosim.web.live.run import LiveRun
from cosim.web.people.persons import Person
from cosim.web.people.registration import check_registration
from cosim.web.people.store import People


def find_last_key(live: LiveRun, house: int) -> bytes:
    """Public key that the ledger names last for a house, in force or soon; empty if there is none, or no longer."""
    tenures = live.registry.keys.get(house, ())
    return tenures[-1].public_key if tenures else b""


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
