"""The commands `gridsettle members …`: whom the operator of a served market lets take part."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosim.cli import members
from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.options import Directory, LinesAsJson
from cosim.results import labels
from cosim.web.people import persons, store
from market.ledger.format import records
from market.ledger.store import store as stores
from market.ledger.store import tip

if TYPE_CHECKING:
    from cosim.web.people.decisions import Decision

people_app = typer.Typer(
    no_args_is_help=True, help="Admit people to a served market, refuse them, end their membership."
)

PersonNumber = Annotated[int, typer.Argument(min=1, help="Number of the person, as `members requests` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; the person sees it.")]


@people_app.command("requests")
def list_requests(
    directory: Directory,
    every: Annotated[bool, typer.Option("--all", help="List everybody who ever signed in.")] = False,
    as_json: LinesAsJson = False,
) -> None:
    """List the people who ask to join, with the wallet or passkey that they sign in with."""
    with bad_input_ends(), store.People(directory, create=False) as people:
        found = people.persons.list_persons() if every else people.persons.list_requests()
        open_decisions = {decision.person.number for decision in people.decisions.list_decisions_to_carry_out()}
    if not found and not as_json:
        typer.echo("nobody has signed in yet" if every else "nobody asks to join")
    members.show_lines([_show_person(person, person.number in open_decisions) for person in found], as_json=as_json)


def _show_person(person: persons.Person, is_open: bool) -> dict[str, Any]:
    """What the operator sees of a person; without what is not there."""
    fields = {
        "person": person.number,
        "state": str(person.state),
        "house": _number_house(person.house),
        "wishes": _number_house(person.wish),
        "ledger_index": person.house,
        "asked": _show_time(person.asked_at),
        "decided": _show_time(person.decided_at),
        str(person.kind): person.subject,
        "reason": person.reason or None,
        "carried_out": False if is_open else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _number_house(index: int | None) -> int | None:
    """Number of a house as pages have it."""
    return None if index is None else labels.number_house(index)


def _show_time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


@people_app.command("admit")
def admit(
    directory: Directory,
    person: PersonNumber,
    house: Annotated[
        int, typer.Argument(min=1, help="Number of the house that becomes theirs, as on the pages: house_01 is 1.")
    ],
) -> None:
    """Admit a person to a house; a running server carries it out at once, else the next start does."""
    with bad_input_ends(), store.People(directory, create=False) as people:
        index = _find_house(directory, house)
        _tell(people.decisions.admit(person, index), f"admitted to house {house}; their page now registers its key")


@people_app.command("refuse")
def refuse(directory: Directory, person: PersonNumber, reason: Reason = "") -> None:
    """Refuse a person who asks to join; they may ask again, five times in all."""
    with bad_input_ends(), store.People(directory, create=False) as people:
        _tell(people.decisions.refuse(person, reason), "refused")


@people_app.command("revoke")
def revoke(directory: Directory, person: PersonNumber, reason: Reason = "") -> None:
    """End a person's membership: they are signed out at once, and the server ends their key on the ledger."""
    with bad_input_ends(), store.People(directory, create=False) as people:
        decision = people.decisions.revoke(person, reason)
        _tell(decision, f"signed out, and no longer the member of {_name_house(decision.house)}")


@people_app.command("operator-code")
def make_operator_code(
    directory: Directory,
    sign_out: Annotated[bool, typer.Option("--sign-out", help="End every session of the operator first.")] = False,
) -> None:
    """Make a code with which the operator signs in on the web, once and within ten minutes; it voids the last one."""
    with bad_input_ends(), store.People(directory, create=False) as people:
        if sign_out:
            people.sessions.close_all(None)
        typer.echo(people.codes.make_code())


def _tell(decision: Decision, what: str) -> None:
    """Say what was decided, and when the ledger will say so."""
    typer.echo(f"person {decision.person.number}: {what}")
    typer.echo("a running server carries it out with its next block, else the next start of gridsettle serve does")


def _find_house(directory: Path, house: int) -> int:
    """Index on the ledger of a house; ends with a message if the market has none, each stands in the first block."""
    with stores.Store.open_to_read(directory) as opened:
        kinds = tip.decode_records(opened.block(0).records)[:, 0].tolist()
    count = sum(kind in (records.RecordKind.HOUSE, records.RecordKind.PRIVATE) for kind in kinds)
    if house > count:
        fail(f"house: expected a house of this market, from 1 to {count}, got {house}")
    return house - labels.number_house(0)


def _name_house(index: int | None) -> str:
    return "no house" if index is None else labels.name_house(index)
