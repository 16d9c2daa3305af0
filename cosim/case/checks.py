"""Checks of a scenario against what it names: files, profiles, participants, network.

`build_case` makes them all, so `gridsettle scenario check` and `gridsettle run` refuse the same scenarios. What the
scenario file alone can tell is checked by `cosim.scenario.model`, a file's content by whoever reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from cosim.case.community import COMMUNITY
from cosim.case.devices import Device
from cosim.case.timeline import find_interval, list_leaving
from cosim.errors import ScenarioError
from cosim.scenario.events import LoadEvent, OutageEvent, RandomOutagesEvent, RetireEvent
from cosim.scenario.model import PvSection, Scenario
from data.profiles import Profiles
from grid_models.devices.inverter import Characteristic
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.topology import elements


def check_file(scenario: Scenario, section: str, key: str) -> Path:
    """The file that a section names, which its source needs.

    Raises
    ------
    ScenarioError
        If it names none.
    """
    table = getattr(scenario, section)
    path: Path | None = getattr(table, key)
    if path is None:
        raise ScenarioError(
            f"scenario '{scenario.name}', {section}.{key}: expected a file for {section}.source = "
            f'"{table.source}", got none; add {key} = "…"'
        )
    return path


def check_net_name(scenario: Scenario) -> str:
    """Name of the pandapower net that network.source = "named" needs.

    Raises
    ------
    ScenarioError
        If there is none.
    """
    if scenario.network.name is None:
        raise ScenarioError(
            f"scenario '{scenario.name}', network.name: expected the name of a pandapower net, got none; "
            'add e.g. name = "cigre_lv"'
        )
    return scenario.network.name


def check_placement(table: list[tuple[str, str]], participants: Sequence[str], path: Path) -> None:
    """Raise ScenarioError unless the table (participant, bus) lists the participants of the profiles and no others."""
    listed = {name for name, _ in table}
    for missing in [name for name in participants if name not in listed]:
        raise ScenarioError(
            f"{path}: expected a bus for participant '{missing}' of the profiles, found none; add the row"
        )
    for extra in [name for name, _ in table if name not in participants]:
        raise ScenarioError(
            f"{path}: expected participants of the profiles only, got '{extra}'; remove the row or add profiles"
        )


def check_community(scenario: Scenario, participants: Sequence[str]) -> None:
    """Raise ScenarioError if a participant of the profiles has the community's name."""
    if scenario.community.enabled and COMMUNITY in participants:
        raise ScenarioError(
            f"profiles: expected no participant '{COMMUNITY}' where community.enabled = true, got one; rename it"
        )


def check_horizon(scenario: Scenario, profiles: Profiles) -> None:
    """Raise ScenarioError unless the profiles, in intervals of the scenario, have intervals for the whole horizon."""
    horizon, minutes = scenario.horizon, profiles.interval_minutes
    start = np.datetime64(horizon.start.replace(tzinfo=None), "s")
    first, rest = find_interval(profiles, horizon.start)
    if rest:
        raise ScenarioError(
            f"scenario '{scenario.name}', horizon.start: expected a whole number of {minutes}-minute "
            f"intervals after the profiles' start {profiles.start} UTC, got {start}; move the start"
        )
    if first < 0 or first + horizon.n_intervals > profiles.n_intervals:
        raise ScenarioError(
            f"scenario '{scenario.name}', horizon: expected profiles from {start} UTC for {horizon.hours} h, "
            f"got {profiles.start} to {_find_end(profiles)} UTC; change horizon.start or horizon.hours"
        )


def check_events(scenario: Scenario, profiles: Profiles) -> None:
    """Raise ScenarioError unless events name participants and begin and end with intervals of the profiles."""
    for number, event in enumerate(scenario.events, start=1):
        where = f"events, entry {number}"
        if isinstance(event, RandomOutagesEvent):
            continue
        if not isinstance(event, OutageEvent):
            _check_participant(event.participant, profiles.participants, where)
        if isinstance(event, OutageEvent | LoadEvent):
            _check_begin(event.start, profiles, where)
            _check_length(event.hours, profiles.interval_minutes, where)
        else:
            _check_begin(event.at, profiles, where)


def _check_participant(name: str, participants: Sequence[str], where: str) -> None:
    if name not in participants:
        raise ScenarioError(
            f"{where}, participant: expected one of {', '.join(participants[:3])}, …, {participants[-1]}, "
            f"got '{name}'; correct it"
        )


def _check_begin(moment: datetime, profiles: Profiles, where: str) -> None:
    t, rest = find_interval(profiles, moment)
    if rest or not 0 <= t < profiles.n_intervals:
        raise ScenarioError(
            f"{where}: expected the begin of a {profiles.interval_minutes}-minute interval from {profiles.start} "
            f"to before {_find_end(profiles)} UTC, got {moment:%Y-%m-%dT%H:%M:%S}; move the event or the horizon"
        )


def _check_length(hours: float, interval_minutes: int, where: str) -> None:
    length = hours * 60.0 / interval_minutes
    if length != round(length):
        raise ScenarioError(
            f"{where}, hours: expected whole {interval_minutes}-minute intervals, got {hours:g} h; round it"
        )


def _find_end(profiles: Profiles) -> np.datetime64:
    return profiles.start + profiles.n_intervals * np.timedelta64(60 * profiles.interval_minutes, "s")


def check_retirements(scenario: Scenario, profiles: Profiles, devices: Sequence[Device]) -> None:
    """Raise ScenarioError if a device leaves that is not there, or a battery before the first interval is over."""
    for number, event in enumerate(scenario.events, start=1):
        if not isinstance(event, RetireEvent) or event.device == "pv":
            continue
        where = f"events, entry {number}"
        if not list_leaving(event, profiles, devices):
            raise ScenarioError(
                f"{where}: expected '{event.participant}' to have a {event.device.replace('_', ' ')}, "
                "it has none; remove the event"
            )
        if event.device == "battery" and find_interval(profiles, event.at)[0] == 0:
            raise ScenarioError(
                f"{where}, at: expected a time after the first interval, got its begin; "
                "give the participant no battery instead"
            )


def check_priorities(scenario: Scenario, participants: Sequence[str]) -> None:
    """Raise ScenarioError if a priority of curtailment names nobody."""
    for name in scenario.curtailment.priority:
        if name not in participants:
            raise ScenarioError(
                f"curtailment.priority: expected names of participants such as {', '.join(participants[:3])}, "
                f"got '{name}'; correct the name or leave it out"
            )


def check_outages(scenario: Scenario, feeder: Feeder) -> None:
    """Raise GridError if an outage names a switch or line that the net has not."""
    for event in scenario.events:
        if isinstance(event, OutageEvent | RandomOutagesEvent):
            elements(feeder.net, "switch", event.switches)
            elements(feeder.net, "line", event.lines)


def check_characteristic(section: PvSection) -> None:
    """Raise GridError unless the points of the inverters' Q(V) characteristic rise in voltage and fall in Q."""
    if section.control != "none":
        try:
            Characteristic(section.q_v_vm_pu, section.q_v_q_pu)
        except GridError as reason:
            raise GridError(f"pv.q_v_vm_pu, pv.q_v_q_pu: {reason}") from reason
