"""Days whose hours are numbered 1 to 24, as Spanish distributors write them; 23 or 25 where clocks are turned.

Public files of Datadis and i-DE have the columns CUPS, Fecha, Hora and an energy; hour 1 ends at 01:00
(https://datadis.es). On days on which clocks are turned some files count the hours (1 to 23, 1 to 25), others write
what the clock shows (no 3, or 3 twice). Which of both a day does is seen from its numbers; a day that may be read in
two ways is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from data.columns import Column
from data.errors import DataError
from data.meters.readings import Mask
from data.meters.stamps import HOUR_S, list_day_hours, name_zone, read_days
from data.meters.told import Told, ask
from data.series import Integers

NUMBER = re.compile(r"(\d{1,2})(?:\.0)?((?::00){1,2})?$", re.ASCII)


def find_numbers(column: Column) -> Integers | None:
    """Numbers of hours, (rows,); None where the column holds times of day."""
    cells = [str(cell).strip() for cell in column.values]
    found = [NUMBER.match(cell) for cell in cells]
    if not all(found):
        return None
    numbers = np.array([int(match[1]) for match in found if match], np.int64)
    written_as_times = any(match and match[2] for match in found)
    return None if written_as_times and numbers.max(initial=0) < 24 else numbers


def count_from_one(numbers: Integers, column: Column, told: Told) -> bool:
    """Whether hours are numbered from 1 by their ends; asked for where the numbers do not tell."""
    where = f"{column.table.source}, column '{column.name}'"
    if (numbers == 0).any():
        column.check(numbers > 23, "hours from 0 to 23, since there is a 0", "correct the row")
        return False
    column.check(numbers > 25, "an hour from 1 to 25", "correct the row")
    if numbers.max(initial=0) >= 24:
        if told.stamp == "start":
            raise DataError(f"{where}: expected hours numbered from their end, since there is a 24, got --stamp start")
        return True
    if not told.stamp:
        raise ask(where, "hours numbered 0 to 23 (start) or 1 to 24 (end)", "stamp")
    return told.stamp == "end"


def read_hour_ends(
    date: Column, number: Column, numbers: Integers, told: Told, key: Integers
) -> tuple[Integers, tuple[str, ...]]:
    """Ends of hours numbered from 1, seconds since 1970 UTC, (rows,), and what was understood.

    Raises
    ------
    DataError
        If a day has other hours than the clock.
    """
    zone = name_zone(told, date)
    days, said = read_days(date, told)
    second = np.empty(days.size, np.int64)
    turned = []
    for day in np.unique(days):
        begin, hours = list_day_hours(int(day), zone)
        rows = np.flatnonzero(days == day)
        if len(hours) == 24:
            number.check(_at(rows, numbers[rows] > 24, days.size), "an hour from 1 to 24", "correct the row")
            second[rows] = begin + numbers[rows] * HOUR_S
            continue
        turned.append(int(day))
        for code in np.unique(key[rows]):
            mine = rows[key[rows] == code]
            places = place_hours(numbers[mine].tolist(), hours)
            if places is None:
                raise DataError(
                    f"{number.table.source}, column '{number.name}', row "
                    f"{number.table.frame.index[mine[0]]}: expected the "
                    f"{len(hours)} hours of {_name_day(int(day))} in {zone}, got {_name_hours(numbers[mine])}; "
                    "correct the day, or name the clock of the file by --timezone (UTC+1 all year: Etc/GMT-1)"
                )
            second[mine] = begin + np.array(places) * HOUR_S
    words = [f"hours numbered from 1 by their ends, on the clock of {zone}"]
    if turned:
        words.append(
            f"days on which clocks are turned, by the numbers of their hours: {', '.join(map(_name_day, turned[:4]))}"
        )
    return second, (*said, *words)


def place_hours(numbers: Sequence[int], hours: Sequence[int]) -> list[int] | None:
    """Which hour of a day of 23 or 25 hours ends at each number, counted from 1; None if they may be read in two ways.

    Parameters
    ----------
    numbers
        Numbers in the order of the rows.
    hours
        What the clock shows at the begin of each hour of that day.

    Examples
    --------
    >>> spring = [0, 1, 3, *range(4, 24)]
    >>> place_hours([1, 2, 3, 23], spring), place_hours([1, 2, 4, 24], spring)
    ([1, 2, 3, 23], [1, 2, 3, 23])
    """
    labels = [hour + 1 for hour in hours]
    counted = max(numbers) <= len(hours) and len(set(numbers)) == len(numbers)
    seen: dict[int, int] = {}
    shown: list[int] = []
    for number in numbers:
        places = [place for place, label in enumerate(labels, 1) if label == number]
        if seen.get(number, 0) >= len(places):
            shown = []
            break
        shown.append(places[seen.get(number, 0)])
        seen[number] = seen.get(number, 0) + 1
    # a counted day of 25 hours has a 25; one that is shown has an hour twice
    if len(hours) == 25:
        if counted and 25 in numbers:
            return list(numbers)
        return shown if shown and max(seen.values()) == 2 else None
    if shown and counted:
        return shown if shown == list(numbers) else None
    return shown or (list(numbers) if counted else None)


def _at(rows: Integers, wrong: Mask, size: int) -> Mask:
    """A mask of all rows of one of some."""
    mask = np.zeros(size, bool)
    mask[rows] = wrong
    return mask


def _name_day(day: int) -> str:
    return str(np.datetime64(day, "D"))


def _name_hours(numbers: Integers) -> str:
    shown = ", ".join(map(str, numbers[:26]))
    return f"{numbers.size} rows ({shown})"
