"""Times as tools write them: ISO 8601 with or without offset, day or month first, local time with the change of clocks.

A date such as 03/04/2017 is never guessed: another date of the file decides, or the caller says which comes first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Times = npt.NDArray[np.datetime64]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

TIME = (
    r"(?:(?:T|\s+)(?P<hour>\d{1,2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,12}))?)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<offset>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
)
YEAR_FIRST = re.compile(
    r"(?P<year>\d{4})(?P<mark>[-/.]|(?=\d{4}(?!\d)))(?P<a>\d{1,2})(?P=mark)(?P<b>\d{1,2})" + TIME, re.ASCII
)
YEAR_LAST = re.compile(r"(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})" + TIME, re.ASCII)
YEARS = range(1900, 2201)
NEAR_SECOND = 0.005  # spreadsheets keep times as fractions of a day: 12:00 becomes 11:59:59.997


class Order(NamedTuple):
    """Order of day and month in dates whose year is last.

    Attributes
    ----------
    day_first
        Whether the day is first; None if all dates have their year first, or nothing decides.
    wrong
        Positions of dates that contradict it, or that may mean two dates.
    """

    day_first: bool | None
    wrong: list[int]


class Written(NamedTuple):
    """A time as written.

    Attributes
    ----------
    clock
        What the clock showed, to the second; None if there is no such time.
    offset
        Its offset from UTC; None if none is given.
    rounded
        Whether a fraction of a second was rounded away.
    """

    clock: datetime | None
    offset: timedelta | None = None
    rounded: bool = False


def match_time(text: str) -> re.Match[str] | None:
    """The parts of a time, or None if it is none."""
    return YEAR_FIRST.match(text) or YEAR_LAST.match(text)


def find_order(found: Sequence[re.Match[str] | None], day_first: bool | None) -> Order:
    """Find the order of day and month from all times of a file; `day_first` is what the caller says, if anything."""
    dates = [(k, int(m["a"]), int(m["b"]), m["mark"]) for k, m in enumerate(found) if m and m.re is YEAR_LAST]
    by_day = [k for k, a, b, _ in dates if a > 12 >= b]
    by_month = [k for k, a, b, _ in dates if b > 12 >= a]
    if not dates:
        return Order(None, [])
    if by_day and by_month:
        return Order(None, by_day if by_day[0] > by_month[0] else by_month)
    decided = bool(by_day) if by_day or by_month else day_first
    if day_first is not None and decided is not day_first:
        return Order(day_first, by_day or by_month)
    if decided is None and all(mark == "." for *_, mark in dates):
        decided = True
    return Order(decided, []) if decided is not None else Order(None, [dates[0][0]])


def read_written(found: re.Match[str], day_first: bool | None) -> Written:
    """The time that a text shows.

    Examples
    --------
    >>> read_written(match_time("01.06.2017 12:00"), True).clock.isoformat()
    '2017-06-01T12:00:00'
    >>> read_written(match_time("2017-06-01 12:00:00+02"), None).offset
    datetime.timedelta(seconds=7200)
    """
    month, day = int(found["a"]), int(found["b"])
    if found.re is YEAR_LAST and day_first:
        month, day = day, month
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return Written(None)
        hour = hour % 12 + (12 if found["half"][0] in "Pp" else 0)
    fraction = float(f"0.{found['fraction'] or 0}")
    if NEAR_SECOND < fraction < 1.0 - NEAR_SECOND or int(found["year"]) not in YEARS:
        return Written(None)
    try:
        clock = datetime(int(found["year"]), month, day, hour, int(found["minute"] or 0), int(found["second"] or 0))
        return Written(clock + timedelta(seconds=round(fraction)), _read_offset(found["offset"]), fraction > 0.0)
    except (ValueError, OverflowError):
        return Written(None)


def _read_offset(text: str | None) -> timedelta | None:
    if not text:
        return None
    if text[0] not in "+-":
        return timedelta(0)
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    if hours > 14 or minutes > 59:
        raise ValueError(text)
    return timedelta(hours=hours, minutes=minutes) * (-1 if text[0] == "-" else 1)


class LocalTimes(NamedTuple):
    """Times on a local clock, in UTC.

    Attributes
    ----------
    utc
        (rows,), `datetime64[s]`; of times that the clock shows twice the first.
    missing
        (rows,), whether the clock never shows it.
    twice
        (rows,), whether the clock shows it twice and nothing tells which is meant.
    ordered
        (rows,), whether the clock shows it twice, and the order of the rows tells which is meant.
    """

    utc: Times
    missing: Mask
    twice: Mask
    ordered: Mask


def localise(wall: Times, zone: str, keys: Sequence[Codes]) -> LocalTimes:
    """What a local clock showed as UTC; where clocks are turned back, the order of regular rows tells the hours apart.

    Parameters
    ----------
    wall
        (rows,), what the clock showed.
    zone
        Time zone of the clock.
    keys
        Each (rows,): rows of one key are in the order of time. They are tried one after the other; under the first, a
        time that two rows show is one time, unless there is no other.
    """
    index = pd.DatetimeIndex(wall)
    first, second = (
        index.tz_localize(zone, ambiguous=np.full(wall.size, dst), nonexistent="NaT").tz_convert("UTC")
        for dst in (True, False)
    )
    missing = np.asarray(first.isna())
    early, late = (each.tz_localize(None).to_numpy().astype("datetime64[s]") for each in (first, second))
    twice = (early != late) & ~missing
    utc, open_rows = early.copy(), twice.copy()
    for number, key in enumerate(keys):
        if not open_rows.any():
            break
        for block in _list_blocks(wall, open_rows, key):
            chosen = _tell_apart(block, early, late, open_rows, pairs=number > 0 or len(keys) == 1)
            if chosen is not None:
                rows = block.rows[block.inside]
                utc[rows] = np.where(chosen, late[rows], early[rows])
                open_rows[rows] = False
    return LocalTimes(utc, missing, open_rows, twice & ~open_rows)


class Block(NamedTuple):
    """Rows of one key in a repeated hour, with the row before and after where there is one; which rows are inside."""

    rows: Codes
    inside: Mask


def _list_blocks(wall: Times, repeated: Mask, key: Codes) -> list[Block]:
    order = np.argsort(key, kind="stable")
    inside = repeated[order]
    day = wall[order].astype("datetime64[D]").astype(np.int64)
    new = (np.diff(key[order]) != 0) | (np.diff(inside) != 0) | (inside[1:] & (np.diff(day) != 0))
    begin = np.concatenate([[0], np.flatnonzero(new) + 1])
    end = np.concatenate([begin[1:], [order.size]])
    blocks = []
    for low, high in zip(begin, end, strict=True):
        if inside[low]:
            before = low - 1 if low and key[order[low - 1]] == key[order[low]] else low
            after = high + 1 if high < order.size and key[order[high]] == key[order[low]] else high
            place = np.arange(before, after)
            blocks.append(Block(order[place], (place >= low) & (place < high)))
    return blocks


def _tell_apart(block: Block, early: Times, late: Times, open_rows: Mask, *, pairs: bool) -> Mask | None:
    """Which rows inside are in the second hour; None if their order does not tell."""
    rows = block.rows[block.inside]
    if not open_rows[rows].all():
        return None
    steps = np.diff(early[rows].astype(np.int64))
    back = np.flatnonzero(steps < 0)
    if back.size == 0 and pairs and rows.size == 2 and steps[0] == 0 and block.rows.size > 2:
        back = np.array([0])
    if back.size != 1:
        return None
    second = np.arange(rows.size) > back[0]
    utc = early[block.rows].astype(np.int64)
    utc[block.inside] = np.where(second, late[rows], early[rows]).astype(np.int64)
    apart = np.diff(utc)
    apart = apart[apart != 0]
    return second if apart.size and (apart == apart[0]).all() and apart[0] > 0 else None
