"""A file becomes a table indexed by its row numbers, a column a checked array; or else one clear message."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]

TEXT_COLUMNS = ("time", "participant", "seller", "buyer")
ROW = "row"  # name of the index: the row as a spreadsheet counts it, the header being row 1


def read_frame(path: str | Path) -> pd.DataFrame:
    """Table of a CSV file (UTF-8, commas, decimal points) or a Parquet file (by its ending, .parquet or .pq).

    Raises
    ------
    DataError
        If the file does not exist, cannot be read, or holds no rows.
    """
    path = Path(path)
    try:
        if path.suffix in (".parquet", ".pq"):
            return numbered(pd.read_parquet(path), path.name, first_row=1)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_frame(file, path.name)
    except FileNotFoundError as reason:
        raise DataError(f"{path}: expected a file, found none; check the path") from reason
    except DataError:
        raise
    except (OSError, ValueError) as reason:
        kind = "Parquet" if path.suffix in (".parquet", ".pq") else "UTF-8 CSV"
        raise DataError(f"{path}: expected a readable {kind} file, got {reason}; convert it") from reason


def parse_frame(buffer: IO[str], source: str, missing: Iterable[str] = ("",)) -> pd.DataFrame:
    """Table of CSV text; values among `missing` become NaN, wholly empty lines are skipped.

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
        raise DataError(
            f"{source}: expected a header and rows, got an empty file; choose another"
        ) from reason
    except (pd.errors.ParserError, pd.errors.ParserWarning) as reason:
        raise DataError(
            f"{source}: expected as many values in each row as in the header, got {str(reason).strip()}; "
            "correct the row"
        ) from reason
    if len(frame.columns) == 1 and ";" in str(frame.columns[0]):
        raise DataError(
            f"{source}: expected commas between columns, got semicolons; save with commas and points"
        )
    return numbered(frame, source, first_row=2)


def numbered(frame: pd.DataFrame, source: str, first_row: int = 0) -> pd.DataFrame:
    """The same table, `time` as a column, indexed by row number unless it already is, without wholly empty rows."""
    if frame.index.name == "time":
        frame = frame.reset_index()
    if frame.index.name != ROW:
        frame = frame.set_axis(pd.RangeIndex(first_row, first_row + len(frame), name=ROW), axis=0)
    frame = frame.dropna(how="all")
    if frame.empty:
        raise DataError(f"{source}: expected at least one row, got none; choose another file")
    return frame


def check_columns(frame: pd.DataFrame, source: str, required: Iterable[str], optional: Iterable[str]) -> None:
    """Raise DataError if a column is missing, or there is one that is not known."""
    required, found = list(required), [str(name) for name in frame.columns]
    known = [*required, *optional]
    for name in found:
        if name not in known:
            raise DataError(
                f"{source}, column '{name}': expected one of {', '.join(known)}{_meant(name, known)}; "
                "rename or remove it"
            )
    for name in required:
        if name not in found:
            raise DataError(
                f"{source}: expected a column '{name}', got {', '.join(found[:8])}{_meant(name, found)}; add it"
            )


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.45)
    return f" (nearest: '{close[0]}')" if close else ""


def numbers(frame: pd.DataFrame, column: str, source: str, what: str, largest: float, hint: str) -> Numbers:
    """Finite values of a column between 0 and `largest`, float64 (rows,).

    Raises
    ------
    DataError
        Naming the first row that is empty, not finite, negative or too large; `hint` says what to think of then.
    """
    values = as_float(frame[column])
    wrong = ~(np.isfinite(values) & (values >= 0.0))
    if wrong.any():
        raise DataError(
            f"{where(frame, source, column, wrong)}: expected a finite number of {what} >= 0, "
            f"got {got(frame, column, wrong)}; fill, correct or remove the row"
        )
    large = values > largest
    if large.any():
        raise DataError(
            f"{where(frame, source, column, large)}: expected at most {largest:,.12g} {what}, "
            f"got {got(frame, column, large)}; {hint}"
        )
    return values


def as_float(values: pd.Series[Any]) -> Numbers:
    """Values as float64; what is no number becomes NaN."""
    if values.dtype == bool:
        return np.full(values.size, np.nan)
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def names(frame: pd.DataFrame, column: str, source: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Codes (rows,) and the names they stand for, in the order of first appearance.

    Raises
    ------
    DataError
        Naming the first row whose name is empty, has space at its ends or characters that cannot be printed.
    """
    codes, found = pd.factorize(frame[column])
    listed = [str(name) for name in found]
    bad = np.array(
        [not name.isprintable() or name != name.strip() or not name for name in listed], dtype=bool
    )
    wrong = (codes < 0) | bad[codes] if bad.size else codes < 0
    if wrong.any():
        raise DataError(
            f"{where(frame, source, column, wrong)}: expected a name without space at its ends, "
            f"got {got(frame, column, wrong)}; correct the row"
        )
    return np.asarray(codes, dtype=np.int64), listed


def times(frame: pd.DataFrame, column: str, source: str, timezone: str) -> Times:
    """Times of a column in UTC, `datetime64[s]` (rows,).

    ISO 8601, either all with an offset or none; those without are on the clock of `timezone`.

    Raises
    ------
    DataError
        Naming the first row that is no such time, or happens never or twice on that clock.
    """
    zone = _zone(timezone)
    codes, found = pd.factorize(frame[column])
    if (codes < 0).any():
        raise DataError(
            f"{where(frame, source, column, codes < 0)}: expected a time, got nothing; fill the row"
        )
    index, with_offset = _parsed(pd.Index(found))
    mixed = with_offset != with_offset[0]
    if mixed.any():
        wrong = mixed[codes]
        raise DataError(
            f"{where(frame, source, column, wrong)}: expected times that all have an offset or none, "
            f"got {got(frame, column, wrong)}; write them alike"
        )
    unknown = np.asarray(index.isna())
    if not unknown.any() and not with_offset[0]:
        index = index.tz_localize(None).tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
        if index.isna().any():
            wrong = np.asarray(index.isna())[codes]
            raise DataError(
                f"{where(frame, source, column, wrong)}: expected a time that occurs once in {timezone}, "
                f"got {got(frame, column, wrong)} at a change of clocks; write times with an offset, or in UTC"
            )
    if unknown.any():
        wrong = unknown[codes]
        raise DataError(
            f"{where(frame, source, column, wrong)}: expected a time like 2017-01-01T00:00Z, "
            f"got {got(frame, column, wrong)}; correct the row"
        )
    utc = index.tz_convert("UTC").tz_localize(None)
    return np.asarray(utc.to_numpy().astype("datetime64[s]")[codes])


def _parsed(found: pd.Index[Any]) -> tuple[pd.DatetimeIndex, npt.NDArray[np.bool_]]:
    """Times as if in UTC where no offset is given, NaT where none can be read, and which of them have an offset."""
    if isinstance(found, pd.DatetimeIndex):
        aware = found.tz is not None
        return (found if aware else found.tz_localize("UTC")), np.full(found.size, aware)
    text = found.astype(str)
    with_offset = np.asarray(text.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$"), dtype=bool)
    return pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce"), with_offset


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (OSError, ValueError, KeyError) as reason:
        raise DataError(
            f"timezone: expected a name like Europe/Madrid or UTC, got '{timezone}'; correct it"
        ) from reason


def where(frame: pd.DataFrame, source: str, column: str, wrong: npt.NDArray[np.bool_]) -> str:
    """File, column and row of the first wrong value."""
    return f"{source}, column '{column}', row {frame.index[int(np.argmax(wrong))]}"


def got(frame: pd.DataFrame, column: str, wrong: npt.NDArray[np.bool_]) -> str:
    """The first wrong value as it stands in the file."""
    value = frame[column].iloc[int(np.argmax(wrong))]
    if pd.isna(value):
        return "nothing"
    return f"'{value:.12g}'" if isinstance(value, float) else f"'{value}'"
