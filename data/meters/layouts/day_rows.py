"""A day a row: a date, and a column for each hour, half or quarter of it.

So e-distribuzione (Italy) gives quarter hours: a column of the day and 96 columns such as `00:00-00:15`, energies in
kWh with decimal commas (portal of e-distribuzione, https://www.e-distribuzione.it). A day of 25 hours needs 100
columns; a day of 23 has its last four empty (counted), or those that the clock skips.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from data.columns import Table
from data.dialect import SEPARATORS
from data.errors import DataError
from data.meters.layouts import roles
from data.meters.layouts.table import MISSING, check_width
from data.meters.readings import (
    EXPORT,
    INTERVAL,
    NET,
    POWER,
    REGISTER,
    Mask,
    Parsed,
    Refused,
    find_kind,
    find_mark,
    make_readings,
    read_values,
)
from data.meters.stamps import HOUR_S, list_day_hours, name_zone, read_days
from data.meters.told import Told, ask
from data.series import Integers

WIDTHS = {24: 1, 25: 1, 48: 2, 50: 2, 96: 4, 100: 4}
"""Columns of a day, and how many an hour has."""
PLACE = re.compile(r"\D{0,4}(\d{1,3})(?:[:.h](\d{2}))?(?:\s*(?:-|–|a|to)\s*(\d{1,2})[:.h](\d{2}))?\D{0,4}$", re.I)
CELLS = "\0cells"


def find_day_rows(text: str) -> list[int]:
    """Columns of the parts of a day, where a header has a date and as many as a day has; empty for other tables."""
    header = _split_header(text)
    places = [k for k, name in enumerate(header) if PLACE.match(name.strip())]
    if len(places) not in WIDTHS or places != list(range(places[0], places[0] + len(places))):
        return []
    others = [roles.read_name(name) for k, name in enumerate(header) if k < places[0]]
    return places if any(name.words & roles.DATE for name in others) else []


def parse_day_rows(text: str, source: str, stem: str, told: Told) -> Parsed:
    """Readings of a table with a day a row.

    Raises
    ------
    DataError
        If a cell cannot be read, or a day has other parts than the clock.
    """
    check_width(text, source)
    places = find_day_rows(text)
    table, header = _read_cells(text, source)
    others = [k for k in range(len(header)) if k not in places]
    names = {k: roles.read_name(header[k]) for k in others}
    date = next(k for k in others if names[k].words & roles.DATE)
    meters = [k for k in others if names[k].words & roles.METER and k != date]
    title = " ".join(header[k] for k in (*others, places[0]))
    unit = _find_unit(header, title, source, told)
    kind = find_kind(unit) or told.kind or INTERVAL
    if kind == REGISTER:
        raise DataError(f"{source}: expected energies or powers in a table with a day a row, got --kind register")
    meter = table.column(header[meters[0]]) if meters else None
    codes, listed = meter.read_names() if meter else (np.zeros(len(table.frame), np.int64), [told.meter or stem])
    column = table.column(header[date])
    days, said = read_days(column, told)
    zone, per_hour = name_zone(told, column), WIDTHS[len(places)]
    cells = table._replace(frame=_stack(table.frame, places))
    mark = find_mark(cells.column(CELLS), "." if table.plain else "")
    values, empty = read_values(cells.column(CELLS), unit, kind, mark)
    shape = len(table.frame), len(places)
    values, empty = values.reshape(shape), empty.reshape(shape)
    begin = np.zeros(values.shape, np.int64)
    there = np.zeros(values.shape, bool)
    for day in np.unique(days):
        start, hours = list_day_hours(int(day), zone)
        for row in np.flatnonzero(days == day):
            order = place_parts(~empty[row], hours, per_hour)
            if order is None:
                raise DataError(
                    f"{source}, row {table.frame.index[int(row)]}: expected the {len(hours) * per_hour} parts of "
                    f"{np.datetime64(int(day), 'D')} in {zone}, a day of {len(hours)} hours, got "
                    f"{int((~empty[row]).sum())} "
                    "values; empty what the clock skips, add columns for what it shows twice, or name the "
                    "clock of the file "
                    "by --timezone (UTC+1 all year: Etc/GMT-1)"
                )
            begin[row], there[row] = start + order * (HOUR_S // per_hour), order >= 0
    flow = EXPORT if roles.read_name(title).flow == EXPORT else NET
    return _collect(
        values,
        begin,
        there,
        empty,
        codes,
        listed,
        (flow, kind, unit, HOUR_S // per_hour),
        (
            *table.said,
            *said,
            (f"a day a row with {len(places)} columns of {unit} on the clock of {zone}"),
            *(f"column '{header[k]}' left out" for k in others if k != date and k not in meters[:1]),
        ),
    )


def place_parts(full: Mask, hours: Sequence[int], per_hour: int) -> Integers | None:
    """Which part of the day each column is, counted from 0, -1 for columns that are none; None if nothing tells.

    Parameters
    ----------
    full
        Which columns have a value.
    hours
        What the clock shows at the begin of each hour of that day.
    per_hour
        Columns of an hour.

    Examples
    --------
    >>> full = np.array([True] * 23 + [False])
    >>> place_parts(full, [0, 1, *range(3, 24)], 1)[[1, 2, 22, 23]].tolist()
    [1, 2, 22, -1]
    """
    parts, columns = len(hours) * per_hour, np.arange(full.size)
    if not full[parts:].any() and (len(hours) == 24 or full[parts - per_hour : parts].any() or len(hours) == 25):
        # as many columns as the day has parts, in their order; 24 hours of 25 do not tell which hour lacks
        return (
            np.where(columns < parts, columns, -1)
            if full.size >= parts and (len(hours) != 25 or full[24 * per_hour :].any())
            else None
        )
    if len(hours) == 23:
        shown = np.array([hours.index(hour) if hour in hours else -1 for hour in columns[: 24 * per_hour] // per_hour])
        order = np.where(shown >= 0, shown * per_hour + columns[: 24 * per_hour] % per_hour, -1)
        if not full[: 24 * per_hour][order < 0].any() and not full[24 * per_hour :].any():
            return np.append(order, np.full(full.size - order.size, -1))
    return None


def _collect(
    values: Integers,
    begin: Integers,
    there: Mask,
    empty: Mask,
    codes: Integers,
    listed: Sequence[str],
    how: tuple[str, str, str, int],
    said: tuple[str, ...],
) -> Parsed:
    flow, kind, unit, length = how
    readings, refused = [], []
    for code, name in enumerate(listed):
        mine = (codes == code)[:, None] & there
        used = mine & ~empty
        readings.append(make_readings(name, flow, kind, begin[used], begin[used] + length, values[used], None, unit))
        if n := int((mine & empty).sum()):
            refused.append(Refused(name, flow, "cells without a value", n))
    return Parsed(tuple(readings), tuple(refused), said)


def _split_header(text: str) -> list[str]:
    line = text[: max(text.find("\n"), 0) or len(text)][:200_000].rstrip("\r")
    separator = max(SEPARATORS, key=line.count)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _read_cells(text: str, source: str) -> tuple[Table, list[str]]:
    """All cells as text under names that occur once: the repeated hour of autumn may be named twice."""
    header = _split_header(text)
    line = text[: text.find("\n")]
    separator = max(SEPARATORS, key=line.count)
    names = [name.strip() or f"column {k + 1}" for k, name in enumerate(header)]
    names = [f"{name} ({k + 1})" if names.index(name) != k else name for k, name in enumerate(names)]
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, names=names, skiprows=1, dtype=str, keep_default_na=False,
            na_values=list(MISSING), index_col=False, skip_blank_lines=False, engine="c", on_bad_lines="error",
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as reason:
        raise DataError(
            f"{source}: expected as many cells in each row as in the header, got others; correct it"
        ) from reason
    frame = frame.set_axis(pd.RangeIndex(2, 2 + len(frame), name="row"), axis=0).dropna(how="all")
    if frame.empty:
        raise DataError(f"{source}: expected at least one row, got none; choose another file")
    said = (f"columns separated by {SEPARATORS[separator]}",) if separator != "," else ()
    return Table(frame, source, said, separator == ","), names


def _stack(frame: pd.DataFrame, places: Sequence[int]) -> pd.DataFrame:
    """Cells of the parts of all days below one another, each under the number of its row."""
    cells = frame.iloc[:, list(places)].to_numpy(dtype=object).ravel()
    return pd.DataFrame({CELLS: cells}, index=np.repeat(frame.index.to_numpy(), len(places)))


def _find_unit(header: Sequence[str], title: str, source: str, told: Told) -> str:
    unit = roles.read_name(title).unit
    if not unit and not told.unit:
        raise ask(source, "a unit in the header, like 'kWh' or 'kW'", "unit")
    if unit and told.unit and unit != told.unit:
        raise DataError(
            f"{source}: expected {told.unit}, as --unit says, got {unit} in the header; leave the option out"
        )
    if told.kind == POWER and find_kind(unit or told.unit) != POWER:
        raise DataError(f"{source}: expected a unit of power, as --kind says, got {unit or told.unit}; correct one")
    return unit or told.unit
