"""Folders to write into: what is in them already, and made where there are none; or one clear message."""

from __future__ import annotations

from pathlib import Path

from cosim.errors import ScenarioError


def list_names(folder: Path) -> list[str]:
    """Names of what a folder holds, sorted; none where there is no folder yet.

    Raises
    ------
    ScenarioError
        If it is no folder, or cannot be read.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as reason:
        raise _unusable(folder, reason) from reason


def make_folder(folder: Path) -> Path:
    """Make a folder, and those above it, where there is none; returns it.

    Raises
    ------
    ScenarioError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise _unusable(folder, reason) from reason
    return folder


def check_empty(folder: Path) -> Path:
    """The folder itself, once it is known to be new or empty.

    Raises
    ------
    ScenarioError
        If it holds anything, or is no folder.
    """
    found = list_names(folder)
    if found:
        raise ScenarioError(
            f"{folder}: expected a new or empty folder, found {found[0]}; choose another with --out"
        )
    return folder


def _unusable(folder: Path, reason: OSError) -> ScenarioError:
    return ScenarioError(
        f"{folder}: expected a folder that can be written to, got {reason.strerror}; choose another with --out"
    )
