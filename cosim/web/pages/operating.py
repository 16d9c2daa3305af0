"""The operator's page: members, requests, devices, the interval clock, audits, the checkpoint."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cosim.web.pages.auditor import COMMANDS
from cosim.web.pages.desk import Desk
from cosim.web.pages.house import list_free_houses
from cosim.web.pages.names import Sight
from cosim.web.pages.refusals import RefusedError
from cosim.web.pages.rendering import render
from cosim.web.pages.visits import Visit, redirect
from cosim.web.pages.welcome import describe_market, name_visitor, read_checkpoint
from cosim.web.pages.words import describe_device
from cosim.web.people.persons import Person, State
from market.ledger.crypto.keys import pseudonym
from market.ledger.format.records import Change
from market.ledger.store.registry import find_key_in_force

FASTEST_S, SLOWEST_S = 0.5, 86_400.0
CHANGES = {"grid": Change.GRID_OUT, "line": Change.LINE_OUT}
"""What the operator can open, and close again."""


def show_operator(visit: Visit) -> Response:
    """The operator's page."""
    desk, persons = visit.desk, visit.desk.people.persons
    requests = persons.list_requests()
    return render(
        "operator.html",
        **name_visitor(visit),
        **describe_market(desk),
        requests=requests,
        members=[describe_member(desk, person) for person in persons.list_persons(State.ADMITTED)],
        others=persons.list_persons(State.STRANGER, State.REFUSED, State.REVOKED),
        free=list_free_houses(desk),
        names=desk.names,
        devices=[
            (member, number, describe_device(device))
            for (member, number), device in sorted(desk.live.registry.devices.items())
        ],
        late=desk.live.last.late if desk.live.last is not None else (),
        failure=desk.clock.failure,
        auditor=desk.auditor,
        audits=tuple(COMMANDS),
        has_checkpoint=bool(read_checkpoint(desk)),
        map=desk.maps.draw(Sight.OPERATOR),
        legend=desk.maps.legend,
        clients=desk.announcer.n_clients,
        switched=list_switched(desk),
        waits=waits_to_join(desk),
    )


def describe_member(desk: Desk, person: Person) -> dict[str, Any]:
    """A member as the operator sees it."""
    live, house = desk.live, -1 if person.house is None else person.house
    name = desk.names.full(house) if house in desk.names.houses else person.label
    key = find_key_in_force(live.registry, house, live.next_height, live.next_interval)
    return {
        "person": person,
        "name": name,
        "key": pseudonym(key) if key else "",
        "is_manual": live.is_manual(house),
    }


def admit(visit: Visit) -> Response:
    """Admit a person to a house."""
    house, names = visit.named_house(), visit.desk.names
    if house not in names.houses:
        raise RefusedError(409, "The community is nobody's; choose a house.")
    if house not in list_free_houses(visit.desk):
        raise RefusedError(409, f"{names.party(house).capitalize()} has a member or a key already; choose another.")
    visit.desk.people.decisions.admit(visit.whole("person"), house)
    return redirect("/operator")


def refuse(visit: Visit) -> Response:
    """Refuse a person who asks."""
    visit.desk.people.decisions.refuse(visit.whole("person"), visit.text("reason"))
    return redirect("/operator")


def revoke(visit: Visit) -> Response:
    """End a membership: the person's sessions at once, its key by the next block."""
    visit.desk.people.decisions.revoke(visit.whole("person"), visit.text("reason"))
    visit.desk.carry_out()
    return redirect("/operator")


def set_clock(visit: Visit) -> Response:
    """Close one interval, or one every so many seconds, or stop."""
    clock, what = visit.desk.clock, visit.text("what")
    if what == "step":
        if visit.desk.live.is_over:
            raise RefusedError(409, "The run is over: all its intervals are closed.")
        clock.step()
    elif what == "start":
        clock.run_every(visit.decimal("seconds", FASTEST_S, SLOWEST_S))
    elif what == "stop":
        clock.run_every(None)
    else:
        raise RefusedError(400, "what: expected step, start or stop.")
    return redirect("/operator")


def switch(visit: Visit) -> Response:
    """Open the connection to the grid or a line from the next interval on, or close it again."""
    desk, what = visit.desk, visit.text("what")
    kind, _, number = what.partition(" ")
    if kind not in CHANGES or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise RefusedError(400, "what: expected 'grid 0' or 'line' and its number.")
    desk.live.switch(CHANGES[kind], int(number), opens=visit.text("opens") == "yes")
    desk.tell()
    return redirect("/operator")


def list_switched(desk: Desk) -> list[tuple[str, str, bool]]:
    """What the operator can switch: what it is called in a form, its name, and whether it is open by command."""
    case = desk.live.case
    opened = [outage for k, outage in enumerate(case.timeline.outages) if case.timeline.open[-1, k]]
    lines = {name for outage in opened for name in outage.lines}
    place = desk.names.places[Sight.OPERATOR]
    found = [("grid 0", "the connection to the grid", any(outage.grid for outage in opened))]
    return found + [
        (f"line {index}", place("line", int(index)), name in lines) for index, name in case.feeder.net.line.name.items()
    ]


def waits_to_join(desk: Desk) -> bool:
    """Whether an outage that is over was still in force in the last interval: what it cut off is not joined yet."""
    live = desk.live
    if live.last is None or live.is_over:
        return False
    in_force = live.last.chunk.network.in_force
    return bool((in_force & ~live.case.timeline.open[live.next_interval, : in_force.size]).any())


def begin_audit(visit: Visit) -> Response:
    """Verify or audit the ledger, in a process of its own."""
    what = visit.text("what")
    if what not in COMMANDS:
        raise RefusedError(400, f"what: expected {' or '.join(COMMANDS)}.")
    if not visit.desk.auditor.begin(what):
        raise RefusedError(409, "An audit is under way; wait for its answer.")
    return redirect("/operator#audit")


def download_checkpoint(visit: Visit) -> Response:
    """The newest checkpoint, to keep elsewhere."""
    note = read_checkpoint(visit.desk)
    if not note:
        raise RefusedError(404, "There is no checkpoint yet.")
    disposition = {"Content-Disposition": 'attachment; filename="checkpoint.txt"'}
    return Response(note, media_type="text/plain; charset=utf-8", headers=disposition)
