"""Sweeps that the reference paper leaves open: markets over two keys of a scenario, as heat maps with their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cosim.case.event_checks import check_only_loads
from cosim.case.houses import with_houses
from cosim.case.idle_keys import find_idle_keys
from cosim.errors import ScenarioError
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_whole
from cosim.scenario.model import Scenario
from cosim.studies.figures import HEAT_MAPS, draw_heat_maps
from cosim.studies.study import Task, vary
from market.mechanisms import find_mechanism

BETAS = (0.1, 0.3, 0.5, 0.7, 0.9)
TAUS_HOURS = (1, 3, 6, 12, 24, 48)
PRODUCTION = (0.1, 0.12, 0.25, 0.58, 0.8, 1.0, 1.28, 1.6, 2.0)
CAPACITIES_KWH = (0.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)
MARKETS = ("trading_battery", "sharing_central", "sharing_p2p", "sharing_hybrid", "sharing_selfish")

Point = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Labels of a point in the table, and the keys of the scenario that it changes."""


class Sweep(NamedTuple):
    """A sweep over two keys.

    Attributes
    ----------
    x, y
        Column names of the two axes.
    points
        What is run for every seed.
    """

    x: str
    y: str
    points: Sequence[Point]


def _beta_tau(beta: float, tau_hours: int) -> Point:
    keys = {"beta": beta, "tau_hours": tau_hours}
    return keys, {"market": {**keys, "mechanism": "sharing_p2p"}}


def _production(ratio: float, market: str) -> Point:
    keys = {"production_ratio": ratio}
    return {**keys, "mechanism": market}, {"houses": keys, "market": {"mechanism": market}}


def _storage(kwh: float, market: str) -> Point:
    battery = {"capacity_kwh_min": kwh, "capacity_kwh_max": kwh}
    return {"battery_kwh": kwh, "mechanism": market}, {"battery": battery, "market": {"mechanism": market}}


SWEEPS = {
    "beta-tau": Sweep("tau_hours", "beta", [_beta_tau(beta, tau) for beta in BETAS for tau in TAUS_HOURS]),
    "production": Sweep(
        "production_ratio",
        "mechanism",
        [_production(ratio, market) for ratio in PRODUCTION for market in MARKETS],
    ),
    "storage": Sweep(
        "battery_kwh", "mechanism", [_storage(kwh, market) for kwh in CAPACITIES_KWH for market in MARKETS]
    ),
}


def list_sweep_tasks(name: str, scenario: Scenario, seeds: int) -> list[Task]:
    """Tasks of a sweep over all seeds.

    Raises
    ------
    ScenarioError
        If the scenario has events that a market without a network does not know, or keys that are swept change
        nothing of it.
    """
    check_only_loads(scenario, f"study {name}")
    check_has_effect(name, scenario)
    return [
        Task({"seed": seed, **labels}, vary(scenario, "study", seed=seed, **changes))
        for seed in range(1, seeds + 1)
        for labels, changes in SWEEPS[name].points
    ]


def check_has_effect(name: str, scenario: Scenario) -> None:
    """Raise ScenarioError where a key that is swept does nothing in the scenario, so that its rows would be alike.

    Profiles of a table bring their panels, panels by the weather their rating.
    """
    for _, changes in SWEEPS[name].points:
        changed = scenario.with_changes("study", **changes)
        for section, key, needs in find_idle_keys(changed, find_mechanism(changed.market.mechanism)):
            if key in changes.get(section, {}):
                raise ScenarioError(
                    f"study {name}, {section}.{key}: expected a scenario in which it has an effect, which takes "
                    f"{needs}; got '{scenario.name}'; take a scenario whose houses are drawn"
                )


OWN = {"production": ("pv_kwp", "panels"), "storage": ("battery_kwh", "a battery")}
"""What a table of participants may give a house for good, whatever a sweep does, by the sweep."""


def list_sweep_notes(name: str, scenario: Scenario) -> list[str]:
    """Remarks on what of a scenario a sweep leaves as it is.

    Raises
    ------
    ScenarioError
        If the table of participants cannot be used.
    """
    key, words = OWN.get(name, ("", ""))
    own = [row.participant for row in with_houses(scenario)[0].participants if getattr(row, key, None) is not None]
    if not own:
        return []
    return [
        f"{len(own)} participants have {words} of their own ({key}), which the study does not vary: {', '.join(own)}"
    ]


def write_sweep(directory: Path, name: str, table: pd.DataFrame) -> list[Path]:
    """Write a sweep's data as CSV, and the heat maps of its means over seeds as a page; returns the files."""
    files = [directory / f"{name}.csv", directory / f"{name}.html"]
    write_whole(files[0], format_csv(table))
    x, y, _ = SWEEPS[name]
    means = table.groupby([y, x], sort=False)[list(HEAT_MAPS)].mean().reset_index()
    write_whole(files[1], draw_heat_maps(means, x, y))
    return files
