"""Read and write the folder of tables that describes a four-wire network: checked cells, no more.

`bus, line, linecode_matrix, source, load` and, where there are any, `transformer`, `earthing`, `terminal`, `admittance`
and `network`, each a CSV file. What the columns mean is in docs/how-to/phases.md; what the tables make together is in
`grid_models.phases.four_wire`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from grid_models.errors import GridError, shorten, suggest_name
from grid_models.feeder.net_file import MAX_ROWS, read_regular_text

CONDUCTORS = "abcn"
LARGEST = 1e12
LONGEST_NAME = 200


@dataclass(frozen=True)
class Row:
    """Cells of a row by their columns, and the place that messages name."""

    cells: dict[str, Any]
    place: str

    def __getitem__(self, column: str) -> Any:
        """Cell of a column."""
        return self.cells[column]

    def refuse(self, column: str, expected: str, remedy: str = "") -> GridError:
        """Error about a cell."""
        said = f"; {remedy}" if remedy else ""
        return GridError(
            f"{self.place}, column {column}: expected {expected}, got '{shorten(self.cells[column])}'{said}"
        )


class Tables(NamedTuple):
    """Rows of each table of a folder, in the order of the files."""

    bus: list[Row]
    line: list[Row]
    linecode_matrix: list[Row]
    transformer: list[Row]
    source: list[Row]
    earthing: list[Row]
    load: list[Row]
    terminal: list[Row]
    admittance: list[Row]
    network: list[Row]


def _name(text: str) -> str:
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"a name of 1 to {LONGEST_NAME} printable characters")
    return text


def _conductor(text: str) -> str:
    if len(text) != 1 or text not in CONDUCTORS:
        raise ValueError("a, b, c or n")
    return text


def _conductor_or_earth(text: str) -> str:
    if text != "earth" and (len(text) != 1 or text not in CONDUCTORS):
        raise ValueError("a, b, c, n or earth")
    return text


def _conductors(text: str) -> str:
    wanted = "".join(c for c in CONDUCTORS if c in text)
    if text != wanted or not wanted.strip("n"):
        raise ValueError("conductors such as abcn, abc or an, in this order")
    return text


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise ValueError("a finite number with a point, such as 0.25")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if not value > 0.0:
        raise ValueError("a number above 0")
    return value


def _not_negative(text: str) -> float:
    value = _number(text)
    if not value >= 0.0:
        raise ValueError("a number of at least 0")
    return value


Reader = Callable[[str], Any]


def _between(low: float, high: float) -> Reader:
    """Reader of numbers that a device may have: beyond them admittances overflow."""

    def read(text: str) -> float:
        value = _positive(text)
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return read


VOLTAGE_KV, POWER_KVA, CURRENT_A, TAP_PU = (
    _between(1e-3, 1e4),
    _between(1e-3, 1e9),
    _between(1e-3, 1e9),
    _between(0.1, 10.0),
)

COLUMNS: dict[str, dict[str, Reader]] = {
    "bus": {"bus": _name, "vn_kv": VOLTAGE_KV, "conductors": _conductors},
    "line": {
        "line": _name,
        "from_bus": _name,
        "to_bus": _name,
        "length_km": _between(1e-9, 1e6),
        "code": _name,
        "i_max_a": CURRENT_A,
    },
    "linecode_matrix": {
        "code": _name,
        "i": _conductor,
        "j": _conductor,
        "r_ohm_per_km": _number,
        "x_ohm_per_km": _number,
        "c_nf_per_km": _number,
    },
    "transformer": {
        "trafo": _name,
        "hv_bus": _name,
        "lv_bus": _name,
        "sn_kva": POWER_KVA,
        "vn_hv_kv": VOLTAGE_KV,
        "vn_lv_kv": VOLTAGE_KV,
        "vector_group": _name,
        "clock": _not_negative,
        "r_percent": _not_negative,
        "x_percent": _between(1e-6, 1e3),
        "tap_hv_pu": TAP_PU,
        "star_conductor": _conductor,
    },
    "source": {
        "bus": _name,
        "conductor": _conductor,
        "e_re_v": _number,
        "e_im_v": _number,
        "r1_ohm": _not_negative,
        "x1_ohm": _not_negative,
        "r0_ohm": _not_negative,
        "x0_ohm": _not_negative,
    },
    "earthing": {"bus": _name, "conductor": _conductor, "r_ohm": _not_negative, "x_ohm": _not_negative},
    "load": {
        "load": _name,
        "bus": _name,
        "from_conductor": _conductor,
        "to_conductor": _conductor_or_earth,
        "p_kw": _number,
        "q_kvar": _number,
    },
    "terminal": {
        "branch": _name,
        "terminal": _name,
        "bus": _name,
        "conductor": _conductor,
        "end": _name,
        "i_max_a": CURRENT_A,
    },
    "admittance": {"branch": _name, "i": _name, "j": _name, "g_s": _number, "b_s": _number},
    "network": {"frequency_hz": _between(1.0, 1000.0)},
}
"""Columns of each table, and what reads their cells."""
OPTIONAL = ("transformer", "earthing", "terminal", "admittance", "network")


def read_tables(folder: Path) -> Tables:
    """Tables of a folder, cells checked.

    Raises
    ------
    GridError
        If a table is missing, is not a regular file of bounded size, or a column or cell is not as expected.
    """
    if not folder.is_dir():
        raise GridError(f"{folder}: expected a folder with {', '.join(f'{name}.csv' for name in COLUMNS)}, found none")
    return Tables(**{name: _read_table(folder / f"{name}.csv", name) for name in COLUMNS})


def format_tables(tables: Tables) -> dict[str, str]:
    r"""Text of each table that has rows or must be there, by its name; numbers are written so that they are read back.

    Examples
    --------
    >>> rows = [Row({"bus": "b1", "vn_kv": 0.4, "conductors": "abcn"}, "bus.csv, line 2")]
    >>> format_tables(Tables(rows, [], [], [], [], [], [], [], [], []))["bus"]
    'bus,vn_kv,conductors\nb1,0.4,abcn\n'
    """
    texts: dict[str, str] = {}
    for name, rows in tables._asdict().items():
        if rows or name not in OPTIONAL:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(COLUMNS[name])
            writer.writerows([_format(row[column]) for column in COLUMNS[name]] for row in rows)
            texts[name] = text.getvalue()
    return texts


def _format(cell: Any) -> str:
    return cell if isinstance(cell, str) else repr(float(cell))


def write_tables(tables: Tables, folder: Path) -> None:
    """Write tables into a folder that is new or empty, as `read_tables` reads them.

    Raises
    ------
    GridError
        If the folder holds something, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise GridError(f"{folder}: expected a new or empty folder for tables, found files in it; choose another")
        for name, text in format_tables(tables).items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    except OSError as reason:
        raise GridError(f"{folder}: expected a folder that can be written, got {reason.strerror}") from reason


def _read_table(path: Path, name: str) -> list[Row]:
    if name in OPTIONAL and not path.is_symlink() and not path.exists():
        return []
    text = read_regular_text(path, f"a table with the columns {','.join(COLUMNS[name])}")
    return parse_table(text, name, str(path))


def parse_table(text: str, name: str, where: str) -> list[Row]:
    r"""Rows of one table.

    Parameters
    ----------
    text
        CSV with a row of column names, in any order.
    name
        The table.
    where
        Begins messages.

    Raises
    ------
    GridError
        If a column is missing, unknown or there twice, or a cell is not as expected.

    Examples
    --------
    >>> [row["vn_kv"] for row in parse_table("bus,conductors,vn_kv\nb1,abcn,0.4\n", "bus", "bus.csv")]
    [0.4]
    """
    readers = COLUMNS[name]
    if "\0" in text:
        raise GridError(f"{where}: expected text, got a zero character")
    lines = csv.reader(text.splitlines(), strict=True)
    rows: list[Row] = []
    try:
        header = [cell.strip() for cell in next(lines, [])]
        _check_header(header, readers, where)
        for cells in lines:
            place = f"{where}, line {lines.line_num}"
            if len(rows) == MAX_ROWS:
                raise GridError(f"{where}: expected at most {MAX_ROWS:,} rows, got more")
            if not cells:
                continue
            if len(cells) != len(header):
                raise GridError(f"{place}: expected {len(header)} cells, got {len(cells)}")
            rows.append(Row(dict(_read_cells(header, cells, readers, place)), place))
    except csv.Error as reason:
        raise GridError(f"{where}, line {lines.line_num}: expected comma-separated text, got {reason}") from reason
    return rows


def _check_header(header: list[str], readers: dict[str, Reader], where: str) -> None:
    for column in readers:
        if header.count(column) != 1:
            found = "it twice" if column in header else f"'{shorten(','.join(header))}'"
            raise GridError(f"{where}, line 1: expected the column {column} once, got {found}")
    for column in header:
        if column not in readers:
            remedy = suggest_name(column, readers, "remove it")
            raise GridError(
                f"{where}, line 1: expected the columns {','.join(readers)}, got '{shorten(column)}'; {remedy}"
            )


def _read_cells(header: list[str], cells: list[str], readers: dict[str, Reader], place: str) -> Any:
    for column, cell in zip(header, cells, strict=True):
        try:
            yield column, readers[column](cell.strip())
        except ValueError as expected:
            raise GridError(f"{place}, column {column}: expected {expected}, got '{shorten(cell)}'") from None
