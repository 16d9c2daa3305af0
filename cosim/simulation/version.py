"""Versions of what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def find_version(distribution: str) -> str:
    """Version of an installed distribution, `unknown` in a bare checkout."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
