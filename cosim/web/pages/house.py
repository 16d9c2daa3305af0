"""The main page of a house: its meter, what the wires cut, its gate; and the statements that its browser signs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from starlette.responses import JSONResponse, Response

from cosim.case.case import Case
from cosim.case.devices import make_battery
from cosim.case.plugged import MOST_UNITS, rate_cell_w
from cosim.results.labels import name_house, number_house
from cosim.web.live.checks import MOST_DEVICES
from cosim.web.pages.curves import Curve, draw_curves
from cosim.web.pages.desk import Desk
from cosim.web.pages.house_keys import find_last_key, take_registration
from cosim.web.pages.names import Sight
from cosim.web.pages.refusals import RefusedError
from cosim.web.pages.rendering import render
from cosim.web.pages.visits import Visit, redirect
from cosim.web.pages.welcome import describe_market, find_day, list_hours, name_visitor
from cosim.web.pages.words import (
    ASKS,
    PlaceName,
    describe_device,
    describe_entry,
    explain_reason,
    format_energy,
    name_by_number,
    name_party,
)
from cosim.web.people.access import Answer
from cosim.web.people.persons import State
from grid_models.devices.fuel_cell import STACKS
from market.errors import LedgerError, MarketError
from market.exchanges import Ask, Kind, Reason, split_reason
from market.ledger.format.records import JOINS, SIZE, DeviceKind, RecordBytes, RecordKind, decode_record
from market.ledger.format.statements import Statement
from market.ledger.store.registry import RegisteredDevice, find_key_in_force
from market.ledger.store.tip import decode_records
from market.ledger.write.requests import parse_statement
from market.rules import DOUBLE_AUCTION, PLUGGED_IN, SHARING_CENTRAL, SHARING_SELFISH

STATEMENT = range(SIZE, 5 * SIZE + 1)
AUTOMATIC = -(2**31)
LARGEST_WH = 10**9
RECORDED = ("load_wh", "pv_wh", "bought_wh", "sold_wh", "imported_wh", "exported_wh", "spilled_wh")


def show_main(visit: Visit) -> Response:
    """The main page: of a member its house, of all others how to become one."""
    person, live = visit.person, visit.desk.live
    base = {**name_visitor(visit), **describe_market(visit.desk), "person": person}
    if person.state != State.ADMITTED or person.house is None:
        return render("join.html", **base, n_free=len(list_free_houses(visit.desk)))
    key = find_last_key(live, person.house)
    if key != person.page_key:
        return render("register.html", **base, taken=bool(key))
    in_force = find_key_in_force(live.registry, person.house, live.next_height, live.next_interval)
    return render("main.html", **base, in_force=in_force is not None, **describe_house(visit.desk, person.house))


def list_free_houses(desk: Desk) -> list[int]:
    """Houses that nobody has been admitted to, and that have no key on the ledger."""
    taken = {person.house for person in desk.people.persons.list_persons(State.ADMITTED)}
    return [house for house in desk.names.houses if house not in taken and not find_last_key(desk.live, house)]


def describe_house(desk: Desk, house: int) -> dict[str, Any]:
    """What a house sees of itself."""
    live, journal, day = desk.live, desk.journal, find_day(desk)
    known = range(day.start, min(day.stop, len(journal.intervals)))
    meters = journal.list_meters(house, known.start, known.stop)
    rows = journal.list_entries(house, known.start, known.stop)
    names = desk.names.party, desk.names.places[Sight.MEMBER]
    submission = None if live.is_over else live.find_submission(house, live.next_interval)
    least_wh, most_wh, room_wh = (int(column[house]) for column in live.ranges)
    return {
        "house": house,
        "house_name": name_house(house),
        "gives_wh": most_wh,
        "takes_wh": -least_wh,
        "meter": meters[-1] if meters.size else None,
        "today": {name: int(meters[name].sum(dtype=np.int64)) for name in RECORDED},
        "curve": draw_day(desk, house, day),
        "envelope": desk.envelopes.find(house),
        "cut": [{**entry, "at": live.starts_at(entry["interval"])} for entry in list_cut(rows, house, *names)],
        "soc_max_wh": room_wh,
        "is_manual": live.is_manual(house),
        "was_late": live.last is not None and house in live.last.late,
        "submission": submission,
        "automatic": AUTOMATIC,
        "asks": list_asks(live.case),
        "has_auction": live.case.mechanism.code in (DOUBLE_AUCTION, PLUGGED_IN),
        "has_batteries": live.case.rules.battery,
        "devices": list_devices(desk, house),
        "cells": tuple(STACKS),
    }


def list_cut(
    rows: Sequence[tuple[int, Any]],
    house: int,
    party: Callable[[int], str] = name_party,
    place: PlaceName = name_by_number,
) -> list[dict[str, Any]]:
    """What the wires cut of a house, of (height, row): deals, and generation that an island or a limit left unused."""
    entries = [(row, describe_entry(height, row, house, party, place)) for height, row in rows]
    told = {entry["interval"] for _, entry in entries if entry["cut_wh"] > 0}
    found = []
    for row, entry in entries:
        if entry["cut_wh"] > 0:
            found.append(entry)
        elif row["kind"] == Kind.SPILL and is_forced(row, was_told=entry["interval"] in told):
            found.append({**entry, "delivered_wh": int(row["cleared_wh"]), "cut_wh": -entry["cut_wh"]})
    return found


def is_forced(row: Any, *, was_told: bool) -> bool:
    """Whether generation was spilled by force; what stands in for a deal that was cut is told there, with its limit."""
    reason = int(split_reason(row["reason"])[0])
    return reason != Reason.NONE and not (reason == Reason.MAKES_UP and was_told)


def list_devices(desk: Desk, house: int) -> list[dict[str, Any]]:
    """Devices of a house, in words and with the fields of the statement that they leave.

    Those that it has registered, and those that it has had from the first interval.
    """
    live = desk.live
    devices = sorted(live.registry.devices.items())
    found = [
        _describe(device, number, takes_part=not live.is_only_registered(house, number))
        for (member, number), device in devices
        if member == house
    ]
    for own in live.list_own(house):
        device = RegisteredDevice(DeviceKind[own.kind.upper()], 0, own.power_w, own.energy_wh, bytes(32))
        found.append(_describe(device, None, takes_part=True))
    return found


def _describe(device: RegisteredDevice, number: int | None, *, takes_part: bool) -> dict[str, Any]:
    words = describe_device(device) + (", since the first interval" if number is None else "")
    return {**device._asdict(), "number": number, "words": words, "takes_part": takes_part}


def list_asks(case: Case) -> dict[int, str]:
    """What a house may ask for in this market: to share only where there is sharing."""
    code = case.mechanism.code
    shares = SHARING_CENTRAL <= code <= SHARING_SELFISH or code == PLUGGED_IN
    return {ask: words for ask, words in ASKS.items() if ask != Ask.SHARE or shares}


def draw_day(desk: Desk, house: int, day: range) -> Any:
    """Curves of a house's day: load, generation, and what it took (above 0) from others and the grid."""
    known = desk.journal.list_meters(house, day.start, day.stop)
    kwh = np.full((3, len(day)), np.nan)
    if known.size:
        taken = known["bought_wh"] + known["imported_wh"] - known["sold_wh"] - known["exported_wh"]
        kwh[:, : known.size] = np.stack([known["load_wh"], known["pv_wh"], taken]) / 1000.0
    names = ("load", "generation", "taken from the network")
    curves = [Curve(name, kwh[k], f"curve-{k + 1}") for k, name in enumerate(names)]
    return draw_curves(
        curves, list_hours(desk, day), "kWh", f"{name_house(house)} today, energy an interval".capitalize()
    )


def tell_next(visit: Visit) -> Response:
    """Numbers that the next statements of this house bear, and the power of a battery that it may register."""
    live, house = visit.desk.live, visit.house
    asked = visit.request.query_params
    battery_wh = visit.whole("battery_wh", 1, LARGEST_WH) if "battery_wh" in asked else 0
    units = visit.whole("units", 1, MOST_UNITS) if "units" in asked else 0
    devices = [number for member, number in live.registry.devices if member == house]
    return JSONResponse(
        {
            "member": house,
            "chain_id": live.chain_id.hex(),
            "number": live.next_number(house),
            "effective": live.next_height + 1,
            "interval": live.next_interval,
            "submission_number": live.next_submission_number(house),
            "bus": int(live.case.feeder.bus[house]),
            "device": max(devices, default=-1) + 1,
            "battery_w": rate_battery_w(live.case, battery_wh) if battery_wh else 0,
            "cell_w": rate_cell_w(_read_preset(visit), units) if units else 0,
        }
    )


def _read_preset(visit: Visit) -> str:
    preset = visit.request.query_params.get("preset", "")
    if preset not in STACKS:
        raise RefusedError(400, f"preset: expected one of {', '.join(STACKS)}.")
    return preset


def rate_battery_w(case: Case, energy_wh: int) -> int:
    """Power of a battery of the scenario's kind, W."""
    return round(make_battery(case.scenario.battery, energy_wh).rated_kw * 1000)


def take_submission(visit: Visit) -> Response:
    """Take what a house offers or needs, signed; once this returns it is kept."""
    record, signature = visit.blob("record", range(SIZE, SIZE + 1)), visit.blob("signature", range(64, 65))
    if int.from_bytes(record[12:16], "little", signed=True) != visit.house:
        raise RefusedError(403, "This is for another house than yours.")
    if visit.desk.live.key_of(visit.house) is None:
        raise RefusedError(403, "Your key does not count yet: try again once the next interval has closed.")
    promise = visit.desk.live.submit(record, signature)
    first, last = (int.from_bytes(record[at : at + 4], "little") for at in (36, 40))
    which = f"interval {first}" if first == last else f"intervals {first} to {last}"
    said = f"Taken for {which}, and signed by the operator."
    kept = {name: value.hex() for name, value in promise._asdict().items()}
    kept["chain_id"] = visit.desk.live.chain_id.hex()
    return JSONResponse({"said": said, "promise": kept, "next": "/main"})


def set_mode(visit: Visit) -> Response:
    """Run a house by hand, or by the automatic rule."""
    visit.desk.live.set_manual(visit.house, manual=visit.text("mode") == "manual")
    return redirect("/main")


def take_statement(visit: Visit) -> Response:
    """Put a statement that a member's browser has signed on the ledger: key, grant, access or device."""
    signed = visit.blob("records", STATEMENT)
    if (wait := visit.desk.statements.take(str(visit.person.number), time.monotonic())) > 0:
        raise RefusedError(429, f"Too many statements: wait {wait:.0f} s and try again.", wait_s=wait)
    try:
        statement = parse_statement(decode_records(signed))
    except LedgerError as reason:
        raise RefusedError(400, f"statement: {reason}") from reason
    row = decode_record(statement.record)
    if row["member"] != visit.house:
        raise RefusedError(403, "This is for another house than yours.")
    if row["kind"] not in TAKERS:
        raise RefusedError(400, "This kind of statement is not taken here.")
    return TAKERS[row["kind"]](visit, signed, statement)


def _take_member(visit: Visit, signed: bytes, statement: Statement) -> Response:
    desk = visit.desk
    try:
        take_registration(desk.live, desk.people, visit.person, visit.house, signed)
    except MarketError as reason:  # a block may have been written since the browser asked for its numbers
        raise RefusedError(409, str(reason)) from reason
    desk.carry_out()
    return JSONResponse({"said": f"You are the member of {name_house(visit.house)}.", "next": "/main"})


def _take_device(visit: Visit, signed: bytes, statement: Statement) -> Response:
    """Let a device join, if a power flow shows that the wires can carry it; or let one leave."""
    joins = decode_record(statement.record)["status"] == JOINS
    try:
        said = (_let_join if joins else _let_leave)(visit, decode_records(signed))
    except LedgerError as reason:  # its numbers may have been overtaken
        raise RefusedError(409, str(reason)) from reason
    visit.desk.tell()
    return JSONResponse({"said": said, "next": "/main"})


def _let_join(visit: Visit, records: RecordBytes) -> str:
    if sum(member == visit.house for member, _ in visit.desk.live.registry.devices) >= MOST_DEVICES:
        raise RefusedError(409, f"Your house has {MOST_DEVICES} registered devices already, and can have no more.")
    answer = visit.desk.live.register_device(records)
    if answer.reason != Reason.NONE:
        place = visit.desk.names.places[visit.sight]
        why = explain_reason(int(answer.reason), answer.element, place)
        raise RefusedError(422, f"The wires cannot carry it: {why}.")
    return f"The wires can carry it: it takes part from the next interval on, and is in block {answer.height}."


def _let_leave(visit: Visit, records: RecordBytes) -> str:
    answer = visit.desk.live.withdraw_device(records)
    if answer.waits:
        return (
            f"It holds energy of others, and is no longer charged; it leaves once that is sold or falls due. "
            f"In block {answer.height}."
        )
    taken = f", with {format_energy(answer.energy_wh)} of yours in it" if answer.energy_wh else ""
    return f"It has left{taken}; in block {answer.height}."


def _take_grant(visit: Visit, signed: bytes, statement: Statement) -> Response:
    height, row = _append(visit, signed), decode_record(statement.record)
    given, access = row["status"] == 1, visit.desk.people.access
    for asked in access.list_asked_of(visit.person.number):
        if asked.asker_house == row["other"]:
            if given and asked.state == Answer.ASKED:
                access.answer_access(asked.number, visit.person.number, granted=True)
            elif not given and asked.state == Answer.GRANTED:
                access.withdraw_access(asked.number, visit.person.number)
    said = "may read your account" if given else "may no longer read your account"
    who = visit.desk.names.party(row["other"]).capitalize()
    return JSONResponse({"said": f"{who} {said}; in block {height}.", "next": "/account"})


def _take_access(visit: Visit, signed: bytes, statement: Statement) -> Response:
    height, other = _append(visit, signed), decode_record(statement.record)["other"]
    return JSONResponse(
        {"said": f"Your reading is in block {height}.", "next": f"/account?house={number_house(other)}"}
    )


TAKERS = {
    RecordKind.MEMBER: _take_member,
    RecordKind.DEVICE: _take_device,
    RecordKind.GRANT: _take_grant,
    RecordKind.ACCESS: _take_access,
}


def _append(visit: Visit, signed: bytes) -> int:
    """Append a statement to the ledger; refused with 409, since its numbers may have been overtaken."""
    try:
        height = visit.desk.live.state_statement(decode_records(signed))
    except LedgerError as reason:
        raise RefusedError(409, str(reason)) from reason
    visit.desk.tell()
    return height


def ask_to_join(visit: Visit) -> Response:
    """Ask the operator to be admitted."""
    if visit.person.state not in (State.STRANGER, State.REFUSED):
        said = (
            "You have asked already; the operator answers."
            if visit.person.state == State.ASKED
            else "You have a house."
        )
        raise RefusedError(409, said)
    wish = visit.named_house() if visit.text("house") else None
    if wish is not None and wish not in visit.desk.names.houses:
        raise RefusedError(409, "The community is nobody's: choose your house, or leave its number out.")
    visit.desk.people.persons.ask_to_join(visit.person.number, wish)
    return redirect("/main")
