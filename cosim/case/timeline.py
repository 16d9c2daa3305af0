"""From the scenario's events to a timeline: what is open, who asks to join and who leaves, interval by interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cosim.case.devices import Device, house_of
from cosim.errors import ScenarioError
from cosim.scenario.events import LoadEvent, OutageEvent, RegisterEvent, RetireEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import outages_of
from data.profiles import Profiles

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Events of a run of T intervals.

    Attributes
    ----------
    outages
        The E outages.
    open
        (T, E) which of them are on.
    requests
        Devices that ask to be registered, {interval: their numbers}.
    retired
        Fuel cells and panels that leave, {first interval without them: their numbers}.
    departing
        Batteries that are asked to leave, {last interval with them: their numbers}.
    disturbed
        (T,) intervals in which any of this happens.
    """

    outages: tuple[OutageEvent, ...]
    open: Mask
    requests: dict[int, list[int]]
    retired: dict[int, list[int]]
    departing: dict[int, list[int]]
    disturbed: Mask

    def next_disturbed(self, t: int) -> int:
        """First disturbed interval from `t` on, T if there is none."""
        later = self._each_disturbed
        place = int(np.searchsorted(later, t))
        return int(later[place]) if place < later.size else self.disturbed.size

    @cached_property
    def _each_disturbed(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.disturbed)


def make_timeline(scenario: Scenario, profiles: Profiles, devices: Sequence[Device]) -> Timeline:
    """Timeline of a scenario.

    Raises
    ------
    ScenarioError
        If an event lies outside the horizon or between intervals, or names nobody.
    """
    n_intervals = profiles.n_intervals
    outages = outages_of(scenario)
    opened: Mask = np.zeros((n_intervals, len(outages)), bool)
    for k, (number, outage) in enumerate(outages):
        first, stop = _span(outage.start, outage.hours, profiles, number)
        opened[first:stop, k] = True
    requests: dict[int, list[int]] = {}
    retired: dict[int, list[int]] = {}
    departing: dict[int, list[int]] = {}
    n_own = len(devices) - sum(isinstance(event, RegisterEvent) for event in scenario.events)
    n_requests = 0
    for number, event in enumerate(scenario.events):
        if isinstance(event, RegisterEvent):
            requests.setdefault(_interval(event.at, profiles, number), []).append(n_own + n_requests)
            n_requests += 1
        elif isinstance(event, RetireEvent):
            leaving = _leaving(event, profiles, devices, number)
            t = _interval(event.at, profiles, number)
            if event.device != "battery":
                retired.setdefault(t, []).extend(leaving)
            elif t > 0:
                departing.setdefault(t - 1, []).extend(leaving)
            else:
                raise ScenarioError(
                    f"events, entry {number + 1}, at: expected a time after the first interval, got its begin; "
                    "give the participant no battery instead"
                )
    disturbed: Mask = np.asarray(opened.any(axis=1), dtype=bool)
    disturbed[[*requests, *retired, *departing]] = True
    return Timeline(tuple(outage for _, outage in outages), opened, requests, retired, departing, disturbed)


def _leaving(event: RetireEvent, profiles: Profiles, devices: Sequence[Device], number: int) -> list[int]:
    """Numbers of a participant's devices of a kind; its own panels, which are part of the profiles, have none."""
    house = house_of(event.participant, profiles.participants, number)
    leaving = [k for k, device in enumerate(devices) if device.house == house and device.kind == event.device]
    if not leaving and event.device != "pv":
        raise ScenarioError(
            f"events, entry {number + 1}: expected '{event.participant}' to have a "
            f"{event.device.replace('_', ' ')}, it has none; remove the event"
        )
    return leaving


def with_changes(profiles: Profiles, scenario: Scenario) -> Profiles:
    """Profiles with the load and production changes of the events, and without panels that left.

    Raises
    ------
    ScenarioError
        If an event lies outside the horizon or between intervals, or names nobody.
    """
    load, pv = profiles.load_wh.copy(), profiles.pv_wh.copy()
    for number, event in enumerate(scenario.events):
        if isinstance(event, LoadEvent):
            house = house_of(event.participant, profiles.participants, number)
            first, stop = _span(event.start, event.hours, profiles, number)
            column = (load if event.quantity == "load" else pv)[first:stop, house]
            column[:] = np.rint(column * event.factor)
        elif isinstance(event, RetireEvent) and event.device == "pv":
            house = house_of(event.participant, profiles.participants, number)
            pv[_interval(event.at, profiles, number) :, house] = 0
    return replace(profiles, load_wh=load, pv_wh=pv)


def _interval(moment: datetime, profiles: Profiles, number: int) -> int:
    seconds = int((np.datetime64(moment.replace(tzinfo=None), "s") - profiles.start).astype(np.int64))
    t, rest = divmod(seconds, 60 * profiles.interval_minutes)
    if rest or not 0 <= t < profiles.n_intervals:
        last = profiles.start + profiles.n_intervals * np.timedelta64(60 * profiles.interval_minutes, "s")
        raise ScenarioError(
            f"events, entry {number + 1}: expected the begin of a {profiles.interval_minutes}-minute interval from "
            f"{profiles.start} to before {last} UTC, got {moment:%Y-%m-%dT%H:%M:%S}; move the event or the horizon"
        )
    return t


def _span(start: datetime, hours: float, profiles: Profiles, number: int) -> tuple[int, int]:
    """Intervals of an event, cut off at the horizon's end."""
    first = _interval(start, profiles, number)
    length = hours * 60.0 / profiles.interval_minutes
    if length != round(length):
        raise ScenarioError(
            f"events, entry {number + 1}, hours: expected whole {profiles.interval_minutes}-minute intervals, "
            f"got {hours:g} h; round it"
        )
    return first, min(first + round(length), profiles.n_intervals)
