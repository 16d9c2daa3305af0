"""Keys of events that do nothing: those of another device, or of another distribution of lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cosim.scenario.events import Event, RandomOutagesEvent, RegisterEvent
from cosim.scenario.model import Scenario


class EventRule(NamedTuple):
    """Keys of a kind of event that have an effect under a condition only; `needs` is the condition in words."""

    kind: type[Any]
    keys: tuple[str, ...]
    needs: str
    has_effect: Callable[[Any], bool]


class IdleEventKey(NamedTuple):
    """A key that is set and does nothing in an event, by the event's number from 0 on."""

    number: int
    key: str
    needs: str


def _of_device(*keys: str, device: str) -> EventRule:
    return EventRule(RegisterEvent, keys, f'device = "{device}"', lambda event: event.device == device)


EVENT_RULES = (
    _of_device("preset", "units", "tank_kg", "fuel_eur_per_kg", device="fuel_cell"),
    _of_device("pv_kwp", device="pv"),
    _of_device("battery_kwh", "soc", device="battery"),
    EventRule(RandomOutagesEvent, ("spread",), 'lengths = "lognormal"', lambda event: event.lengths == "lognormal"),
    EventRule(
        RandomOutagesEvent,
        ("longest_hours",),
        'lengths = "exponential" or "lognormal"',
        lambda event: event.lengths != "fixed" or event.mean_hours > event.longest_hours,  # which is refused as such
    ),
)


def find_idle_event_keys(scenario: Scenario) -> Iterator[IdleEventKey]:
    """Keys of events that are away from their default and have no effect."""
    for number, event in enumerate(scenario.events):
        for rule in EVENT_RULES:
            if isinstance(event, rule.kind) and not rule.has_effect(event):
                fields = type(event).model_fields
                set_keys = (key for key in rule.keys if getattr(event, key) != fields[key].default)
                yield from (IdleEventKey(number, key, rule.needs) for key in set_keys)


def describe_idle_events(scenario: Scenario) -> list[str]:
    """One line for each key of an event that does nothing, and for each fixed length that is cut."""
    lines = []
    for number, key, needs in find_idle_event_keys(scenario):
        event = scenario.events[number]
        lines.append(
            f"events, entry {number + 1}, {key}: expected its default {type(event).model_fields[key].default} since it "
            f"has no effect without {needs}, got {getattr(event, key)}; leave it out, or choose what it needs"
        )
    for number, event in enumerate(scenario.events, start=1):
        if (
            isinstance(event, RandomOutagesEvent)
            and event.lengths == "fixed"
            and event.mean_hours > event.longest_hours
        ):
            lines.append(
                f"events, entry {number}, mean_hours: expected at most longest_hours = {event.longest_hours:g} with "
                f'lengths = "fixed", got {event.mean_hours:g}; raise longest_hours or lower mean_hours'
            )
    return lines


def without_idle_event_keys(scenario: Scenario) -> tuple[Event, ...]:
    """Events with their idle keys at their defaults."""
    events = list(scenario.events)
    for number, key, _ in find_idle_event_keys(scenario):
        default = type(events[number]).model_fields[key].default
        events[number] = events[number].model_copy(update={key: default})
    return tuple(events)
