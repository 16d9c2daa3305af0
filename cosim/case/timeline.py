"""From the scenario's events to a timeline: which outages are on, who asks to join and who leaves, by interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cosim.case.devices import Device
from cosim.scenario.events import LoadEvent, OutageEvent, RegisterEvent, RetireEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import list_outages
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
        Devices that ask to be admitted, {interval: their numbers}.
    retired
        Fuel cells and panels that leave, {first interval without them: their numbers}.
    departing
        Batteries that are asked to leave, {last interval with them: their numbers}.
    has_event
        (T,) intervals in which any of this happens.
    """

    outages: tuple[OutageEvent, ...]
    open: Mask
    requests: dict[int, list[int]]
    retired: dict[int, list[int]]
    departing: dict[int, list[int]]
    has_event: Mask

    def next_event(self, t: int) -> int:
        """First interval with an event from `t` on, T if there is none."""
        later = self._event_intervals
        place = int(np.searchsorted(later, t))
        return int(later[place]) if place < later.size else self.has_event.size

    @cached_property
    def _event_intervals(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.has_event)


def make_timeline(scenario: Scenario, profiles: Profiles, devices: Sequence[Device]) -> Timeline:
    """Timeline of a scenario whose events `cosim.case.checks` has found possible.

    Parameters
    ----------
    scenario
        Its events.
    profiles
        Participants and intervals.
    devices
        Of `cosim.case.devices.list_devices`: those that ask to be admitted last.
    """
    outages = tuple(outage for _, outage in list_outages(scenario))
    opened: Mask = np.zeros((profiles.n_intervals, len(outages)), bool)
    for k, outage in enumerate(outages):
        opened[_find_span(profiles, outage.start, outage.hours), k] = True
    requests, retired, departing = (defaultdict[int, list[int]](list) for _ in range(3))
    n_requests = sum(isinstance(event, RegisterEvent) for event in scenario.events)
    number = len(devices) - n_requests
    for event in scenario.events:
        if isinstance(event, RegisterEvent):
            requests[find_interval(profiles, event.at)[0]].append(number)
            number += 1
        elif isinstance(event, RetireEvent):
            t, _ = find_interval(profiles, event.at)
            table, t = (departing, t - 1) if event.device == "battery" else (retired, t)
            table[t] += list_leaving(event, profiles, devices)
    has_event: Mask = np.asarray(opened.any(axis=1), dtype=bool)
    has_event[[*requests, *retired, *departing]] = True
    return Timeline(outages, opened, requests, retired, departing, has_event)


def list_leaving(event: RetireEvent, profiles: Profiles, devices: Sequence[Device]) -> list[int]:
    """Numbers of the devices that an event retires; a house's own panels are part of the profiles and have none."""
    house = profiles.participants.index(event.participant)
    return [k for k, device in enumerate(devices) if device.house == house and device.kind == event.device]


def with_changes(profiles: Profiles, scenario: Scenario) -> Profiles:
    """Profiles with the load and production changes of the events, and without the houses' own panels that left."""
    if not any(isinstance(event, LoadEvent | RetireEvent) for event in scenario.events):
        return profiles  # copies of a year by the minute are large
    load, pv = profiles.load_wh.copy(), profiles.pv_wh.copy()
    varh = None if profiles.load_varh is None else profiles.load_varh.copy()
    for event in scenario.events:
        if isinstance(event, LoadEvent):
            house = profiles.participants.index(event.participant)
            span = _find_span(profiles, event.start, event.hours)
            column = (load if event.quantity == "load" else pv)[span, house]
            column[:] = np.rint(column * event.factor)
            if varh is not None and event.quantity == "load":
                varh[span, house] = np.rint(varh[span, house] * event.factor)
        elif isinstance(event, RetireEvent) and event.device == "pv":
            house = profiles.participants.index(event.participant)
            pv[find_interval(profiles, event.at)[0] :, house] = 0
    return replace(profiles, load_wh=load, pv_wh=pv, load_varh=varh)


def find_interval(profiles: Profiles, moment: datetime) -> tuple[int, int]:
    """Number of the interval in which a moment (UTC) lies, and the seconds since its begin."""
    seconds = int((np.datetime64(moment.replace(tzinfo=None), "s") - profiles.start).astype(np.int64))
    return divmod(seconds, 60 * profiles.interval_minutes)


def _find_span(profiles: Profiles, start: datetime, hours: float) -> slice:
    first, _ = find_interval(profiles, start)
    return slice(first, first + round(hours * 60.0 / profiles.interval_minutes))
