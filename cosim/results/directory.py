"""The files of a run: its directory, its whole tables. No half-written file ever has its final name."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cosim.errors import ScenarioError
from cosim.results.columns import TYPES
from cosim.results.csv_text import mark_table, unmark_table
from cosim.results.folders import list_names, make_folder

logger = logging.getLogger(__name__)

AS_CSV = ("violations", "curtailment", "registrations", "battery_wear", "phases", "contract_power", "en50160")
"""Short tables that people read: CSV instead of Parquet."""

PARTS, JOINED = ".parts", ".parts.joined"
_BEFORE_THE_LEDGER = (PARTS, "ledger.lock", ".ledger.sqlite.partial")
"""Beginnings of the names of all files that a run leaves if it is killed before it has a ledger; none is needed."""


def check_directory(directory: Path, *, resume: bool) -> None:
    """Raise `ScenarioError` if a new run would overwrite what is in a directory, or there is nothing to resume."""
    started = has_ledger(directory)
    if resume and not directory.exists():
        raise ScenarioError(f"{directory}: expected a run to resume, found no such directory; run without --resume")
    names = list_names(directory)
    if links := [name for name in names if (directory / name).is_symlink()]:
        raise ScenarioError(
            f"{directory / links[0]}: expected what a run has written, got a link, which leads elsewhere; remove it"
        )
    if not (resume and started) and not all(name.startswith(_BEFORE_THE_LEDGER) for name in names):
        what = "a run" if started else "other files and no ledger"
        raise ScenarioError(
            f"{directory}: expected an empty or new directory, found {what}; "
            f"choose another with --out{', remove it, or go on with --resume' if started else ''}"
        )


def prepare_directory(directory: Path, *, resume: bool) -> None:
    """Make a new run directory, or the one to resume ready; a run that was stopped before its ledger begins anew.

    Raises
    ------
    ScenarioError
        If it cannot be made.
    """
    parts = make_folder(directory) / PARTS
    if resume and parts.exists() and not parts.is_dir():
        parts.unlink()
    make_folder(parts)
    shutil.rmtree(directory / JOINED, ignore_errors=True)


def has_ledger(directory: Path) -> bool:
    """Whether a run in a directory has begun; what it left before is not needed to begin it again."""
    return (directory / "ledger.sqlite").exists()


@contextmanager
def replace_when_whole(path: Path) -> Iterator[Path]:
    """A temporary name to write to; the file gets its own once it is written.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    if not path.name or path.is_dir():
        raise ScenarioError(f"{path}: expected a file to write, got a folder; add a file name")
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.unlink(missing_ok=True)  # it may be a link by which a stranger's folder leads out of it
        try:
            yield temporary
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        os.replace(temporary, path)
        if path.parent.name != PARTS:
            logger.info("wrote %s", path)
    except (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as reason:
        raise ScenarioError(
            f"{path}: expected a file that can be written, got {reason.strerror}; choose another place"
        ) from reason
    except OSError as reason:
        raise ScenarioError(
            f"{path}: expected a file that can be written, got {reason.strerror}; make room or mend the disk; a run "
            "that was cut off goes on with --resume"
        ) from reason


def write_whole(path: Path, content: str) -> None:
    """Write a text file under a temporary name, then rename it.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    with replace_when_whole(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file as a whole."""
    write_whole(path, json.dumps(content, indent=2, sort_keys=False) + "\n")


def write_table(directory: Path, name: str, table: pa.Table) -> None:
    """Write a table of a run that is not made in parts."""
    with replace_when_whole(directory / file_name(name)) as temporary:
        if name in AS_CSV:
            pa_csv.write_csv(mark_table(table), temporary)
        else:
            pq.write_table(table, temporary, **make_parquet_options(table.schema))


def make_parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Options of the Parquet writer: dictionaries only for names and times, which repeat.

    Numbers hardly repeat; a dictionary of them takes longer to make and the file is larger. The bytes of floats are
    split by their place (`BYTE_STREAM_SPLIT`): the first ones, sign and exponent, do repeat.
    """
    floats = {field.name for field in schema if pa.types.is_floating(field.type)}
    numbers = floats | {field.name for field in schema if pa.types.is_integer(field.type)}
    return {
        "compression": "zstd",
        "use_dictionary": [name for name in schema.names if name not in numbers],
        "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        "write_batch_size": 2**16,  # values encoded at a time
    }


def file_name(name: str) -> str:
    """Name of a table's final file."""
    return f"{name}.{'csv' if name in AS_CSV else 'parquet'}"


def read_table(directory: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A table of a finished run, or some columns of it.

    Raises
    ------
    ScenarioError
        If the directory holds no such table.
    """
    path = _find_table(directory, name)
    with _report_damage(path):
        if name not in AS_CSV:
            return pq.read_table(path, columns=None if columns is None else list(columns))
        table = unmark_table(pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=TYPES)))
        return table if columns is None else table.select(columns)


def read_in_parts(directory: Path, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a Parquet table of a finished run, as many rows at a time as were written together.

    Raises
    ------
    ScenarioError
        If the directory holds no such table.
    """
    path = _find_table(directory, name)
    with _report_damage(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            found = file.read_row_group(group, columns=list(columns))
            yield found.select(list(columns))


def _find_table(directory: Path, name: str) -> Path:
    path = directory / file_name(name)
    if not path.is_file():
        what = "something else in its place" if path.exists() else "none"
        raise ScenarioError(f"{directory}: expected a finished run with {path.name}, found {what}")
    return path


@contextmanager
def _report_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as reason:
        what = " ".join(str(reason).split())[:200]
        raise ScenarioError(
            f"{path}: expected a table as the run wrote it, got a damaged one ({what}); go on with: gridsettle run … "
            "--resume, which makes it again"
        ) from reason
