"""Text to cells: separators, quotes, header names, repeated and empty columns; what was understood is said."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TEXT_COLUMNS = ("time", "participant", "seller", "buyer")
QUANTITY = re.compile(r"(?:load|pv|q|energy)_(?:u?wh|kwh|kw|w|var|kvar|varh|kvarh)$|price_(?:u?eur|eur)_per_[km]wh$")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$")
SPELLED = ((" ", "_"), ("€", "eur"), ("µ", "u"), ("μ", "u"), ("/", "_per_"))


class Cells(NamedTuple):
    """Cells of a table, and in phrases what had to be understood to get them.

    Attributes
    ----------
    frame
        Text, but columns of quantities in a file with commas, which are numbers where all are.
    said
        What was understood.
    """

    frame: pd.DataFrame
    said: tuple[str, ...] = ()


def split_cells(text: str, source: str, missing: Iterable[str]) -> Cells:
    """Cells of CSV text; wholly empty rows are kept, cells among `missing` are NaN.

    Raises
    ------
    DataError
        If there is no header, a column is named twice or has no name, or a row has more cells than the header.
    """
    text, declared = _read_declared(text)
    if not text.strip():
        raise DataError(f"{source}: expected a header and rows, got an empty file; choose another")
    separator = declared or _find_separator(text)
    header = _split_header(text, separator, source)
    names, said = _spell_names(header)
    _check_names(names, source)
    frame = _read_frame(text, separator, names, missing, source)
    frame, dropped = _drop_nameless(frame, source)
    if separator != ",":
        said = (f"columns separated by {SEPARATORS[separator]}", *said)
    return Cells(frame, (*said, *dropped))


def _read_declared(text: str) -> tuple[str, str]:
    """Text without Excel's first line `sep=;`, and the separator that it declares."""
    declared = re.match(r"\"?sep=([,;|\t])\"?\r?\n", text)
    return (text[declared.end() :], declared[1]) if declared else (text, "")


def _find_separator(text: str) -> str:
    """The separator that the header has most of, outside quotes; a comma if it has none."""
    counts = {mark: len(_first_row(text, mark)) for mark in SEPARATORS}
    return max(counts, key=lambda mark: counts[mark])


def _first_row(text: str, separator: str) -> list[str]:
    try:
        lines = (line[0] for line in LINE.finditer(text))  # not the whole text is copied for its first row
        return next(csv.reader(lines, delimiter=separator), [])
    except csv.Error:
        return []


def _split_header(text: str, separator: str, source: str) -> list[str]:
    header = _first_row(text, separator)
    if not any(name.strip() for name in header):
        raise DataError(f"{source}, row 1: expected the names of the columns, got an empty row; add or move the header")
    return header


def _spell_names(header: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Names of columns as this package spells them, where they mean one of its own; and what was understood."""
    names, said = [], []
    for given in header:
        plain = given.strip()
        prefix, point, tail = plain.rpartition(".")
        spelled = _spell(tail)
        known = QUANTITY.match(spelled) or (not point and spelled in TEXT_COLUMNS)
        name = f"{prefix}{point}{spelled}" if known else plain
        if name != plain:
            said.append(f"column '{plain}' as '{name}'")
        names.append(name)
    return names, tuple(said)


def _spell(name: str) -> str:
    """A name in lower case, with its unit behind an underscore: `Energy [kWh]` becomes `energy_kwh`."""
    spelled = re.sub(r"[\s_]*[\[(]\s*(.*?)\s*[\])]$", r"_\1", name.strip()).lower()
    for written, plain in SPELLED:
        spelled = spelled.replace(written, plain)
    return re.sub(r"_+", "_", spelled)


def _check_names(names: Sequence[str], source: str) -> None:
    first: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if name and first.setdefault(name, position) != position:
            raise DataError(
                f"{source}, column '{name}': expected each name of a column once, got it in column "
                f"{first[name]} and again in column {position}; rename, add up or remove one"
            )


def _read_frame(text: str, separator: str, names: list[str], missing: Iterable[str], source: str) -> pd.DataFrame:
    """All rows; by pandas where every row has as many cells as the header, else cell by cell."""
    labels = [name or f"\0{position}" for position, name in enumerate(names, start=1)]
    quantities = [name for name in labels if separator == "," and QUANTITY.match(name.rpartition(".")[2])]
    native = dict.fromkeys(quantities)  # a set in their order
    options: dict[str, Any] = {
        "names": labels,
        "header": None,
        "skiprows": 1,
        "dtype": {name: str for name in labels if name not in native},
        "keep_default_na": False,
        "na_values": list(missing),
        "index_col": False,
        "skip_blank_lines": False,
        "low_memory": False,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(io.StringIO(text, newline=""), sep=separator, **options)
            return frame
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=pd.Index(labels))
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        rows = _split_rows(text, separator, len(labels), source)
    frame = pd.DataFrame(rows, columns=pd.Index(labels), dtype=object)
    frame = frame.mask(frame.isin(list(missing)))
    for name in native:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if (numbers.notna() | frame[name].isna()).all():
            frame[name] = numbers
    return frame


def _split_rows(text: str, separator: str, width: int, source: str) -> list[list[str]]:
    """Rows behind the header with `width` cells each; empty cells beyond are left out.

    Raises
    ------
    DataError
        Naming the first row that has more.
    """
    rows, number = [], 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1):
            if any(cell.strip() for cell in row[width:]):
                hint = "; decimal commas need quotes or another separator" if separator == "," else ""
                raise DataError(
                    f"{source}, row {number}: expected as many values as in the header, {width}, got {len(row)}; "
                    f"correct the row, or take away what stands above the header{hint}"
                )
            rows.append(row[:width] + [""] * (width - len(row)))
    except csv.Error as reason:
        raise DataError(
            f"{source}, row {number + 1}: expected cells in quotes that are closed, got none; correct the row"
        ) from reason
    return rows[1:]


def _drop_nameless(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Without columns that have no name: empty ones, and a first one that only counts the rows."""
    nameless = [name for name in frame.columns if name.startswith("\0")]
    said, empty = [], []
    for label in nameless:
        position = int(label[1:])
        if position == 1 and _counts_rows(frame[label]):
            said.append("column 1, which has no name and counts the rows, left out")
        elif frame[label].isna().all():
            empty.append(position)
        else:
            raise DataError(
                f"{source}, column {position}: expected a name in the header, got nothing; name or remove the column"
            )
    return frame.drop(columns=nameless) if nameless else frame, (*said, *_say_empty(empty))


def _say_empty(positions: Sequence[int], most: int = 3) -> tuple[str, ...]:
    """Which empty columns are left out: the first of many."""
    more = len(positions) - most
    others = (f"{more} more columns, which are empty, left out",) if more > 0 else ()
    return (*(f"column {position}, which is empty, left out" for position in positions[:most]), *others)


def _counts_rows(values: pd.Series[Any]) -> bool:
    """Whether a column counts from 0 or 1, as an index that a tool has written."""
    numbers = pd.to_numeric(values.dropna(), errors="coerce").to_numpy(dtype=np.float64)
    return numbers.size > 0 and numbers[0] in (0.0, 1.0) and bool((np.diff(numbers) == 1.0).all())
