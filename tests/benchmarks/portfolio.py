"""Portfolios of drawn feeders: processor time a feeder and year, what is not spent on feeders, memory of workers.

Nothing here asserts a time. The share of scheduling is that of the workers' time in which no feeder ran, their start
left out, so that it counts what the command does between two feeders.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from cosim.portfolio.made import generate_entries
from cosim.portfolio.portfolio import TIMING, run_portfolio
from cosim.portfolio.task import Task, run_feeder
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from market.cores import count_usable_cores
from tests.benchmarks.phases import seconds_of

TITLE = "## Portfolios"
SMALL, HOURS, QUICK_HOURS = 10, 8760, 168
_STAGES = {
    "network, profiles, engine": "build_case",
    "intervals, ledger, tables": "_record_all",
    "sums, agreement with runpp": "sum_up",
    "row": "make_row",
}
"""Functions that a run of a feeder is spent in; the rest is its files."""


class Measured(NamedTuple):
    """A portfolio of n feeders: processor s a feeder, scheduling %, wall s, peak MiB of workers early and late."""

    n_feeders: int
    cpu_s: float
    scheduling_percent: float
    wall_s: float
    early_mib: float
    late_mib: float


def measure_portfolio(n_feeders: int, hours: int, folder: Path) -> Measured:
    """Run drawn feeders on all cores; times from the first answer on, when workers have started and compiled."""
    begun: list[float] = []
    own: list[float] = []

    def listen(done: int, total: int) -> None:
        if done:
            begun.append(time.perf_counter())
            own.append(time.process_time())

    base = Scenario().with_changes(horizon={"hours": hours})
    before = time.perf_counter()
    run_portfolio(generate_entries(n_feeders, 1, base), folder, keep="none", listener=listen)
    wall = time.perf_counter() - before
    rows = pq.read_table(folder / TIMING).to_pylist()
    spent = sum(row["cpu_seconds"] for row in rows)
    own_s = own[-1] - own[0]
    peaks = _order_peaks([(row["worker"], row["peak_mib"]) for row in rows])
    return Measured(n_feeders, spent / n_feeders, 100.0 * own_s / (own_s + spent), wall, *peaks)


def _order_peaks(rows: list[tuple[str, float]]) -> tuple[float, float]:
    """Peak of a worker's memory after its fifth feeder or its last, and at its end: the largest of all workers, MiB.

    A peak never falls, so that a worker's peaks in order are those in their order of time.
    """
    by_worker: dict[str, list[float]] = {}
    for worker, peak in rows:
        by_worker.setdefault(worker, []).append(peak)
    ordered = [sorted(peaks) for peaks in by_worker.values()]
    return max(peaks[min(4, len(peaks) - 1)] for peaks in ordered), max(peaks[-1] for peaks in ordered)


def compare_alone(hours: int, repeat: int) -> tuple[float, float, list[tuple[str, float]]]:
    """Processor s of one feeder as a task and by `run`, and shares of the task by stage, %."""
    entry = generate_entries(1, 1, Scenario().with_changes(horizon={"hours": hours}))[0]
    scenario = entry.scenario or Scenario()

    def alone() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run(scenario, Path(folder) / "run")

    task = Task(entry.name, scenario)
    inside, by_itself = seconds_of(lambda: run_feeder(task), repeat), seconds_of(alone, repeat)
    profile = cProfile.Profile(time.process_time)
    profile.runcall(run_feeder, task)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = sum(each[2] for each in stats.values())
    found = {key[2]: each[3] for key, each in stats.items()}
    return inside, by_itself, [(stage, 100.0 * found.get(name, 0.0) / whole) for stage, name in _STAGES.items()]


def portfolio_section(n_feeders: int | None, *, quick: bool) -> list[str]:
    """Lines of the page; n feeders of the largest portfolio, and a tenth and a hundredth of them before."""
    hours, most = QUICK_HOURS if quick else HOURS, n_feeders or SMALL
    sizes = sorted({size for size in (most // 100, most // 10, most) if size >= min(SMALL, most)})
    with tempfile.TemporaryDirectory() as folder:
        measured = [measure_portfolio(size, hours, Path(folder) / str(size)) for size in sizes]
    inside, alone, stages = compare_alone(hours, 1 if quick else 3)
    own_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return [
        TITLE,
        "",
        f"Drawn feeders of 25 houses and {hours:,} hours on {count_usable_cores()} cores. Processor time of workers a "
        "feeder; scheduling is the command's own processor time, of all of it; the largest peak memory of a worker "
        "after its fifth feeder and at the end.",
        "",
        "| feeders | processor s each | to reach | scheduling % | to reach | wall s | MiB after 5 | MiB at the end |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {each.n_feeders:,} | {each.cpu_s:.2f} | ≤ 2.2 | {each.scheduling_percent:.2f} | ≤ 5 "
            f"| {each.wall_s:,.0f} | {each.early_mib:,.0f} | {each.late_mib:,.0f} |"
            for each in measured
        ),
        "",
        f"A feeder as a task takes {inside:.2f} s of a processor, by `run` alone {alone:.2f} s: {inside / alone:.2f} "
        f"times (to reach: ≤ 1.15). The command itself had {own_mib:,.0f} MiB at most. A task's time by profile:",
        "",
        "| stage | share % |",
        "|---|---:|",
        *(f"| {stage} | {share:.0f} |" for stage, share in stages),
        "",
    ]
