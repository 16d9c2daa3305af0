"""The utility price of each interval: from a column of the profiles, a file of its own, or a constant; exactly one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.files import Times, check_columns, got, numbers, read_frame, times, where
from data.profiles import LARGEST_PRICE_UEUR_PER_KWH
from data.series import Integers

PRICE_UNITS = {  # column: (unit, factor to µEUR/kWh)
    "price_eur_per_kwh": ("EUR/kWh", 1e6),
    "price_eur_per_mwh": ("EUR/MWh", 1e3),
    "price_ueur_per_kwh": ("µEUR/kWh", 1.0),
}


class PriceSource(NamedTuple):
    """Prices given beside a table: a constant in EUR/kWh, or a file `time, price_…`."""

    eur_per_kwh: float | None = None
    file: str | Path | None = None


def price_column(frame: pd.DataFrame, source: str) -> str | None:
    """Name of the one price column, None if there is none; raises DataError if there are several."""
    found = [name for name in PRICE_UNITS if name in frame.columns]
    if len(found) > 1:
        raise DataError(f"{source}: expected one price column, got {', '.join(found)}; remove the others")
    return found[0] if found else None


def prices_of(frame: pd.DataFrame, source: str) -> Integers:
    """Prices of every row from the one price column, µEUR/kWh, rounded, (rows,); raises DataError if none is there."""
    column = price_column(frame, source)
    if column is None:
        raise DataError(f"{source}: expected one of the columns {', '.join(PRICE_UNITS)}, got none; add it")
    unit, factor = PRICE_UNITS[column]
    hint = "the limit is 10 EUR/kWh; is the column in another unit?"
    values = numbers(frame, column, source, unit, LARGEST_PRICE_UEUR_PER_KWH / factor, hint)
    return np.rint(values * factor).astype(np.int64)


def prices_at(
    time: Times,
    frame: pd.DataFrame,
    interval: npt.NDArray[np.int64],
    source: str,
    timezone: str,
    price: PriceSource,
) -> Integers:
    """Price of the intervals that begin at `time`, µEUR/kWh (T,).

    Parameters
    ----------
    time
        Begin of T intervals, UTC.
    frame, interval, source
        The table, the interval 0 … T−1 of each of its rows, and its name.
    timezone
        Clock of times without an offset in a price file.
    price
        What is given beside the table.

    Raises
    ------
    DataError
        If there is no price or more than one, or participants differ in it, or a price file has gaps.
    """
    column = price_column(frame, source)
    _check_one_source(column, price, source)
    if column is not None:
        return _same_for_all(frame, interval, time.size, source, column)
    if price.file is not None:
        return _from_file(time, price.file, timezone)
    return constant_price(price.eur_per_kwh or 0.0, time.size, source)


def _check_one_source(column: str | None, price: PriceSource, source: str) -> None:
    given = {
        f"the column {column}": column is not None,
        "a price file": price.file is not None,
        "a constant price": price.eur_per_kwh is not None,
    }
    found = [what for what, there in given.items() if there]
    if len(found) != 1:
        raise DataError(
            f"{source}: expected the utility price from one source (a column {', '.join(PRICE_UNITS)}, a price file "
            f"or a constant), got {' and '.join(found) or 'none'}; {'keep one' if found else 'add one'}"
        )


def _same_for_all(
    frame: pd.DataFrame, interval: npt.NDArray[np.int64], n_intervals: int, source: str, column: str
) -> Integers:
    values = prices_of(frame, source)
    prices = np.empty(n_intervals, dtype=np.int64)
    prices[interval[::-1]] = values[::-1]  # of several rows the first stands
    different = prices[interval] != values
    if different.any():
        raise DataError(
            f"{where(frame, source, column, different)}: expected the same price for all participants at a time, "
            f"got {got(frame, column, different)} beside another; make them equal"
        )
    return prices


def _from_file(time: Times, file: str | Path, timezone: str) -> Integers:
    """Prices of a file `time, price_…`, each valid from its time for as long as its rows are apart."""
    frame, source = read_frame(file), Path(file).name
    check_columns(frame, source, ("time",), PRICE_UNITS)
    values, clock = prices_of(frame, source), times(frame, "time", source, timezone)
    step = np.diff(clock)
    late = np.concatenate([[False], step <= np.timedelta64(0, "s")])
    if late.any():
        raise DataError(
            f"{where(frame, source, 'time', late)}: expected rising times, got {got(frame, 'time', late)}; "
            "sort and remove duplicates"
        )
    validity = step.min() if step.size else np.timedelta64(1, "h")
    latest = np.searchsorted(clock, time, side="right") - 1
    without = (latest < 0) | (time >= clock[latest] + validity)
    if without.any():
        raise DataError(
            f"{source}, column 'time': expected a price for every interval, "
            f"got none for {time[int(np.argmax(without))]} UTC; add the row"
        )
    return values[latest]


def constant_price(eur_per_kwh: float, n_intervals: int, source: str) -> Integers:
    """One price for all intervals, µEUR/kWh (T,); raises DataError unless it is 0 … 10 EUR/kWh."""
    ueur_per_kwh = eur_per_kwh * PRICE_UNITS["price_eur_per_kwh"][1]
    if not 0.0 <= ueur_per_kwh <= LARGEST_PRICE_UEUR_PER_KWH:
        raise DataError(
            f"{source}: expected a constant price from 0 to 10 EUR/kWh, got {eur_per_kwh}; correct it"
        )
    return np.full(n_intervals, round(ueur_per_kwh), dtype=np.int64)
