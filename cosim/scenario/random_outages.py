"""Random outages: the time between two is exponential, their length follows the distribution that is asked for."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from cosim.scenario.events import OutageEvent, RandomOutagesEvent
from cosim.scenario.model import Scenario

HOURS_PER_YEAR = 8760
_STREAM = 5  # streams before it, of the scenario's seed, draw houses, series, noise and network


def list_outages(scenario: Scenario) -> list[tuple[int, OutageEvent]]:
    """Outages of a scenario, timed and random, each with the number of its event.

    A draw depends on the scenario's seed and on the event's place among the events, on nothing else.
    """
    found: list[tuple[int, OutageEvent]] = []
    for number, event in enumerate(scenario.events):
        if isinstance(event, OutageEvent):
            found.append((number, event))
        elif isinstance(event, RandomOutagesEvent):
            sequence = np.random.SeedSequence(scenario.seed, spawn_key=(_STREAM, number))
            rng = np.random.default_rng(sequence)
            found += [(number, outage) for outage in draw_outages(event, scenario, rng)]
    return found


def draw_outages(model: RandomOutagesEvent, scenario: Scenario, rng: np.random.Generator) -> list[OutageEvent]:
    """Outages over the scenario's horizon, one after the other, in whole intervals.

    Parameters
    ----------
    model
        Rate and lengths, and what opens.
    scenario
        Its horizon.
    rng
        Random stream.
    """
    minutes, total = scenario.horizon.interval_minutes, scenario.horizon.n_intervals
    found: list[OutageEvent] = []
    t = 0
    while True:
        t += int(rng.exponential(HOURS_PER_YEAR / model.per_year) * 60.0 // minutes) + 1
        if t >= total:
            return found
        length = int(np.ceil(draw_length_hours(model, rng) * 60.0 / minutes))
        found.append(
            OutageEvent(
                kind="outage",
                start=scenario.horizon.start + timedelta(minutes=t * minutes),
                hours=length * minutes / 60.0,
                grid=model.grid,
                switches=model.switches,
                lines=model.lines,
            )
        )
        t += length


def draw_length_hours(model: RandomOutagesEvent, rng: np.random.Generator) -> float:
    """Length of an outage, hours: exponential, lognormal with the same mean, or fixed; at most the longest.

    A lognormal length has the mean `exp(μ + σ²/2)`, so `μ = ln(mean) - σ²/2`.
    """
    if model.lengths == "exponential":
        hours = float(rng.exponential(model.mean_hours))
    elif model.lengths == "lognormal":
        hours = float(rng.lognormal(np.log(model.mean_hours) - model.spread**2 / 2.0, model.spread))
    else:
        hours = model.mean_hours
    return min(max(hours, 1e-6), model.longest_hours)
