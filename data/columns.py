"""A table with numbered rows, a column a checked array; bad input gives a clear message, what is understood is said."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.clock import NEAR_SECOND, YEAR_LAST, Mask, Times, Written, find_order, localise, match_time, read_written
from data.errors import DataError
from data.numerals import OTHER, Reading, find_decimal, parse_column, to_number
from data.series import Integers
from data.zones import find_zone

Numbers = npt.NDArray[np.float64]
HOUR_S = 3600


class Table(NamedTuple):
    """A DataFrame indexed by row number.

    Attributes
    ----------
    frame
        The columns.
    source
        Name of the source for messages.
    said
        What had to be understood to read it, in phrases; empty for a table in the plain form.
    plain
        Whether a point in a number is a decimal point by the form of the file: commas separate columns.
    """

    frame: pd.DataFrame
    source: str
    said: tuple[str, ...] = ()
    plain: bool = True

    def column(self, name: str) -> Column:
        """The column of that name."""
        return Column(self, name)

    def with_numbers(self, names: Iterable[str]) -> Table:
        """The table with these columns as numbers, whatever marks they are written with; see `data.numerals`.

        Raises
        ------
        DataError
            If a number may mean two things, or numbers contradict one another.
        """
        columns = [name for name in names if name in self.frame.columns]
        texts = [name for name in columns if not pd.api.types.is_numeric_dtype(self.frame[name])]
        cells = {name: [each for each in self.frame[name].unique() if isinstance(each, str)] for name in texts}
        known = "." if self.plain and self._has_fractions(columns, cells) else ""
        reading = find_decimal((cell for found in cells.values() for cell in found), known)
        for name in texts:
            wrong = (self.frame[name] == reading.wrong).to_numpy(bool) if reading.wrong else np.zeros(1, bool)
            expected = (
                f"numbers with one decimal mark (see '{reading.because}')"
                if reading.because
                else ("a number that can be read in one way only")
            )
            self.column(name).check(wrong, expected, _advise(reading))
        parsed = {name: parse_column(self.frame[name], reading.decimal) for name in texts}
        said = _say_numbers(cells, reading.decimal)
        return self._replace(frame=self.frame.assign(**parsed), said=(*self.said, *said))

    def _has_fractions(self, columns: Sequence[str], cells: dict[str, list[str]]) -> bool:
        """Whether a file with commas between columns has a decimal point in a number."""
        numbers = [self.frame[name] for name in columns if name not in cells]
        return any(pd.api.types.is_float_dtype(each) and bool((each % 1 > 0).any()) for each in numbers) or any(
            "." in cell and "," not in cell for found in cells.values() for cell in found
        )

    def say(self, *phrases: str) -> Table:
        """The table with more said about how it was read."""
        return self._replace(said=(*self.said, *phrases))

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence on how the table was read, if there is anything to say."""
        return (f"{self.source}: {'; '.join(self.said)}",) if self.said else ()

    def check_columns(self, required: Iterable[str], optional: Iterable[str]) -> None:
        """Raise DataError if a required column is missing, or there is one that is neither required nor optional."""
        required, found = list(required), [str(name) for name in self.frame.columns]
        known = [*required, *optional]
        listed, there = set(known), set(found)  # tables may have very many columns
        for name in found:
            if name not in listed:
                raise DataError(
                    f"{self.source}, column '{name}': expected one of {_name_some(known)}{_suggest(name, known)}; "
                    "rename or remove it"
                )
        for name in required:
            if name not in there:
                raise DataError(
                    f"{self.source}: expected a column '{name}', got {', '.join(found[:8])}{_suggest(name, found)}; "
                    "add it"
                )

    def find_column(self, possible: Iterable[str], *, required: bool = True) -> str:
        """Find the one column of `possible` that the table has; empty if it has none and need not.

        Raises
        ------
        DataError
            If there are several, or none although one is required.
        """
        found = [name for name in possible if name in self.frame.columns]
        if len(found) > 1 or (required and not found):
            raise DataError(
                f"{self.source}: expected one of the columns {', '.join(possible)}, "
                f"got {', '.join(found) or 'none'}{'' if found else self._suggest_column(possible)}; "
                f"{'remove the others' if found else 'add it'}"
            )
        return found[0] if found else ""

    def _suggest_column(self, possible: Iterable[str]) -> str:
        """The column of the table whose name is nearest to a possible one."""
        hints = (_suggest(name, map(str, self.frame.columns)) for name in possible)
        return next(filter(None, hints), "")


class Column(NamedTuple):
    """A column of a table; its messages name the table's source, the column and the first wrong row."""

    table: Table
    name: str

    @property
    def values(self) -> pd.Series[Any]:
        """The values as they are in the table."""
        return self.table.frame[self.name]

    def check(self, wrong: Mask, expected: str, remedy: str) -> None:
        """Raise DataError if a row is wrong, (rows,), that says what was expected there and what to do."""
        if wrong.any():
            first = int(np.argmax(wrong))
            row, value = self.table.frame.index[first], self.values.iloc[first]
            shown = f"'{value:.12g}'" if isinstance(value, float) else f"'{value}'"
            raise DataError(
                f"{self.table.source}, column '{self.name}', row {row}: expected {expected}, "
                f"got {'nothing' if pd.isna(value) else shown}; {remedy}"
            )

    def to_float(self) -> Numbers:
        """Values as float64 (rows,); what is no number becomes NaN."""
        if self.values.dtype == bool:
            return np.full(self.values.size, np.nan)
        return pd.to_numeric(self.values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)

    def read_numbers(self, unit: str, largest: float, hint: str, smallest: float = 0.0) -> Numbers:
        """Read finite values from `smallest` to `largest`, float64 (rows,).

        Raises
        ------
        DataError
            If a value is missing, not finite, too small or too large; for the last, `hint` says what to do.
        """
        values = self.to_float()
        wrong = ~(np.isfinite(values) & (values >= smallest))
        self.check(wrong, f"a finite number of {unit} >= {smallest:,.12g}", "fill, correct or remove the row")
        self.check(values > largest, f"at most {largest:,.12g} {unit}", hint)
        return values

    def read_names(self) -> tuple[Integers, list[str]]:
        """Read names; returns codes (rows,) and the names they stand for, in order of first appearance.

        Raises
        ------
        DataError
            If a name is empty, has space at its ends or characters that cannot be printed.
        """
        codes, found = pd.factorize(self.values)
        listed = [str(name) for name in found]
        bad = np.array([not name.isprintable() or name != name.strip() or not name for name in listed], bool)
        wrong = (codes < 0) | bad[codes] if bad.size else codes < 0
        self.check(wrong, "a name without space at its ends", "correct the row")
        return np.asarray(codes, dtype=np.int64), listed

    def read_times(self, timezone: str, day_first: bool | None = None, keys: Sequence[Integers] | None = None) -> Clock:
        """Read times as UTC.

        ISO 8601, or day, month and year in one order, either all with an offset or none; those without are on the
        clock of `timezone`. A time that this clock shows twice is told by the order of the rows where these are
        regular.

        Parameters
        ----------
        timezone
            Clock of times without an offset.
        day_first
            Whether 03/04/2017 is in April; None: another date of the column must decide.
        keys
            Each (rows,): rows of one key are in the order of time; all rows if left out. See `data.clock.localise`.

        Raises
        ------
        DataError
            If a value is no such time, may mean two dates, or happens never or twice on that clock.
        """
        zone = _name_zone(timezone)
        codes, found = pd.factorize(self.values)
        self.check(codes < 0, "a time", "fill the row")
        wall, with_offset, said = self._parse_times(codes, pd.Index(found), day_first)
        self.check(
            (with_offset != with_offset[codes[0]])[codes], "times that all have an offset or none", "write them alike"
        )
        if with_offset[codes[0]]:
            return Clock(wall[codes], said)
        self._check_no_hour_repeats(wall[codes], timezone)
        every = [np.zeros(codes.size, np.int64)] if keys is None else keys
        local = localise(wall[codes], zone, every)
        remedy = "at a change of clocks write times with an offset, or in UTC"
        self.check(local.missing, f"a time that occurs in {timezone}", remedy)
        self.check(local.twice, f"a time that occurs once in {timezone}", remedy)
        if local.ordered.any():
            days = np.unique(wall[codes][local.ordered].astype("datetime64[D]"))
            said = (*said, f"the repeated hour of {', '.join(map(str, days))} told by the order of the rows")
        return Clock(local.utc, (*said, f"times without an offset on the clock of {timezone}"))

    def _check_no_hour_repeats(self, wall: Times, timezone: str) -> None:
        """Raise DataError if the times are those of a local clock that is turned back, on a clock that never is."""
        if timezone != "UTC":
            return
        step = np.diff(wall.astype(np.int64))
        forward = step[step > 0]
        usual = int(forward[0]) if forward.size else 0
        back = step == usual - HOUR_S
        if 0 < usual < HOUR_S and ((step == usual) | (step == 0) | back).all():
            remedy = advise_on_clock(timezone).removeprefix("; ")
            self.check(np.concatenate([[False], back]), "a time in UTC not before that of the row above", remedy)

    def _parse_times(
        self, codes: Integers, found: pd.Index[Any], day_first: bool | None
    ) -> tuple[Times, Mask, tuple[str, ...]]:
        """Distinct times in UTC, or as on the clock where they have no offset; which have one; what was understood."""
        if isinstance(found, pd.DatetimeIndex):
            return self._round_times(codes, found)
        texts = [str(each).strip() for each in found]
        matches = [match_time(text) for text in texts]
        order = find_order(matches, day_first)
        self._check_order(np.isin(codes, order.wrong), order.day_first)
        last = np.array([match is not None and match.re is YEAR_LAST for match in matches], bool)
        written = [read_written(match, order.day_first) if match else Written(None) for match in matches]
        unknown = np.array([each.clock is None for each in written], bool)
        self.check(
            unknown[codes], "a time like 2017-01-01T00:00Z, to whole seconds, from 1900 to 2200", "correct the row"
        )
        self.check((last != last[codes[0]])[codes], "dates written alike", "write all like 2017-06-01T12:00Z")
        with_offset = np.array([each.offset is not None for each in written], bool)
        utc = np.array([each.clock - (each.offset or timedelta(0)) for each in written if each.clock], "datetime64[s]")
        return utc, with_offset, _say_times(texts, written, order.day_first)

    def _round_times(self, codes: Integers, found: pd.DatetimeIndex) -> tuple[Times, Mask, tuple[str, ...]]:
        """Distinct times of a column of times to whole seconds, as `_parse_times`."""
        utc = (found if found.tz is None else found.tz_convert("UTC").tz_localize(None)).as_unit("ns")
        rounded = utc.round("s")
        far = np.abs((utc - rounded).to_numpy()) > np.timedelta64(round(1e9 * NEAR_SECOND), "ns")
        self.check(far[codes], "a time to whole seconds", "round the times")
        said = ("times rounded to whole seconds",) if (utc != rounded).any() else ()
        return rounded.to_numpy().astype("datetime64[s]"), np.full(found.size, found.tz is not None), said

    def _check_order(self, wrong: Mask, day_first: bool | None) -> None:
        """Raise DataError at a date that may mean two dates, or contradicts the order of day and month."""
        if day_first is None:
            self.check(
                wrong,
                "dates whose order of day and month another date of the file decides",
                "write it like 2017-04-03, or say which is first by day_first (--day-first or --month-first)",
            )
        first = "day" if day_first else "month"
        self.check(wrong, f"a date with the {first} first, as was asked for", "correct the row or the option")


class Clock(NamedTuple):
    """Times of a column.

    Attributes
    ----------
    utc
        (rows,), `datetime64[s]`.
    said
        What had to be understood to read them, in phrases.
    """

    utc: Times
    said: tuple[str, ...]


def advise_on_clock(timezone: str) -> str:
    """End of a message about times that are not in order: which key names their clock, unless one is named already."""
    if timezone != "UTC":
        return ""
    return (
        "; if clocks were turned back there, name the clock by profiles.timezone in the scenario (a command that reads "
        "a table: --timezone), or write offsets"
    )


def make_notes(*notes: str) -> dict[str, str]:
    """What was understood of inputs as an entry `notes` of a provenance; empty if there is nothing to say."""
    return {"notes": " | ".join(notes)} if notes else {}


def _name_some(names: Sequence[str], most: int = 60) -> str:
    """Names in a row; the first of very many."""
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, islice(known, 5000), n=1, cutoff=0.45)
    return f" (nearest: '{close[0]}')" if close else ""


def _advise(reading: Reading) -> str:
    """What to write in place of a number that contradicts others, or that may mean two things."""
    if not reading.wrong or reading.because:
        return "write decimals with points, without thousands separators"
    ways = [f"{to_number(reading.wrong, decimal):.12g}" for decimal in OTHER]
    return f"write {' or '.join(sorted(ways, key=float, reverse=True))}, without thousands separators"


def _say_numbers(cells: dict[str, list[str]], decimal: str) -> tuple[str, ...]:
    """What was understood of the numbers, each with an example."""
    if not decimal:
        return ()
    every = [cell for found in cells.values() for cell in found if isinstance(to_number(cell, decimal), float)]
    commas = [cell for cell in every if decimal == "," and "," in cell]
    grouped = [cell for cell in every if OTHER[decimal] in cell]
    said = [(f"decimal commas ('{commas[0]}' is {to_number(commas[0], ','):.12g})")] if commas else []
    if grouped:
        said.append(f"thousands separators ('{grouped[0]}' is {to_number(grouped[0], decimal):.12g})")
    return tuple(said)


def _say_times(texts: Sequence[str], written: Sequence[Written], day_first: bool | None) -> tuple[str, ...]:
    """What was understood of the times, each with an example."""
    said = []
    if day_first is not None:
        first = "day" if day_first else "month"
        said.append(f"dates with the {first} first ('{texts[0]}' is {written[0].clock:%Y-%m-%d %H:%M})")
    rounded = [text for text, each in zip(texts, written, strict=True) if each.rounded]
    if rounded:
        said.append(f"times rounded to whole seconds (such as '{rounded[0]}')")
    return tuple(said)


def _name_zone(timezone: str) -> str:
    try:
        return find_zone(timezone).key
    except DataError as reason:
        raise DataError(f"timezone: {reason}") from reason
