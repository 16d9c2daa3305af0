"""Reader of the Kaggle file "Hourly energy demand generation and weather" (Spain 2015-2018, from ENTSO-E and REE).

What is filled in is counted in the provenance; docs/decisions/0010-fill-rule-of-the-spain-reader.md says how and why.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.files import as_float, got, parse_frame, times, where
from data.series import ZONE, Hourly, Series

MISSING = ("", "nan", "NaN", "NA")
LONGEST_INTERPOLATION_HOURS = 3
LARGEST_MISSING_SHARE = 0.1
DAY, WEEK = 24, 168


class Column(NamedTuple):
    """A column of the file, its name in the provenance, and the distances (h) from which long gaps are filled."""

    title: str
    name: str
    distances: tuple[int, ...]


SOLAR = Column("generation solar", "solar", tuple(DAY * k for k in range(1, 15)))
LOAD = Column("total load actual", "load", (WEEK, 2 * WEEK, DAY, 2 * DAY))
PRICE = Column("price actual", "price", (WEEK, 2 * WEEK, DAY, 2 * DAY))


def read_energy(path: str | Path) -> Series:
    """Series of the file `energy_dataset.csv`; see `parse_energy`.

    Raises
    ------
    DataError
        If the file cannot be read, or as `parse_energy`.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_energy(file, path.name)
    except FileNotFoundError as reason:
        raise DataError(
            f"{path}: expected the Kaggle file energy_dataset.csv, found none; check the path"
        ) from reason
    except (OSError, UnicodeDecodeError) as reason:
        raise DataError(
            f"{path}: expected a readable UTF-8 CSV file, got {reason}; download it again"
        ) from reason


def parse_energy(buffer: IO[str], source: str = "energy_dataset.csv") -> Series:
    """Dense hourly UTC series from the file's text.

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
        Solar over its maximum, load over its mean, price; hours missing from the file are filled as isolated values
        are: up to 3 h by interpolation, longer gaps from the same hour of the nearest days (solar) or weeks. Of hours
        that occur twice the first counts; prices below zero are raised to zero. The provenance counts all of it.

    Raises
    ------
    DataError
        If a column is missing, a value is no number, a time is not a full hour, or over 10 % of a column is missing.
    """
    frame = parse_frame(buffer, source, MISSING)
    for title in ("time", SOLAR.title, LOAD.title, PRICE.title):
        if title not in frame.columns:
            found = ", ".join(map(str, frame.columns[:6]))
            raise DataError(
                f"{source}: expected a column '{title}', got {found} …; choose energy_dataset.csv"
            )
    hour = _hours(frame, source)
    first, n_hours = int(hour.min()), int(hour.max() - hour.min()) + 1
    repeated = pd.Series(hour).duplicated().to_numpy()
    frame, hour = frame[~repeated], hour[~repeated] - first
    counts = {"duplicate_hours": int(repeated.sum()), "missing_hours": n_hours - hour.size}
    filled = {
        column.name: _filled(_dense(frame, column, hour, n_hours, source), column, source, counts)
        for column in (SOLAR, LOAD, PRICE)
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
        provenance={"source": "spain", "file": source, **counts},
        zone=ZONE,
    )


def _hours(frame: pd.DataFrame, source: str) -> npt.NDArray[np.int64]:
    """Full hours since 1970 UTC of each row."""
    seconds = times(frame, "time", source, ZONE).astype(np.int64)
    odd = seconds % 3600 != 0
    if odd.any():
        raise DataError(
            f"{where(frame, source, 'time', odd)}: expected full hours, got {got(frame, 'time', odd)}; "
            "resample to hours"
        )
    return seconds // 3600


def _dense(
    frame: pd.DataFrame, column: Column, hour: npt.NDArray[np.int64], n_hours: int, source: str
) -> Hourly:
    """The column in the order of time, (n_hours,), NaN where the file has nothing."""
    values = as_float(frame[column.title])
    present = frame[column.title].notna().to_numpy()
    wrong = present & ~np.isfinite(values)
    if column is not PRICE:
        wrong |= values < 0.0
    if wrong.any():
        raise DataError(
            f"{where(frame, source, column.title, wrong)}: expected a number"
            f"{'' if column is PRICE else ' >= 0'}, got {got(frame, column.title, wrong)}; correct or empty the cell"
        )
    dense = np.full(n_hours, np.nan)
    dense[hour] = values
    return dense


def _filled(values: Hourly, column: Column, source: str, counts: dict[str, int]) -> Hourly:
    """Values with every gap filled; adds to `counts` how many were interpolated and copied."""
    gap = np.isnan(values)
    if gap.mean() > LARGEST_MISSING_SHARE:
        raise DataError(
            f"{source}, column '{column.title}': expected at most {LARGEST_MISSING_SHARE:.0%} of the hours missing, "
            f"got {gap.mean():.1%}; use a more complete file"
        )
    result = _interpolated(values, gap)
    counts[f"{column.name}_interpolated"] = int(gap.sum() - np.isnan(result).sum())
    counts[f"{column.name}_copied"] = int(np.isnan(result).sum())
    for distance in column.distances:
        for shifted in (_shifted(values, distance), _shifted(values, -distance)):
            result = np.where(np.isnan(result), shifted, result)
    if np.isnan(result).any():
        raise DataError(
            f"{source}, column '{column.title}': expected gaps that neighbouring days or weeks can fill, "
            f"got {int(np.isnan(result).sum())} hours that they cannot; use a more complete file"
        )
    return result


def _interpolated(values: Hourly, gap: npt.NDArray[np.bool_]) -> Hourly:
    """Gaps of up to 3 h between known values bridged by straight lines."""
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


def _shifted(values: Hourly, hours: int) -> Hourly:
    """The value `hours` earlier (negative: later), NaN where there is none."""
    result = np.full(values.size, np.nan)
    if abs(hours) >= values.size:
        return result
    if hours > 0:
        result[hours:] = values[:-hours]
    else:
        result[:hours] = values[-hours:]
    return result
