"""Mutations of input: bytes, words of text, values of JSON and tables, rows of databases, files that are none."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Rng = np.random.Generator

NUMBERS = (
    *("0", "-1", "1", "2", "-0.0", "1e-320", "1e308", "-1e308", "1e999", "nan", "inf", "-inf", "0.5", "1.5"),
    *(str(2**31), str(-(2**31) - 1), str(2**63), str(-(2**63) - 1), str(2**64), str(10**30), "9" * 5000),
    *("0x10", "1_000", "1,5", "１２", "1e", "--1", "+", "1.2.3", "99999999"),
)
WORDS = (
    *(
        "",
        " ",
        "'",
        '"',
        "\\",
        "\0",
        "\n",
        "\r\n",
        "\t",
        ";",
        ",",
        ".",
        "/",
        "..",
        "../../etc/passwd",
        "~",
        "-",
        "--",
        "=",
    ),
    *("null", "None", "true", "false", "[]", "{}", "[[]]", "é", "ß", "日本", "\u202e", "\ud7ff", "\ufeff", "\x1b[31m"),
    *("<a href='x'>", "[bold]", "[/]", "{{7*7}}", "%s%n", "$(touch RUN)", "'; DROP TABLE block; --", "A" * 10_000),
    *(
        "2017-01-01",
        "2017-02-30",
        "0000-01-01",
        "9999-12-31T23:59:59Z",
        "2017-03-26T02:30",
        "1970-01-01T00:00:00+14:00",
    ),
    *("[" * 2000, "{" * 2000, "a." * 3000, "(" * 500),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(2**70), 0.5, 1e308, float("nan"), float("inf")),
    *(
        "",
        "x",
        "0",
        "nan",
        "A" * 5000,
        "\0",
        [],
        [1],
        [[]],
        {},
        {"a": 1},
        [None] * 100,
        {"_module": "os", "_class": "x"},
    ),
)


def pick(rng: Rng, items: Any) -> Any:
    """One of several."""
    return items[int(rng.integers(len(items)))]


def change_bytes(rng: Rng, content: bytes) -> bytes:
    """Some bytes flipped, cut out, doubled, added or put elsewhere."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        a, b = sorted(int(k) for k in rng.integers(0, len(data) + 1, 2))
        what = int(rng.integers(6))
        if what == 0 and data:
            data[min(a, len(data) - 1)] ^= 1 << int(rng.integers(8))
        elif what == 1:
            del data[a : min(b, a + 200)]
        elif what == 2:
            data[a:a] = data[a : min(b, a + 2000)]
        elif what == 3:
            data[a:a] = rng.bytes(int(rng.integers(1, 20)))
        elif what == 4:
            del data[a:]
        else:
            data[a : a + 1] = pick(rng, (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\n", b'"'))
    return bytes(data)


def change_text(rng: Rng, text: str) -> str:
    """A number, a word or a line exchanged, doubled, removed or moved."""
    for _ in range(int(rng.integers(1, 4))):
        what = int(rng.integers(6))
        lines = text.split("\n")
        at = int(rng.integers(len(lines)))
        if what == 0:
            text = _replace_one(rng, text, r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", pick(rng, NUMBERS))
        elif what == 1:
            text = _replace_one(rng, text, r"[A-Za-z_]+", pick(rng, (*WORDS, *NUMBERS)))
        elif what == 2:
            text = "\n".join([*lines[:at], lines[at], *lines[at:]])
        elif what == 3:
            text = "\n".join([*lines[:at], *lines[at + 1 :]])
        elif what == 4:
            text = "\n".join([*lines[:at], pick(rng, WORDS) + pick(rng, NUMBERS), *lines[at:]])
        else:
            text = _replace_one(rng, text, r"[=,;:\"\[\]\n.]", pick(rng, WORDS))
    return text


def _replace_one(rng: Rng, text: str, pattern: str, by: str) -> str:
    found = list(re.finditer(pattern, text))
    if not found:
        return text + by
    match = pick(rng, found)
    return text[: match.start()] + by + text[match.end() :]


def change_json(rng: Rng, text: str) -> str:
    """A value somewhere in a document exchanged, removed or doubled; also inside JSON that is written as text."""
    document = json.loads(text)
    for _ in range(int(rng.integers(1, 3))):
        document = _change_value(rng, document)
    return json.dumps(document)


def _change_value(rng: Rng, value: Any, depth: int = 0) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "[") and rng.random() < 0.9:
        with suppress(ValueError):
            return json.dumps(_change_value(rng, json.loads(value), depth + 1))
    if isinstance(value, dict) and value and (depth < 2 or rng.random() < 0.9):
        key = pick(rng, list(value))
        what = rng.random()
        if what < 0.08:
            return {k: v for k, v in value.items() if k != key}
        if what < 0.12:
            return {(pick(rng, WORDS) if k == key else k): v for k, v in value.items()}
        return {**value, key: _change_value(rng, value[key], depth + 1)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = int(rng.integers(len(value)))
        what = rng.random()
        if what < 0.05:
            return [*value[:at], *value[at + 1 :]]
        if what < 0.1:
            return [*value[:at], value[at], *value[at:]]
        return [*value[:at], _change_value(rng, value[at], depth + 1), *value[at + 1 :]]
    return pick(rng, VALUES)


def change_frame(rng: Rng, frame: pd.DataFrame) -> pd.DataFrame:
    """A column or cell of a table exchanged, removed, doubled or of another type."""
    frame = frame.copy()
    column = pick(rng, list(frame.columns))
    what = int(rng.integers(7))
    if what == 0:
        frame = frame.drop(columns=column)
    elif what == 1:
        frame = frame.rename(columns={column: pick(rng, ("", "x", "time", "load_kwh", "a.load_kwh", "\0"))})
    elif what == 2:
        frame = frame.iloc[: int(rng.integers(3))]
    elif what == 3:
        frame[column] = frame[column].astype(str)
    elif what == 4:
        frame[column] = pick(rng, (None, 1, 1.5, "x", True, pd.Timestamp("2017-01-01"), b"x", float("nan")))
    elif what == 5:
        frame = pd.concat([frame, frame.iloc[:1]])
    else:
        frame[column] = frame[column].astype(object)
        frame.iloc[int(rng.integers(len(frame))), frame.columns.get_loc(column)] = pick(rng, (None, "x", -1, 1e30))
        if rng.random() < 0.7:
            frame[column] = frame[column].astype(str)
    return frame


def change_database(rng: Rng, path: Path) -> str:
    """A row, column, table or setting of an SQLite file changed; returns what was done."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = bytes
        connection.execute("PRAGMA journal_mode = DELETE")
        tables = [row[0].decode() for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        table = pick(rng, tables)
        columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")]
        column = pick(rng, columns)
        rows = f"ORDER BY random() LIMIT {int(rng.integers(1, 4))}"
        key = "rowid" if table in ("block", "checkpoint", "run_state", "chunk") else columns[0]
        where = f"WHERE {key} IN (SELECT {key} FROM {table} {rows})"
        value = pick(
            rng, ("NULL", "0", "-1", "9223372036854775807", "x''", f"x'{'ab' * 40}'", "'x'", "zeroblob(5000000)")
        )
        statement = pick(
            rng,
            (
                f"UPDATE {table} SET {column} = {value} {where}",
                f"UPDATE {table} SET {column} = substr({column}, 1, length({column}) / 2) {where}",
                f"UPDATE {table} SET {column} = CAST({column} || x'00' AS BLOB) {where}",
                f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} {rows}) {where}",
                f"DELETE FROM {table} {where}",
                f"DELETE FROM {table}",
                f"DROP TABLE {table}",
                f"ALTER TABLE {table} ADD COLUMN more INTEGER",
                f"ALTER TABLE {table} RENAME COLUMN {column} TO other",
                f"CREATE VIEW seen AS SELECT * FROM {table}",
                f"CREATE TABLE more AS SELECT * FROM {table}",
                f"PRAGMA application_id = {int(rng.integers(2**31))}",
                f"PRAGMA user_version = {int(rng.integers(2**31))}",
            ),
        )
        with suppress(sqlite3.Error):  # the table's own rules forbid some
            connection.execute(statement)
        return str(statement)[:100]


def replace_file(rng: Rng, path: Path) -> str:
    """Something else in a file's place; returns what."""
    what = pick(
        rng, ("nothing", "empty", "folder", "pipe", "device", "dangling", "itself", "huge", "noise", "unreadable")
    )
    if what not in ("noise", "unreadable"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    make: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "empty": path.touch,
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to(pick(rng, ("/dev/zero", "/dev/urandom", "/dev/null", "/proc/self/mem"))),
        "dangling": lambda: path.symlink_to("nowhere"),
        "itself": lambda: path.symlink_to(path.name),
        "huge": lambda: (path.touch(), os.truncate(path, 3 * 2**30)),
        "noise": lambda: path.write_bytes(rng.bytes(int(rng.integers(1, 5000)))) if path.is_file() else None,
        "unreadable": lambda: path.chmod(0),
    }
    make[what]()
    return str(what)
