"""Checks of events against what is there: a device that leaves, a load or generation that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from cosim.case.devices import Device
from cosim.case.timeline import find_interval
from cosim.errors import ScenarioError
from cosim.scenario.events import Event, LoadEvent, OutageEvent, RegisterEvent, RetireEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import list_outages
from data.profiles import Profiles


def number_events(scenario: Scenario) -> Iterator[tuple[str, Event]]:
    """Events with words for their place in the file."""
    for number, event in enumerate(scenario.events, start=1):
        yield f"events, entry {number}", event


def check_only_loads(scenario: Scenario, who: str) -> None:
    """Raise ScenarioError if a scenario has events of other kinds than `load`, which `who` would leave out."""
    for where, event in number_events(scenario):
        if not isinstance(event, LoadEvent):
            raise ScenarioError(
                f"{where}: expected events of kind load for {who}, which knows neither outages nor devices that join "
                f"or leave, got {event.kind}; remove it"
            )


def list_left_out(scenario: Scenario, who: str, keeps: type[Event]) -> list[str]:
    """What `who` leaves out of a scenario's events, all but those of one kind, as a remark; nothing if there is none.

    Examples
    --------
    >>> list_left_out(Scenario(), "hosting capacity", LoadEvent)
    []
    """
    kinds = Counter(event.kind for event in scenario.events if not isinstance(event, keeps))
    counts = [f"{kind} ({count})" for kind, count in kinds.items()]
    return [f"events that {who} leaves out: {', '.join(counts)}"] if counts else []


def check_changes(scenario: Scenario, profiles: Profiles) -> None:
    """Raise ScenarioError if an event changes or takes away a load or generation that is not there.

    Parameters
    ----------
    scenario
        Events, checked by `cosim.case.checks.check_events`.
    profiles
        Load and generation before any event changes them.
    """
    for where, event in number_events(scenario):
        if isinstance(event, LoadEvent):
            _check_change(where, event, scenario, profiles)
        elif isinstance(event, RetireEvent) and event.device == "pv":
            own = {event.participant} if _generates(profiles, event.participant) else set()
            _check_there(where, event, scenario, own)


def _check_change(where: str, event: LoadEvent, scenario: Scenario, profiles: Profiles) -> None:
    name = event.participant
    if event.quantity == "load":
        if not profiles.load_wh[:, profiles.participants.index(name)].any():
            raise ScenarioError(f"{where}: expected '{name}' to have a load, it has none; remove the event")
        return
    if not _generates(profiles, name):
        raise ScenarioError(
            f"{where}, quantity: expected '{name}' to have panels of its own that generate in the run, it has none; "
            "remove the event"
        )
    for other in scenario.events:
        if not isinstance(other, RetireEvent) or (other.participant, other.device) != (name, "pv"):
            continue
        if other.at <= event.start:
            raise ScenarioError(
                f"{where}, start: expected a time at which '{name}' has its own panels, they left at "
                f"{other.at:%Y-%m-%dT%H:%M}; move the event or remove it"
            )


def _generates(profiles: Profiles, name: str) -> bool:
    return bool(profiles.pv_wh[:, profiles.participants.index(name)].any())


def list_cut_events(scenario: Scenario) -> list[str]:
    """One sentence for each outage or change that lasts beyond the end of the run."""
    begin = scenario.horizon.start
    end = begin + timedelta(minutes=scenario.horizon.n_intervals * scenario.horizon.interval_minutes)
    spans: list[tuple[str, OutageEvent | LoadEvent]] = [("outage", outage) for _, outage in list_outages(scenario)]
    spans += [(f"change of {event.quantity}", event) for event in scenario.events if isinstance(event, LoadEvent)]
    return [
        f"{what} from {event.start:%Y-%m-%dT%H:%M} UTC lasts beyond the end of the run: "
        f"{(end - event.start).total_seconds() / 3600:g} of {event.hours:g} hours are simulated"
        for what, event in spans
        if event.start + timedelta(seconds=round(event.hours * 3600.0)) > end
    ]


def check_retirements(scenario: Scenario, profiles: Profiles, devices: Sequence[Device]) -> None:
    """Raise ScenarioError if a fuel cell or battery leaves that is not there, or a battery in the first interval.

    Parameters
    ----------
    scenario, profiles
        Events and participants; panels are the matter of `check_changes`.
    devices
        Of `cosim.case.devices.list_devices`: those that ask to be admitted last.
    """
    n_requests = sum(isinstance(event, RegisterEvent) for event in scenario.events)
    given = devices[: len(devices) - n_requests]
    for where, event in number_events(scenario):
        if not isinstance(event, RetireEvent) or event.device == "pv":
            continue
        own = {profiles.participants[device.house] for device in given if device.kind == event.device}
        _check_there(where, event, scenario, own)
        if event.device == "battery" and find_interval(profiles, event.at)[0] == 0:
            raise ScenarioError(
                f"{where}, at: expected a time after the first interval, got its begin; "
                "give the participant no battery instead"
            )


def _check_there(where: str, event: RetireEvent, scenario: Scenario, own: Collection[str]) -> None:
    """Raise ScenarioError unless the participant, perhaps one with its own device, has one when the event begins."""
    there = event.participant in own
    for other in _list_earlier(event, scenario):
        there = isinstance(other, RegisterEvent)
    if not there:
        device = "panels" if event.device == "pv" else f"a {event.device.replace('_', ' ')}"
        raise ScenarioError(
            f"{where}: expected '{event.participant}' to have {device} before {event.at:%Y-%m-%dT%H:%M}, "
            "it has none then; remove the event, or move it"
        )


def _list_earlier(event: RetireEvent, scenario: Scenario) -> list[RegisterEvent | RetireEvent]:
    """What came or went of the same kind at the same participant before an event, in order.

    A device takes part from the interval after its request on, and a battery's last interval must be one of those.
    """
    minutes = scenario.horizon.interval_minutes if event.device == "battery" else 0
    latest = event.at - timedelta(minutes=minutes)
    found: list[tuple[datetime, bool, RegisterEvent | RetireEvent]] = []
    before = True
    for other in scenario.events:
        before = before and other is not event
        if not isinstance(other, RegisterEvent | RetireEvent):
            continue
        if (other.participant, other.device) != (event.participant, event.device):
            continue
        comes = isinstance(other, RegisterEvent)
        if (other.at < latest) if comes else (other.at < event.at or (other.at == event.at and before)):
            found.append((other.at, comes, other))
    return [other for *_, other in sorted(found, key=lambda item: item[:2])]
