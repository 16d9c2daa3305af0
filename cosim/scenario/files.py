"""Scenario files: bundled ones by name, the user's by path, and commented TOML with every default."""

from __future__ import annotations

import os
import stat
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from cosim.errors import ScenarioError
from cosim.scenario.base import Section
from cosim.scenario.messages import shorten, suggest
from cosim.scenario.model import Scenario
from cosim.scenario.participants import ParticipantSection

MAX_BYTES = 16 * 2**20

_PATHS = {
    "profiles": ("file",),
    "pv": ("weather_file",),
    "houses": ("table",),
    "network": ("file", "participants", "head_file"),
    "heat_pump": ("temperature_file",),
    "ledger": ("operator_key", "member_keys"),
}


def read_bundled() -> dict[str, str]:
    """Text of the scenarios shipped with the package, by name."""
    folder = resources.files("data.bundled")
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {name.removesuffix(".toml"): folder.joinpath(name).read_text(encoding="utf-8") for name in found}


def load_scenario(source: str | Path) -> Scenario:
    """Scenario from a TOML file, or a bundled one by its name.

    Relative paths inside the file are taken from the file's folder.

    Raises
    ------
    ScenarioError
        If there is no such file or name, it is not TOML, or a key or value is not as expected.
    """
    path = Path(source)
    if path.suffix != ".toml" and not path.is_file():
        bundled = read_bundled()
        if str(source) in bundled:
            return parse_scenario(bundled[str(source)], f"bundled scenario '{source}'")
        raise ScenarioError(
            f"scenario '{source}': expected a TOML file or one of {', '.join(bundled)}, found neither"
            f"{suggest(str(source), list(bundled))}"
        )
    return parse_scenario(read_regular_text(path, "a readable TOML file"), str(path), path.parent)


def read_regular_text(path: Path, what: str) -> str:
    """Text of a regular file of at most `MAX_BYTES`; a pipe or a device, which may never end, is refused at once.

    Raises
    ------
    ScenarioError
        If it is none, or cannot be read as UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ScenarioError(f"{path}: expected {what}, got a folder, device or pipe; choose a file")
            if found.st_size > MAX_BYTES:
                raise ScenarioError(
                    f"{path}: expected {what} of at most {MAX_BYTES:,} bytes, got {found.st_size:,}; choose another"
                )
            return file.read(MAX_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as reason:
        if isinstance(reason, ScenarioError):
            raise
        got = reason.strerror if isinstance(reason, OSError) else "bytes that are no text in UTF-8"
        raise ScenarioError(f"{path}: expected {what}, got: {got}; choose another") from reason


def parse_scenario(text: str, where: str, folder: Path | None = None) -> Scenario:
    """Scenario from TOML text; `where` names it in messages, `folder` is what its paths are relative to."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise ScenarioError(f"{where}: expected TOML, got {shorten(reason)}") from reason
    except (ValueError, RecursionError) as reason:
        what = "tables and lists nested too deeply" if isinstance(reason, RecursionError) else shorten(reason)
        raise ScenarioError(f"{where}: expected TOML of a scenario, got {what}") from reason
    scenario = Scenario(where, **content)
    return scenario if folder is None else _with_absolute_paths(scenario, folder)


def list_paths(scenario: Scenario) -> dict[str, Path]:
    """Files and folders that a scenario names, by key, such as `network.file`."""
    named = {
        (section, key): getattr(getattr(scenario, section), key) for section, keys in _PATHS.items() for key in keys
    }
    return {f"{section}.{key}": path for (section, key), path in named.items() if path is not None}


def _with_absolute_paths(scenario: Scenario, folder: Path) -> Scenario:
    changes: dict[str, Any] = {}
    for section, keys in _PATHS.items():
        table = getattr(scenario, section)
        given = {key: getattr(table, key) for key in keys if getattr(table, key) is not None}
        if given:
            changes[section] = {key: _make_absolute(folder, f"{section}.{key}", value) for key, value in given.items()}
    return scenario.with_changes(**changes) if changes else scenario


def _make_absolute(folder: Path, key: str, path: Path) -> Path:
    """Path from the root; links are left to whoever opens it."""
    if "\0" in str(path):
        raise ScenarioError(f"{key}: expected a path, got one with a zero character; correct it")
    return (folder / path).absolute()


def format_toml(scenario: Scenario) -> str:
    """Commented TOML with every key, its unit and its value; loads to the same scenario.

    Examples
    --------
    >>> parse_scenario(format_toml(Scenario()), "text") == Scenario()
    True
    """
    plain, tables = [], []
    for key, field in Scenario.model_fields.items():
        value = getattr(scenario, key)
        if isinstance(value, Section):
            tables.append(_format_section(value, f"[{key}]"))
        elif key == "participants":
            tables += [_format_row(row) for row in value]
        elif key == "events":
            tables += [_format_section(event, "[[events]]") for event in value]
        else:
            plain.append(_format_key(key, field, value))
    return "\n".join([*plain, *tables]) + "\n"


def _format_row(row: ParticipantSection) -> str:
    """TOML table of a participant: the keys that it has, since most of them are left out."""
    return "\n".join(["\n[[participants]]", *(f"{key} = {_format_value(value)}" for key, value in row.given().items())])


def _format_section(section: Section, header: str) -> str:
    """Header of a TOML table and its keys, below what it is for."""
    purpose = (type(section).__doc__ or "").strip().splitlines()[0]
    fields = type(section).model_fields.items()
    keys = [_format_key(key, field, getattr(section, key)) for key, field in fields]
    return "\n".join([f"\n# {purpose}", header, *keys])


def _format_key(key: str, field: FieldInfo, value: Any) -> str:
    comment = f"  # {field.description}" if field.description else ""
    if value is None:
        return f"# {key} = …{comment} (not set)"
    return f"{key} = {_format_value(value)}{comment}"


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Section):
        return _format_value(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_format_value(k)} = {_format_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_format_value(entry) for entry in value) + "]"
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
