"""Read and write profiles as CSV or Parquet, in a long or a wide layout; the names of the columns give the units.

Long, one row per time and participant::

    time, participant, load_wh|load_kwh|load_kw [, REACTIVE] [, pv_wh|pv_kwh|pv_kw] [, PRICE]

Wide, one row per time, with a load and perhaps columns of reactive power and pv per participant::

    time, NAME.load_kwh, NAME.load_kvarh, NAME.pv_kwh, … [, PRICE]

REACTIVE is load_varh, load_kvarh, load_kvar or q_kvar: what the load draws, positive where it is inductive, negative
where it is capacitive. PRICE is price_eur_per_kwh, price_eur_per_mwh or price_ueur_per_kwh. `time` is the begin of the
interval, ISO 8601. Every value is rounded to the nearest Wh, varh or µEUR/kWh, halves to even; energies of intervals
shorter than 15 minutes so that their running sum is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.clock import Times
from data.columns import Table, make_notes
from data.errors import DataError
from data.files import PARQUET, make_table, parse_table, read_table
from data.prices import PRICE_UNITS, PriceSource, find_prices
from data.profiles import INTERVALS_MINUTES, LENGTHS, SPREAD, Profiles
from data.series import CARRIED_BELOW_MINUTES, Integers
from data.trades import parse_trades, read_trades

__all__ = [
    "parse_profiles",
    "parse_trades",
    "profiles_from_frame",
    "read_profiles",
    "read_trades",
    "write_profiles",
]

Floats = npt.NDArray[np.float64]

ENERGY_UNITS = {"wh": "Wh", "kwh": "kWh", "kw": "kW"}
REACTIVE = {"load_varh": "varh", "load_kvarh": "kvarh", "load_kvar": "kvar", "q_kvar": "kvar"}
"""Columns of a load's reactive power, and their units."""
QUANTITIES = (*(f"{quantity}_{unit}" for quantity in ("load", "pv") for unit in ENERGY_UNITS), *REACTIVE)
LARGEST_INTERVAL_WH = 10_000_000


class Layout(NamedTuple):
    """What a table holds besides prices.

    Attributes
    ----------
    time
        Begin of the T intervals, UTC, evenly spaced.
    interval_minutes
        Their length.
    participants
        N names.
    load_wh, pv_wh
        Energies, Wh, (T, N).
    interval
        Interval 0 … T−1 of each row of the table.
    said
        What had to be understood of the times.
    load_varh
        Reactive energies of the loads, varh, (T, N); None where the table has none.
    """

    time: Times
    interval_minutes: int
    participants: tuple[str, ...]
    load_wh: Integers
    pv_wh: Integers
    interval: Integers
    said: tuple[str, ...] = ()
    load_varh: Integers | None = None


def read_profiles(
    path: str | Path,
    *,
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    price_eur_per_kwh: float | None = None,
    prices: str | Path | None = None,
    day_first: bool | None = None,
) -> Profiles:
    """Read profiles from a CSV or Parquet file in one of the layouts above.

    Parameters
    ----------
    path
        The file.
    interval_minutes
        Wanted length of the intervals, 1, 5, 10, 15, 30 or 60; other data are resampled, sums kept. None: as in the
        file.
    timezone
        Clock of times without an offset.
    price_eur_per_kwh
        Constant utility price, for a table without prices.
    prices
        File `time, PRICE` for a table without prices; its intervals may be longer than the profiles'.
    day_first
        Whether 03/04/2017 is in April; None: another date of the file must decide.

    Raises
    ------
    DataError
        If the file cannot be used; the message names file, column and row.
    """
    price = PriceSource(price_eur_per_kwh, prices)
    return profiles_from_table(read_table(path), interval_minutes, timezone, price, day_first)


def parse_profiles(
    buffer: IO[str],
    source: str = "profiles",
    *,
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    price_eur_per_kwh: float | None = None,
    day_first: bool | None = None,
) -> Profiles:
    r"""Parse profiles from CSV text; see `read_profiles`.

    Examples
    --------
    >>> import io
    >>> text = "time,participant,load_kw\n2017-01-01T00:00Z,a,0.4\n2017-01-01T00:15Z,a,0.5\n"
    >>> parse_profiles(io.StringIO(text), price_eur_per_kwh=0.2).load_wh.ravel()
    array([100, 125])
    """
    price = PriceSource(price_eur_per_kwh, None)
    return profiles_from_table(parse_table(buffer, source), interval_minutes, timezone, price, day_first)


def profiles_from_frame(
    frame: pd.DataFrame,
    source: str = "profiles",
    interval_minutes: int | None = None,
    timezone: str = "UTC",
    price: PriceSource | None = None,
) -> Profiles:
    """Make profiles of a DataFrame in one of the layouts above; see `read_profiles`."""
    return profiles_from_table(make_table(frame, source), interval_minutes, timezone, price or PriceSource())


def profiles_from_table(
    table: Table,
    interval_minutes: int | None,
    timezone: str,
    price: PriceSource,
    day_first: bool | None = None,
) -> Profiles:
    """Make profiles of a table in one of the layouts above; see `read_profiles`.

    What had to be understood to read it is in the provenance, as `notes`, if there is anything to say.
    """
    wide = any("." in str(name) for name in table.frame.columns)
    table = table.with_numbers(name for name in map(str, table.frame.columns) if _is_quantity(name))
    layout = (_read_wide if wide else _read_long)(table, interval_minutes, timezone, day_first)
    prices = find_prices(layout.time, table, layout.interval, timezone, price, day_first)
    load_varh, said = _without_idle_loads(layout)
    resampled = _say_resampled(layout.interval_minutes, interval_minutes or layout.interval_minutes)
    notes = make_notes(*table.say(*layout.said, *said, *resampled).notes, *prices.notes)
    profiles = Profiles(
        start=layout.time[0],
        interval_minutes=layout.interval_minutes,
        participants=layout.participants,
        load_wh=layout.load_wh,
        pv_wh=layout.pv_wh,
        price_ueur_per_kwh=prices.ueur_per_kwh,
        provenance={"source": "table", "file": table.source, **notes},
        load_varh=load_varh,
    )
    return profiles.resample(interval_minutes) if interval_minutes else profiles


def _say_resampled(found: int, wanted: int) -> tuple[str, ...]:
    """What becomes of rows whose intervals are shorter or longer than those that are wanted, minutes."""
    if found < wanted:
        return (f"rows of {found} minutes joined to means of {wanted}: peaks within them are not seen",)
    return (f"rows of {found} minutes {SPREAD} {wanted}",) if found > wanted else ()


def _without_idle_loads(layout: Layout) -> tuple[Integers | None, tuple[str, ...]]:
    """Reactive energies of loads, none where there is no active energy to which they belong, and what is said of it."""
    load_varh = layout.load_varh
    if load_varh is None:
        return None, ()
    idle = (layout.load_wh == 0) & (load_varh != 0)
    said = (f"reactive power without active load left out: {int(idle.sum())} values",) if idle.any() else ()
    return np.where(idle, 0, load_varh), said


def _is_quantity(name: str) -> bool:
    return name.rpartition(".")[2] in QUANTITIES or name in PRICE_UNITS


def write_profiles(profiles: Profiles, path: str | Path, *, with_price: bool = True) -> None:
    """Write profiles in the long layout, Wh and µEUR/kWh, as CSV or Parquet by the file's ending.

    Without its price the file leaves one to `price_eur_per_kwh` of the scenario. Reading the file gives equal profiles
    but for the provenance. The file gets its name once it is complete.
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
    if profiles.load_varh is not None:
        frame.insert(3, "load_varh", profiles.load_varh.ravel())
    frame = frame if with_price else frame.drop(columns="price_ueur_per_kwh")
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    if path.suffix in PARQUET:
        frame.to_parquet(unfinished, index=False)
    else:
        frame["time"] = np.char.add(np.datetime_as_string(time, unit="s"), "Z")
        frame.to_csv(unfinished, index=False, lineterminator="\n")
    unfinished.replace(path)


def _read_long(table: Table, interval_minutes: int | None, timezone: str, day_first: bool | None) -> Layout:
    table.check_columns(("time", "participant"), (*QUANTITIES, *PRICE_UNITS))
    columns = [_find_energy(table, "", quantity) for quantity in ("load", "pv")]
    reactive = table.find_column(REACTIVE, required=False)
    participant, listed = table.column("participant").read_names()
    clock, said = table.column("time").read_times(timezone, day_first, [participant])
    _check_order(table, clock, participant, listed)
    time, interval = np.unique(clock, return_inverse=True)
    minutes = _find_interval_minutes(time, table.source, interval_minutes)
    shape = (time.size, len(listed))
    cell = interval * len(listed) + participant
    count = np.bincount(cell, minlength=time.size * len(listed))
    if (count == 0).any():
        t, k = np.unravel_index(int(np.argmin(count)), shape)
        raise DataError(
            f"{table.source}: expected a row for every time and participant, got none for {time[t]} UTC and "
            f"'{listed[k]}' ({int((count == 0).sum())} such rows missing); add them"
        )
    order = np.argsort(cell)
    read = [_read_energies_wh(table, [name], minutes) for name in columns]
    read += [_read_reactive_varh(table, [reactive], minutes)] if reactive else []
    load, pv, *varh = (_round(values[order].reshape(shape), minutes) for values in read)
    load_varh = varh[0] if varh else None
    return Layout(time, minutes, tuple(listed), load, pv, interval, said, load_varh)


def _read_wide(table: Table, interval_minutes: int | None, timezone: str, day_first: bool | None) -> Layout:
    titles = [str(name) for name in table.frame.columns]
    listed = list(dict.fromkeys(name.rpartition(".")[0] for name in titles if "." in name))
    known = [f"{name}.{quantity}" for name in listed for quantity in QUANTITIES]
    table.check_columns(("time",), (*known, *PRICE_UNITS))
    columns = [[_find_energy(table, f"{name}.", quantity) for name in listed] for quantity in ("load", "pv")]
    reactive = _find_reactive(table, listed)
    time, said = table.column("time").read_times(timezone, day_first)
    _check_order(table, time, np.zeros(time.size, dtype=np.int64), ["every participant"])
    minutes = _find_interval_minutes(time, table.source, interval_minutes)
    load, pv = (_round(_read_energies_wh(table, names, minutes), minutes) for names in columns)
    load_varh = _round(_read_reactive_varh(table, reactive, minutes), minutes) if reactive else None
    return Layout(time, minutes, tuple(listed), load, pv, np.arange(time.size), said, load_varh)


def _find_reactive(table: Table, participants: Sequence[str]) -> list[str]:
    """Columns of the loads' reactive power, one for each participant of a wide table; empty if it has none.

    Raises
    ------
    DataError
        If some participants have one and others none.
    """
    found = [table.find_column([f"{name}.{column}" for column in REACTIVE], required=False) for name in participants]
    if not any(found):
        return []
    for name, column in zip(participants, found, strict=True):
        if not column:
            first = next(filter(None, found))
            raise DataError(
                f"{table.source}: expected reactive power of every load or of none, got '{first}' and no column "
                f"'{name}.{first.rpartition('.')[2]}'; add it"
            )
    return found


def _find_energy(table: Table, prefix: str, quantity: str) -> str:
    """Find the one column with a quantity; empty if there is none and none is needed."""
    possible = [f"{prefix}{quantity}_{unit}" for unit in ENERGY_UNITS]
    return table.find_column(possible, required=quantity == "load")


def _round(energies: Floats, interval_minutes: int) -> Integers:
    """Whole Wh or varh of each interval, (T, N). Of short intervals the rest is carried over to the next one.

    By itself each of 0.05 kW by the minute, 0.83 Wh, would be 1 Wh: a fifth too much, every minute of the year.
    """
    if interval_minutes >= CARRIED_BELOW_MINUTES:
        return np.rint(energies).astype(np.int64)
    return np.diff(np.rint(np.cumsum(energies, axis=0)), axis=0, prepend=0.0).astype(np.int64)


def _read_energies_wh(table: Table, names: Sequence[str], interval_minutes: int) -> Floats:
    """Energies of columns, Wh, (rows, columns); 0 where a name is empty."""
    energies_wh = np.zeros((len(table.frame), len(names)))
    for k, name in enumerate(names):
        if name:
            unit = name.rpartition("_")[2]
            wh = {"wh": 1.0, "kwh": 1000.0, "kw": 1000.0 * interval_minutes / 60.0}[unit]
            hint = f"the limit is 10 MWh per interval; is the column in another unit than {ENERGY_UNITS[unit]}?"
            values = table.column(name).read_numbers(ENERGY_UNITS[unit], LARGEST_INTERVAL_WH / wh, hint)
            energies_wh[:, k] = values * wh
    return energies_wh


def _read_reactive_varh(table: Table, names: Sequence[str], interval_minutes: int) -> Floats:
    """Reactive energies of columns, varh, (rows, columns)."""
    columns = []
    for name in names:
        unit = REACTIVE[name.rpartition(".")[2]]
        varh = {"varh": 1.0, "kvarh": 1000.0, "kvar": 1000.0 * interval_minutes / 60.0}[unit]
        largest = LARGEST_INTERVAL_WH / varh
        hint = f"the limit is 10 Mvarh per interval; is the column in another unit than {unit}?"
        columns.append(table.column(name).read_numbers(unit, largest, hint, -largest) * varh)
    return np.stack(columns, axis=1)


def _check_order(table: Table, clock: Times, participant: Integers, listed: list[str]) -> None:
    """Check that the times of each participant rise from row to row."""
    order = np.argsort(participant, kind="stable")
    step = np.diff(clock[order].astype(np.int64))
    step[np.diff(participant[order]) != 0] = 1
    for wrong_step, expected in ((step == 0, "once"), (step < 0, "later than the row before")):
        if wrong_step.any():
            position = order[1:][wrong_step].min()
            wrong, expected = np.arange(clock.size) == position, f"each time {expected} for"
            remedy = "sort the rows and remove duplicates"
            table.column("time").check(wrong, f"{expected} '{listed[participant[position]]}'", remedy)


def _find_interval_minutes(time: Times, source: str, wanted: int | None) -> int:
    """Length of the evenly spaced intervals that begin at `time`; `wanted` if there is only one."""
    if time.size == 1:
        if wanted is None:
            raise DataError(f"{source}: expected at least two times, got one; add rows or name the interval's length")
        return wanted
    step = np.diff(time).astype(np.int64)
    shortest = int(step.min())
    if shortest % 60 or shortest // 60 not in INTERVALS_MINUTES:
        at = int(np.argmin(step))
        raise DataError(
            f"{source}, column 'time': expected a row every {LENGTHS} minutes, "
            f"got {shortest / 60:g} minutes from {time[at]} to {time[at + 1]} UTC; resample the file"
        )
    if (step != shortest).any():
        at = int(np.argmax(step != shortest))
        raise DataError(
            f"{source}, column 'time': expected a row every {shortest // 60} minutes, "
            f"got nothing between {time[at]} and {time[at + 1]} UTC; add the missing rows"
        )
    return shortest // 60
