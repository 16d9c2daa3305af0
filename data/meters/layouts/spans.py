"""Begin and end of the interval of each row of a table of readings, by its columns of times, hours and lengths."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.columns import Column, Table
from data.errors import DataError
from data.meters.layouts import roles
from data.meters.layouts.choosing import Known, Roles
from data.meters.layouts.hours import count_from_one, find_numbers, read_hour_ends
from data.meters.stamps import find_steps, read_instants
from data.meters.told import Told, ask
from data.series import Integers

DURATION = re.compile(r"PT(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?$")


class Spans(NamedTuple):
    """Begin and end of each row's interval, seconds since 1970 UTC, (rows,), and what was understood."""

    begin: Integers
    end: Integers
    said: tuple[str, ...]


def read_spans(table: Table, found: Roles, told: Told, known: Known, codes: Integers, *, of_counters: bool) -> Spans:
    """Begin and end of the interval of each row."""
    column = table.column(found.time)
    name = roles.read_name(found.time)
    keys = [codes]
    stamp = found.stamp
    because = f"by the name of '{found.hour or found.time}'"
    if found.hour:
        second, said, ends = _read_hours(table, found, told, codes)
        stamp, because = (ends, "by the numbers of hours, or by 24:00") if ends else (stamp, because)
    else:
        summer = table.column(found.summer) if found.summer else None
        options: dict[str, Any] = {"is_utc": roles.is_utc(name), "summer": summer}
        instants = read_instants(column, told, keys, **options)
        second, said = instants.second, instants.said
        if instants.ends_day:
            stamp, because = "end", "by 24:00"
        if found.end:
            end = read_instants(table.column(found.end), told, keys, **options).second
            table.column(found.end).check(end <= second, f"a time after that of '{found.time}'", "correct the row")
            if of_counters:
                raise DataError(
                    f"{table.source}: expected one time of a counter, got start and end; choose by --time-column"
                )
            return Spans(second, end, (*said, f"intervals from '{found.time}' to '{found.end}'"))
    if of_counters:
        return Spans(second, second, said)
    stamp, word = _choose_stamp(table, found, told, stamp, because, known)
    length = _read_lengths(table.column(found.length)) if found.length else find_steps(second, codes, table.source)
    begin, end = (second, second + length) if stamp == "start" else (second - length, second)
    return Spans(begin, end, (*said, word))


def _choose_stamp(table: Table, found: Roles, told: Told, stamp: str, because: str, known: Known) -> tuple[str, str]:
    if stamp and told.stamp and stamp != told.stamp:
        raise DataError(
            f"{table.source}: expected times at the {told.stamp} of intervals, as --stamp says, "
            f"got the {stamp} {because}; "
            "leave the option out"
        )
    if not (stamp or told.stamp or known.stamp):
        where = f"{table.source}, column '{found.hour or found.time}'"
        raise ask(where, "a word on whether times are the start or the end of their intervals", "stamp")
    chosen = stamp or told.stamp or known.stamp
    why = because if stamp else "--stamp" if told.stamp else "as the layout has it"
    return chosen, f"times at the {chosen} of intervals ({why})"


def _read_hours(table: Table, found: Roles, told: Told, codes: Integers) -> tuple[Integers, tuple[str, ...], str]:
    """Times of dates with hours, what was understood, and whether they are ends, where that is seen."""
    date, hour = table.column(found.time), table.column(found.hour)
    hour.check(hour.values.isna().to_numpy(bool), "an hour", "fill the row")
    numbers = find_numbers(hour)
    if numbers is not None and count_from_one(numbers, hour, told):
        return *read_hour_ends(date, hour, numbers, told, codes), "end"
    clock = (
        hour.values.astype(str).str.strip()
        if numbers is None
        else pd.Series(numbers, hour.values.index).map("{:02d}:00".format)
    )
    joined = date.values.astype(str).str.strip() + " " + clock
    with_times = table._replace(frame=table.frame.assign(**{found.time: joined}))
    summer = table.column(found.summer) if found.summer else None
    utc = roles.is_utc(roles.read_name(found.time)) or roles.is_utc(roles.read_name(found.hour))
    instants = read_instants(with_times.column(found.time), told, [codes], is_utc=utc, summer=summer)
    if numbers is not None:
        return instants.second, (*instants.said, "hours numbered from 0"), "start"
    return instants.second, instants.said, "end" if instants.ends_day else ""


def _read_lengths(column: Column) -> Integers:
    """Lengths of intervals as ISO 8601 writes durations, s, (rows,)."""
    found = [DURATION.match(str(cell).strip()) for cell in column.values]
    seconds = [
        sum(int(part or 0) * each for part, each in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
        for match in found
    ]
    length = np.array(seconds, np.int64)
    column.check(
        (length <= 0) | (length > 86_400),
        "a length like PT30M, up to a day",
        "correct it, or say --leave-out for the column",
    )
    return length
