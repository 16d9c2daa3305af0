"""Checks of a scenario on its network: profiles for the whole run, participants with profiles, places and supply."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cosim.case.case import build_case
from cosim.case.checks import check_given
from cosim.case.inputs import read_profile_table
from cosim.case.participants import read_participants, read_placement
from cosim.errors import ScenarioError
from cosim.nets.doctor.finding import Found, Severity
from cosim.nets.doctor.subject import Subject
from cosim.scenario.model import Scenario
from data.errors import DataError
from data.profiles import Profiles
from grid_models.errors import GridError
from grid_models.feeder.named_nets import find_bus
from grid_models.feeder.topology import Supply
from market.errors import MarketError

SCENARIO, PROFILES, PARTICIPANTS = "scenario", "profiles", "participants"
"""In place of a table, in findings that are of none."""
REFUSALS = (ScenarioError, DataError, GridError, MarketError)


def find_profile_lengths(subject: Subject) -> Iterator[Found]:
    """Profiles that end before the run, begin after it, or are longer than it."""
    scenario, profiles = subject.scenario, _read_profiles(subject.scenario)
    if scenario is None or profiles is None:
        return
    hours = profiles.n_intervals * profiles.interval_minutes / 60.0
    start = np.datetime64(scenario.horizon.start.replace(tzinfo=None), "s")
    ahead = float((start - profiles.start) / np.timedelta64(1, "h"))
    behind = hours - ahead - scenario.horizon.hours
    told = (
        f"{hours:g} h of profiles from {profiles.start} UTC for a run of {scenario.horizon.hours:g} h from {start} UTC"
    )
    missing, beyond = -min(ahead, 0.0) - min(behind, 0.0), max(ahead, 0.0) + max(behind, 0.0)
    if missing > 0.0:
        yield Found(PROFILES, None, f"{told}: {missing:g} h are missing", missing, "h")
    elif beyond > 0.0:
        yield Found(PROFILES, None, f"{told}: {beyond:g} h are not used", beyond, "h", Severity.NOTE)


def find_unmatched_participants(subject: Subject) -> Iterator[Found]:
    """Participants with a place and no profile, with a profile and no place, or at a bus without supply."""
    scenario, profiles = subject.scenario, _read_profiles(subject.scenario)
    if scenario is None or profiles is None or scenario.network.source != "file":
        return
    try:
        rows = _read_places(scenario)
    except REFUSALS:  # `find_refused_scenario` says it
        return
    placed = [name for name, _ in rows]
    for name in placed:
        if name not in profiles.participants:
            yield Found(PARTICIPANTS, None, f"'{name}' has a bus and no profile")
    for name in profiles.participants:
        if name not in placed:
            yield Found(PARTICIPANTS, None, f"'{name}' has a profile and no bus")
    for name, value in rows:
        try:
            bus = find_bus(subject.net, value, f"participant '{name}'")
        except GridError as reason:
            yield Found(PARTICIPANTS, None, str(reason))
            continue
        if subject.islands.find_supply([bus])[0] == Supply.DARK:
            yield Found("bus", bus, f"participant '{name}' is here, where there is no supply")


def find_refused_scenario(subject: Subject) -> Iterator[Found]:
    """Whatever else makes `scenario check` refuse the scenario; of nothing that the other two checks say."""
    if subject.scenario is None or any(
        found.severity is not Severity.NOTE
        for find in (find_profile_lengths, find_unmatched_participants)
        for found in find(subject)
    ):
        return
    try:
        build_case(subject.scenario)
    except REFUSALS as reason:
        yield Found(SCENARIO, None, f"refused: {reason}", remedy="do what the message says")


def _read_profiles(scenario: Scenario | None) -> Profiles | None:
    """Profiles of a scenario's own table; None where it has none, or it cannot be read."""
    if scenario is None or scenario.profiles.source != "table":
        return None
    try:
        return read_profile_table(scenario)
    except REFUSALS:
        return None


def _read_places(scenario: Scenario) -> list[tuple[str, str]]:
    if scenario.participants:
        return read_placement(scenario).rows
    path = check_given(scenario, "network", "participants")
    return read_participants(path, has_cars=scenario.ev.n_cars > 0).rows
