"""The table of participants of a network from a file: bus, power factor and phases of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosim.errors import ScenarioError
from cosim.scenario.base import LEAST_COS_PHI
from cosim.scenario.model import Scenario
from cosim.scenario.participants import ParticipantSection
from data.columns import Numbers, Table
from data.errors import DataError
from data.files import read_table
from grid_models.errors import GridError
from grid_models.feeder.connection import ABC, DEVICES, NAMES, Codes, Connections, make_connections, read_phase

PHASE = "phase"
PHASE_COLUMNS = {device: f"phase_{device}" for device in DEVICES if device != "load"}
"""Column with the phases of a device where they are not those of the house."""
PHASE_EV, UNSAID = "phase_ev", -1
"""Column with the phases of wall boxes, and what stands for an empty cell of it: they follow the wall box's power."""
_FLOATS = ("1.0", "2.0", "3.0", "123.0")
"""Phases by number as tools write them where other cells of the column are empty."""
OPTIONAL = ("load_cos_phi", PHASE, *PHASE_COLUMNS.values())
_PLACES = ("participant", "bus", PHASE_EV, *OPTIONAL)


class Participants(NamedTuple):
    """A table of participants.

    Attributes
    ----------
    rows
        (participant, bus) of each row.
    load_cos_phi
        Power factors of some loads, by participant.
    connections
        Phases of the devices of each row; None where the table has no column of them.
    notes
        How the table was read.
    """

    rows: list[tuple[str, str]]
    load_cos_phi: dict[str, float]
    connections: Connections | None
    notes: tuple[str, ...]

    def in_order(self, participants: Sequence[str]) -> Participants:
        """The same with the rows in the order of `participants`, all of whom it lists."""
        place = {name: k for k, name in enumerate(participants)}
        order = sorted(range(len(self.rows)), key=lambda row: place[self.rows[row][0]])
        found = None if self.connections is None else self.connections.select(order)
        return self._replace(rows=[self.rows[row] for row in order], connections=found)


def read_participants(path: Path, *, has_cars: bool = False, placement_only: bool = False) -> Participants:
    """Participants of a CSV with the columns participant, bus and perhaps load_cos_phi and phases; cells may be empty.

    Only where some have cars may the table say at which phases their wall boxes are. With `placement_only` what a table
    of houses says beyond that is left out, and a note names it.

    Raises
    ------
    ScenarioError
        If the file cannot be read, has other columns, or a cell is not what its column is for.
    """
    try:
        table = read_table(path, what="a table participant,bus")
    except DataError as reason:
        raise ScenarioError(str(reason)) from reason
    needed = [name for name in _PLACES if name != PHASE_EV or not placement_only]  # who has a car is not known there
    others = [name for name in table.frame.columns if name in ParticipantSection.model_fields and name not in needed]
    if placement_only and others:
        table = table._replace(frame=table.frame.drop(columns=others)).say(f"not needed: {', '.join(others)}")
    columns = [str(name) for name in table.frame.columns]
    _check_header(path, columns, has_cars=has_cars)
    filled = table.frame.fillna("").astype(str)
    rows = list(zip(filled["participant"], filled["bus"], strict=True))
    given = _read_power_factors(table) if "load_cos_phi" in columns else np.full(len(rows), np.nan)
    named = {row[0]: cos_phi for row, cos_phi in zip(rows, given.tolist(), strict=True) if cos_phi == cos_phi}
    return Participants(rows, named, _read_connections(table), table.notes)


def read_placement(scenario: Scenario) -> Participants:
    """Participants that the rows of a scenario place in a network of its own, in their order."""
    rows = [row for row in scenario.participants if row.bus is not None]
    return Participants(
        [(row.participant, str(row.bus)) for row in rows],
        {row.participant: row.load_cos_phi for row in rows if row.load_cos_phi is not None},
        connect_rows(rows, make_connections(np.full(len(rows), ABC, np.int8))) if name_phases(rows) else None,
        (),
    )


def name_phases(rows: Iterable[ParticipantSection | None]) -> bool:
    """Whether any row says at which phases a device is."""
    return any(
        row is not None and getattr(row, key) is not None
        for row in rows
        for key in (PHASE, PHASE_EV, *PHASE_COLUMNS.values())
    )


def connect_rows(rows: Sequence[ParticipantSection | None], others: Connections) -> Connections:
    """Phases of participants as their rows say, those of `others` where they say nothing."""
    codes = {device: getattr(others, device).copy() for device in DEVICES}
    for k, row in enumerate(rows):
        if row is None:
            continue
        for device in DEVICES:
            word = getattr(row, PHASE_COLUMNS.get(device, PHASE)) or getattr(row, PHASE)
            if word is not None:
                codes[device][k] = read_phase(word, f"table of participants, '{row.participant}', phase")
    found = make_connections(codes["load"], **{device: codes[device] for device in PHASE_COLUMNS})
    boxes = [UNSAID if row is None or row.phase_ev is None else read_phase(row.phase_ev, "phase_ev") for row in rows]
    return found if set(boxes) == {UNSAID} else replace(found, ev=np.array(boxes, np.int8))


def _check_header(path: Path, columns: Sequence[str], *, has_cars: bool) -> None:
    """Raise ScenarioError where a column is missing, or one that nobody reads."""
    if PHASE_EV in columns and not has_cars:
        raise ScenarioError(
            f"{path}, column '{PHASE_EV}': expected none, since participants have no electric vehicles here, got one; "
            "leave it out: what a vehicle draws is part of its house's load"
        )
    if not {"participant", "bus"} <= set(columns) <= {"participant", "bus", *OPTIONAL, PHASE_EV}:
        raise ScenarioError(
            f"{path}: expected the columns participant,bus and perhaps {', '.join(OPTIONAL)}, got {','.join(columns)}; "
            "correct the header, or name a table of what houses own by houses.table"
        )


def _read_power_factors(table: Table) -> Numbers:
    """Column load_cos_phi, NaN where a cell is empty."""
    table = table.with_numbers(["load_cos_phi"])
    column, empty = table.column("load_cos_phi"), table.frame["load_cos_phi"].isna().to_numpy()
    given = column.to_float()
    wrong = ~empty & ~((np.abs(given) >= LEAST_COS_PHI) & (np.abs(given) <= 1.0))
    expected = f"a power factor from {LEAST_COS_PHI} to 1, with a minus for a capacitive load, or an empty cell"
    try:
        column.check(wrong, expected, "correct the row")
    except DataError as reason:
        raise ScenarioError(str(reason)) from reason
    return np.where(empty, np.nan, given)


def _read_connections(table: Table) -> Connections | None:
    """Phases of every row: those of the house count for each device that names none; None without such a column."""
    house = _read_phases(table, PHASE, np.full(len(table.frame), ABC, np.int8))
    if not {PHASE, PHASE_EV, *PHASE_COLUMNS.values()} & set(table.frame.columns):
        return None
    found = make_connections(
        house, **{device: _read_phases(table, name, house) for device, name in PHASE_COLUMNS.items()}
    )
    unsaid = np.full(house.size, UNSAID, np.int8)
    return replace(found, ev=_read_phases(table, PHASE_EV, unsaid)) if PHASE_EV in table.frame else found


def _read_phases(table: Table, column: str, otherwise: Codes) -> Codes:
    """Codes of a column of phases; those of `otherwise` where it is not there or a cell is empty."""
    if column not in table.frame:
        return otherwise
    cells = table.frame[column]
    codes = otherwise.copy()
    for k in np.flatnonzero(cells.notna().to_numpy()).tolist():
        where = f"{table.source}, column '{column}', row {cells.index[k]}"
        try:
            codes[k] = read_phase(_as_word(cells.iloc[k]), where)
        except GridError as reason:
            raise ScenarioError(f"{reason}; correct the row") from reason
    return codes


def _as_word(cell: object) -> str:
    """A cell as it is written: tools write a column of phase numbers with empty cells as 1.0."""
    return str(cell).strip().removesuffix(".0") if str(cell).strip() in _FLOATS else str(cell)


def list_left_out(table: Participants, remedy: str = 'network.model = "three_phase"') -> tuple[str, ...]:
    """What a table says of phases and a balanced model leaves out, in words for the user; `remedy` follows them."""
    found = table.connections
    if found is None:
        return ()
    uneven = np.any([getattr(found, device) != ABC for device in DEVICES], axis=0)
    if not uneven.any():
        return ()
    first = int(np.argmax(uneven))
    device = next(device for device in DEVICES if getattr(found, device)[first] != ABC)
    phase = NAMES[getattr(found, device)[first]]
    return (
        f"phases of {int(uneven.sum())} participants are left out, such as '{table.rows[first][0]}' on {phase}: the "
        f"balanced model takes every device as connected to three; {remedy} follows them",
    )
