"""The profiles that a run directory keeps, so that the run can be made again: those that came from a file.

Synthetic series are made again from the seed. A private run keeps none: they would tell what each house used.
"""

from __future__ import annotations

from pathlib import Path

from cosim.case.case import MarketCase
from cosim.errors import ScenarioError
from data.errors import DataError
from data.profiles import Profiles
from data.tables import read_profiles, write_profiles

PROFILES_FILE = "profiles.parquet"


def keep_profiles(case: MarketCase, directory: Path) -> None:
    """Write the profiles into the run directory, if they came from a file and the run is not private.

    Raises
    ------
    ScenarioError
        If the file cannot be written.
    """
    if case.scenario.profiles.source == "synthetic" or case.scenario.ledger.private:
        return
    path = directory / PROFILES_FILE
    try:
        write_profiles(case.profiles, path)
    except OSError as reason:
        raise ScenarioError(f"{path}: expected to write the profiles, got: {reason}") from reason


def read_kept_profiles(directory: Path, interval_minutes: int, sha256: bytes) -> Profiles:
    """Profiles that a run directory keeps.

    Parameters
    ----------
    directory
        The run directory.
    interval_minutes
        Length of an interval.
    sha256
        Digest of the profiles that the run was made from.

    Raises
    ------
    ScenarioError
        If the file cannot be used, or holds others.
    """
    path = directory / PROFILES_FILE
    try:
        profiles = read_profiles(path, interval_minutes=interval_minutes)
    except DataError as reason:
        raise ScenarioError(f"{path}: expected the profiles that the run kept, got: {reason}") from reason
    if profiles.digest() != sha256:
        raise ScenarioError(f"{directory}: expected the profiles the ledger was begun with, got another {path.name}")
    return profiles
