"""Folders to write into: listed, made, or refused with one clear message."""

from __future__ import annotations

from pathlib import Path

from cosim.errors import ScenarioError


def list_names(folder: Path) -> list[str]:
    """Names of the files in a folder, sorted; none where there is no folder yet.

    Raises
    ------
    ScenarioError
        If it is not a folder, or cannot be read.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as reason:
        raise _unusable(folder, reason) from reason


def make_folder(folder: Path) -> Path:
    """Make a folder and its parents where they are missing; returns it.

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


def make_own_folder(folder: Path) -> Path:
    """Make a folder as `make_folder` does, but take no link in its place, which a stranger may have put there.

    Raises
    ------
    ScenarioError
        If there is a link, or it cannot be made.
    """
    if folder.is_symlink():
        raise ScenarioError(f"{folder}: expected a folder, got a link, which leads elsewhere; remove it")
    return make_folder(folder)


def check_empty(folder: Path, option: str = "--out") -> Path:
    """The folder itself, which an option of the command names, if it is new or empty.

    Raises
    ------
    ScenarioError
        If it holds anything, or is not a folder.
    """
    if found := list_names(folder):
        raise ScenarioError(f"{folder}: expected a new or empty folder, found {found[0]}; choose another with {option}")
    return folder


def _unusable(folder: Path, reason: OSError) -> ScenarioError:
    return ScenarioError(
        f"{folder}: expected a folder that can be written to, got {reason.strerror}; choose another with --out"
    )
