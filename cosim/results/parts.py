"""Parts of tables: what a run writes while it goes on, group by group of intervals, and joins at its end.

A group's tables are written first, then its seal: a small file that says whose they are and what each must hash to.
Only then are the group's blocks written to the ledger. So there are parts of what the ledger holds, and whether they
are still what was written can be told before a resumed run goes on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from cosim.errors import ScenarioError
from cosim.results.directory import (
    AS_CSV,
    JOINED,
    PARTS,
    file_name,
    make_parquet_options,
    replace_when_whole,
    write_table,
)
from cosim.results.folders import make_folder
from market.cores import count_usable_cores
from market.ledger.durable import sync_folder

AT_ONCE = 2
"""Tables written at the same time: pyarrow releases the GIL while it encodes."""

DAMAGED = ".parts.damaged"
"""Where parts go that cannot be used, until the run is finished without them."""

LONGEST_SEAL = 1 << 16


class Seal(NamedTuple):
    """What is to be known of a group's parts: intervals first … stop-1, whose they are, and each table's SHA-256."""

    first: int
    stop: int
    run: str
    sha256: dict[str, str]


def write_parts(directory: Path, first: int, stop: int, tables: Mapping[str, pa.Table], run: str) -> None:
    """Write the tables of intervals first … stop-1 as parts, durable when it returns: the ledger is written after them.

    Parts are Arrow files, which are quick to write and to read; Parquet is encoded once, at the end.

    Parameters
    ----------
    directory
        Run directory.
    first, stop, tables
        Intervals, and their tables by name.
    run
        What tells this run, and the version that writes its tables, apart from others.

    Raises
    ------
    ScenarioError
        If they cannot be written.
    """
    parts = [_find_part(directory, name, first, stop) for name in tables]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        hashes = list(pool.map(_write_part, parts, tables.values()))
    seal = Seal(first, stop, run, dict(zip(tables, hashes, strict=True)))
    _write_seal(directory / PARTS / f"{first:09d}-{stop:09d}.json", seal)
    sync_folder(directory / PARTS)


def _find_part(directory: Path, name: str, first: int, stop: int) -> Path:
    return directory / PARTS / f"{name}-{first:09d}-{stop:09d}.arrow"


def _write_part(part: Path, table: pa.Table) -> str:
    """Write one part; returns its SHA-256 in hexadecimal."""
    options = pa_ipc.IpcWriteOptions(compression="lz4")
    with replace_when_whole(part) as temporary, temporary.open("w+b") as file:
        with pa_ipc.new_file(file, table.schema, options=options) as writer:
            writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return file_digest(file, "sha256").hexdigest()


def _write_seal(path: Path, seal: Seal) -> None:
    with replace_when_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(seal._asdict(), file)
        file.flush()
        os.fsync(file.fileno())


def find_damage(directory: Path, names: Iterable[str], stop: int, run: str) -> str | None:
    """What is wrong with the parts of intervals 0 … stop-1, in words; None if all are there and as they were written.

    Everything else in the folder is removed: what a run wrote before it was stopped and the ledger does not know of.

    Parameters
    ----------
    directory
        Run directory.
    names
        Tables that each group must have.
    stop
        Number of intervals that the ledger holds.
    run
        As for `write_parts`.
    """
    expected, at, seals = sorted(names), 0, _read_seals(directory)
    used: set[Path] = set()
    while at < stop:
        found = [(path, seal) for path, seal in seals if seal.first == at and at < seal.stop <= stop]
        if not found:
            return f"expected parts of the tables from interval {at} on, found none that are whole"
        path, seal = found[-1]
        if seal.run != run:
            return f"{path}: expected parts of this run and version, found those of another"
        if sorted(seal.sha256) != expected:
            return f"{path}: expected the tables {', '.join(expected)}, found {', '.join(sorted(seal.sha256))}"
        parts = {name: _find_part(directory, name, seal.first, seal.stop) for name in expected}
        for name, part in parts.items():
            if damage := _check_part(part, seal.sha256[name]):
                return f"{part}: expected the part as it was written, {damage}"
        used |= {path, *parts.values()}
        at = seal.stop
    for path in (directory / PARTS).iterdir():
        if path not in used:
            _remove(path)
    return None


def _read_seals(directory: Path) -> list[tuple[Path, Seal]]:
    """Seals that can be read, with their paths, in the order of their intervals."""
    found = []
    for path in sorted((directory / PARTS).glob("*.json")):
        try:
            if path.is_file() and path.stat().st_size <= LONGEST_SEAL:
                seal = Seal(**json.loads(path.read_bytes()))
                first, stop, hashes = int(seal.first), int(seal.stop), dict(seal.sha256)
                found.append((path, Seal(first, stop, str(seal.run), hashes)))
        except (OSError, ValueError, TypeError, RecursionError):
            continue  # as if it were not there
    return found


def _check_part(part: Path, sha256: object) -> str:
    try:
        if not part.is_file():
            return "found a folder, pipe or device" if part.exists() else "found none"
        with part.open("rb") as file:
            return "" if file_digest(file, "sha256").hexdigest() == sha256 else "found another content"
    except OSError as reason:
        return f"it cannot be read ({reason.strerror})"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def set_parts_aside(directory: Path) -> None:
    """Make room for new parts. The old ones are kept until the run is finished, in the folder `DAMAGED`."""
    if (directory / DAMAGED).exists():
        shutil.rmtree(directory / PARTS)  # of an earlier attempt to make them again
    else:
        os.replace(directory / PARTS, directory / DAMAGED)
    make_folder(directory / PARTS)


def list_parts(directory: Path, name: str) -> list[Path]:
    """Paths of the parts of a table in the order of their intervals."""
    return sorted((directory / PARTS).glob(f"{name}-*-*.arrow"))


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


@contextmanager
def join_parts(directory: Path, names: Iterable[str]) -> Iterator[None]:
    """Join each table's parts into its final file while the context lasts; on one core, at its end.

    Raises
    ------
    ScenarioError
        If a part cannot be read, or a file cannot be written.
    """
    join = partial(_join, directory)
    try:
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
    except (pa.ArrowInvalid, OSError) as reason:
        raise ScenarioError(
            f"{directory / PARTS}: expected the parts that the run wrote, got damaged ones ({reason}); go on with "
            "--resume, which makes them again"
        ) from reason


def remove_parts(directory: Path) -> None:
    """Remove the parts of a finished run, all at once or none: a killed run must not be resumed with some of them."""
    os.replace(directory / PARTS, directory / JOINED)
    shutil.rmtree(directory / JOINED)
    shutil.rmtree(directory / DAMAGED, ignore_errors=True)


def _join(directory: Path, name: str) -> None:
    """Final file of a table's parts."""
    parts = list_parts(directory, name)
    if name in AS_CSV:
        write_table(directory, name, pa.concat_tables(map(_read_part, parts)))
        return
    schema = _read_part(parts[0]).schema
    with (
        replace_when_whole(directory / file_name(name)) as temporary,
        pq.ParquetWriter(temporary, schema, **make_parquet_options(schema)) as writer,
    ):
        for part in parts:
            writer.write_table(_read_part(part))
