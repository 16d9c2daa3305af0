"""What the files of a finished run hash to: a damaged, missing or foreign one is named before it is used.

`manifest.json` holds the hashes. They protect from accidents; whoever changes a file can change them too. What must not
be changed stands in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa

from cosim.errors import ScenarioError
from cosim.scenario.files import read_regular_text
from cosim.scenario.messages import shorten
from data.errors import DataError
from grid_models.errors import GridError
from market.errors import MarketError

MANIFEST, SUMMARY = "manifest.json", "summary.json"
AGAIN = "go on with: gridsettle run … --resume, which makes it again"

FILES = "files"
"""Key of the manifest with the SHA-256 of each file by its name."""

KIND_NAMES = {str: "text", dict: "an object", list: "a list"}
KINDS = {
    **dict.fromkeys(
        ("gridsettle", "python", "scenario_sha256", "profiles_sha256", "network_sha256", "power_flow"), str
    ),
    **dict.fromkeys(("libraries", "profiles", "limits", "ledger", FILES), dict),
    "network_notes": list,
}
"""Kinds of the manifest's values."""

OURS = (ScenarioError, DataError, GridError, MarketError)
OF_BAD_CONTENT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pa.ArrowException)
"""What code that expects a run's files meets in others."""


def read_json(path: Path) -> dict[str, Any]:
    """Content of one of a run's JSON files.

    Raises
    ------
    ScenarioError
        If it is no such file, or holds something else.
    """
    try:
        content = json.loads(read_regular_text(path, "a JSON file of a run"))
    except ScenarioError as reason:
        raise ScenarioError(f"{reason}, or {AGAIN}") from reason
    except (ValueError, RecursionError) as reason:
        raise ScenarioError(f"{path}: expected JSON, got {shorten(reason)}; {AGAIN}") from reason
    if not isinstance(content, dict):
        raise ScenarioError(f"{path}: expected a JSON object, got {type(content).__name__}; {AGAIN}")
    return content


def hash_files(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of some files of a directory, in hexadecimal, by their names."""
    return {name: _hash(directory / name) for name in sorted(names)}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def find_change(directory: Path, manifest: Mapping[str, Any]) -> str | None:
    """What differs between a directory and its manifest, in words; None where nothing does, or no hashes are kept."""
    for name, sha256 in _list_hashes(manifest).items():
        path = directory / Path(name).name
        if not path.is_file():
            return f"{path}: expected a file of the run, found {'no file' if path.exists() else 'none'}"
        try:
            if _hash(path) != sha256:
                return f"{path}: expected the file as the run wrote it (manifest.json), got another content"
        except OSError as reason:
            return f"{path}: expected a file that can be read, got {reason.strerror}"
    return None


def _list_hashes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return dict(manifest.get(FILES, {}))


def read_manifest(path: Path) -> dict[str, Any]:
    """Content of a run's manifest.

    Raises
    ------
    ScenarioError
        If it cannot be read, or a key has a value of another kind than a run writes.
    """
    content = read_json(path)
    for key, kind in KINDS.items():
        if not isinstance(content.get(key, kind()), kind):
            raise ScenarioError(f"{path}: expected '{key}' to be {KIND_NAMES[kind]}, got another value; {AGAIN}")
    return content


@contextmanager
def check_files(directory: Path | None, manifest: Mapping[str, Any]) -> Iterator[None]:
    """Check a run's files; where its manifest keeps no hashes, what fails meanwhile is taken for their fault.

    Raises
    ------
    ScenarioError
        If a file is not as the run wrote it.
    """
    if directory is None:
        yield
        return
    if change := find_change(directory, manifest):
        raise ScenarioError(f"{change}; {AGAIN}")
    if _list_hashes(manifest):
        yield
        return
    try:
        yield
    except OURS:
        raise
    except OF_BAD_CONTENT as reason:
        what = shorten(f"{type(reason).__name__}: {reason}")
        raise ScenarioError(
            f"{directory}: expected the files of a finished run, got others or damaged ones ({what}); {AGAIN}"
        ) from reason
