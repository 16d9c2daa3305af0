"""The files of a run: parts while it runs, whole tables at the end. No half-written file ever has its final name."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from cosim.errors import ScenarioError
from cosim.results.columns import TYPES
from cosim.results.folders import list_names, make_folder
from market.cores import count_usable_cores
from market.ledger.durable import sync_folder

logger = logging.getLogger(__name__)

AS_CSV = ("violations", "curtailment", "registrations", "battery_wear")
"""Short tables that people read: CSV instead of Parquet."""

AT_ONCE = 2
"""Tables written at the same time: pyarrow releases the GIL while it encodes."""

PARTS, JOINED = ".parts", ".parts.joined"
_BEFORE_THE_LEDGER = (PARTS, "ledger.lock", ".ledger.sqlite.partial")
"""Beginnings of the names of all files that a run leaves if it is killed before it has a ledger; none is needed."""


def prepare_directory(directory: Path, *, resume: bool) -> Path:
    """Make a new run directory, or find the one to resume.

    Raises
    ------
    ScenarioError
        If a new run would overwrite an old one, or there is nothing to resume.
    """
    started = (directory / "ledger.sqlite").exists()
    if resume and not started:
        raise ScenarioError(f"{directory}: expected a run to resume, found no ledger.sqlite; run without --resume")
    if not resume and not all(name.startswith(_BEFORE_THE_LEDGER) for name in list_names(directory)):
        what = "a run" if started else "other files"
        raise ScenarioError(
            f"{directory}: expected an empty or new directory, found {what}; "
            "choose another with --out, remove it, or go on with --resume"
        )
    make_folder(make_folder(directory) / PARTS)
    shutil.rmtree(directory / JOINED, ignore_errors=True)
    return directory


@contextmanager
def _replace_when_whole(path: Path) -> Iterator[Path]:
    """A temporary name to write to; the file gets its own once it is written."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
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
    with _replace_when_whole(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file as a whole."""
    write_whole(path, json.dumps(content, indent=2, sort_keys=False) + "\n")


def write_parts(directory: Path, first: int, stop: int, tables: Mapping[str, pa.Table]) -> None:
    """Write the tables of intervals first … stop-1 as parts, durable when it returns: the ledger is written after them.

    Parts are Arrow files, which are quick to write and to read; Parquet is encoded once, at the end.

    Raises
    ------
    ScenarioError
        If they cannot be written, or earlier parts have other columns: a run of another version.
    """
    for name, table in tables.items():
        for earlier in list_parts(directory, name)[:1]:
            _check_columns(earlier, table.schema)
    parts = [directory / PARTS / f"{name}-{first:09d}-{stop:09d}.arrow" for name in tables]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_write_part, parts, tables.values()))
    sync_folder(directory / PARTS)


def _check_columns(part: Path, schema: pa.Schema) -> None:
    with pa_ipc.open_file(part) as reader:
        if reader.schema != schema:
            raise ScenarioError(
                f"{part}: expected the columns that this version writes, got those of another; resume the run with "
                "the version that began it, or begin anew in another directory"
            )


def _write_part(part: Path, table: pa.Table) -> None:
    options = pa_ipc.IpcWriteOptions(compression="lz4")
    with _replace_when_whole(part) as temporary, temporary.open("wb") as file:
        with pa_ipc.new_file(file, table.schema, options=options) as writer:
            writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())


def list_parts(directory: Path, name: str) -> list[Path]:
    """Paths of the parts of a table in the order of their intervals."""
    return sorted((directory / PARTS).glob(f"{name}-*-*.arrow"))


def has_parts(directory: Path) -> bool:
    """Whether a run is not finished: its parts are removed last."""
    return any((directory / PARTS).iterdir())


def read_parts(directory: Path, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a table of a run that is not finished, part by part."""
    for path in list_parts(directory, name):
        with pa_ipc.open_file(path) as reader:
            wanted = [reader.schema.get_field_index(column) for column in columns]
        with pa_ipc.open_file(path, options=pa_ipc.IpcReadOptions(included_fields=wanted)) as reader:
            yield reader.read_all().select(columns)


def _read_part(path: Path) -> pa.Table:
    with pa_ipc.open_file(path) as reader:
        return reader.read_all()


def discard_parts_after(directory: Path, stop: int) -> None:
    """Remove parts that the ledger does not know of: those that end after interval `stop`."""
    for part in (directory / PARTS).iterdir():
        if part.suffix == ".partial" or int(part.stem.rsplit("-", 1)[1]) > stop:
            part.unlink()


@contextmanager
def join_parts(directory: Path, names: Iterable[str]) -> Iterator[None]:
    """Join each table's parts into its final file while the context lasts; on one core, at its end.

    Raises
    ------
    ScenarioError
        At its end, if a file cannot be written.
    """
    join = partial(_join, directory)
    if count_usable_cores() == 1:
        # One after the other: taking turns, both would evict each other's data from the cache.
        yield
        for name in names:
            join(name)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        joined = pool.map(join, names)
        yield
        list(joined)


def remove_parts(directory: Path) -> None:
    """Remove the parts of a finished run, all at once or none: a killed run must not be resumed with some of them."""
    os.replace(directory / PARTS, directory / JOINED)
    shutil.rmtree(directory / JOINED)


def _join(directory: Path, name: str) -> None:
    """Final file of a table's parts."""
    parts = list_parts(directory, name)
    if name in AS_CSV:
        write_table(directory, name, pa.concat_tables(map(_read_part, parts)))
        return
    schema = _read_part(parts[0]).schema
    with (
        _replace_when_whole(directory / file_name(name)) as temporary,
        pq.ParquetWriter(temporary, schema, **make_parquet_options(schema)) as writer,
    ):
        for part in parts:
            writer.write_table(_read_part(part))


def write_table(directory: Path, name: str, table: pa.Table) -> None:
    """Write a table of a run that is not made in parts."""
    with _replace_when_whole(directory / file_name(name)) as temporary:
        if name in AS_CSV:
            pa_csv.write_csv(table, temporary)
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
    if name not in AS_CSV:
        return pq.read_table(path, columns=None if columns is None else list(columns))
    table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=TYPES))
    return table if columns is None else table.select(columns)


def read_in_parts(directory: Path, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a Parquet table of a finished run, as many rows at a time as were written together.

    Raises
    ------
    ScenarioError
        If the directory holds no such table.
    """
    with pq.ParquetFile(_find_table(directory, name)) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=list(columns))


def _find_table(directory: Path, name: str) -> Path:
    path = directory / file_name(name)
    if not path.exists():
        raise ScenarioError(f"{directory}: expected a finished run with {path.name}, found none")
    return path
