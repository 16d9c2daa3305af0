"""Read tables: a file of text, as tools write it, or a Parquet file becomes a table with numbered rows."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pandas as pd

from data.columns import Table
from data.dialect import split_cells
from data.errors import DataError
from data.raw_text import MAX_BYTES, read_text

PARQUET = (".parquet", ".pq")
ROW = "row"  # name of the index: the row as a spreadsheet counts it, the header being row 1


def read_table(path: str | Path, missing: Iterable[str] = ("",), what: str = "a file") -> Table:
    """Read a Parquet file (by its ending, .parquet or .pq), or a CSV file, compressed or not, as tools write it.

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
            return _read_parquet(path)
        text, said = read_text(path)
        return _make_text_table(text, path.name, missing, said)
    except FileNotFoundError as reason:
        raise DataError(f"{path}: expected {what}, found none; check the path") from reason
    except DataError:
        raise
    except (OSError, ValueError) as reason:
        kind = "Parquet" if path.suffix in PARQUET else "CSV"
        raise DataError(f"{path}: expected a readable {kind} file, got {reason}; convert it") from reason


def _read_parquet(path: Path) -> Table:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
        raise DataError(f"{path}: expected a file of at most {MAX_BYTES:,} bytes, got another; choose or split it")
    return make_table(pd.read_parquet(path), path.name, first_row=1)


def parse_table(buffer: IO[str], source: str, missing: Iterable[str] = ("",)) -> Table:
    """Parse CSV text; values among `missing` become NaN, wholly empty lines are skipped.

    Raises
    ------
    DataError
        If the text is no CSV with a header and at least one row.
    """
    return _make_text_table(buffer.read(), source, missing, ())


def _make_text_table(text: str, source: str, missing: Iterable[str], said: tuple[str, ...]) -> Table:
    cells = split_cells(text, source, missing)
    table = make_table(cells.frame, source, first_row=2)
    separated = any(phrase.startswith("columns separated by") for phrase in cells.said)
    return table._replace(said=(*said, *cells.said), plain=not separated)


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
