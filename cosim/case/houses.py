"""The table of participants of a scenario, wherever it stands, as rows of the scenario: nothing else reads it again.

A row may be in a file (`houses.table`), in the scenario (`[[participants]]`) or in a DataFrame given to `run`. From
there on all three are one: a run writes them into its scenario.toml, and the scenario's digest covers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cosim.case.community import COMMUNITY
from cosim.errors import ScenarioError
from cosim.scenario.messages import explain_row, suggest
from cosim.scenario.model import Scenario
from cosim.scenario.participants import NUMBERS, ParticipantSection
from data.columns import Table
from data.errors import DataError
from data.files import read_table
from data.households import name_houses

Rows = dict[str, ParticipantSection]
"""Rows of a table by participant."""

MOST_PARTICIPANTS, MOST_CHECKED_ROWS = 100_000, 1_000
"""Houses that a scenario can have, and rows that are looked at whatever `houses.n_houses` says."""
_FLAGS = ("ev", "heat_pump")
_WORDS = {"yes": True, "true": True, "1": True, "1.0": True, "no": False, "false": False, "0": False, "0.0": False}
_OF_COMMUNITY = ("pv_kwp", "battery_kwh", "fuel_cell", "units", "tank_kg", "fuel_eur_per_kg")
"""Keys of a row that `[community]` has too."""


def with_houses(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with the rows of its table, and what had to be understood to read it.

    The row of the community fills `[community]`, priorities join `curtailment.priority`, cars and heat pumps are
    counted. A scenario that has been here before stays as it is.

    Raises
    ------
    ScenarioError
        If the table cannot be used, or the scenario says another thing about the same participant.
    """
    said: tuple[str, ...] = ()
    if scenario.houses.table is not None:
        scenario, said = _read_into(scenario)
    if not scenario.participants:
        return scenario, said
    _check_once(scenario)
    _check_place(scenario)
    changes: dict[str, Any] = {}
    for part in (_fill_community(scenario), _join_priorities(scenario), _count_devices(scenario)):
        changes |= part
    return (scenario.with_changes("table of participants", **changes) if changes else scenario), said


def _read_into(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    path = scenario.houses.table
    assert path is not None
    if scenario.participants:
        raise ScenarioError(
            f"scenario '{scenario.name}', houses.table: expected none beside [[participants]], got {path.name}; write "
            "all participants in one place"
        )
    try:
        table = read_table(path, what="a table of participants")
    except DataError as reason:
        raise ScenarioError(str(reason)) from reason
    check_size(scenario, table)
    rows, said = read_rows(table)
    return with_rows(scenario, rows), said


def check_size(scenario: Scenario, table: Table) -> None:
    """Raise ScenarioError at a table of far more rows than there are houses, before each row is looked at.

    What is wrong with a table of a size that people write is said more exactly of its rows.
    """
    n, drawn = len(table.frame), scenario.profiles.source != "table"
    most = max(MOST_CHECKED_ROWS, scenario.houses.n_houses + 1) if drawn else MOST_PARTICIPANTS + 1
    if n > most:
        houses = (
            f"{scenario.houses.n_houses} houses, as in houses.n_houses," if drawn else f"{MOST_PARTICIPANTS:,} houses"
        )
        raise ScenarioError(
            f"{table.source}: expected at most a row for each of {houses} and one for the community, got {n:,} rows; "
            f"remove rows{', or set houses.n_houses' if drawn else ''}"
        )


def with_rows(scenario: Scenario, rows: Sequence[ParticipantSection]) -> Scenario:
    """The scenario with these rows in place of its table."""
    return scenario.model_copy(
        update={"participants": tuple(rows), "houses": scenario.houses.model_copy(update={"table": None})}
    )


def read_rows(table: Table) -> tuple[tuple[ParticipantSection, ...], tuple[str, ...]]:
    """Rows of a table whose columns are the keys of `[[participants]]`, and how it was read; empty cells are left out.

    Raises
    ------
    ScenarioError
        If a column is unknown, or a cell is not what its column is for; the message names file, column and row.
    """
    known = tuple(ParticipantSection.model_fields)
    try:
        _check_devices(table)
        table.check_columns(known[:1], known[1:])
        table = table.with_numbers([name for name in NUMBERS if name in table.frame])
    except DataError as reason:
        raise ScenarioError(str(reason)) from reason
    columns = [str(name) for name in table.frame.columns]
    cells = zip(*(table.frame[name] for name in columns), strict=True)
    rows = (
        _make_row(table, row, {name: cell for name, cell in zip(columns, line, strict=True) if not pd.isna(cell)})
        for row, line in zip(table.frame.index, cells, strict=True)
    )
    return tuple(rows), table.notes


def _check_devices(table: Table) -> None:
    """Raise DataError at a column about a car or heat pump that the sections of these say for all."""
    for name in map(str, table.frame.columns):
        section = next((flag for flag in _FLAGS if name.startswith(f"{flag}_")), None)
        if section:
            raise DataError(
                f"{table.source}, column '{name}': expected column '{section}' with yes or no, since all are "
                f"of the kind of section [{section}], got one of its own; leave it out"
            )


def _make_row(table: Table, row: object, cells: dict[str, Any]) -> ParticipantSection:
    words = {name: cell if name in NUMBERS else _read_word(name, cell) for name, cell in cells.items()}
    try:
        return ParticipantSection(**words)
    except ValidationError as reason:
        raise ScenarioError(explain_row(reason, ParticipantSection, table.source, row)) from reason


def _read_word(name: str, cell: object) -> object:
    """A cell that is no number: tools write whole numbers as 1.0 where other cells of the column are empty."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        cell = int(cell)
    word = str(cell).strip() if name != "participant" else str(cell)
    return _WORDS.get(word.lower(), word) if name in _FLAGS else word


def _check_once(scenario: Scenario) -> None:
    seen = set[str]()
    for row in scenario.participants:
        if row.participant in seen:
            raise ScenarioError(
                f"table of participants: expected each participant once, got '{row.participant}' again; remove the row"
            )
        seen.add(row.participant)


def _check_place(scenario: Scenario) -> None:
    """Raise ScenarioError where a row says what the network or the source of the panels cannot follow."""
    section = scenario.network
    if section.participants is not None:
        raise ScenarioError(
            f"scenario '{scenario.name}', network.participants: expected none beside houses.table or [[participants]], "
            f"got {section.participants.name}; put its columns into that table"
        )
    n_named = sum(bool(row.ev) for row in scenario.participants)  # only beyond them cars are drawn
    for row in scenario.participants:
        where = f"table of participants, '{row.participant}'"
        if row.bus is not None and section.source != "file":
            raise ScenarioError(
                f'{where}, bus: expected none where network.source = "{section.source}", which places the houses '
                f"itself, got '{row.bus}'; leave it out, or bring your network by network.source = \"file\""
            )
        if row.phase_ev is not None and not (row.ev or (row.ev is None and scenario.ev.n_cars > n_named)):
            raise ScenarioError(f"{where}, phase_ev: expected none without a car, got '{row.phase_ev}'; leave it out")
        roof = row.pv_tilt_deg is not None or row.pv_azimuth_deg is not None
        if roof and scenario.pv.source != "pvwatts":
            raise ScenarioError(
                f"{where}, pv_tilt_deg, pv_azimuth_deg: expected none where panels follow the profiles' sun, got some; "
                'leave them out, or choose pv.source = "pvwatts" with pv.weather_file'
            )


def _fill_community(scenario: Scenario) -> dict[str, Any]:
    """Changes of `[community]`: what its row says; there is one where there is a row."""
    row = index_rows(scenario).get(COMMUNITY)
    if row is None:
        return {}
    defaults, section = type(scenario.community).model_fields, scenario.community
    given = {key: getattr(row, key) for key in _OF_COMMUNITY if getattr(row, key) is not None}
    for key, value in given.items():
        if getattr(section, key) not in (value, defaults[key].default):
            raise ScenarioError(
                f"table of participants, '{COMMUNITY}', {key}: expected what community.{key} says, "
                f"{getattr(section, key)}, got {value}; write it in one place"
            )
    return {"community": {**given, "enabled": True}}


def _join_priorities(scenario: Scenario) -> dict[str, Any]:
    priority = scenario.curtailment.priority
    given = {row.participant: row.priority for row in scenario.participants if row.priority is not None}
    for name, value in given.items():
        if priority.get(name, value) != value:
            raise ScenarioError(
                f"table of participants, '{name}', priority: expected what curtailment.priority says, "
                f"{priority[name]}, got {value}; write it in one place"
            )
    return {"curtailment": {"priority": {**priority, **given}}} if given else {}


def _count_devices(scenario: Scenario) -> dict[str, Any]:
    """Changes of the numbers of cars and heat pumps: those of the table, where it says who has one.

    A larger number stays: houses of which the table says nothing are drawn until it is reached.
    """
    changes: dict[str, Any] = {}
    for flag, key in (("ev", "n_cars"), ("heat_pump", "n_heat_pumps")):
        said = [getattr(row, flag) for row in scenario.participants if getattr(row, flag) is not None]
        n, there = sum(said), getattr(getattr(scenario, flag), key)
        if said and 0 < there < n:
            raise ScenarioError(
                f"scenario '{scenario.name}', {flag}.{key}: expected at least {n}, as many as say yes in column "
                f"'{flag}' of the table of participants, got {there}; leave it out, or write no in some rows"
            )
        if n > there:
            changes[flag] = {key: n}
    return changes


def index_rows(scenario: Scenario) -> Rows:
    """Rows of the scenario's table by participant; none without a table."""
    return {row.participant: row for row in scenario.participants}


def list_rows(scenario: Scenario, participants: Sequence[str]) -> list[ParticipantSection | None]:
    """Row of each participant, None where the table has none, (N,)."""
    rows = index_rows(scenario)
    return [rows.get(name) for name in participants]


def name_drawn(scenario: Scenario) -> tuple[str, ...]:
    """Names of houses that are drawn: house_01, … or those of the table, if it names every house by names of its own.

    Raises
    ------
    ScenarioError
        If it names some of both, or another number of houses.
    """
    drawn = name_houses(scenario.houses.n_houses)
    own = tuple(row.participant for row in scenario.participants if row.participant != COMMUNITY)
    others = sorted(set(own) - set(drawn))
    if not others:
        return drawn
    if len(own) == len(drawn) and len(others) == len(own):
        return own
    raise ScenarioError(
        f"table of participants: expected names of drawn houses, {drawn[0]} to {drawn[-1]}, or {len(drawn)} names of "
        f"your own as in houses.n_houses, got {len(own)} of which '{others[0]}' is no drawn house"
        f"{suggest(others[0], list(drawn))}; correct the names, or set houses.n_houses = {len(own)}"
    )


def check_rows(scenario: Scenario, participants: Sequence[str]) -> None:
    """Raise ScenarioError if the table names nobody, or its cars and heat pumps are those of nobody."""
    for row in scenario.participants:
        if row.participant not in participants:
            raise ScenarioError(
                f"table of participants: expected participants such as {', '.join(participants[:3])}, got "
                f"'{row.participant}'{suggest(row.participant, list(participants))}; correct the name or remove the row"
            )
