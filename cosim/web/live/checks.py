"""What a served run is held against: its scenario, its ledger so far, what people register and the operator opens."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cosim.case.case import Case
from cosim.case.checks import check_islands, check_no_envelopes, check_outages, check_sources
from cosim.case.given import GIVEN_FILE
from cosim.case.head import check_no_head
from cosim.case.plugged import StatedDevice, check_house
from cosim.case.voltage_control import check_without_voltage_control
from cosim.errors import ScenarioError
from cosim.recording.acts import Between, is_act, read_stated
from cosim.scenario.model import Scenario
from market.errors import LedgerError
from market.exchanges import Kind, Rows
from market.ledger.format.records import RecordBytes, RecordKind, decode_record, read_places, select_rows
from market.ledger.format.statements import parse_statements, read_member_and_number
from market.ledger.store.registry import Registry, next_number
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records
from market.ledger.write.requests import parse_statement


def read_acts(directory: Path, n_intervals: int) -> tuple[list[Between], Rows | None]:
    """What happened between intervals, and the last meters, (1, N); None where no interval is recorded."""
    acts, meters = list[Between](), None
    with Store.open_to_read(directory) as store:
        for block in (block for group in store.groups() for block in group if block.height > 0):
            records = decode_records(block.records)
            interval = int(read_places(records[:1])[0, 0])
            if is_act(records):
                acts.append(Between(interval, records))
            elif interval == n_intervals - 1 and (records[:, 0] == RecordKind.VERDICT).any():
                meters = select_rows(records, Kind.METER)[None]
    return acts, meters


MOST_SKIPPED = 1000
"""How far the number of a statement may be ahead of the one before."""
MOST_DEVICES, MOST_EVER, LARGEST_DEVICE = 20, 100, 10**6
"""Devices that a house may have, and may have had since the run began, and the largest number of one."""


def check_numbers(registry: Registry, records: RecordBytes) -> None:
    """Check that statements bear numbers near those of their members: behind the largest number nothing could follow.

    Raises
    ------
    LedgerError
        If one is far ahead.
    """
    for statement in parse_statements(records):
        member, number = read_member_and_number(statement)
        if number > (most := next_number(registry, member) + MOST_SKIPPED):
            raise LedgerError(f"statement of member {member}: expected a number up to {most}, got {number}")


def read_device(case: Case, records: RecordBytes) -> tuple[int, StatedDevice]:
    """Status and device of a member's statement, checked against the house.

    Raises
    ------
    ScenarioError, LedgerError
        If it is no statement about a device, or not the house's own.
    """
    statement = parse_statement(records)
    row = decode_record(statement.record)
    if row["kind"] != RecordKind.DEVICE:
        raise ScenarioError(f"device: expected a statement that one joins or leaves, got kind {row['kind']}")
    house = row["member"]
    check_house(case, house)
    if not 0 <= row["device"] <= LARGEST_DEVICE:
        raise ScenarioError(f"device: expected a number from 0 to {LARGEST_DEVICE}, got {row['device']}")
    if row["bus"] != (bus := int(case.feeder.bus[house])):
        raise ScenarioError(
            f"bus: expected {bus}, where {case.profiles.participants[house]} is connected, got {row['bus']}"
        )
    return row["status"], read_stated(row)


def check_count(case: Case, registry: Registry, house: int) -> None:
    """Raise ScenarioError if a house has as many devices as it may, or has had as many in the course of the run."""
    if sum(member == house for member, _ in registry.devices) >= MOST_DEVICES:
        raise ScenarioError(
            f"{case.profiles.participants[house]}: expected at most {MOST_DEVICES} devices, got one more"
        )
    if sum(device.house == house for device in case.fleet.devices) >= MOST_EVER:
        raise ScenarioError(
            f"{case.profiles.participants[house]}: expected at most {MOST_EVER} devices in a run, got one more"
        )


def check_outages_possible(case: Case) -> None:
    """Check outages of scenario and commands as those of a scenario are before a run; the last is a new command's."""
    outages = case.timeline.outages
    check_outages(case.scenario.model_copy(update={"events": outages[-1:]}), case.feeder)
    all_of_them = case.scenario.model_copy(update={"events": outages})
    check_islands(all_of_them, case.feeder)
    check_sources(all_of_them, case.feeder)


class Ways(NamedTuple):
    """What a run whose intervals close one by one is called, who takes part in it, and why its houses cannot sign."""

    what: str
    who: str
    why_not_signed: str


SERVED = Ways("a served run", "people", "the keys of the houses are with the people, who are not always there")
COUPLED = Ways("a coupled run", "other simulators", "what another simulator gives is no house's own word")


def check_not_coupled(directory: Path) -> None:
    """Raise ScenarioError if another simulator gave the inputs of the run in a directory: it cannot go on without."""
    if (directory / GIVEN_FILE).exists():
        raise ScenarioError(
            f"{directory}: expected a new directory or a served run, found a co-simulation, which begins anew each "
            "time; choose another directory"
        )


def check_scenario(scenario: Scenario, ways: Ways = SERVED) -> None:
    """Check that people, or other simulators, can take part in a scenario.

    Raises
    ------
    ScenarioError
        If its ledger or its outages ask for what such a run cannot do.
    """
    what, who, why_not_signed = ways
    if scenario.outage.dispatch != "hourly":
        raise ScenarioError(
            f'outage, dispatch: expected "hourly" for {what}, got "{scenario.outage.dispatch}": what {who} and '
            f"the operator will do is not known ahead; leave it out, or run it without {who} by gridsettle run"
        )
    check_no_envelopes(scenario, what)
    check_no_head(scenario, what)
    check_without_voltage_control(scenario, f"{what}, in which outages and devices may come")
    options = scenario.ledger
    for name, asked, why in (
        ("private", options.private, "submissions stand in clear beside the records that they lead to"),
        ("members_sign", options.members_sign, why_not_signed),
    ):
        if asked:
            raise ScenarioError(
                f"ledger, {name}: expected false for {what}, got true: {why}; set it to false for that, or run the "
                f"scenario without {who} by gridsettle run"
            )
