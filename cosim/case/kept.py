"""The inputs from files that a run directory keeps, so that the run can be made again.

Synthetic series and generated networks are made again from the scenario. A private run keeps no files: profiles would
tell what each house used, and a table of participants where it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosim.case.case import Case, MarketCase
from cosim.case.frames import PROFILES_FILE
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.errors import DataError
from data.heads import HeadSeries, write_heads
from data.profiles import Profiles
from data.tables import read_profiles, write_profiles

NETWORK_SOURCE, PARTICIPANTS = "network_source.json", "participants.csv"
"""The network and its participants as they were given: what is written of a network that was read may round it."""
TEMPERATURE = "temperature"
"""Name, but for its ending, of the copy of a table of temperatures."""
HEAD_FILE = "head.parquet"
"""The series of the feeder's head, as it was run."""


def keep_inputs(case: Case, directory: Path) -> None:
    """Write profiles, network and series of the head into the run directory, if from files and the run is not private.

    Raises
    ------
    ScenarioError
        If a file cannot be written.
    """
    if case.scenario.ledger.private:
        return
    if not is_made_again(case.scenario):
        keep_profiles(case, directory)
    if case.scenario.network.source == "file":
        keep_network(case.scenario, directory)
    keep_temperature(case.scenario, directory)
    if case.head is not None:
        keep_head(case.head.series, directory)


def keep_head(series: HeadSeries, directory: Path) -> None:
    """Write the series of the feeder's head into the run directory.

    Raises
    ------
    ScenarioError
        If the file cannot be written.
    """
    path = directory / HEAD_FILE
    with _say_what_was_written(path, "the series of the head"):
        write_heads(series, path)


def with_kept_head(scenario: Scenario, directory: Path) -> Scenario:
    """The scenario with the series of the head that a run directory keeps; as it is if it names none.

    Raises
    ------
    ScenarioError
        If the scenario names one and the directory keeps none.
    """
    if scenario.network.head_file is None:
        return scenario
    kept = directory / HEAD_FILE
    if not kept.is_file():
        raise ScenarioError(f"{kept}: expected the series of the head that the run kept, found none; put it back")
    return scenario.with_changes(network={"head_file": kept})


def is_made_again(scenario: Scenario) -> bool:
    """Whether the profiles of a scenario follow from it and its seed alone."""
    return scenario.profiles.source == "synthetic" and scenario.pv.source == "profiles"


def keep_temperature(scenario: Scenario, directory: Path) -> None:
    """Copy the table of temperatures into the run directory, if heat pumps follow one and it is still there.

    Raises
    ------
    ScenarioError
        If the file cannot be written.
    """
    source = scenario.heat_pump.temperature_file
    if source is not None and source.is_file():
        kept = directory / (TEMPERATURE + source.suffix)
        with _say_what_was_written(kept, f"a copy of {source}"):
            shutil.copyfile(source, kept)


def with_kept_temperature(scenario: Scenario, directory: Path) -> Scenario:
    """The scenario with the table of temperatures that a run directory keeps; as it is if it keeps none."""
    source = scenario.heat_pump.temperature_file
    kept = None if source is None else directory / (TEMPERATURE + source.suffix)
    if kept is None or not kept.is_file():
        return scenario
    return scenario.with_changes(heat_pump={"temperature_file": kept})


def keep_profiles(case: MarketCase, directory: Path) -> None:
    """Write the profiles into the run directory.

    Raises
    ------
    ScenarioError
        If the file cannot be written.
    """
    path = directory / PROFILES_FILE
    with _say_what_was_written(path, "the profiles"):
        write_profiles(case.profiles, path)


def keep_network(scenario: Scenario, directory: Path) -> None:
    """Copy the files of the network into the run directory, as far as they are still where they were read.

    Raises
    ------
    ScenarioError
        If a file cannot be written.
    """
    for source, name in ((scenario.network.file, NETWORK_SOURCE), (scenario.network.participants, PARTICIPANTS)):
        if source is not None and source.is_file():
            with _say_what_was_written(directory / name, f"a copy of {source}"):
                shutil.copyfile(source, directory / name)


@contextmanager
def _say_what_was_written(path: Path, what: str) -> Iterator[None]:
    """Say of a file that cannot be written what it was to be."""
    try:
        yield
    except OSError as reason:
        raise ScenarioError(f"{path}: expected to write {what}, got: {reason}") from reason


def with_kept_network(scenario: Scenario, directory: Path) -> Scenario | None:
    """The scenario with the network that a run directory keeps instead of the user's files; None if it keeps none."""
    network = {"file": directory / NETWORK_SOURCE}
    if not scenario.participants:  # else they stand in scenario.toml
        network["participants"] = directory / PARTICIPANTS
    return scenario.with_changes(network=network) if all(path.is_file() for path in network.values()) else None


def lacks_phases(scenario: Scenario, directory: Path) -> bool:
    """Whether a run directory has no table to hold the recorded phases of houses against.

    So it is in a private run of an unbalanced network from a file; all others have their scenario or what they keep.
    """
    network = scenario.network
    return network.model != "balanced" and network.source == "file" and with_kept_network(scenario, directory) is None


def check_kept_network(scenario: Scenario, directory: Path) -> None:
    """Refuse the directory of a public run whose phases of houses could only be taken from its ledger.

    Raises
    ------
    ScenarioError
        If a file of the network is missing that the run kept.
    """
    if scenario.ledger.private or not lacks_phases(scenario, directory):
        return
    kept = (NETWORK_SOURCE,) if scenario.participants else (NETWORK_SOURCE, PARTICIPANTS)
    missing = [name for name in kept if not (directory / name).is_file()]
    raise ScenarioError(
        f"{directory / missing[0]}: expected the file that the run kept, which says at which phases houses are, "
        f"found none{' nor ' + missing[1] if missing[1:] else ''}; put it back from a copy of the run"
    )


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
