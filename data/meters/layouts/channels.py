"""Columns of values of a table of readings as channels: whose, which way, what, in which unit, and their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.columns import Column, Table
from data.errors import DataError
from data.meters.layouts import roles
from data.meters.layouts.choosing import Known, Roles
from data.meters.readings import EXPORT, INTERVAL, NET, POWER, REGISTER, Mask, find_kind, find_mark, read_values
from data.meters.told import Told, ask, option
from data.series import Integers

COUNTER_ROWS, COUNTER_FALLS = 8, 0.01
"""Energies that hardly ever fall over so many rows may be a counter."""


class Channel(NamedTuple):
    """One column of values: whose, which way, what, and its numbers."""

    column: str
    meter: str
    """Empty: the meter of the row."""
    flow: str
    kind: str
    unit: str
    values: Integers
    empty: Mask
    said: tuple[str, ...]


def list_channels(table: Table, found: Roles, meters: Sequence[str], told: Told, known: Known) -> list[Channel]:
    """Channels of a table, a column of values each.

    Raises
    ------
    DataError
        If unit, kind or direction of one is open, or two may be the same energy.
    """
    names = {column: roles.read_name(column) for column in found.values}
    a_column_a_meter = not found.meter and (
        (len(names) > 1 and not all(name.is_quantity for name in names.values())) or any("." in each for each in names)
    )
    if a_column_a_meter:
        _check_meters(table, names)
    plain_mark = "." if table.plain and any(pd.api.types.is_float_dtype(table.frame[each]) for each in names) else ""
    marks = [find_mark(table.column(each), plain_mark) for each in names if table.frame[each].dtype == object]
    mark = next(filter(None, marks), plain_mark)
    channels: list[Channel] = []
    for column, name in names.items():
        unit, said_unit = _choose_unit(table, name, told, known)
        values = table.column(column)
        kind = _choose_kind(values, name, unit, told)
        numbers, empty = read_values(values, unit, kind, mark)
        if not kind_is_clear(name, unit, told) and _may_be_counter(numbers[~empty]):
            raise ask(
                f"{table.source}, column '{column}', whose values hardly ever fall",
                "a word on whether they are energies of intervals or a counter",
                "kind",
            )
        meter, flow = _name_meter(column, name, a_column_a_meter, known)
        word = {INTERVAL: "energies of intervals", REGISTER: "a counter", POWER: "mean powers"}[kind]
        way = "" if flow == NET else f", {flow}"
        channels.append(
            Channel(
                column, meter, flow, kind, unit, numbers, empty, (f"'{column}' as {word} in {unit}{said_unit}{way}",)
            )
        )
    _check_one_each(table, channels)
    return channels[:200] if len(channels) <= 200 else [each._replace(said=()) for each in channels]


def kind_is_clear(name: roles.Name, unit: str, told: Told) -> bool:
    """Whether header, unit or caller say what the values are."""
    return bool(told.kind or name.kind or find_kind(unit))


def _choose_unit(table: Table, name: roles.Name, told: Told, known: Known) -> tuple[str, str]:
    unit = name.unit or known.unit
    if not unit and not told.unit:
        raise ask(f"{table.source}, column '{name.written}'", "a unit in its name, like 'kWh' or 'kW'", "unit")
    if unit and told.unit and unit != told.unit:
        raise DataError(
            f"{table.source}, column '{name.written}': expected {told.unit}, as --unit says, got {unit} in the header; "
            "leave the option out, or rename the column"
        )
    return unit or told.unit, "" if unit else " (--unit)"


def _choose_kind(column: Column, name: roles.Name, unit: str, told: Told) -> str:
    kind = name.kind or find_kind(unit)
    if kind and told.kind and kind != told.kind:
        raise DataError(
            f"{column.table.source}, column '{name.written}' in {unit}: expected {told.kind}, as "
            f"--kind says, got {kind} by "
            "its name and unit; leave the option out, or rename the column"
        )
    return kind or told.kind or INTERVAL


def _may_be_counter(values: Integers) -> bool:
    steps = np.diff(values)
    if values.size < COUNTER_ROWS or (steps == 0).all() or values.min() < 0:
        return False
    return int((steps < 0).sum()) <= COUNTER_FALLS * steps.size


def _check_meters(table: Table, names: dict[str, roles.Name]) -> None:
    """Raise DataError where columns are not a meter each: quantities, energies fed in, tariffs or phases among them."""
    whole = {column: name for column, name in names.items() if not _split_quantity(column)}
    quantities = [column for column, name in whole.items() if name.is_quantity]
    odd = quantities if len(quantities) < len(names) else []
    odd += [column for column, name in whole.items() if name.flow == EXPORT and column not in quantities]
    if odd:
        raise DataError(
            f"{table.source}, column '{odd[0]}': expected a meter by its name, as the others, got what may be a "
            f"quantity of one; name columns like 'house.load_kwh' and 'house.pv_kwh', or say {option('leave_out')} "
            f"'{odd[0]}'"
        )
    parts = [column for column, name in whole.items() if name.words <= {*roles.PARTS, *roles.UNITS}]
    if len(parts) > 1:
        raise DataError(
            f"{table.source}, columns '{parts[0]}' and '{parts[1]}': expected meters, got what may be tariffs or "
            "phases of one; add them up in one column, or rename them"
        )


def _split_quantity(column: str) -> tuple[str, str] | None:
    """Meter and quantity of a column like `house.pv_kwh`; None of any other."""
    prefix, _, tail = column.rpartition(".")
    return (prefix, tail) if prefix and roles.read_name(tail).is_quantity else None


def _name_meter(column: str, name: roles.Name, a_column_a_meter: bool, known: Known) -> tuple[str, str]:
    if not a_column_a_meter or ((split := _split_quantity(column)) is None and name.is_quantity):
        return "", known.flow or name.flow
    if split:
        return split[0], roles.read_name(split[1]).flow
    return re.sub(
        r"[\s_,]*[\[(]?\s*\b[kM]?Wh?\b\s*[\])]?\s*$", "", re.sub(r"_(?=[kM]?Wh?$)", " ", column), flags=re.I
    ) or column, NET


def _check_one_each(table: Table, channels: Sequence[Channel]) -> None:
    first: dict[tuple[str, str], str] = {}
    for each in channels:
        other = first.setdefault((each.meter, each.flow), each.column)
        if other != each.column:
            raise ask(
                f"{table.source}: columns '{other}' and '{each.column}' may be the same energy, or parts of it",
                "one column of values a meter and direction",
                "value_column",
                f"NAME, or leave one out by {option('leave_out')}",
            )
