"""An entry of a portfolio: a feeder's name, its scenario and the files that it reads; what tells its run apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cosim.errors import ScenarioError
from cosim.scenario.files import list_paths
from cosim.scenario.messages import shorten
from cosim.scenario.model import Scenario
from market.errors import MarketError
from market.ledger.durable import read_bounded

MOST_BYTES = 256 * 2**20
"""Largest file that is sent to a worker."""
_KEYS_OF_OWNERS = ("operator_key", "member_keys")


class Source(NamedTuple):
    """A file that a scenario reads.

    Attributes
    ----------
    key
        Key of the scenario that names it, such as `network.file`.
    path
        Where it is.
    shown
        What it is called in messages: the path as it was given.
    """

    key: str
    path: Path
    shown: str


class Entry(NamedTuple):
    """A feeder as the index gives it.

    Attributes
    ----------
    name
        Unique.
    scenario
        Its scenario; None where it was refused.
    sources
        Files that the scenario reads.
    houses_at_loads
        Whether it has as many houses as its network has buses with loads, one at each.
    refused
        Why it cannot be run; empty where it can.
    mv_bus
        Index or name of the bus of a medium-voltage net that it hangs on; empty where there is none.
    """

    name: str
    scenario: Scenario | None
    sources: tuple[Source, ...] = ()
    houses_at_loads: bool = False
    refused: str = ""
    mv_bus: str = ""


def make_entry(
    name: str,
    scenario: Scenario,
    shown: Mapping[Path, str] | None = None,
    *,
    houses_at_loads: bool = False,
    mv_bus: str = "",
) -> Entry:
    """A feeder of a scenario whose paths are absolute; `shown` are the paths as they were given.

    Raises
    ------
    ScenarioError
        If the scenario names keys of a ledger, which do not leave the machine that they lie on.
    """
    for key in _KEYS_OF_OWNERS:
        if getattr(scenario.ledger, key) is not None:
            raise ScenarioError(
                f"feeder '{name}', ledger.{key}: expected none in a portfolio, whose feeders may run elsewhere, "
                "got a path; leave it out, or run that feeder by itself"
            )
    given = shown or {}
    sources = tuple(Source(key, path, given.get(path, str(path))) for key, path in list_paths(scenario).items())
    return Entry(name, scenario.with_changes(name=name[:100]), sources, houses_at_loads, mv_bus=mv_bus)


def refuse_entry(name: str, reason: object) -> Entry:
    """A feeder that cannot be run, and why."""
    return Entry(name, None, refused=shorten(reason, 600))


def read_source(source: Source) -> bytes:
    """Content of a file that a scenario reads: a regular one of bounded size.

    Raises
    ------
    ScenarioError
        If there is none, or it cannot be read.
    """
    try:
        return read_bounded(source.path, f"the file of {source.key}", MOST_BYTES)
    except (MarketError, ValueError) as reason:
        what = str(reason).replace(str(source.path), source.shown)
        raise ScenarioError(f"{what}; check the path") from reason


def digest_entry(entry: Entry, hashes: Mapping[str, str], options: Mapping[str, Any]) -> str:
    """What tells the row of a feeder apart: everything that it follows from.

    Parameters
    ----------
    entry
        What is run, or why it is not.
    hashes
        SHA-256 of its files by their keys, hexadecimal.
    options
        What the command was asked for, and the versions that run it.
    """
    content = {} if entry.scenario is None else entry.scenario.model_dump(mode="json")
    for source in entry.sources:
        section, _, key = source.key.partition(".")
        content[section][key] = [source.path.name, hashes[source.key]]
    whole = [entry.name, content, entry.houses_at_loads, entry.refused, dict(options)]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
