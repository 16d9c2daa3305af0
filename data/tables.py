"""The user's own profiles, CSV or Parquet, long or wide: units are read off the column names, never guessed.

Long, the main layout, one row per time and participant::

    time, participant, load_wh|load_kwh|load_kw [, pv_wh|pv_kwh|pv_kw] [, PRICE]

Wide, one row per time, with a load and perhaps a pv column per participant::

    time, NAME.load_kwh, NAME.pv_kwh, … [, PRICE]

PRICE is price_eur_per_kwh, price_eur_per_mwh or price_ueur_per_kwh. `time` is the begin of the interval, ISO 8601.
Every value is rounded to the nearest Wh or µEUR/kWh, halves to even.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.files import Times, check_columns, names, numbered, numbers, parse_frame, read_frame, times, where
from data.prices import PRICE_UNITS, PriceSource, prices_at
from data.profiles import INTERVALS_MINUTES, Profiles
from data.series import Integers
from data.trades import parse_trades, read_trades

__all__ = [
    "parse_profiles",
    "parse_trades",
    "profiles_from_frame",
    "read_profiles",
    "read_trades",
    "write_profiles",
]

Position = npt.NDArray[np.int64]

ENERGY_UNITS = {"wh": "Wh", "kwh": "kWh", "kw": "kW"}
QUANTITIES = {f"{quantity}_{unit}": (quantity, unit) for quantity in ("load", "pv") for unit in ENERGY_UNITS}
LARGEST_INTERVAL_WH = 10_000_000


class Layout(NamedTuple):
    """Where in a table the energies are.

    Attributes
    ----------
    time
        Begin of the T intervals, UTC, evenly spaced.
    interval_minutes
        Their length.
    participants
        N names.
    energy
        Function of a quantity (load, pv) that returns its Wh as (T, N).
    interval
        Interval 0 … T−1 of each row of the table.
    """

    time: Times
    interval_minutes: int
    participants: tuple[str, ...]
    energy: Callable[[str], Integers]
    interval: Position


def read_profiles(
    path: str | Path,
    *,
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    price_eur_per_kwh: float | None = None,
    prices: str | Path | None = None,
) -> Profiles:
    """Profiles from a CSV or Parquet file in one of the layouts above.

    Parameters
    ----------
    path
        The file.
    interval_minutes
        Length of the intervals wanted, 15, 30 or 60; other data are resampled, sums kept. None: as in the file.
    timezone
        Clock of times without an offset.
    price_eur_per_kwh
        Constant utility price, for a table without prices.
    prices
        File `time, PRICE` for a table without prices; its intervals may be longer than the profiles'.

    Raises
    ------
    DataError
        Naming file, column and row of the first thing that is not as said.
    """
    price = PriceSource(price_eur_per_kwh, prices)
    return profiles_from_frame(read_frame(path), Path(path).name, interval_minutes, timezone, price)


def parse_profiles(
    buffer: IO[str],
    source: str = "profiles",
    *,
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    price_eur_per_kwh: float | None = None,
) -> Profiles:
    r"""Profiles from CSV text; see `read_profiles`.

    Examples
    --------
    >>> import io
    >>> text = "time,participant,load_kw\n2017-01-01T00:00Z,a,0.4\n2017-01-01T00:15Z,a,0.5\n"
    >>> parse_profiles(io.StringIO(text), price_eur_per_kwh=0.2).load_wh.ravel()
    array([100, 125])
    """
    price = PriceSource(price_eur_per_kwh, None)
    return profiles_from_frame(parse_frame(buffer, source), source, interval_minutes, timezone, price)


def profiles_from_frame(
    frame: pd.DataFrame,
    source: str = "profiles",
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    price: PriceSource | None = None,
) -> Profiles:
    """Profiles from a DataFrame in one of the layouts above; see `read_profiles`."""
    frame, price = numbered(frame, source), price or PriceSource()
    wide = any("." in str(name) for name in frame.columns)
    layout = (_wide if wide else _long)(frame, source, interval_minutes, timezone)
    profiles = Profiles(
        start=layout.time[0],
        interval_minutes=layout.interval_minutes,
        participants=layout.participants,
        load_wh=layout.energy("load"),
        pv_wh=layout.energy("pv"),
        price_ueur_per_kwh=prices_at(layout.time, frame, layout.interval, source, timezone, price),
        provenance={"source": "table", "file": source},
    )
    return profiles.resample(interval_minutes) if interval_minutes else profiles


def write_profiles(profiles: Profiles, path: str | Path) -> None:
    """Write profiles in the long layout, Wh and µEUR/kWh, as CSV or Parquet by the file's ending.

    Reading the file gives equal profiles, the provenance apart. The file appears whole or not at all.
    """
    path = Path(path)
    n = profiles.n_participants
    time = np.repeat(profiles.time, n)
    frame = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(time).tz_localize("UTC"),
            "participant": np.tile(np.array(profiles.participants, dtype=object), profiles.n_intervals),
            "load_wh": profiles.load_wh.ravel(),
            "pv_wh": profiles.pv_wh.ravel(),
            "price_ueur_per_kwh": np.repeat(profiles.price_ueur_per_kwh, n),
        }
    )
    unfinished = path.with_name(path.name + ".part")
    if path.suffix in (".parquet", ".pq"):
        frame.to_parquet(unfinished, index=False)
    else:
        frame["time"] = np.char.add(np.datetime_as_string(time, unit="s"), "Z")
        frame.to_csv(unfinished, index=False, lineterminator="\n")
    unfinished.replace(path)


def _long(frame: pd.DataFrame, source: str, interval_minutes: int | None, timezone: str) -> Layout:
    check_columns(frame, source, ("time", "participant"), (*QUANTITIES, *PRICE_UNITS))
    columns = {quantity: _column(frame, source, "", quantity) for quantity in ("load", "pv")}
    clock = times(frame, "time", source, timezone)
    participant, listed = names(frame, "participant", source)
    _check_order(frame, source, clock, participant, listed)
    time, interval = np.unique(clock, return_inverse=True)
    minutes = _interval_minutes(time, source, interval_minutes)
    cell = interval * len(listed) + participant
    count = np.bincount(cell, minlength=time.size * len(listed))
    if (count == 0).any():
        missing = int(np.argmin(count))
        raise DataError(
            f"{source}: expected a row for every time and participant, got none for {time[missing // len(listed)]} "
            f"UTC and '{listed[missing % len(listed)]}' ({int((count == 0).sum())} such rows missing); add them"
        )
    order = np.argsort(cell)

    def energy(quantity: str) -> Integers:
        column = columns[quantity]
        if column is None:
            return np.zeros((time.size, len(listed)), dtype=np.int64)
        return _energy_wh(frame, column, source, minutes)[order].reshape(time.size, len(listed))

    return Layout(time, minutes, tuple(listed), energy, interval)


def _wide(frame: pd.DataFrame, source: str, interval_minutes: int | None, timezone: str) -> Layout:
    listed = list(dict.fromkeys(str(name).rpartition(".")[0] for name in frame.columns if "." in str(name)))
    known = [f"{name}.{quantity}" for name in listed for quantity in QUANTITIES]
    check_columns(frame, source, ("time",), (*known, *PRICE_UNITS))
    columns = {
        quantity: [_column(frame, source, f"{name}.", quantity) for name in listed]
        for quantity in ("load", "pv")
    }
    time = times(frame, "time", source, timezone)
    _check_order(frame, source, time, np.zeros(time.size, dtype=np.int64), ["every participant"])
    minutes = _interval_minutes(time, source, interval_minutes)

    def energy(quantity: str) -> Integers:
        wh = np.zeros((time.size, len(listed)), dtype=np.int64)
        for k, column in enumerate(columns[quantity]):
            if column is not None:
                wh[:, k] = _energy_wh(frame, column, source, minutes)
        return wh

    return Layout(time, minutes, tuple(listed), energy, np.arange(time.size))


def _column(frame: pd.DataFrame, source: str, prefix: str, quantity: str) -> str | None:
    """Name of the one column with a quantity; None if there is none and none is needed."""
    possible = [f"{prefix}{quantity}_{unit}" for unit in ENERGY_UNITS]
    found = [name for name in possible if name in frame.columns]
    if len(found) > 1 or (quantity == "load" and not found):
        raise DataError(
            f"{source}: expected one of the columns {', '.join(possible)}, got {', '.join(found) or 'none'}; "
            f"{'remove the others' if found else 'add it'}"
        )
    return found[0] if found else None


def _energy_wh(frame: pd.DataFrame, column: str, source: str, interval_minutes: int) -> Integers:
    unit = column.rpartition("_")[2]
    wh = {"wh": 1.0, "kwh": 1000.0, "kw": 1000.0 * interval_minutes / 60.0}[unit]
    hint = f"the limit is 10 MWh per interval; is the column in another unit than {ENERGY_UNITS[unit]}?"
    values = numbers(frame, column, source, ENERGY_UNITS[unit], LARGEST_INTERVAL_WH / wh, hint)
    return np.rint(values * wh).astype(np.int64)


def _check_order(
    frame: pd.DataFrame, source: str, clock: Times, participant: Position, listed: list[str]
) -> None:
    """The times of each participant rise from row to row."""
    order = np.argsort(participant, kind="stable")
    step = np.diff(clock[order].astype(np.int64))
    step[np.diff(participant[order]) != 0] = 1
    for wrong_step, expected in ((step == 0, "once"), (step < 0, "later than the row before")):
        if wrong_step.any():
            position = order[1:][wrong_step].min()
            wrong = np.arange(len(frame)) == position
            raise DataError(
                f"{where(frame, source, 'time', wrong)}: expected each time {expected} for "
                f"'{listed[participant[position]]}', got {clock[position]} UTC; sort the rows and remove duplicates"
            )


def _interval_minutes(time: Times, source: str, wanted: int | None) -> int:
    """Length of the evenly spaced intervals that begin at `time`."""
    if time.size == 1:
        if wanted is None:
            raise DataError(
                f"{source}: expected at least two times, got one; add rows or name the interval's length"
            )
        return wanted
    step = np.diff(time).astype(np.int64)
    shortest = int(step.min())
    if shortest % 60 or shortest // 60 not in INTERVALS_MINUTES:
        at = int(np.argmin(step))
        raise DataError(
            f"{source}, column 'time': expected a row every 15, 30 or 60 minutes, "
            f"got {shortest / 60:g} minutes from {time[at]} to {time[at + 1]} UTC; resample the file"
        )
    if (step != shortest).any():
        at = int(np.argmax(step != shortest))
        raise DataError(
            f"{source}, column 'time': expected a row every {shortest // 60} minutes, "
            f"got nothing between {time[at]} and {time[at + 1]} UTC; add the missing rows"
        )
    return shortest // 60
