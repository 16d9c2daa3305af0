"""Read the Kaggle file "Hourly energy demand generation and weather" (Spain 2015-2018, from ENTSO-E and REE).

Values that are filled in are counted in the provenance; docs/decisions/0010-fill-rule-of-the-spain-reader.md says how
and why.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.columns import Column, Table, make_notes
from data.errors import DataError
from data.files import parse_table, read_table
from data.series import ZONE, Hourly, Integers, Series

MISSING = ("", "nan", "NaN", "NA")
LONGEST_INTERPOLATION_HOURS = 3
LARGEST_MISSING_SHARE = 0.1
DAY, WEEK = 24, 168


class Quantity(NamedTuple):
    """A column of the file, its name in the provenance, and from how many hours away long gaps are filled."""

    title: str
    name: str
    distances: tuple[int, ...]


SOLAR = Quantity("generation solar", "solar", tuple(DAY * k for k in range(1, 15)))
LOAD = Quantity("total load actual", "load", (WEEK, 2 * WEEK, DAY, 2 * DAY))
PRICE = Quantity("price actual", "price", (WEEK, 2 * WEEK, DAY, 2 * DAY))


def read_energy(path: str | Path) -> Series:
    """Read the file `energy_dataset.csv`; see `parse_energy`.

    Raises
    ------
    DataError
        If the file cannot be read, or as `parse_energy`.
    """
    return _make_series(read_table(path, MISSING, "the Kaggle file energy_dataset.csv"))


def parse_energy(buffer: IO[str], source: str = "energy_dataset.csv") -> Series:
    """Parse the file's text into hourly UTC series without gaps.

    Parameters
    ----------
    buffer
        CSV with the columns `time` (local time with offset), `generation solar` (MW), `total load actual` (MW) and
        `price actual` (EUR/MWh); others are ignored.
    source
        What to call it in messages.

    Returns
    -------
    Series
        Solar over its maximum, load over its mean, price. Missing hours and missing values are filled: gaps up to 3 h
        by interpolation, longer ones from the same hour of the nearest days (solar) or weeks. Of hours that occur twice
        the first counts; prices below zero are raised to zero. The provenance counts all of it.

    Raises
    ------
    DataError
        If a column is missing, a value is no number, a time is not a full hour, or over 10 % of a column is missing.
    """
    return _make_series(parse_table(buffer, source, MISSING))


def _make_series(table: Table) -> Series:
    frame, source = table.frame, table.source
    for title in ("time", SOLAR.title, LOAD.title, PRICE.title):
        if title not in frame.columns:
            found = ", ".join(map(str, frame.columns[:6]))
            raise DataError(f"{source}: expected a column '{title}', got {found} …; choose energy_dataset.csv")
    table = table.with_numbers((SOLAR.title, LOAD.title, PRICE.title))
    hour, said = _read_hours(table.column("time"))
    first, n_hours = int(hour.min()), int(hour.max() - hour.min()) + 1
    repeated = pd.Series(hour).duplicated().to_numpy()
    notes = make_notes(*table.say(*said).notes)
    table, hour = table._replace(frame=table.frame[~repeated]), hour[~repeated] - first
    counts = {"duplicate_hours": int(repeated.sum()), "missing_hours": n_hours - hour.size}
    filled = {
        each.name: _fill_gaps(_read_dense(table, each, hour, n_hours), each, source, counts)
        for each in (SOLAR, LOAD, PRICE)
    }
    counts["price_raised_to_zero"] = int((filled["price"] < 0).sum())
    if filled["solar"].max() <= 0 or filled["load"].max() <= 0:
        raise DataError(
            f"{source}: expected solar generation and load above 0 in some hour, got none; check the columns"
        )
    return Series(
        start=np.datetime64(first * 3600, "s"),
        solar_cf=filled["solar"] / filled["solar"].max(),
        load_shape=filled["load"] / filled["load"].mean(),
        price_eur_per_mwh=np.maximum(filled["price"], 0.0),
        provenance={"source": "spain", "file": source, **counts, **notes},
        zone=ZONE,
    )


def _read_hours(time: Column) -> tuple[Integers, tuple[str, ...]]:
    """Full hours since 1970 UTC of each row, and what had to be understood of them."""
    utc, said = time.read_times(ZONE)
    seconds = utc.astype(np.int64)
    time.check(seconds % 3600 != 0, "full hours", "resample to hours")
    return seconds // 3600, said


def _read_dense(table: Table, quantity: Quantity, hour: Integers, n_hours: int) -> Hourly:
    """A quantity in the order of time, (n_hours,), NaN where the file has no value."""
    column, may_be_negative = table.column(quantity.title), quantity is PRICE
    values = column.to_float()
    wrong = column.values.notna().to_numpy() & ~np.isfinite(values)
    if not may_be_negative:
        wrong |= values < 0.0
    expected = "a number" if may_be_negative else "a number >= 0"
    column.check(wrong, expected, "correct or empty the cell")
    dense = np.full(n_hours, np.nan)
    dense[hour] = values
    return dense


def _fill_gaps(values: Hourly, quantity: Quantity, source: str, counts: dict[str, int]) -> Hourly:
    """Fill every gap; adds to `counts` how many values were interpolated and copied."""
    gap = np.isnan(values)
    if gap.mean() > LARGEST_MISSING_SHARE:
        raise DataError(
            f"{source}, column '{quantity.title}': expected at most {LARGEST_MISSING_SHARE:.0%} of the hours missing, "
            f"got {gap.mean():.1%}; use a more complete file"
        )
    result = _interpolate(values, gap)
    counts[f"{quantity.name}_interpolated"] = int(gap.sum() - np.isnan(result).sum())
    counts[f"{quantity.name}_copied"] = int(np.isnan(result).sum())
    for distance in quantity.distances:
        for shifted in (_shift(values, distance), _shift(values, -distance)):
            result = np.where(np.isnan(result), shifted, result)
    if np.isnan(result).any():
        raise DataError(
            f"{source}, column '{quantity.title}': expected gaps that neighbouring days or weeks can fill, "
            f"got {int(np.isnan(result).sum())} hours that they cannot; use a more complete file"
        )
    return result


def _interpolate(values: Hourly, gap: npt.NDArray[np.bool_]) -> Hourly:
    """Fill gaps of up to 3 h between known values by straight lines."""
    known = np.flatnonzero(~gap)
    if known.size == 0:
        return values
    hour = np.arange(values.size)
    after = np.searchsorted(known, hour)
    inside = gap & (after > 0) & (after < known.size)
    length = np.zeros(values.size, dtype=np.int64)
    length[inside] = known[after[inside]] - known[after[inside] - 1] - 1
    short = inside & (length <= LONGEST_INTERPOLATION_HOURS)
    return np.where(short, np.interp(hour, known, values[known]), values)


def _shift(values: Hourly, hours: int) -> Hourly:
    """The value `hours` earlier (negative: later), NaN where there is none."""
    result = np.full(values.size, np.nan)
    if abs(hours) >= values.size:
        return result
    if hours > 0:
        result[hours:] = values[:-hours]
    else:
        result[:hours] = values[-hours:]
    return result
