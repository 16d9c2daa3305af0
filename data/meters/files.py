"""Files of meters: which there are, and in which layout each is, by what stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.errors import DataError
from data.files import PARQUET
from data.meters.layouts.day_rows import find_day_rows, parse_day_rows
from data.meters.layouts.dsmr import is_dsmr, parse_dsmr
from data.meters.layouts.enedis import is_enedis, parse_enedis
from data.meters.layouts.espi import is_xml, parse_espi
from data.meters.layouts.nem12 import is_nem, parse_nem12
from data.meters.layouts.table import parse_rows
from data.meters.readings import Parsed
from data.meters.told import Told
from data.raw_text import read_text

LARGEST_FILE_BYTES, LARGEST_SUM_BYTES = 200_000_000, 1_000_000_000
MOST_FILES = 20_000


def list_files(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Files, and those of folders in the order of their names; what is left out of folders is said.

    Raises
    ------
    DataError
        If there are none, one is there twice, or they are too many or too large.
    """
    found: list[Path] = []
    said: list[str] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        for each in sorted(path.iterdir()):
            if each.name.startswith(".") or each.is_symlink() or not each.is_file():
                said.append(f"{each.name!r} in {path} left out: hidden, a link or no file")
            else:
                found.append(each)
    if not found:
        raise DataError(f"{', '.join(map(str, paths)) or 'files'}: expected files of meters, got none; choose others")
    if len(found) > MOST_FILES:
        raise DataError(f"expected at most {MOST_FILES:,} files, got {len(found):,}; import them in parts")
    _check_sizes(found)
    return found, tuple(said[:20]) if len(said) <= 20 else (*said[:20], f"{len(said) - 20:,} more left out of folders")


def _check_sizes(found: Sequence[Path]) -> None:
    whole, seen = 0, set()
    for path in found:
        try:
            status = path.stat()
        except FileNotFoundError as reason:
            raise DataError(f"{path}: expected a file of meters, found none; check the path") from reason
        if path.resolve() in seen:
            raise DataError(f"{path}: expected each file once, got it twice; name it once")
        seen.add(path.resolve())
        whole += status.st_size
        if status.st_size > LARGEST_FILE_BYTES or whole > LARGEST_SUM_BYTES:
            raise DataError(
                f"{path}: expected files of at most {LARGEST_FILE_BYTES:,} bytes, "
                f"{LARGEST_SUM_BYTES:,} in all, got more; "
                "import them in parts"
            )


def read_meter_file(path: Path, told: Told) -> Parsed:
    """Readings of a file of any layout.

    Raises
    ------
    DataError
        If it cannot be read, or leaves something open that nobody says.
    """
    if path.suffix in PARQUET:
        raise DataError(f"{path}: expected text or XML, got a Parquet file; save it as CSV")
    text, said = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: expected readings, got an empty file; choose another")
    parsed = parse_meters(text, path.name, _stem(path), told)
    return parsed._replace(said=tuple(f"{path.name}: {each}" for each in (*said, *parsed.said)))


def _stem(path: Path) -> str:
    """A file's name without its endings: `house 1` of `house 1.csv.gz`."""
    name = path.name
    for ending in (".gz", ".bz2", ".xz", ".zip", ".csv", ".txt", ".xml", ".tsv", ".dat", ".log"):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name


def parse_meters(text: str, source: str, stem: str, told: Told) -> Parsed:
    """Readings of a text in any layout, which its begin tells; `stem` names the meter where the text names none."""
    if is_xml(text):
        return parse_espi(text, source, stem, told)
    if is_nem(text):
        return parse_nem12(text, source, told)
    if is_dsmr(text):
        return parse_dsmr(text, source, stem, told)
    if is_enedis(text):
        return parse_enedis(text, source, stem, told)
    if find_day_rows(text):
        return parse_day_rows(text, source, stem, told)
    return parse_rows(text, source, stem, told)
