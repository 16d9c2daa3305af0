"""Times in files of meters as seconds since 1970 UTC: with an offset, on a local clock, epochs, 24:00."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.clock import YEAR_LAST, Times, find_order, localise, match_time, read_written
from data.columns import Column
from data.errors import DataError
from data.meters.told import Told, ask
from data.series import Integers
from data.zones import find_zone

DAY_S, HOUR_S = 86_400, 3600
MIDNIGHT = re.compile(r"(.*\d)([T ]\s*)24(:?00(?::?00)?)?$")
SECONDS, MILLISECONDS = (10**8, 43 * 10**8), (10**11, 43 * 10**11)
"""Epochs of 1973 to 2106 in seconds, and in milliseconds; no number is both."""
SUMMER = {
    "1",
    "s",
    "v",
    "true",
    "yes",
    "summer",
    "sommer",
    "verano",
    "ete",
    "estate",
    "cest",
    "mesz",
    "dst",
    "bst",
    "edt",
}
WINTER = {"0", "w", "i", "false", "no", "winter", "invierno", "hiver", "inverno", "cet", "mez", "std", "gmt", "est"}


class Instants(NamedTuple):
    """Times of a column.

    Attributes
    ----------
    second
        Seconds since 1970 UTC, (rows,).
    said
        What had to be understood, in phrases.
    ends_day
        Whether a time is written as 24:00, so that times are the ends of their intervals.
    """

    second: Integers
    said: tuple[str, ...] = ()
    ends_day: bool = False


def read_instants(
    column: Column, told: Told, keys: Sequence[Integers], *, is_utc: bool = False, summer: Column | None = None
) -> Instants:
    """Times of a column in UTC; rows of one key are in the order of time.

    Parameters
    ----------
    column
        The column.
    told
        What is said about times without an offset, and about the order of day and month.
    keys
        Each (rows,); see `data.clock.localise`.
    is_utc
        Whether the column's name says that its times are in UTC.
    summer
        Column that tells summer time from winter time, if there is one.

    Raises
    ------
    DataError
        If a time cannot be read, may be two, or nothing says on which clock it is.
    """
    if (epochs := _read_epochs(column)) is not None:
        return epochs
    if isinstance(column.values.dtype, pd.DatetimeTZDtype) or column.values.dtype.kind == "M":
        written_out = column.values.map(lambda each: each.isoformat(), na_action="ignore")
        column = Column(
            column.table._replace(frame=column.table.frame.assign(**{column.name: written_out})), column.name
        )
    codes, found = pd.factorize(column.values)
    column.check(codes < 0, "a time", "fill the row")
    texts = [str(each).strip() for each in found]
    ends = [MIDNIGHT.match(text) for text in texts]
    matches = [match_time(f"{end[1]}T00:00" if end else text) for text, end in zip(texts, ends, strict=True)]
    order = find_order(matches, told.day_first)
    wrong = np.isin(codes, order.wrong)
    column.check(wrong, "dates whose order of day and month the file decides", "say it by --day-first or --month-first")
    written = [read_written(match, order.day_first) if match else None for match in matches]
    bad = np.array([each is None or each.clock is None for each in written], bool)
    column.check(bad[codes], "a time like 2017-01-01T00:00Z, to whole seconds, from 1900 to 2200", "correct the row")
    late = [timedelta(days=1 if end else 0) for end in ends]
    clocks = [(each.clock + more) for each, more in zip(written, late, strict=True) if each and each.clock]
    offsets = [each.offset for each in written if each]
    has_offset = np.array([each is not None for each in offsets], bool)
    column.check(
        (has_offset != has_offset[codes[0]])[codes], "times that all have an offset or none", "write them alike"
    )
    said = _say_order(texts, matches, clocks, order.day_first)
    wall = np.array(clocks, "datetime64[s]")
    if has_offset[0]:
        shift = np.array([(each or timedelta(0)).total_seconds() for each in offsets], np.int64)
        return Instants((wall.astype(np.int64) - shift)[codes], said, any(ends))
    second, more = place_on_clock(column, wall[codes], told, keys, is_utc=is_utc, summer=summer)
    return Instants(second, (*said, *more), any(ends))


def place_on_clock(
    column: Column,
    wall: Times,
    told: Told,
    keys: Sequence[Integers],
    *,
    is_utc: bool = False,
    summer: Column | None = None,
) -> tuple[Integers, tuple[str, ...]]:
    """What a clock showed, (rows,), as seconds since 1970 UTC, and what was understood; see `read_instants`."""
    if is_utc:
        return wall.astype(np.int64), (f"times in UTC (column '{column.name}')",)
    zone = name_zone(told, column)
    if summer is not None:
        return _by_flag(column, wall, zone, summer)
    local = localise(wall, zone, keys)
    column.check(local.missing, f"a time that occurs in {zone}", "correct the time, or --timezone")
    remedy = "write times with an offset, or add a column dst (1 in summer, 0 in winter)"
    column.check(local.twice, f"a time that occurs once in {zone}, or rows whose order tells the hours apart", remedy)
    said = [f"times on the clock of {zone}"]
    if local.ordered.any():
        days = np.unique(wall[local.ordered].astype("datetime64[D]"))
        said.append(f"the repeated hour of {', '.join(map(str, days[:5]))} told by the order of the rows")
    return local.utc.astype(np.int64), tuple(said)


def name_zone(told: Told, column: Column) -> str:
    """The time zone that is said; asked for if none is."""
    if not told.timezone:
        where = f"{column.table.source}, column '{column.name}'"
        raise ask(where, "times with an offset, or a word on their clock", "timezone", "UTC, Europe/Madrid, …")
    try:
        return find_zone(told.timezone).key
    except DataError as reason:
        raise DataError(f"--timezone: {reason}") from reason


def read_days(column: Column, told: Told) -> tuple[Integers, tuple[str, ...]]:
    """Days of a column, counted from 1970, (rows,), and what was understood.

    Raises
    ------
    DataError
        If one is no day.
    """
    instants = read_instants(column, told._replace(timezone="UTC"), [], is_utc=True)
    column.check(instants.second % DAY_S != 0, "a date without a time", "correct the row")
    return instants.second // DAY_S, tuple(each for each in instants.said if "UTC" not in each)


def list_day_hours(day: int, zone: str) -> tuple[int, list[int]]:
    """Begin of a local day in UTC, s, and what its clock shows at each hour from there.

    Examples
    --------
    >>> begin, hours = list_day_hours(18_714, "Europe/Madrid")  # 2021-03-28
    >>> len(hours), hours[:4]
    (23, [0, 1, 3, 4])
    """
    midnights = pd.DatetimeIndex(np.array([day, day + 1], "datetime64[D]").astype("datetime64[s]"))
    # some clocks are turned at midnight: the day begins at its first time that there is
    begin, end = midnights.tz_localize(zone, ambiguous=np.array([True, True]), nonexistent="shift_forward")
    hours = pd.date_range(begin, end, freq="h", inclusive="left")
    return int(begin.timestamp()), hours.hour.tolist()


def _read_epochs(column: Column) -> Instants | None:
    """Times as numbers of seconds or milliseconds since 1970; None if they are none."""
    if column.values.dtype == bool or column.values.dtype.kind == "M":
        return None
    numbers = pd.to_numeric(column.values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if not numbers.size or not np.isfinite(numbers).all() or (numbers % 1 != 0).any():
        return None
    for (low, high), unit, word in ((SECONDS, 1, "seconds"), (MILLISECONDS, 1000, "milliseconds")):
        if ((numbers >= low) & (numbers < high)).all():
            second, rest = np.divmod(numbers.astype(np.int64), unit)
            column.check(rest != 0, "times to whole seconds", "round the times")
            return Instants(second, (f"column '{column.name}' as {word} since 1970 UTC",))
    return None


def _by_flag(column: Column, wall: Times, zone: str, summer: Column) -> tuple[Integers, tuple[str, ...]]:
    """Times whose repeated hour a column tells apart."""
    words = summer.values.astype(str).str.strip().str.lower().str.removesuffix(".0")
    is_summer = words.isin(SUMMER).to_numpy(bool)
    known = is_summer | words.isin(WINTER).to_numpy(bool)
    summer.check(~known, "summer or winter (1 or 0, S or W, true or false)", "correct the row")
    index = pd.DatetimeIndex(wall)
    local = index.tz_localize(zone, ambiguous=is_summer, nonexistent="NaT")
    column.check(np.asarray(local.isna()), f"a time that occurs in {zone}", "correct the time, or --timezone")
    second = local.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    return second, (f"times on the clock of {zone}, the repeated hour told by column '{summer.name}'",)


def _say_order(
    texts: Sequence[str], matches: Sequence[re.Match[str] | None], clocks: Sequence[object], day_first: bool | None
) -> tuple[str, ...]:
    if day_first is None or not any(match and match.re is YEAR_LAST for match in matches):
        return ()
    return (f"dates with the {'day' if day_first else 'month'} first ('{texts[0]}' is {clocks[0]})",)


def find_steps(second: Integers, key: Integers, where: str) -> Integers:
    """Length of the interval of each reading, s, (rows,), from the times of the others of its key.

    The usual step is the commonest one. Gaps are longer. Two equal longer steps in a row are no gaps but intervals of
    another length, which nothing tells apart: they are refused.

    Raises
    ------
    DataError
        If a key has one time only, or steps that are no gaps.
    """
    length = np.zeros(second.size, np.int64)
    for code in np.unique(key):
        rows = np.flatnonzero(key == code)
        times = np.unique(second[rows])
        if times.size < 2:
            raise DataError(
                f"{where}: expected at least two times of a meter, got {times.size}; add rows, or their ends"
            )
        steps = np.diff(times)
        values, counts = np.unique(steps, return_counts=True)
        usual = int(values[np.argmax(counts)])
        wrong = (steps % usual != 0) | (np.concatenate([steps[1:] == steps[:-1], [False]]) & (steps > usual))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(
                f"{where}: expected intervals of {usual / 60:g} minutes, or gaps of whole ones, got {steps[at] / 60:g} "
                f"minutes from {np.datetime64(int(times[at]), 's')}Z; split the file where the length "
                "changes, or write "
                "the start and the end of each interval"
            )
        length[rows] = usual
    return length
