"""Folders in a portfolio's folder: a link in place of one would have the command write and remove somewhere else."""

from __future__ import annotations

from pathlib import Path

from cosim.errors import ScenarioError
from cosim.portfolio.keeping import RUNS
from cosim.portfolio.medium_voltage.results import HEADS
from cosim.results.folders import list_names

WORKSPACE = ".work"
"""Folder of the portfolio's folder in which local processes run feeders."""
_CHECKPOINT = ".checkpoint"


def check_folders(directory: Path) -> None:
    """Raise `ScenarioError` unless folders that a portfolio writes into, where they exist, are folders of its own."""
    for name in (WORKSPACE, HEADS, RUNS):
        _check_own(directory / name)
    for name in list_names(directory / RUNS):
        if not name.startswith("."):  # no feeder's name does
            _check_own(directory / RUNS / name)


def _check_own(path: Path) -> None:
    wants_file = path.suffix == _CHECKPOINT  # of a run, which lies beside it
    if path.is_symlink():
        got = "a link, which leads elsewhere"
    elif not path.exists() or (path.is_file() if wants_file else path.is_dir()):
        return
    else:
        got = "another thing"
    what = "file" if wants_file else "folder"
    raise ScenarioError(f"{path}: expected a {what} that a portfolio has made, got {got}; remove it")
