"""Read a pandapower net from a JSON file that may come from anybody.

Law: reading runs no code of the file, imports no module that it names, opens no other file, and ends with a net of
numbers, words and lists, or with a `GridError` that names the place.

pandapower's decoder resolves any `module.name` that a file mentions. So the document is walked by an allow-list and
rebuilt from what was read before the decoder sees it. Objects such as controllers are never made: tables that hold
pandapower's own are left out with a note, anything else is refused.
"""

from __future__ import annotations

import json
import os
import re
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp

from grid_models.errors import GridError, shorten
from grid_models.feeder.net_tables import NOT_OF_POWER_FLOW, check_columns, check_tables
from grid_models.feeder.plausibility import check_numbers
from grid_models.feeder.references import check_references

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 32
MAX_ROWS = 1_000_000

NET = ("pandapower.auxiliary", "pandapowerNet")
FRAMES = {("pandas.core.frame", "DataFrame"), ("pandas", "DataFrame")}
SCALARS = {("numpy", name) for name in ("bool", "bool_", "int32", "int64", "uint32", "float32", "float64")}
SEQUENCES = {("numpy", "array"), ("builtins", "tuple"), ("builtins", "set"), ("builtins", "frozenset")}
OBJECT_TABLES = ("characteristic", "controller", "output_writer")
"""Tables in which pandapower keeps objects; they are left out."""
PANDAPOWER_OBJECT = re.compile(r"pandapower(\.\w+)+", re.ASCII)
DTYPE = re.compile(r"u?int(8|16|32|64)|U?Int(8|16|32|64)|float(16|32|64)|Float(32|64)|bool|boolean|object|str|string")
_WANTED = "expected a net written by pandapower.to_json"
_NO_OBJECTS = "expected numbers, words and lists"

FRAME_KEYS = {
    "_module",
    "_class",
    "_object",
    "orient",
    "dtype",
    "is_multiindex",
    "is_multicolumn",
    "index_name",
    "column_name",
}


LEFT_OUT = "_left_out"
"""Key of a net under which the notes lie that say what was left out of its file; not written with it."""


def read_net(path: Path) -> Any:
    """Pandapower net of a file written by `pandapower.to_json`; its key `LEFT_OUT` says what was left out.

    Raises
    ------
    GridError
        If there is no such file, it is not a regular file of bounded size, or it holds anything but a net of numbers,
        words and lists.
    """
    return parse_net(read_regular_text(path), str(path))


def read_regular_text(path: Path, wanted: str = "a pandapower JSON file") -> str:
    """Text of a regular file of at most `MAX_BYTES`; devices, pipes and larger files are refused.

    `wanted` says in messages what was expected.

    Raises
    ------
    GridError
        If it is none, or cannot be read as UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block
    except (OSError, ValueError) as reason:  # ValueError: a zero character in the name
        what = reason.strerror if isinstance(reason, OSError) else reason
        raise GridError(f"{path}: expected {wanted}, found none ({what})") from reason
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
        os.close(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise GridError(f"{path}: expected a regular file, got a folder, device or pipe")
        raise GridError(f"{path}: expected at most {MAX_BYTES:,} bytes, got {found.st_size:,}")
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(MAX_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError as reason:
            raise GridError(f"{path}: expected UTF-8 text, got other bytes ({reason.reason})") from reason
        except OSError as reason:
            raise GridError(f"{path}: expected a file that can be read, got {reason.strerror}") from reason


def parse_net(text: str, where: str) -> Any:
    """Net of JSON text; `where` begins every message.

    Raises
    ------
    GridError
        If the text is no such net, or has numbers that no network has.
    """
    net = parse_any_numbers(text, where)
    check_numbers(net, where)
    return net


def parse_any_numbers(text: str, where: str) -> Any:
    """Net of JSON text, as of `parse_net`, with whatever numbers it has: for those who look for wrong ones.

    Raises
    ------
    GridError
        If the text is no such net.
    """
    document = _load(text, where, _WANTED)
    if not isinstance(document, dict):
        raise GridError(f"{where}: {_WANTED}, got {_kind(document)}")
    tagged = "_module" in document or "_class" in document
    if tagged and _tag(document) != NET:
        raise GridError(f"{where}: {_WANTED}, got an object of {_named(document)}")
    tables = document.get("_object") if tagged else document
    if isinstance(tables, str):
        tables = _load(tables, where)
    if not isinstance(tables, dict) or "bus" not in tables:
        raise GridError(f"{where}: {_WANTED}, got none with a table 'bus'")
    walked = _Walk(where)
    kept = dict(walked.tables(tables))
    rebuilt = {"_module": NET[0], "_class": NET[1], "_object": kept} if tagged else kept
    net = _decode(json.dumps(rebuilt), where)
    check_tables(net, where)
    check_columns(net, where)
    check_references(net, where)
    net[LEFT_OUT] = tuple(walked.notes)
    return net


def _decode(text: str, where: str) -> Any:
    """The rebuilt document through pandapower's own decoder, which also converts older formats."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # older formats are read, and said by convert_format
            net = pp.from_json_string(text, convert=True)
    except Exception as reason:  # pandapower lets pandas' and its own errors through
        raise GridError(f"{where}: {_WANTED}, got {type(reason).__name__}: {shorten(reason)}") from reason
    if not isinstance(net, pp.pandapowerNet):
        raise GridError(f"{where}: {_WANTED}, got {type(net).__name__}")
    return net


class _Walk:
    """Rebuilds a document's tables from what is allowed in them; collects notes."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.notes: list[str] = []

    def tables(self, tables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Name and rebuilt value of each table and parameter of the net."""
        for name, value in tables.items():
            place = f"{self.where}, {name}"
            if isinstance(value, str) and "_module" in value:  # as older versions of pandapower nest their tables
                value = _load(value, place)
            if name.split("_")[0] in OBJECT_TABLES or name in OBJECT_TABLES:
                kept = self.without_objects(name, value, place)
                if kept is not None:
                    yield name, kept
            elif isinstance(value, dict) and _tag(value) in FRAMES:
                yield name, _frame(value, place)
            else:
                yield name, _plain(value, place, 0)

    def without_objects(self, name: str, value: Any, place: str) -> Any:
        """A table for objects of pandapower: as it is where it holds none, else None and a note."""
        if not (isinstance(value, dict) and _tag(value) in FRAMES):
            return _plain(value, place, 0)
        table = _content(value, place)
        objects = [cell for row in table["data"] for cell in row if isinstance(cell, dict | str) and _is_tagged(cell)]
        if not objects:
            return _frame(value, place)
        for cell in objects:
            found = _load(cell, place) if isinstance(cell, str) else cell
            if not PANDAPOWER_OBJECT.fullmatch(str(found.get("_module"))):
                raise GridError(f"{place}: {_NO_OBJECTS}, got an object of {_named(found)}; remove the row")
        said = "; tap positions and setpoints stay as they are" if name == "controller" else ""
        self.notes.append(
            f"{len(table['data'])} rows of the net's table '{name}' are left out: objects stored in a net are never "
            f"run{said}"
        )
        return None


def _is_tagged(cell: Any) -> bool:
    """Whether a cell is, or is text that spells, an object with a module or a class."""
    if isinstance(cell, str):
        cell = _spelled(cell)
    return isinstance(cell, dict) and ("_module" in cell or "_class" in cell)


def _spelled(text: str) -> Any:
    """What text spells in JSON, where it may spell an object or a list; else the text itself."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _tag(value: dict[str, Any]) -> tuple[str, str]:
    return str(value.get("_module")), str(value.get("_class"))


def _named(value: dict[str, Any]) -> str:
    return f"{shorten(value.get('_module'))}.{shorten(value.get('_class'))}"


def _content(value: dict[str, Any], place: str) -> dict[str, Any]:
    """Columns, index and data of an encoded DataFrame."""
    text = value.get("_object")
    content = _load(text, place) if isinstance(text, str) else text
    if value.get("orient", "split") != "split" or value.get("is_multiindex") or value.get("is_multicolumn"):
        raise GridError(f"{place}: expected a table with one index and one row of column names, got a nested one")
    if not isinstance(content, dict) or set(content) != {"columns", "index", "data"}:
        raise GridError(f"{place}: expected a table with columns, index and data, got {_kind(content)}")
    columns, index, data = content["columns"], content["index"], content["data"]
    if not all(isinstance(part, list) for part in (columns, index, data)):
        raise GridError(f"{place}: expected lists of columns, index and data")
    if len(data) > MAX_ROWS:
        raise GridError(f"{place}: expected at most {MAX_ROWS:,} rows, got {len(data):,}")
    if len(index) != len(data) or any(not isinstance(row, list) or len(row) != len(columns) for row in data):
        raise GridError(f"{place}: expected as many cells in each row as columns, and a row for each index")
    if len({str(column) for column in columns}) != len(columns):
        raise GridError(f"{place}: expected each column once; rename one of those that are equal")
    return content


def _frame(value: dict[str, Any], place: str) -> dict[str, Any]:
    """An encoded DataFrame, rebuilt from its cells."""
    content = _content(value, place)
    unknown = sorted(set(value) - FRAME_KEYS)
    if unknown:
        raise GridError(f"{place}: expected a table as pandapower writes it, got the further key '{unknown[0]}'")
    columns = [_scalar(column, f"{place}, column names") for column in content["columns"]]
    index = [_scalar(label, f"{place}, index") for label in content["index"]]
    data = [
        [
            _cell(cell, f"{place}, row {label}, column {column}", column)
            for cell, column in zip(row, columns, strict=True)
        ]
        for label, row in zip(index, content["data"], strict=True)
    ]
    rebuilt = {
        "_module": "pandas.core.frame",
        "_class": "DataFrame",
        "_object": json.dumps({"columns": columns, "index": index, "data": data}),
        "orient": "split",
        "is_multiindex": False,
        "is_multicolumn": False,
    }
    for key in ("index_name", "column_name"):
        if key in value:
            rebuilt[key] = _scalar(value[key], f"{place}, {key}")
    if "dtype" in value:
        rebuilt["dtype"] = kinds = _dtypes(value["dtype"], place)
        _check_flags(columns, index, data, kinds, place)
        _check_integers(columns, index, data, kinds, place)
    return rebuilt


def _check_flags(columns: list[Any], index: list[Any], data: list[Any], kinds: dict[str, str], place: str) -> None:
    """Refuse what pandas would take as true: a word, even "false", or no cell at all, in a column of flags."""
    for k, column in enumerate(columns):
        flags = kinds.get(str(column)) == "bool" and column not in NOT_OF_POWER_FLOW
        for label, row in zip(index, data, strict=True) if flags else ():
            if row[k] not in (0, 1):
                found = "nothing" if row[k] is None else shorten(repr(row[k]))
                raise GridError(f"{place}, row {label}, column {column}: expected true or false, got {found}")


def _check_integers(columns: list[Any], index: list[Any], data: list[Any], kinds: dict[str, str], place: str) -> None:
    """Refuse what pandas would cut or wrap into another integer: 3.7 to 3, and -1 to 4294967295 without a sign."""
    for k, column in enumerate(columns):
        kind = kinds.get(str(column), "")
        if "int" not in kind.lower():
            continue
        bounds = np.iinfo(kind.lower())
        for label, row in zip(index, data, strict=True):
            cell = row[k]
            if isinstance(cell, int | float) and not (bounds.min <= cell <= bounds.max and cell == int(cell)):
                expected = f"a whole number from {bounds.min} to {bounds.max}"
                raise GridError(f"{place}, row {label}, column {column}: expected {expected}, got {shorten(cell)}")


def _dtypes(value: Any, place: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise GridError(f"{place}: expected a type for each column, got {_kind(value)}")
    for column, name in value.items():
        if not isinstance(name, str) or not DTYPE.fullmatch(name):
            raise GridError(
                f"{place}, column {column}: expected a type such as float64, bool or object, got {shorten(name)}"
            )
    return value


def _cell(cell: Any, place: str, column: Any) -> Any:
    """A cell: a scalar, a list, or a place on the map (GeoJSON in the column `geo`)."""
    if cell is None or isinstance(cell, bool | int | float):
        return cell
    if column == "geo" and isinstance(cell, dict | str):
        return _plain(cell, place, 0)
    if isinstance(cell, dict) and not _is_tagged(cell):
        raise GridError(f"{place}: expected a number, a word or a list, got an object")
    return _plain(cell, place, 0)


def _plain(value: Any, place: str, depth: int) -> Any:
    """A value of scalars, lists and dictionaries; numpy's and Python's own containers are taken as lists."""
    if depth > MAX_DEPTH:
        raise GridError(f"{place}: expected values nested at most {MAX_DEPTH} deep")
    if isinstance(value, str) and _is_tagged(value):
        value = _load(value, place)
    if isinstance(value, list):
        return [_plain(item, place, depth + 1) for item in value]
    if not isinstance(value, dict):
        return _scalar(value, place)
    if not _is_tagged(value):
        return {str(key): _plain(item, f"{place}, {shorten(key)}", depth + 1) for key, item in value.items()}
    tag, content = _tag(value), value.get("_object")
    if tag in FRAMES:
        return _frame(value, place)
    if tag in SCALARS and (content is None or isinstance(content, bool | int | float | str)):
        return _number(content, place)
    if tag in SEQUENCES and isinstance(content, list):
        return [_plain(item, place, depth + 1) for item in content]
    raise GridError(f"{place}: {_NO_OBJECTS}, got an object of {_named(value)}; remove it")


def _number(content: Any, place: str) -> Any:
    """A numpy scalar as pandapower writes it: a number, `true`, `false` or `nan`."""
    words = {"true": True, "false": False, "nan": None, "True": True, "False": False}
    if isinstance(content, str):
        if content not in words:
            raise GridError(f"{place}: expected a number, got '{shorten(content)}'")
        return words[content]
    return content


def _scalar(value: Any, place: str) -> Any:
    if isinstance(value, str):
        spelled = _spelled(value)
        if (spelled is not value and not isinstance(spelled, str)) or ("_module" in value and "_class" in value):
            _plain(spelled, place, 0)  # refused there where it hides an object
        return value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise GridError(f"{place}: expected a number or a word, got {_kind(value)}")


def _load(text: str, place: str, expected: str = "expected JSON") -> Any:
    """JSON text as Python values."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise GridError(f"{place}: {expected}, got {type(reason).__name__}: {shorten(reason)}") from reason


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a word", type(None): "nothing"}.get(type(value), "a number")
