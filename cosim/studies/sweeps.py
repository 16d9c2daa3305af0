"""The studies the reference paper leaves open: β and τ, production, storage; heat maps and the data behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cosim.results.directory import write_whole
from cosim.scenario.files import change_scenario
from cosim.scenario.model import Scenario
from cosim.studies.study import Task

BETAS = (0.1, 0.3, 0.5, 0.7, 0.9)
TAUS_HOURS = (1, 3, 6, 12, 24, 48)
PRODUCTION = (0.1, 0.12, 0.25, 0.58, 0.8, 1.0, 1.28, 1.6, 2.0)
CAPACITIES_KWH = (0.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)
MARKETS = ("trading_battery", "sharing_central", "sharing_p2p", "sharing_hybrid", "sharing_selfish")


class Sweep(NamedTuple):
    """A sweep over two keys.

    Attributes
    ----------
    x, y
        Column names of the two axes.
    tasks
        Tasks of one seed.
    """

    x: str
    y: str
    tasks: Callable[[Scenario, int], list[Task]]


def beta_tau_tasks(scenario: Scenario, seed: int) -> list[Task]:
    """P2P sharing over β and τ."""
    return [
        _task(
            scenario,
            seed,
            {"beta": beta, "tau_hours": tau},
            market={"beta": beta, "tau_hours": tau, "mechanism": "sharing_p2p"},
        )
        for beta in BETAS
        for tau in TAUS_HOURS
    ]


def production_tasks(scenario: Scenario, seed: int) -> list[Task]:
    """Every market over production, panels scaled."""
    return [
        _task(
            scenario,
            seed,
            {"production_ratio": ratio, "mechanism": market},
            houses={"production_ratio": ratio},
            market={"mechanism": market},
        )
        for ratio in PRODUCTION
        for market in MARKETS
    ]


def storage_tasks(scenario: Scenario, seed: int) -> list[Task]:
    """Every market over battery capacity, the same for all houses."""
    return [
        _task(
            scenario,
            seed,
            {"battery_kwh": kwh, "mechanism": market},
            battery={"capacity_kwh_min": kwh, "capacity_kwh_max": kwh},
            market={"mechanism": market},
        )
        for kwh in CAPACITIES_KWH
        for market in MARKETS
    ]


def _task(scenario: Scenario, seed: int, labels: dict[str, Any], **sections: Any) -> Task:
    return Task({"seed": seed, **labels}, change_scenario(scenario, "study", seed=seed, **sections))


SWEEPS: dict[str, Sweep] = {
    "beta-tau": Sweep("tau_hours", "beta", beta_tau_tasks),
    "production": Sweep("production_ratio", "mechanism", production_tasks),
    "storage": Sweep("battery_kwh", "mechanism", storage_tasks),
}


def sweep_tasks(name: str, scenario: Scenario, seeds: int) -> list[Task]:
    """Tasks of a sweep over all seeds."""
    return [task for seed in range(1, seeds + 1) for task in SWEEPS[name].tasks(scenario, seed)]


def sweep_means(name: str, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Means over seeds of some columns, one row per point of the sweep."""
    sweep = SWEEPS[name]
    return table.groupby([sweep.y, sweep.x], sort=False)[list(columns)].mean().reset_index()


def write_sweep(directory: Path, name: str, table: pd.DataFrame) -> list[Path]:
    """Write a sweep's data as CSV and its heat maps as a page; returns the files."""
    from cosim.studies.figures import HEAT_MAPS, heat_maps

    files = [directory / f"{name}.csv", directory / f"{name}.html"]
    write_whole(files[0], table.to_csv(index=False))
    means = sweep_means(name, table, list(HEAT_MAPS))
    write_whole(files[1], heat_maps(means, SWEEPS[name].x, SWEEPS[name].y))
    return files
