"""A table of weather for panels: irradiance, temperature and wind of every hour, of given years or of a typical one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.columns import advise_on_clock
from data.errors import DataError
from data.files import read_table

Values = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

RANGES = {
    "ghi": (0.0, 1500.0, "W/m² on the horizontal"),
    "dni": (0.0, 1500.0, "W/m² of the beam"),
    "dhi": (0.0, 1000.0, "W/m² of the sky"),
    "temp_air": (-60.0, 60.0, "°C"),
    "wind_speed": (0.0, 60.0, "m/s"),
}
"""Columns, and what their values may be."""
HOURS_A_YEAR = 8760
_HOUR = np.timedelta64(1, "h")


class Weather(NamedTuple):
    """Weather of H hours: means from `time`, UTC, to an hour later, (H,) each.

    Attributes
    ----------
    time
        Begin of the hours in which it is asked for.
    ghi, dni, dhi
        Global horizontal, direct normal and diffuse horizontal irradiance, W/m².
    temp_air, wind_speed
        °C and m/s.
    note
        How it was read.
    """

    time: Times
    ghi: Values
    dni: Values
    dhi: Values
    temp_air: Values
    wind_speed: Values
    note: str


def read_weather(path: Path, time: Times, timezone: str = "UTC", day_first: bool | None = None) -> Weather:
    """Weather of some hours from a CSV or Parquet file time,ghi,dni,dhi,temp_air,wind_speed with hourly rows.

    A file that covers the hours is taken as it is. One of 8,760 hours that does not is a typical year: each hour takes
    the one of the same month, day and hour, 29 February that of the 28th.

    Parameters
    ----------
    path
        The file.
    time
        (H,) begin of the hours, UTC.
    timezone, day_first
        Clock of times without offset, and order of day and month; see `data.columns.Column.read_times`.

    Raises
    ------
    DataError
        If the file cannot be used, or covers neither the hours nor a year.
    """
    table = read_table(path, what="a table of weather")
    table.check_columns(("time", *RANGES), ())
    table = table.with_numbers(RANGES)
    times = table.column("time")
    known, said = times.read_times(timezone, day_first)
    known = known.astype("datetime64[s]")
    late = np.concatenate([[False], np.diff(known) != _HOUR])
    times.check(late, "a row for every hour in order", f"resample it{advise_on_clock(timezone)}")
    if known.size < 2:
        raise DataError(f"{path.name}, column 'time': expected a row for every hour, got one row; add the others")
    columns = []
    for name, (low, high, unit) in RANGES.items():
        column = table.column(name)
        values = column.to_float()
        column.check(~((values >= low) & (values <= high)), f"{low:g} to {high:g} {unit}", "correct the row")
        columns.append(values)
    place, note = _find_rows(path, known, time.astype("datetime64[s]"))
    ghi, dni, dhi, temp_air, wind_speed = (values[place] for values in columns)
    return Weather(time, ghi, dni, dhi, temp_air, wind_speed, "; ".join([note, *table.said, *said]))


def _find_rows(path: Path, known: Times, time: Times) -> tuple[npt.NDArray[np.int64], str]:
    """Row of each hour, and how it was found."""
    if known[0] <= time[0] and time[-1] <= known[-1]:
        return ((time - known[0]) // _HOUR).astype(np.int64), f"weather of {path.name}"
    if known.size != HOURS_A_YEAR:
        raise DataError(
            f"{path.name}: expected weather from {time[0]} to {time[-1]} UTC, or a typical year of {HOURS_A_YEAR} h, "
            f"got {known.size} hours from {known[0]} to {known[-1]}; add the rows, or move the horizon"
        )
    rows = {key: k for k, key in enumerate(_list_places(known))}
    keys = [key if key in rows else (2, 28, key[2]) for key in _list_places(time)]
    return np.array([rows[key] for key in keys]), f"weather of {path.name}, a typical year"


def _list_places(time: Times) -> list[tuple[int, int, int]]:
    """Month, day and hour of times."""
    return [(each.month, each.day, each.hour) for each in time.astype("datetime64[s]").tolist()]
