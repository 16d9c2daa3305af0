"""The index of a portfolio: a table with a row a feeder, or a folder with a file a feeder.

What is wrong with the index as a whole is refused: columns that nobody knows, names that are not unique or cannot be
those of folders. What is wrong with one feeder is an entry that says so.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.case.idle_keys import without_idle_keys
from cosim.errors import ScenarioError
from cosim.portfolio.entry import Entry, make_entry, refuse_entry
from cosim.results.folders import list_names
from cosim.scenario.base import Section, takes_number
from cosim.scenario.files import list_paths, load_scenario
from cosim.scenario.messages import shorten
from cosim.scenario.model import Scenario
from data.errors import DataError
from data.files import read_table
from market.errors import MarketError
from market.mechanisms import find_mechanism

MOST_FEEDERS = 50_000
MOST_INDEX_BYTES = 64 * 2**20
NAME = re.compile(r"\w(?:[\w .,()+&#-]{0,98}[\w)])?")
LONGEST_NAME_BYTES = 200
"""In UTF-8: file systems take 255 for the name of a file, and `.NAME.checkpoint.partial` is one."""
NUMBER = re.compile(r"[+-]?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
FILES = {"network": "network.file", "participants": "network.participants", "profiles": "profiles.file"}
"""Columns that name a file, and the key that they stand for."""
PATH_KEYS = (
    *(*FILES.values(), "network.head_file", "houses.table"),
    *("pv.weather_file", "heat_pump.temperature_file"),
)
"""Keys whose value is the path of a file."""
OWN = ("feeder", "scenario", *FILES, "seed", "mv_bus")
SCENARIO, NETWORK, PARTICIPANTS, PROFILES = ".toml", ".json", "-participants.csv", "-profiles.csv"
"""Ends of the names of files in a folder: of a scenario, of a network, and of what lies beside a network."""


class Place(NamedTuple):
    """Where the files of an index are: its folder, and the scenario that a feeder without one of its own has."""

    folder: Path
    base: Scenario


def read_index(path: Path, base: Scenario) -> list[Entry]:
    """Feeders of an index, by name.

    Parameters
    ----------
    path
        CSV or Parquet with a column `feeder`, or a folder with networks and scenarios.
    base
        Scenario of feeders that have none of their own; what a row says goes before.

    Raises
    ------
    ScenarioError
        If the index cannot be used as a whole.
    """
    if "\0" in str(path):
        raise ScenarioError("index: expected a path, got one with a zero character; correct it")
    entries = _read_folder(Place(path, base)) if path.is_dir() else _read_rows(path, base)
    return sort_entries(entries, str(path))


def sort_entries(entries: Iterable[Entry], where: str) -> list[Entry]:
    """Entries by name, each once, upper and lower case taken as one.

    Raises
    ------
    ScenarioError
        If there are none, too many, or two have one name.
    """
    found = sorted(entries, key=lambda entry: entry.name)
    if not found:
        raise ScenarioError(f"{where}: expected at least one feeder, got none; add a row or a file")
    if len(found) > MOST_FEEDERS:
        raise ScenarioError(f"{where}: expected at most {MOST_FEEDERS:,} feeders, got {len(found):,}; split the index")
    seen: dict[str, str] = {}
    for entry in found:
        key = entry.name.casefold()
        if key in seen:
            raise ScenarioError(
                f"{where}, column 'feeder': expected each name once, upper and lower case taken as one, got "
                f"'{seen[key]}' and '{entry.name}'; rename one"
            )
        seen[key] = entry.name
    return found


def check_name(name: object, where: str) -> str:
    """The name of a feeder, if it can be that of a folder everywhere.

    Raises
    ------
    ScenarioError
        If it cannot.
    """
    text = "" if name is None or name is pd.NA or name != name else str(name)
    if NAME.fullmatch(text) and text.isprintable() and not text.endswith(".checkpoint"):
        if (length := len(text.encode())) <= LONGEST_NAME_BYTES:
            return text
        raise ScenarioError(
            f"{where}: expected a name of at most {LONGEST_NAME_BYTES} bytes in UTF-8, got {length}: "
            f"{shorten(repr(text), 80)}; shorten it"
        )
    got = shorten(repr(text), 80) if text else "nothing"
    raise ScenarioError(
        f"{where}: expected a name of up to 100 letters, digits, blanks and . , ( ) + & # - _ that begins with a "
        f"letter or digit and ends with one, _ or ), got {got}; rename the feeder"
    )


def _read_rows(path: Path, base: Scenario) -> Iterator[Entry]:
    """Entries of a table."""
    try:
        if path.is_file() and path.stat().st_size > MOST_INDEX_BYTES:
            raise ScenarioError(
                f"{path}: expected at most {MOST_INDEX_BYTES:,} bytes, got {path.stat().st_size:,}; split the index"
            )
        table = read_table(path, what="an index with a row a feeder, or a folder")
    except DataError as reason:
        raise ScenarioError(str(reason)) from reason
    frame = table.frame
    columns = [str(name) for name in frame.columns]
    if len(frame) > MOST_FEEDERS:
        raise ScenarioError(f"{path}: expected at most {MOST_FEEDERS:,} feeders, got {len(frame):,}; split the index")
    _check_columns(columns, str(path))
    place = Place(path.parent, base)
    for number, values in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
        plain = zip(columns, map(_make_plain, values), strict=True)
        cells = {name: value for name, value in plain if not _is_empty(value)}
        name = check_name(cells.pop("feeder", None), f"{path}, column 'feeder', row {number}")
        yield _make_of_row(name, cells, place)


def _check_columns(columns: list[str], where: str) -> None:
    known = [*OWN, *_list_keys()]
    for name in columns:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"; did you mean '{near[0]}'?"
                if near
                else f"; known are {', '.join(OWN)} and keys like limits.max_vm_pu"
            )
            raise ScenarioError(
                f"{where}, column '{shorten(name, 80)}': expected a column of an index or a key of a scenario, got "
                f"another{hint}"
            )
    for name, key in FILES.items():
        if name in columns and key in columns:
            raise ScenarioError(f"{where}, column '{key}': expected it once, got '{name}' too; remove one")
    if "feeder" not in columns:
        raise ScenarioError(f"{where}: expected a column 'feeder', got {', '.join(columns[:8])}; add it")


def _list_keys() -> list[str]:
    """Keys of a scenario as columns: `section.key`. Keys of owners stay where they are."""
    return [
        f"{section}.{key}"
        for section, field in Scenario.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section) and section != "ledger"
        for key in field.annotation.model_fields
    ]


def _make_plain(value: Any) -> Any:
    """A cell as Python has it: Parquet has numbers and lists of numpy's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _is_empty(value: object) -> bool:
    return value is None or value is pd.NA or value != value or (isinstance(value, str) and not value.strip())


def _make_of_row(name: str, cells: Mapping[str, Any], place: Place) -> Entry:
    """Entry of a row's cells; one that says what is wrong with them."""
    try:
        return _make_with_cells(name, cells, place)
    except (ScenarioError, OSError) as reason:
        return refuse_entry(name, reason)


def _make_with_cells(name: str, cells: Mapping[str, Any], place: Place) -> Entry:
    given = dict(cells)
    shown: dict[Path, str] = {}
    scenario, mv_bus = place.base, _read_bus(given.pop("mv_bus", ""))
    if "scenario" in given:
        scenario, shown = _load_own(place.folder, str(given.pop("scenario")))
    where = f"feeder '{name}'"
    files = _read_files(given, place.folder, shown)
    if files:
        scenario = with_sources(scenario, where, **files)
    changes = _read_changes(given, place.folder, shown)
    scenario = scenario.with_changes(where, **changes) if changes else scenario
    drawn = "network" in given and _has_no_table(scenario)
    return make_entry(name, scenario, shown, houses_at_loads=drawn, mv_bus=mv_bus)


def _read_bus(cell: Any) -> str:
    """Index or name of a bus; a column of numbers with gaps holds an index as 3.0.

    Examples
    --------
    >>> _read_bus(3.0), _read_bus(" Bus 3 ")
    ('3', 'Bus 3')
    """
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def with_sources(scenario: Scenario, where: str, /, **changes: dict[str, Any]) -> Scenario:
    """A scenario with another network or other profiles, without the keys that only the ones before needed.

    Raises
    ------
    ScenarioError
        If a value is not as expected.
    """
    changed = scenario.with_changes(where, **changes)
    try:
        mechanism = find_mechanism(changed.market.mechanism)
    except MarketError as reason:
        raise ScenarioError(f"{where}: {reason}") from reason
    return without_idle_keys(changed, mechanism)


def _read_files(given: Mapping[str, Any], folder: Path, shown: dict[Path, str]) -> dict[str, dict[str, Any]]:
    """Changes by the columns that name a network, its participants and profiles; `shown` learns their paths."""
    changes: dict[str, dict[str, Any]] = {}
    for column, source in (("network", "file"), ("participants", ""), ("profiles", "table")):
        if column in given:
            section, _, key = FILES[column].partition(".")
            path = resolve_inside(folder, str(given[column]), column)
            shown[path] = str(given[column])
            changes.setdefault(section, {})[key] = path
            if source:
                changes[section]["source"] = source
    return changes


def _read_changes(given: Mapping[str, Any], folder: Path, shown: dict[Path, str]) -> dict[str, Any]:
    """Changes by the columns that are keys of a scenario."""
    changes: dict[str, Any] = {}
    for key, value in given.items():
        section, point, inner = key.partition(".")
        if key in FILES:
            continue
        if key in PATH_KEYS:
            path = resolve_inside(folder, str(value), key)
            shown[path] = str(value)
            value = path
        elif isinstance(value, str):
            value = _read_cell(value, key)
        if point:
            changes.setdefault(section, {})[inner] = value
        else:
            changes[key] = value
    return changes


def _has_no_table(scenario: Scenario) -> bool:
    """Whether nobody says where houses are in a network from a file, and they can be drawn."""
    placed = scenario.participants or scenario.network.participants is not None or scenario.houses.table is not None
    return not placed and scenario.network.source == "file" and scenario.profiles.source != "table"


def _read_cell(text: str, key: str) -> Any:
    """A number, list or table as in a scenario file; other words as they are, since each key reads its own."""
    if NUMBER.fullmatch(text.strip()) and takes_number(_find_annotation(key)):
        return float(text)
    if text.lstrip()[:1] not in ("[", "{"):
        return text.strip()
    try:
        return tomllib.loads(f"cell = {text.strip()}")["cell"]
    except (ValueError, RecursionError) as reason:
        raise ScenarioError(
            f"{key}: expected a list or table as in TOML, got {shorten(reason)}; correct the cell"
        ) from reason


def _find_annotation(key: str) -> Any:
    """Type of a key; `section.key`, or a key of the scenario itself."""
    section, point, inner = key.partition(".")
    annotation = Scenario.model_fields[section].annotation
    return annotation.model_fields[inner].annotation if point and annotation is not None else annotation


def _load_own(folder: Path, text: str) -> tuple[Scenario, dict[Path, str]]:
    """A feeder's own scenario, whose files are in the folder of the index too, and what they are called."""
    path = resolve_inside(folder, text, "scenario")
    if path.suffix != ".toml":
        raise ScenarioError(f"scenario: expected a TOML file, got '{shorten(text, 80)}'; name one")
    try:
        scenario = load_scenario(path)
    except ScenarioError as reason:
        raise ScenarioError(str(reason).replace(str(path), text)) from reason
    inside = not Path(text).is_absolute()
    shown = {}
    for key, found in list_paths(scenario).items():
        if inside:
            _check_inside(folder, found, key, str(found))
        shown[found] = f"{key} of {text}, {found.name}"
    return scenario, shown


def resolve_inside(folder: Path, text: str, key: str) -> Path:
    """Path that a cell names, from the folder of the index; only an absolute one may leave it.

    Raises
    ------
    ScenarioError
        If it leaves the folder, by itself or by a link, or is none.
    """
    if "\0" in text or len(text) > 4096:
        raise ScenarioError(f"{key}: expected a path, got '{shorten(text, 80)}'; correct it")
    if Path(text).is_absolute():
        return Path(text)
    path = (folder / text).absolute()
    _check_inside(folder, path, key, text)
    return path


def _check_inside(folder: Path, path: Path, key: str, text: str) -> None:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ScenarioError(
            f"{key}: expected a file in the folder of the index, got '{shorten(text, 80)}', which leads out of it; put "
            "it there, or write its path from the root"
        )


def _read_folder(place: Place) -> Iterator[Entry]:
    """Entries of a folder: a scenario each, and each network that none of them reads or is named like.

    Tables of participants and profiles lie beside networks. What begins with a point is left out.
    """
    names = [name for name in list_names(place.folder) if not name.startswith(".")]
    scenarios = [name for name in names if name.endswith(SCENARIO)]
    networks = [name for name in names if name.endswith(NETWORK)]
    feeders = {name: check_name(Path(name).stem, str(place.folder / name)) for name in (*scenarios, *networks)}
    taken = {feeders[name] for name in scenarios}
    for name in scenarios:
        entry = _make_of_row(feeders[name], {"scenario": name}, place)
        taken |= {source.path.stem for source in entry.sources if source.key == FILES["network"]}
        yield entry
    for name in networks:
        if feeders[name] not in taken:
            beside = {"participants": feeders[name] + PARTICIPANTS, "profiles": feeders[name] + PROFILES}
            there = {column: other for column, other in beside.items() if other in names}
            yield _make_of_row(feeders[name], {"network": name, **there}, place)
