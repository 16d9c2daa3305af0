"""What a folder holds a portfolio of: versions, options, and a digest of everything each feeder follows from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cosim.errors import ScenarioError
from cosim.portfolio.entry import Entry, digest_entry, read_source, refuse_entry
from cosim.portfolio.folders import check_folders
from cosim.portfolio.medium_voltage.results import BESIDE
from cosim.results.folders import list_names
from cosim.results.integrity import read_json
from cosim.simulation.version import find_version

INDEX = "index.json"
LOCK = "portfolio.lock"
LIBRARIES = ("gridsettle", "pandapower", "numpy", "scipy", "numba")
_BEFORE = (LOCK, f"{LOCK}-journal", f".{INDEX}.partial", *BESIDE)
"""Files that are left where a command is killed before it has written what the portfolio is of."""


class Identity(NamedTuple):
    """What a portfolio is of.

    Attributes
    ----------
    entries
        Feeders by name; refused where a file could not be read.
    hashes
        SHA-256 of the files of each feeder by their keys, by the name of the feeder.
    digests
        What tells the row of each feeder apart, by its name.
    options
        Versions, and what was asked for.
    """

    entries: list[Entry]
    hashes: dict[str, dict[str, str]]
    digests: dict[str, str]
    options: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, as `INDEX` has it."""
        return {**self.options, "feeders": self.digests}

    def digest(self) -> bytes:
        """What tells the portfolio apart, 32 bytes."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).digest()


def hash_content(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def make_identity(entries: Sequence[Entry], *, hosting: bool, mv: str = "") -> Identity:
    """Read every file once, and digest what each feeder follows from; `mv` is the digest of a medium-voltage net."""
    options = {"versions": {name: find_version(name) for name in LIBRARIES}, "hosting": hosting}
    options |= {"mv": mv} if mv else {}
    known: dict[Path, str] = {}
    found = Identity([], {}, {}, options)
    for entry in entries:
        checked, hashes = _hash_sources(entry, known)
        found.entries.append(checked)
        found.hashes[entry.name] = hashes
        found.digests[entry.name] = digest_entry(checked, hashes, options)
    return found


def _hash_sources(entry: Entry, known: dict[Path, str]) -> tuple[Entry, dict[str, str]]:
    """The entry and the hashes of its files; a refused one if a file cannot be read. Files often serve many feeders."""
    for source in entry.sources:
        try:
            if source.path not in known:
                known[source.path] = hash_content(read_source(source))
        except ScenarioError as reason:
            return refuse_entry(entry.name, reason), {}
    return entry, {source.key: known[source.path] for source in entry.sources}


def check_begun(directory: Path, identity: Identity, *, resume: bool) -> bool:
    """Whether a folder holds a portfolio that has begun; it is the one of an identity then.

    Raises
    ------
    ScenarioError
        If the folder holds anything else, or another portfolio, or there is nothing to resume.
    """
    if not has_begun(directory, resume=resume):
        return False
    _check_same(directory, read_json(directory / INDEX), identity.as_dict())
    return True


def has_begun(directory: Path, *, resume: bool) -> bool:
    """Whether a folder holds a portfolio that is to be resumed.

    Raises
    ------
    ScenarioError
        If the folder holds anything else, a link in place of a folder, or there is nothing to resume.
    """
    check_folders(directory)
    names = [name for name in list_names(directory) if name not in _BEFORE]
    if resume and not directory.exists():
        raise ScenarioError(f"{directory}: expected a portfolio to resume, found no such folder; run without --resume")
    if not names:
        return False
    if INDEX not in names:
        raise ScenarioError(f"{directory}: expected a new or empty folder, found {names[0]}; choose another with --out")
    if not resume:
        raise ScenarioError(
            f"{directory}: expected a new or empty folder, found a portfolio; go on with --resume, or choose another "
            "with --out"
        )
    return True


def _check_same(directory: Path, found: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Raise `ScenarioError` at the first thing that is another than when the portfolio was begun."""
    for name, version in identity["versions"].items():
        before = _get(found, "versions", name)
        if before != version:
            raise _other(directory, f"{name} {before}", version, f"install {name} {before}")
    if found.get("hosting") != identity["hosting"]:
        before = "with" if found.get("hosting") else "without"
        raise _other(directory, f"a portfolio {before} --hosting", "another", f"run {before} it")
    if found.get("mv") != identity.get("mv"):
        before = "the medium-voltage net and buses of its feeders" if found.get("mv") else "no medium-voltage net"
        got = "others" if found.get("mv") and identity.get("mv") else "the contrary"
        remedy = "give --mv and mv_bus as they were" if found.get("mv") else "leave --mv out"
        raise _other(directory, before, got, remedy)
    feeders = found.get("feeders")
    if not isinstance(feeders, dict):
        raise ScenarioError(f"{directory / INDEX}: expected what a portfolio wrote, got another; choose another --out")
    wanted = identity["feeders"]
    if strange := sorted(set(feeders) ^ set(wanted)):
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        what = "in the index" if strange[0] in feeders else "not in the index"
        raise _other(directory, f"feeder '{strange[0]}' {what}", f"the contrary{more}", "give the index of its begin")
    for name, digest in wanted.items():
        if feeders[name] != digest:
            raise _other(directory, f"feeder '{name}' as it was", "another", "give the scenario and files of its begin")


def _get(found: Mapping[str, Any], section: str, key: str) -> Any:
    inner = found.get(section)
    return inner.get(key) if isinstance(inner, dict) else None


def _other(directory: Path, expected: str, got: str, remedy: str) -> ScenarioError:
    return ScenarioError(
        f"{directory}, --resume: expected {expected}, as when the portfolio was begun, got {got}; {remedy}, or begin a "
        "new one with another --out"
    )
