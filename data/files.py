"""Read tables: a file becomes a table with numbered rows, a column a checked array; bad input gives a clear message."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.series import Integers

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TEXT_COLUMNS = ("time", "participant", "seller", "buyer")
PARQUET = (".parquet", ".pq")
ROW = "row"  # name of the index: the row as a spreadsheet counts it, the header being row 1


class Table(NamedTuple):
    """A DataFrame indexed by row number, and the name of its source for messages."""

    frame: pd.DataFrame
    source: str

    def column(self, name: str) -> Column:
        """The column of that name."""
        return Column(self, name)

    def check_columns(self, required: Iterable[str], optional: Iterable[str]) -> None:
        """Raise DataError if a required column is missing, or there is one that is neither required nor optional."""
        required, found = list(required), [str(name) for name in self.frame.columns]
        known = [*required, *optional]
        for name in found:
            if name not in known:
                raise DataError(
                    f"{self.source}, column '{name}': expected one of {', '.join(known)}{_suggest(name, known)}; "
                    "rename or remove it"
                )
        for name in required:
            if name not in found:
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
                f"got {', '.join(found) or 'none'}; {'remove the others' if found else 'add it'}"
            )
        return found[0] if found else ""


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

    def read_numbers(self, unit: str, largest: float, hint: str) -> Numbers:
        """Read finite values from 0 to `largest`, float64 (rows,).

        Raises
        ------
        DataError
            If a value is missing, not finite, negative or too large; for the last, `hint` says what to do.
        """
        values = self.to_float()
        wrong = ~(np.isfinite(values) & (values >= 0.0))
        self.check(wrong, f"a finite number of {unit} >= 0", "fill, correct or remove the row")
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

    def read_times(self, timezone: str) -> Times:
        """Read times as UTC, `datetime64[s]` (rows,).

        ISO 8601, either all with an offset or none; those without are on the clock of `timezone`.

        Raises
        ------
        DataError
            If a value is no such time, or happens never or twice on that clock.
        """
        zone = _find_zone(timezone)
        codes, found = pd.factorize(self.values)
        self.check(codes < 0, "a time", "fill the row")
        index, with_offset = _parse_times(pd.Index(found))
        mixed = (with_offset != with_offset[0])[codes]
        self.check(mixed, "times that all have an offset or none", "write them alike")
        unknown = np.asarray(index.isna())
        if not unknown.any() and not with_offset[0]:
            index = index.tz_localize(None).tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
            expected = f"a time that occurs once in {timezone}"
            remedy = "at a change of clocks write times with an offset, or in UTC"
            self.check(np.asarray(index.isna())[codes], expected, remedy)
        self.check(unknown[codes], "a time like 2017-01-01T00:00Z", "correct the row")
        utc = index.tz_convert("UTC").tz_localize(None)
        return np.asarray(utc.to_numpy().astype("datetime64[s]")[codes])


def read_table(path: str | Path, missing: Iterable[str] = ("",), what: str = "a file") -> Table:
    """Read a CSV file (UTF-8, commas, decimal points) or a Parquet file (by its ending, .parquet or .pq).

    Parameters
    ----------
    path
        The file.
    missing
        Values of a CSV file that become NaN.
    what
        What to ask for if there is no such file.

    Raises
    ------
    DataError
        If the file does not exist, cannot be read, or holds no rows.
    """
    path = Path(path)
    try:
        if path.suffix in PARQUET:
            return make_table(pd.read_parquet(path), path.name, first_row=1)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_table(file, path.name, missing)
    except FileNotFoundError as reason:
        raise DataError(f"{path}: expected {what}, found none; check the path") from reason
    except DataError:
        raise
    except (OSError, ValueError) as reason:
        kind = "Parquet" if path.suffix in PARQUET else "UTF-8 CSV"
        raise DataError(f"{path}: expected a readable {kind} file, got {reason}; convert it") from reason


def parse_table(buffer: IO[str], source: str, missing: Iterable[str] = ("",)) -> Table:
    """Parse CSV text; values among `missing` become NaN, wholly empty lines are skipped.

    Raises
    ------
    DataError
        If the text is no CSV with a header and at least one row.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                buffer,
                dtype=dict.fromkeys(TEXT_COLUMNS, str),
                keep_default_na=False,
                na_values=list(missing),
                index_col=False,
                skip_blank_lines=False,
                low_memory=False,
            )
    except pd.errors.EmptyDataError as reason:
        raise DataError(f"{source}: expected a header and rows, got an empty file; choose another") from reason
    except (pd.errors.ParserError, pd.errors.ParserWarning) as reason:
        raise DataError(
            f"{source}: expected as many values in each row as in the header, got {str(reason).strip()}; "
            "correct the row"
        ) from reason
    if len(frame.columns) == 1 and ";" in str(frame.columns[0]):
        raise DataError(f"{source}: expected commas between columns, got semicolons; save with commas and points")
    return make_table(frame, source, first_row=2)


def make_table(frame: pd.DataFrame, source: str, first_row: int = 0) -> Table:
    """Make a table of a DataFrame: `time` as a column, rows numbered unless they are already, empty rows removed."""
    if frame.index.name == "time":
        frame = frame.reset_index()
    if frame.index.name != ROW:
        frame = frame.set_axis(pd.RangeIndex(first_row, first_row + len(frame), name=ROW), axis=0)
    frame = frame.dropna(how="all")
    if frame.empty:
        raise DataError(f"{source}: expected at least one row, got none; choose another file")
    return Table(frame, source)


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.45)
    return f" (nearest: '{close[0]}')" if close else ""


def _parse_times(found: pd.Index[Any]) -> tuple[pd.DatetimeIndex, Mask]:
    """Times as if in UTC where they have no offset, NaT where they cannot be read; and which of them have an offset."""
    if isinstance(found, pd.DatetimeIndex):
        aware = found.tz is not None
        return (found if aware else found.tz_localize("UTC")), np.full(found.size, aware)
    text = found.astype(str)
    with_offset = np.asarray(text.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$"), dtype=bool)
    return pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce"), with_offset


def _find_zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (OSError, ValueError, KeyError) as reason:
        raise DataError(
            f"timezone: expected a name like Europe/Madrid or UTC, got '{timezone}'; correct it"
        ) from reason
