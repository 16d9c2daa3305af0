"""Processor time of an hour that had to be curtailed, by number of houses: `… -m tests.benchmarks.repairs [HOUSES …]`.

Suburbs of 25, 100 and 400 houses, each in a year in which a sixth of all hours breaks the voltage limit. A sample of
these hours is repaired again and again, and the fastest repetition of each counts. Prints a row a size, and by which
power of the number of houses the time grows.
"""

from __future__ import annotations

import argparse
import time
from typing import Any
from unittest.mock import patch

import numpy as np

import cosim.interval.fold as fold
import cosim.interval.interval as interval
from cosim.case.case import build_case
from cosim.curtailment.feasible import make_feasible
from cosim.interval.fold import run_intervals
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario

SUBURBS = {25: (1, 120.0, "0.25 MVA"), 100: (3, 60.0, "0.25 MVA"), 400: (10, 30.0, "0.63 MVA")}
"""Branches, distance between houses in m, and transformer by number of houses."""
SAMPLE, REPETITIONS = 120, 5


def make_suburb(n_houses: int) -> Scenario:
    """The bundled suburb with another number of houses; cables are longer where there are fewer houses to a branch."""
    n_branches, spacing_m, trafo = SUBURBS[n_houses]
    return load_scenario("suburb").with_changes(
        houses={"n_houses": n_houses, "n_prosumers": 3 * n_houses // 5},
        network={"n_branches": n_branches, "spacing_m": spacing_m, "trafo_std_type": f"{trafo} 20/0.4 kV"},
        engine={"verify_sample": 0},
    )


def list_repairs(scenario: Scenario) -> tuple[int, list[tuple[Any, ...]]]:
    """Number of intervals of a run, and the arguments with which it asks for those that are not clean."""
    asked = []

    def note(*arguments: Any) -> Any:
        found = make_feasible(*arguments)
        if found.before is not None:
            asked.append(arguments)
        return found

    case = build_case(scenario)
    with patch.object(fold, "make_feasible", note), patch.object(interval, "make_feasible", note):
        for _ in run_intervals(case, case.opening):
            pass
    return case.n_intervals, asked


def repair_seconds(asked: list[tuple[Any, ...]], repetitions: int) -> np.ndarray:
    """Processor time of each repair, the least of several, (n,)."""
    taken = np.full((repetitions, len(asked)), np.inf)
    for each in taken:
        for k, arguments in enumerate(asked):
            begin = time.process_time()
            make_feasible(*arguments)
            each[k] = time.process_time() - begin
    return np.asarray(taken.min(axis=0))


def repair_rows(sizes: list[int], hours: int = 8760) -> list[str]:
    """A row of Markdown a size, and one with the growth."""
    rows, means = [], []
    for n_houses in sizes:
        n, asked = list_repairs(make_suburb(n_houses).with_changes(horizon={"hours": hours}))
        chosen = [asked[k] for k in np.linspace(0, len(asked) - 1, min(SAMPLE, len(asked))).astype(int)]
        taken = 1e3 * repair_seconds(chosen, REPETITIONS)
        means.append(taken.mean())
        rows.append(
            f"| {n_houses} | {len(asked):,} | {100 * len(asked) / n:.0f} % | {means[-1]:.1f} | {taken.max():.1f} |"
        )
    if len(sizes) > 1:
        rows.append(f"| time grows as N to the power | | | {np.polyfit(np.log(sizes), np.log(means), 1)[0]:.2f} | |")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("houses", nargs="*", type=int, default=[])
    sizes = parser.parse_args().houses or list(SUBURBS)
    print("| houses | repaired hours | of all | ms each | longest, ms |\n|---:|---:|---:|---:|---:|")
    print("\n".join(repair_rows(sizes)))
