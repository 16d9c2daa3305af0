"""The outage study: energy not served, served share and hours survived in random outages, one thing varied at a time.

Outages begin at any hour of the year; lengths and rate are those of the scenario's random outages. Every variant of the
scenario is run through the same outages.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cosim.case.case import build_market
from cosim.case.community import COMMUNITY
from cosim.case.event_checks import list_left_out
from cosim.case.houses import with_houses
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.results.outage_devices import DEVICE_METRICS
from cosim.scenario.events import RandomOutagesEvent
from cosim.scenario.model import Scenario
from cosim.scenario.random_outages import HOURS_PER_YEAR, draw_length_hours
from cosim.simulation.simulate import run
from cosim.studies.balance import check_residuals
from cosim.studies.study import Task, vary

ORDINARY = RandomOutagesEvent(kind="random_outages")
"""Drawn where the scenario has no random outages: one a year, of exponential length, 12 h in the mean."""

WARM_UP_HOURS, PLUG_IN_HOUR, PLUGGED_IN_AT = 96, 2, 3

BASE, PLUGGED_IN = "base", "one more fuel cell plugged in"
VARIANTS: dict[str, Mapping[str, Any]] = {
    BASE: {},
    "no fuel cell": {"community": {"fuel_cell": "none"}},
    "2 fuel cells": {"community": {"units": 2}},
    "4 fuel cells": {"community": {"units": 4}},
    "no community battery": {"community": {"battery_kwh": 0.0}},
    "community battery doubled": {"community": {"battery_kwh": "doubled"}},
    "production 10 % of demand": {"houses": {"production_ratio": 0.10}},
    "production 128 % of demand": {"houses": {"production_ratio": 1.28}},
    PLUGGED_IN: {"plugged_in": "the third house"},
    "trading without sharing": {"market": {"mechanism": "trading_battery"}},
    "no market, batteries idle": {"market": {"mechanism": "none"}},
}
"""What differs from the base scenario, by name; `find_changes` says what that is in a scenario."""

MEASURES = ("energy_not_served_kwh", "served_share", "critical_served_share", "survival_hours", "saidi_hours")


class Outage(NamedTuple):
    """An outage: hours after the scenario's start, and length in hours."""

    begins: int
    hours: int


def find_model(scenario: Scenario) -> RandomOutagesEvent:
    """The scenario's first random outages, or the ordinary ones."""
    return next((event for event in scenario.events if isinstance(event, RandomOutagesEvent)), ORDINARY)


def draw_outage(rng: np.random.Generator, model: RandomOutagesEvent = ORDINARY) -> Outage:
    """An outage at any hour of a year, its length drawn by the model and rounded up to whole hours.

    Examples
    --------
    >>> draw_outage(np.random.default_rng(1))
    Outage(begins=4145, hours=4)
    """
    begins = int(rng.integers(HOURS_PER_YEAR))
    return Outage(begins, int(np.ceil(draw_length_hours(model, rng))))


def list_outage_tasks(scenario: Scenario, seeds: int) -> list[Task]:
    """One task per variant and seed; the seed draws houses and outage alike.

    A variant that changes nothing of the scenario is left out: that of a community where there is none, of production
    where a table brings the panels.

    Raises
    ------
    ScenarioError, data.errors.DataError
        If an input cannot be used.
    """
    tasks = []
    model, changes = find_model(scenario), find_changes(scenario)
    for seed in range(1, seeds + 1):
        outage = draw_outage(np.random.default_rng(seed), model)
        varied = {name: with_outage(scenario, outage, seed, changed) for name, changed in changes.items()}
        tasks += [
            Task({"variant": name, "seed": seed, **outage._asdict(), "per_year": model.per_year}, one, measure_outage)
            for name, one in varied.items()
            if name == BASE or one != varied[BASE]
        ]
    return tasks


def find_changes(scenario: Scenario) -> dict[str, Mapping[str, Any]]:
    """`VARIANTS` in a scenario: its own community battery doubled, and a house of its own for the plug-in."""
    community = with_houses(scenario)[0].community
    bare = vary(scenario, "study", events=[], horizon={"hours": 1})
    houses = [name for name in build_market(bare).profiles.participants if name != COMMUNITY]
    filled = VARIANTS | {
        "community battery doubled": {"community": {"battery_kwh": 2.0 * community.battery_kwh}},
        PLUGGED_IN: {"plugged_in": houses[:PLUGGED_IN_AT][-1]},
    }
    return {name: changes for name, changes in filled.items() if community.enabled or "community" not in changes}


def list_outage_notes(scenario: Scenario) -> list[str]:
    """Remarks on what of a scenario the study leaves out: its events happen at times of their own."""
    return list_left_out(scenario, "the outage study", RandomOutagesEvent)


def with_outage(scenario: Scenario, outage: Outage, seed: int, changes: Mapping[str, Any]) -> Scenario:
    """The scenario around one outage: some days before it, so that batteries are in their usual state, and its end."""
    opens = find_model(scenario).model_dump(include={"grid", "switches", "lines"})
    begins = scenario.horizon.start + timedelta(hours=outage.begins)
    events: list[dict[str, Any]] = [{"kind": "outage", "start": begins, "hours": outage.hours, **opens}]
    if house := changes.get("plugged_in"):
        at = begins + timedelta(hours=min(PLUG_IN_HOUR, outage.hours) - 1)
        events.append({"kind": "register", "at": at, "participant": house, "device": "fuel_cell"})
    sections = {key: value for key, value in changes.items() if key != "plugged_in"}
    horizon = {
        "start": begins - timedelta(hours=WARM_UP_HOURS),
        "hours": WARM_UP_HOURS + outage.hours + 2,
    }
    return vary(scenario, "study", **sections, seed=seed, horizon=horizon, events=events)


def measure_outage(scenario: Scenario) -> dict[str, Any]:
    """Metrics of one outage; without any critical load shed all its hours without the grid count as survived."""
    result = run(scenario)
    balance = result.table("energy_balance", ("residual_wh",))
    check_residuals(balance["residual_wh"].to_numpy(), f"scenario '{scenario.name}'")
    found = dict(result.summary["resilience"])
    lasted = found["hours_without_grid"]
    survived = found.pop("hours_to_first_critical_shed", None)
    found["survival_hours"] = lasted if survived is None else min(survived, lasted)
    return found


def average_outages(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the outages by variant, in the order of `VARIANTS`.

    With cars or heat pumps what they missed, too. Further columns: the share of outages without critical load shed, and
    the energy not served in a year at the scenario's rate of outages, kWh. Missing where no outage of a variant took
    the grid from anybody, as in a ring.
    """
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, *MEASURES])))
    groups = table.groupby("variant", sort=False)
    means = groups[[*MEASURES, *(name for name in DEVICE_METRICS if name in table)]].mean()
    survived = table["survival_hours"] >= table["hours_without_grid"]
    means["survived_share"] = survived.groupby(table["variant"], sort=False).mean()
    means["kwh_per_year"] = groups["per_year"].mean() * means["energy_not_served_kwh"]
    return means.reset_index()


def format_markdown(means: pd.DataFrame) -> str:
    """The means as a Markdown table; a dash where there is none."""
    heading = ["variant", *(str(name) for name in means.columns[1:])]
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    for row in means.itertuples(index=False):
        lines.append(
            f"| {row[0]} | " + " | ".join("–" if value != value else f"{value:.3f}" for value in row[1:]) + " |"
        )
    return "\n".join(lines)


def write_outage_study(directory: Path, table: pd.DataFrame) -> list[Path]:
    """Write every outage and the means as CSV; returns the files."""
    files = [directory / "outage.csv", directory / "outage_means.csv"]
    write_whole(files[0], format_csv(table))
    write_whole(files[1], format_csv(average_outages(table)))
    return files
