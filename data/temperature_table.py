"""A table of temperatures outdoors: rows at an even step, short gaps filled in and named, long ones refused."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.columns import advise_on_clock
from data.errors import DataError
from data.files import read_table

Celsius = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

LONGEST_FILLED = np.timedelta64(3 * 3600, "s")
"""Temperature is close to a line for some hours, not for a night or a day."""
LONGEST_STEP = np.timedelta64(24 * 3600, "s")
_ZERO, _HOUR = (np.timedelta64(seconds, "s") for seconds in (0, 3600))


class Temperatures(NamedTuple):
    """Temperatures of a table of K rows, each from its time until one step later.

    Attributes
    ----------
    source
        Name of the file.
    time
        (K,) UTC, rising by `step`, but for gaps that were shorter than a step.
    celsius
        (K,) °C.
    step
        Time for which a row counts.
    notes
        How it was read.
    """

    source: str
    time: Times
    celsius: Celsius
    step: np.timedelta64
    notes: tuple[str, ...]

    def covers(self, times: Times) -> npt.NDArray[np.bool_]:
        """Whether the table has a temperature for each time, (T,)."""
        asked = times.astype("datetime64[s]")
        return np.asarray((asked >= self.time[0]) & (asked < self.time[-1] + self.step))

    def at(self, times: Times) -> Celsius:
        """Temperature at some times, (T,) °C: of the row at or before each.

        Raises
        ------
        DataError
            If the table does not cover all of them.
        """
        if not self.covers(times).all():
            raise DataError(
                f"{self.source}: expected temperatures from {times.min()} to {times.max()} UTC, got {self.time[0]} to "
                f"{self.time[-1]}; add the rows, or move the horizon"
            )
        return self._find(times)

    def over(self, others: Celsius, times: Times) -> Celsius:
        """Temperature at some times, (T,) °C: `others` where the table has none."""
        return np.where(self.covers(times), self._find(times), others)

    def _find(self, times: Times) -> Celsius:
        row = np.searchsorted(self.time, times.astype("datetime64[s]"), side="right") - 1
        return np.asarray(self.celsius[np.maximum(row, 0)], dtype=np.float64)


def read_temperatures(path: Path, timezone: str = "UTC", day_first: bool | None = None) -> Temperatures:
    """Temperatures of a CSV or Parquet file with the columns time and temperature_c.

    The usual step is the median one. A gap of up to 3 hours is filled in by a line between the rows around it.

    Parameters
    ----------
    path
        The file.
    timezone, day_first
        Clock of times without offset, and order of day and month; see `data.columns.Column.read_times`.

    Raises
    ------
    DataError
        If the table cannot be read, its times do not rise, rows are missing for longer, or a value is no temperature.
    """
    table = read_table(path, what="a table time,temperature_c")
    table.check_columns(("time", "temperature_c"), ())
    table = table.with_numbers(["temperature_c"])
    time, said = table.column("time").read_times(timezone, day_first)
    time, column = time.astype("datetime64[s]"), table.column("temperature_c")
    celsius = column.to_float()
    column.check(~((celsius >= -60.0) & (celsius <= 60.0)), "a temperature from -60 to 60 °C", "correct the row")
    steps = np.diff(time)
    late, remedy = np.concatenate([[False], steps <= _ZERO]), "sort the rows and remove duplicates"
    table.column("time").check(late, "times that rise from row to row", f"{remedy}{advise_on_clock(timezone)}")
    step = _find_step(table.source, time)
    gaps = np.flatnonzero(steps > step)
    table = table.say(*said, *_describe_gaps(time, gaps))
    return Temperatures(table.source, *_fill(time, celsius, step, gaps), step, table.notes)


def _find_step(source: str, time: Times) -> np.timedelta64:
    """Usual step of the rows; an hour for a single row.

    Raises
    ------
    DataError
        If rows are farther apart than that where a line cannot fill in.
    """
    if time.size == 1:
        return _HOUR
    steps = np.diff(time)
    step = min(np.sort(steps)[(steps.size - 1) // 2], LONGEST_STEP)
    wrong = steps > max(step, LONGEST_FILLED)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(
            f"{source}, column 'time': expected a row every {step / _HOUR:g} h, got nothing between {time[at]} and "
            f"{time[at + 1]} UTC; add the missing rows (gaps of up to {LONGEST_FILLED / _HOUR:g} h are filled in)"
        )
    return np.timedelta64(step, "s")


def _describe_gaps(time: Times, gaps: npt.NDArray[np.int64]) -> tuple[str, ...]:
    if gaps.size == 0:
        return ()
    first = gaps[0]
    what = f"{gaps.size} gaps, the first" if gaps.size > 1 else "a gap"
    return (f"{what} from {time[first]} to {time[first + 1]} UTC, filled in by a line between the rows around it",)


def _fill(time: Times, celsius: Celsius, step: np.timedelta64, gaps: npt.NDArray[np.int64]) -> tuple[Times, Celsius]:
    """Times and temperatures with rows every `step` in the gaps behind some rows, on the line across each gap."""
    missing = [np.arange(time[k] + step, time[k + 1], step) for k in gaps]
    if not missing:
        return time, celsius
    filled = np.sort(np.concatenate([time, *missing])).astype("datetime64[s]")
    line = np.interp(filled.astype(np.int64), time.astype(np.int64), celsius)
    return filled, np.asarray(line, dtype=np.float64)
