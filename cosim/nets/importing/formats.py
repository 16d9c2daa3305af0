"""The one table of the formats of networks that can be imported, and how a format is told."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cosim.errors import ScenarioError
from cosim.nets.importing.imported import Imported
from grid_models.errors import GridError


class Format(NamedTuple):
    """A format of networks."""

    words: str
    """What it is called in messages."""
    endings: tuple[str, ...]
    """Of its files, in lower case; empty for a folder."""
    importer: str
    """Module and function that read it, imported when they are needed."""


FORMATS: dict[str, Format] = {
    "pandapower": Format("pandapower JSON", (".json",), "cosim.nets.importing.pandapower_json:import_pandapower"),
    "tables": Format("a folder of CSV tables", (), "cosim.nets.importing.csv_tables:import_tables"),
    "matpower": Format("MATPOWER", (".m",), "cosim.nets.importing.matpower:import_matpower"),
    "opendss": Format("OpenDSS", (".dss",), "cosim.nets.importing.opendss:import_opendss"),
}
"""Formats by the names they have in what is printed."""


def choose_format(paths: Sequence[Path]) -> str:
    """Name of the format of one network's files.

    Raises
    ------
    ScenarioError
        If there are none, too many, or an ending is not known.
    """
    if not paths:
        raise ScenarioError("FILE: expected the file or folder of a network, got none; name one, or use --simbench")
    if len(paths) > 1:
        raise ScenarioError(
            f"{paths[1]}: expected one file or folder, got {len(paths)}; import them one by one, each with an --out of "
            "its own"
        )
    if paths[0].is_dir():
        return "tables"
    ending = paths[0].suffix.lower()
    for name, kind in FORMATS.items():
        if ending in kind.endings:
            return name
    known = "; ".join(f"{kind.words} {', '.join(kind.endings)}".strip() for kind in FORMATS.values())
    raise ScenarioError(f"{paths[0]}: expected a format that can be imported ({known}), got another ending")


def import_network(paths: Sequence[Path]) -> Imported:
    """The network of some files, read by the importer of their format.

    Raises
    ------
    ScenarioError
        If the format cannot be told.
    GridError, data.errors.DataError
        If the network cannot be read.
    """
    kind = FORMATS[choose_format(paths)]
    module, _, function = kind.importer.partition(":")
    try:
        importer = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as reason:
        raise GridError(
            f"{paths[0]}: expected what reads {kind.words}, found no module {reason.name}; install the extra of "
            "gridsettle that has it"
        ) from reason
    imported: Imported = importer(paths[0])
    return imported
