"""Makers of hostile SQLite files: each changes a copy of a sound ledger or member store so that reading it is a trap.

A sound file ── a view, a trigger, a page that leads to itself, a journal that names a victim ── what a stranger sends
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

Hostile = Callable[[Path], None]

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
COLUMNS = {
    "block": "x AS height, zeroblob(184) AS header, zeroblob(32) AS hash, zeroblob(64) AS signature, "
    "zeroblob(72) AS records",
    "node": "0 AS level, x AS idx, zeroblob(32) AS hash",
    "checkpoint": "x AS size, 'note' AS note",
    "run_state": "x AS height, zeroblob(9) AS blob, zeroblob(64) AS signature",
    "chunk": "x AS first, x + 1 AS stop, zeroblob(128) AS body",
    "box": "x AS first, zeroblob(32) AS reader, zeroblob(80) AS box",
}


def change(path: Path, script: str) -> None:
    """Run a script on a file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def endless_view(table: str) -> Hostile:
    """A view that never ends in place of a table."""
    columns = COLUMNS[table]
    return lambda path: change(
        path, f"ALTER TABLE {table} RENAME TO kept; CREATE VIEW {table} AS {ENDLESS} SELECT {columns} FROM c;"
    )


def scripted(script: str) -> Hostile:
    """What a script of SQL makes of the file."""
    return lambda path: change(path, script)


def rebuilt(table: str, old: str, new: str) -> Hostile:
    """The table made by another statement, with the rows as they were."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            (statement,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
            other = statement.replace(old, new)
            assert other != statement
            kept = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            names = ", ".join(kept)
            connection.executescript(
                f"ALTER TABLE {table} RENAME TO kept; {other};"
                f"INSERT OR IGNORE INTO {table}({names}) SELECT {names} FROM kept; DROP TABLE kept;"
            )

    return make


def disguised(table: str, update: str) -> Hostile:
    """Values that the table's types forbid, written while its statement was another."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            (statement,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
            lax = statement.replace(" STRICT", "", 1).replace(" NOT NULL", "").rstrip(", ")
        for sql in (lax if "ROWID" not in lax else lax.replace(", WITHOUT", " WITHOUT"), statement):
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA writable_schema = ON")
                connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, table))
                version = connection.execute("PRAGMA schema_version").fetchone()[0]
                connection.execute(f"PRAGMA schema_version = {version + 1}")
            if sql != statement:
                change(path, f"UPDATE {table} SET {update};")

    return make


def exploding_tree(table: str, levels: int = 6) -> Hostile:
    """A tree of pages that all lead to the same leaf: a small file with more rows than anybody can read."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        raw = bytearray(path.read_bytes())
        page = bytes(raw[(root - 1) * size : root * size])
        while page[0] == 0x05:  # descend to a leaf, which is copied to the end of the file
            (at,) = struct.unpack_from(">H", page, 12)
            (child,) = struct.unpack_from(">I", page, at)
            page = bytes(raw[(child - 1) * size : child * size])
        assert page[0] == 0x0D, "a leaf of a table"
        n_pages = len(raw) // size
        raw += page
        for child in range(n_pages + 1, n_pages + levels):
            raw += _interior(child, size)
        raw[(root - 1) * size : root * size] = _interior(n_pages + levels, size)
        raw[28:32] = struct.pack(">I", len(raw) // size)
        raw[92:96] = raw[24:28]
        path.write_bytes(bytes(raw))

    return make


def _interior(child: int, size: int) -> bytes:
    """An interior page of a table: every cell leads to the same child."""
    n = (size - 12) // (2 + 5 + 4) // 2
    page = bytearray(size)
    at = size
    for k in range(n):
        cell = struct.pack(">I", child) + bytes([0x80 | (k >> 7), k & 0x7F])
        at -= len(cell)
        page[at : at + len(cell)] = cell
        page[12 + 2 * k : 14 + 2 * k] = struct.pack(">H", at)
    page[0:12] = struct.pack(">BHHHBI", 0x05, 0, n, at, 0, child)
    return bytes(page)


def garbled(seed: int) -> Hostile:
    """Pages overwritten, swapped or zeroed at random."""

    def make(path: Path) -> None:
        import numpy as np

        rng, raw = np.random.default_rng(seed), bytearray(path.read_bytes())
        size = struct.unpack(">H", raw[16:18])[0] or 65536
        size = 65536 if size == 1 else size
        for _ in range(3):
            a, b = (int(k) * size for k in rng.integers(0, len(raw) // size, 2))
            kind = rng.integers(0, 4)
            if kind == 0 and a > 0:
                raw[a : a + size] = rng.bytes(size)
            elif kind == 1 and a > 0:
                raw[a : a + size] = raw[b : b + size]
            elif kind == 2:
                raw[a + 100 : a + 130] = rng.bytes(30)
            else:
                raw[a + 8 : a + size] = bytes(size - 8)
        path.write_bytes(bytes(raw))

    return make


def beside(suffix: str, content: bytes) -> Hostile:
    """A log or journal of somebody else beside the file."""
    return lambda path: (path.with_name(path.name + suffix).write_bytes(content), None)[1]


def foreign_log(path: Path) -> None:
    """A write-ahead log, right in itself, that puts an endless view in place of the first table."""
    other = path.with_name("other.sqlite")
    other.write_bytes(path.read_bytes())
    connection = sqlite3.connect(other, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    (table,) = connection.execute("SELECT name FROM sqlite_schema WHERE name IN ('block', 'chunk')").fetchone()
    connection.executescript(
        f"ALTER TABLE {table} RENAME TO kept; CREATE VIEW {table} AS {ENDLESS} SELECT {COLUMNS[table]} FROM c;"
    )
    log = other.with_name("other.sqlite-wal").read_bytes()
    base = other.read_bytes()
    connection.close()
    for left in path.parent.glob("other.sqlite*"):
        left.unlink()
    path.write_bytes(base)
    path.with_name(path.name + "-wal").write_bytes(log)


def journal_that_names(victim: Path) -> Hostile:
    """A rollback journal, right in itself, whose end names a file that SQLite would delete once it is rolled back."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA journal_mode = PERSIST")
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        n_pages = path.stat().st_size // size
        name = str(victim).encode()
        header = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 7, n_pages, 512, size)
        end = struct.pack(">I", 0xFFFFFFFF) + name + struct.pack(">II", len(name), sum(name) & 0xFFFFFFFF)
        journal = header.ljust(512, b"\0") + end + bytes.fromhex("d9d505f920a163d7")
        path.with_name(path.name + "-journal").write_bytes(journal)

    return make


def pipe(path: Path) -> None:
    """A pipe that nobody writes to, in place of the file."""
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    """A device that never ends, in place of the file."""
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    """A folder in place of the file."""
    path.unlink()
    path.mkdir()


def bytes_of(content: bytes) -> Hostile:
    """Other bytes in place of the file."""
    return lambda path: (path.write_bytes(content), None)[1]


ANYWHERE: dict[str, Hostile] = {
    "an extra view": scripted(f"CREATE VIEW more AS {ENDLESS} SELECT x FROM c;"),
    "an extra table": scripted("CREATE TABLE more(x);"),
    "an extra sequence": scripted("CREATE TABLE more(x INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE more;"),
    "statistics": scripted("ANALYZE;"),
    "another application": scripted("PRAGMA application_id = 7;"),
    "text": bytes_of(b"This is no database at all." * 40),
    "nothing": bytes_of(b""),
    "zeros": bytes_of(bytes(1 << 20)),
    "a database without tables": bytes_of(b"SQLite format 3\0" + bytes(84)),
    "a pipe": pipe,
    "a device": device,
    "a folder": folder,
    "a log of somebody else": foreign_log,
}
LEDGERS: dict[str, Hostile] = {
    **{f"an endless view {table}": endless_view(table) for table in ("block", "node", "checkpoint", "run_state")},
    **ANYWHERE,
    "an extra index": scripted("CREATE INDEX more ON block(signature);"),
    "a trigger": scripted("CREATE TRIGGER more AFTER INSERT ON block BEGIN DELETE FROM node; END;"),
    "a generated column": rebuilt("block", "records BLOB", "x INTEGER AS (abs(1)), records BLOB"),
    "a default": rebuilt("run_state", "blob BLOB NOT NULL", "blob BLOB NOT NULL DEFAULT (zeroblob(9))"),
    "a check": rebuilt("block", "records BLOB NOT NULL", "records BLOB NOT NULL CHECK (length(records) > 0)"),
    "lax types": rebuilt("checkpoint", " STRICT", ""),
    "another order": rebuilt(
        "block", "hash BLOB NOT NULL UNIQUE,\n  signature", "signature BLOB NOT NULL UNIQUE,\n  hash"
    ),
    "a table less": scripted("DROP TABLE run_state;"),
    "rows without end": exploding_tree("block"),
    "notes without end": exploding_tree("checkpoint"),
    "a huge blob": scripted("UPDATE block SET records = zeroblob(72000000) WHERE height = 3;"),
    "huge blobs": scripted("UPDATE block SET signature = zeroblob(60000000) WHERE height < 3;"),
    "a huge header": scripted("UPDATE block SET header = zeroblob(1000000);"),
    "short headers": scripted("UPDATE block SET header = x'00';"),
    "empty records": scripted("UPDATE block SET records = x'';"),
    "odd records": scripted("UPDATE block SET records = zeroblob(100);"),
    "unknown kinds": scripted("UPDATE block SET records = zeroblob(7200);"),
    "a height without end": scripted("UPDATE block SET height = 9223372036854775807 WHERE height = 24;"),
    "heights below zero": scripted("UPDATE block SET height = -1 - height;"),
    "many nodes": scripted(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)"
        " INSERT INTO node SELECT 60, x, zeroblob(32) FROM c;"
    ),
    "many notes": scripted(
        "WITH RECURSIVE c(x) AS (SELECT 100 UNION ALL SELECT x + 1 FROM c WHERE x < 50000)"
        " INSERT INTO checkpoint SELECT x, 'a note' FROM c;"
    ),
    "a long note": scripted("UPDATE checkpoint SET note = replace(hex(zeroblob(4000000)), '0', char(10));"),
    "notes that are no text": scripted("UPDATE checkpoint SET note = CAST(x'fffefdfc00ff' AS TEXT);"),
    "no blocks": scripted("DELETE FROM block;"),
    "no tree": scripted("DELETE FROM node;"),
    "numbers for bytes": disguised("block", "header = 7, hash = height, records = 3.5"),
    "nothing for bytes": disguised("block", "signature = NULL"),
    "text for bytes": disguised("block", "records = 'text', header = hex(header)"),
    "bytes for a note": disguised("checkpoint", "note = x'00ff'"),
    "numbers for a state": disguised("run_state", "blob = 1, signature = 2.0"),
    **{f"garbled pages {seed}": garbled(seed) for seed in range(12)},
}
VAULTS: dict[str, Hostile] = {
    **{f"an endless view {table}": endless_view(table) for table in ("chunk", "box")},
    **ANYWHERE,
    "a trigger": scripted("CREATE TRIGGER more AFTER DELETE ON box BEGIN DELETE FROM chunk; END;"),
    "a generated column": rebuilt("chunk", "body BLOB", "x INTEGER AS (abs(1)), body BLOB"),
    "rows without end": exploding_tree("chunk"),
    "a huge chunk": scripted("UPDATE chunk SET body = zeroblob(280000000);"),
    "a chunk of another end": scripted("UPDATE chunk SET stop = -1;"),
    "an endless chunk": scripted("UPDATE chunk SET stop = 9223372036854775807;"),
    "empty boxes": scripted("UPDATE box SET box = x'';"),
    "numbers for bytes": disguised("chunk", "body = 3.5, stop = 'text'"),
    **{f"garbled pages {seed}": garbled(seed) for seed in range(6)},
}
