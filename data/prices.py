"""Utility prices: from a column of the profiles, from a file of their own, or constant; exactly one of these."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.clock import Times
from data.columns import Table
from data.errors import DataError
from data.files import read_table
from data.profiles import LARGEST_PRICE_UEUR_PER_KWH
from data.series import Integers

PRICE_UNITS = {  # column: (unit, factor to µEUR/kWh)
    "price_eur_per_kwh": ("EUR/kWh", 1e6),
    "price_eur_per_mwh": ("EUR/MWh", 1e3),
    "price_ueur_per_kwh": ("µEUR/kWh", 1.0),
}


class PriceSource(NamedTuple):
    """Prices that are not in the table of profiles: a constant in EUR/kWh, or a file `time, price_…`."""

    eur_per_kwh: float | None = None
    file: str | Path | None = None


def read_prices(table: Table, *, may_be_negative: bool = False) -> Integers:
    """Read the one price column, µEUR/kWh, rounded, (rows,); raises DataError if there is none."""
    name = table.find_column(PRICE_UNITS)
    unit, factor = PRICE_UNITS[name]
    hint = "the limit is 10 EUR/kWh; is the column in another unit?"
    largest = LARGEST_PRICE_UEUR_PER_KWH / factor
    values = table.column(name).read_numbers(unit, largest, hint, smallest=-largest if may_be_negative else 0.0)
    return np.rint(values * factor).astype(np.int64)


class Prices(NamedTuple):
    """Utility prices, µEUR/kWh (T,), and what was understood to read a file of their own."""

    ueur_per_kwh: Integers
    notes: tuple[str, ...] = ()


def find_prices(
    time: Times,
    table: Table,
    interval: Integers,
    timezone: str,
    price: PriceSource,
    day_first: bool | None = None,
) -> Prices:
    """Find the price of each of the intervals that begin at `time`, µEUR/kWh (T,).

    Parameters
    ----------
    time
        Begin of T intervals, UTC.
    table, interval
        The table of profiles, and the interval 0 … T−1 of each of its rows.
    timezone
        Clock of times without an offset in a price file.
    price
        Prices that are not in the table.
    day_first
        Whether 03/04/2017 is in April in a price file; None: another date of it must decide.

    Raises
    ------
    DataError
        If there is no price or more than one, or participants differ in it, or a price file has gaps.
    """
    column = table.find_column(PRICE_UNITS, required=False)
    _check_one_source(column, price, table.source)
    if column:
        return Prices(_read_same_for_all(table, interval, time.size, column))
    if price.file is not None:
        return _read_price_file(time, price.file, timezone, day_first)
    return Prices(make_constant_price(price.eur_per_kwh or 0.0, time.size, table.source))


def _check_one_source(column: str, price: PriceSource, source: str) -> None:
    given = {
        f"the column {column}": bool(column),
        "a price file": price.file is not None,
        "a constant price": price.eur_per_kwh is not None,
    }
    found = [what for what, there in given.items() if there]
    if len(found) != 1:
        raise DataError(
            f"{source}: expected the utility price from one source (a column {', '.join(PRICE_UNITS)}, a price file "
            f"or a constant), got {' and '.join(found) or 'none'}; {'keep one' if found else 'add one'}"
        )


def _read_same_for_all(table: Table, interval: Integers, n_intervals: int, column: str) -> Integers:
    values = read_prices(table)
    prices = np.empty(n_intervals, dtype=np.int64)
    prices[interval[::-1]] = values[::-1]  # of several rows the first counts
    expected = "the same price for all participants at a time"
    table.column(column).check(prices[interval] != values, expected, "make it equal to the others")
    return prices


def _read_price_file(time: Times, file: str | Path, timezone: str, day_first: bool | None) -> Prices:
    """Prices of a file `time, price_…`; each is valid from its time on for the shortest step between rows."""
    table = read_table(file).with_numbers(PRICE_UNITS)
    table.check_columns(("time",), PRICE_UNITS)
    values, (clock, said) = read_prices(table), table.column("time").read_times(timezone, day_first)
    step = np.diff(clock)
    late = np.concatenate([[False], step <= np.timedelta64(0, "s")])
    table.column("time").check(late, "rising times", "sort and remove duplicates")
    validity = step.min() if step.size else np.timedelta64(1, "h")
    latest = np.searchsorted(clock, time, side="right") - 1
    without = (latest < 0) | (time >= clock[latest] + validity)
    if without.any():
        raise DataError(
            f"{table.source}, column 'time': expected a price for every interval, "
            f"got none for {time[int(np.argmax(without))]} UTC; add the row"
        )
    return Prices(values[latest], table.say(*said).notes)


def make_constant_price(eur_per_kwh: float, n_intervals: int, source: str) -> Integers:
    """Make the prices of T intervals from one price, µEUR/kWh (T,); raises DataError unless it is 0 … 10 EUR/kWh."""
    ueur_per_kwh = eur_per_kwh * PRICE_UNITS["price_eur_per_kwh"][1]
    if not 0.0 <= ueur_per_kwh <= LARGEST_PRICE_UEUR_PER_KWH:
        raise DataError(f"{source}: expected a constant price from 0 to 10 EUR/kWh, got {eur_per_kwh}; correct it")
    return np.full(n_intervals, round(ueur_per_kwh), dtype=np.int64)
