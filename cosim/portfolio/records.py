"""Rows as they are finished, durable one by one: a file of lines to which is only appended.

Each line is the SHA-256 of what follows, and JSON. A kill can cut off the last line; a line that is not as it was
written counts as not there, and its feeder is run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from cosim.errors import ScenarioError
from cosim.portfolio.row_check import find_fault, find_row_fault
from cosim.results.directory import replace_when_whole
from market.ledger.durable import sync_folder

RECORDS = "rows.jsonl"
MOST_BYTES = 2 * 2**30
"""Far more than the rows of the largest portfolio."""

LONGEST_LINE = 2**20
"""Bytes of a row's line; what is longer is no row."""
TIMINGS = pa.schema(
    [
        ("feeder", pa.string()),
        ("seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        ("worker", pa.string()),
        ("peak_mib", pa.float64()),
    ]
)
"""What differs between two runs of the same portfolio: `timing.parquet`."""


class Record(NamedTuple):
    """A row that is finished.

    Attributes
    ----------
    digest
        Of the entry that it is the row of, see `cosim.portfolio.entry.digest_entry`.
    row, timing
        Of `cosim.portfolio.task.Finished`.
    """

    digest: str
    row: dict[str, Any]
    timing: dict[str, Any]


def format_record(record: Record) -> bytes:
    """Line of a record."""
    text = json.dumps(record, default=_format_time, separators=(",", ":"), allow_nan=False).encode()
    return hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"


def _format_time(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"expected a value of a row, got {type(value).__name__}")


def parse_record(line: bytes) -> Record | None:
    """Record of a line; None where the line is not as it was written."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or hashlib.sha256(text).hexdigest().encode() != checksum:
        return None
    try:
        record = Record(*json.loads(text))
    except (ValueError, TypeError, RecursionError):  # somebody else's line, with a checksum that is right
        return None
    return None if find_record_fault(record) else record


def find_record_fault(record: Record) -> str:
    """What is wrong with a record that came from elsewhere, in words for behind 'got'; empty where nothing is."""
    content: tuple[Any, Any, Any] = record
    digest, row, timing = content
    if not isinstance(digest, str):
        return "no digest"
    if fault := find_row_fault(row):
        return fault
    if not isinstance(timing, dict):
        return "no times"
    return find_fault(timing, TIMINGS) if timing else ""


def read_records(directory: Path) -> dict[str, Record]:
    """Records of a portfolio by the names of feeders; of several of one feeder the last.

    Raises
    ------
    ScenarioError
        If the file is none, or larger than any portfolio's.
    """
    path = directory / RECORDS
    try:
        found = path.lstat()
    except FileNotFoundError:
        return {}
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise ScenarioError(f"{path}: expected the rows that a portfolio has finished, got another thing; remove it")
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(LONGEST_LINE), b"")
        records = [record for record in map(parse_record, lines) if record is not None]
    return {record.row["feeder"]: record for record in records}


@contextmanager
def open_records(directory: Path, kept: dict[str, Record]) -> Iterator[IO[bytes]]:
    """File to append records to; it begins with those that are kept, and with nothing that a kill cut off."""
    path = directory / RECORDS
    with replace_when_whole(path) as temporary:
        temporary.write_bytes(b"".join(map(format_record, kept.values())))
    sync_folder(directory)
    with path.open("ab") as file:
        yield file


def append_record(file: IO[bytes], record: Record) -> None:
    """Append a record and make it durable.

    Raises
    ------
    OSError
        If the disk is full or fails.
    """
    file.write(format_record(record))
    file.flush()
    os.fsync(file.fileno())
