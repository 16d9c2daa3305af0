"""Speed as ratios, measured in one run on one machine: `python -m tests.benchmarks [--quick] [--write]`.

Prints Markdown; `--write` puts it into docs/benchmarks.md, with `--phases` or `--portfolio N` that section alone.
Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosim.case.case import build_case, build_market
from cosim.delivery.setpoints import injection_kw
from cosim.interval.fold import run_intervals
from cosim.interval.optimistic import settle_optimistically
from cosim.recording.recorder import open_recorder
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.studies.market_run import run_market
from grid_models.powerflow.verdicts import judge
from market.ledger.check.verify import verify_ledger
from tests.benchmarks.engines import REPEAT, other_engines, seconds
from tests.benchmarks.phases import phase_section, with_section
from tests.benchmarks.portfolio import SMALL, portfolio_section
from tests.benchmarks.runpp_loop import runpp_seconds


def power_flow_rows(scenario: Scenario, n_slow: int) -> list[str]:
    """Power flow per interval: batched, single, and by other engines on the same injections."""
    case = build_case(scenario)
    window = settle_optimistically(case, case.opening, 0, min(case.n_intervals, 8760))
    p_kw = injection_kw(window.meters, case.interval_minutes)
    n, few = p_kw.shape[0], p_kw[:n_slow]
    recycled = partial(
        runpp_seconds, case.feeder, few, recycle={"bus_pq": True, "trafo": False, "gen": False}, init="results"
    )
    rows = [
        ("gridsettle, batched", seconds(lambda: case.engine.solve(p_kw), n, REPEAT)),
        ("gridsettle, batched, with verdicts", seconds(lambda: judge(case.engine.solve(p_kw), case.limits), n, REPEAT)),
        ("gridsettle, one at a time", seconds(lambda: [case.engine.solve(p_kw[k : k + 1]) for k in range(200)], 200)),
        (f"`pandapower.runpp` loop ({n_slow} h)", seconds(partial(runpp_seconds, case.feeder, few), n_slow, 2)),
        (f"`pandapower.runpp` loop, recycled ({n_slow} h)", seconds(recycled, n_slow, 2)),
        *other_engines(case.feeder, p_kw, case.engine.solve(p_kw).vm_pu, n_slow),
    ]
    batched = rows[0][1].processor
    return [
        f"| {name} | {1e6 * taken.wall:,.1f} | {1e6 * taken.processor:,.1f} | {taken.processor / batched:,.1f} |"
        for name, taken in rows
    ]


def stage_rows(scenario: Scenario) -> list[str]:
    """Shares of a whole run by stage."""
    stages: dict[str, float] = {}
    begin = time.perf_counter()
    case = build_case(scenario)
    stages["profiles, feeder, engine"] = time.perf_counter() - begin
    begin = time.perf_counter()
    for first in range(0, case.n_intervals, 2048):
        settle_optimistically(case, case.opening, first, min(2048, case.n_intervals - first))
    stages["market and settlement"] = time.perf_counter() - begin
    begin = time.perf_counter()
    done = list(run_intervals(case, case.opening))
    stages["power flow, verdicts, curtailment"] = time.perf_counter() - begin - stages["market and settlement"]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with open_recorder(case, Path(folder), resume=False) as recorder:
            for k in range(0, len(done), 4):
                recorder.record(done[k : k + 4])
        stages["ledger, durable"] = time.perf_counter() - begin
        verified = seconds(lambda: verify_ledger(Path(folder)), repeat=2).wall
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run(scenario, Path(folder) / "run")
        whole = time.perf_counter() - begin
    stages["results and the rest"] = whole - sum(stages.values())
    n = case.n_intervals
    rows = [f"| {name} | {value:.2f} | {100 * value / whole:.0f} % |" for name, value in stages.items()]
    rows.append(f"| **whole run of {n:,} intervals** | {whole:.2f} | {n / whole:,.0f} intervals/s |")
    rows.append(f"| ledger: blocks/s durable | | {n / stages['ledger, durable']:,.0f} |")
    rows.append(f"| ledger: blocks/s verified | {verified:.2f} | {n / verified:,.0f} |")
    return rows


def growth_rows(sizes: list[tuple[int, int]]) -> list[str]:
    """Market alone over houses and hours; one dimension is varied at a time, for the slope of the logarithms."""
    points = {}
    for n_houses, hours in sizes:
        scenario = load_scenario("reference").with_changes(
            horizon={"hours": hours}, houses={"n_houses": n_houses, "n_prosumers": n_houses // 2}
        )
        case = build_market(scenario)
        points[n_houses, hours] = seconds(
            lambda case=case: deque(run_market(case), maxlen=0),  # type: ignore[misc]
        ).wall
    rows = [
        f"| {n:,} | {hours:,} | {taken:.3f} | {1e9 * taken / n / hours:.0f} |" for (n, hours), taken in points.items()
    ]
    over_hours = [(hours, taken) for (n, hours), taken in points.items() if n == sizes[0][0]]
    over_houses = [(n, taken) for (n, hours), taken in points.items() if hours == sizes[0][1] and n >= 100]
    for what, line in (("hours, 25 houses", over_hours), ("houses, from 100 on", over_houses)):
        x, y = np.log(np.array(line)).T
        rows.append(f"| slope of log(time) over log({what}) | | {np.polyfit(x, y, 1)[0]:.2f} | |")
    return rows


def alone(module: str, *arguments: object, one_core: bool = False) -> Any:
    """What a module of the benchmarks prints as JSON in a process of its own, which one core may be all it gets."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as the command line sets it
    core = {min(os.sched_getaffinity(0))} if one_core else None
    pinned = (lambda: os.sched_setaffinity(0, core)) if core else None
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, preexec_fn=pinned)
    return json.loads(done.stdout)


def against_runpp_rows(name: str, hours: int, n_slow: int) -> list[str]:
    """How many times as long as a whole run a loop of `runpp` over its intervals alone would take, on the same cores.

    The loop is timed before and after the run; the mean counts.
    """
    rows = []
    for cores, one_core in (("one core", True), ("all cores", False)):
        if one_core and not hasattr(os, "sched_setaffinity"):
            continue
        before = alone("runpp_loop", name, n_slow, one_core=one_core)
        taken = alone("whole_run", name, hours, one_core=one_core)[2]
        each = (before + alone("runpp_loop", name, n_slow, one_core=one_core)) / 2.0
        rows.append(
            f"| {name}, {cores} | {hours:,} | {taken:.2f} | {1e3 * each:.1f} | {hours * each:,.0f} "
            f"| {hours * each / taken:.0f} |"
        )
    return rows


def whole_run_rows(runs: list[tuple[str, int]]) -> list[str]:
    """Whole runs of scenarios over hours."""
    rows = []
    for name, hours in runs:
        houses, unclean, taken, processor, memory, reported = alone("whole_run", name, hours, "report")
        each = 1e6 * processor / houses / hours
        rows.append(
            f"| {name} | {houses} | {hours:,} | {unclean:,} | {taken:.1f} | {processor:.1f} | {each:.1f} "
            f"| {memory:,.0f} | {reported:,.0f} |"
        )
    return rows


def stressed_rows(pairs: int) -> list[str]:
    """Stressed years against the same years with limits that nothing reaches, in turn; the medians count."""
    seconds = np.array([[alone("whole_run", name, 8760)[2] for name in ("stressed", "calm")] for _ in range(pairs)])
    named = [(str(k + 1), each) for k, each in enumerate(seconds)]
    return [
        f"| {name} | {stressed:.2f} | {calm:.2f} | {stressed / calm:.2f} |"
        for name, (stressed, calm) in [*named, ("median", np.median(seconds, axis=0))]
    ]


def report(*, quick: bool) -> str:
    """All measurements as Markdown."""
    base = load_scenario("rural" if quick else "reference")
    if quick:
        base = base.with_changes(horizon={"hours": 1000})
    run(base.with_changes(horizon={"hours": 50}))  # compiles
    whole = whole_run_rows(
        [("default", 1000), ("rural", 1000), ("stressed", 1000)]
        if quick
        else [
            ("default", 8760),
            ("rural", 8760),
            ("stressed", 8760),
            ("reference", 8760),
            ("reference", 35064),
            ("town", 2190),
            ("town", 8760),
            ("suburb", 8760),
        ]
    )
    n_slow = 50 if quick else 200
    power_flows = power_flow_rows(base, n_slow)
    against = against_runpp_rows(base.name, base.horizon.hours, n_slow)
    sizes = [(25, 2000), (25, 8760), (100, 2000), (400, 2000)]
    if not quick:
        sizes += [(25, 35064), (1600, 2000), (1000, 8760)]
    cpu = platform.processor() or platform.machine()
    lines = [
        "# Benchmarks",
        "",
        f"`python -m tests.benchmarks --write`, Python {platform.python_version()}, {os.cpu_count()} cores ({cpu}), "
        f"{platform.system()}. Ratios count, times are this machine's.",
        "",
        "## Power flow of the 25-house feeder",
        "",
        "The shortest of several runs. Processor time is that of all threads, and its ratios count: on a machine that "
        "others use, the wall clock measures them too, most of all with two threads and in runs that take seconds.",
        "",
        "| engine | µs per interval | processor µs | against batched |",
        "|---|---:|---:|---:|",
        *power_flows,
        "",
        *phase_section(quick=quick),
        "## A whole run, by stage",
        "",
        "| stage | s | share |",
        "|---|---:|---:|",
        *stage_rows(base),
        "",
        "## Whole runs",
        "",
        "Market, every interval AC-checked, durable ledger, tables; one process, compiled before. Unclean intervals "
        "are curtailed, or load is shed, by linear programmes. The last column is the peak when the report is written "
        "too, as `gridsettle run` does.",
        "",
        "| scenario | houses | hours | unclean | s | processor s | µs per house and hour | peak MiB | with report |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *whole,
        "",
        f"Against a loop of `runpp` on the same cores, extrapolated from {n_slow} hours: power flows and nothing else. "
        "It is timed before and after the run; the mean counts.",
        "",
        "| whole run | hours | s | a `runpp`, ms | loop, s | times |",
        "|---|---:|---:|---:|---:|---:|",
        *against,
        "",
        "A stressed year against the same year with limits that nothing reaches, run in turn:",
        "",
        "| pair | stressed, s | calm, s | times |",
        "|---|---:|---:|---:|",
        *stressed_rows(1 if quick else 3),
        "",
        "## Market alone",
        "",
        "| houses | hours | s | ns per house and hour |",
        "|---:|---:|---:|---:|",
        *growth_rows(sizes),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--phases", action="store_true", help="measure unbalanced power flow alone")
    parser.add_argument(
        "--portfolio", type=int, nargs="?", const=SMALL, metavar="N", help="measure portfolios of up to N feeders alone"
    )
    arguments = parser.parse_args()
    page = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    if arguments.phases:
        section = phase_section(quick=arguments.quick)
        sys.stdout.write("\n".join(section))
        text = with_section(page.read_text(encoding="utf-8"), section)
    elif arguments.portfolio is not None:
        section = portfolio_section(arguments.portfolio, quick=arguments.quick)
        sys.stdout.write("\n".join(section))
        text = with_section(page.read_text(encoding="utf-8"), section)
    else:
        text = report(quick=arguments.quick)
        sys.stdout.write(text)
        _, heading, by_hand = page.read_text(encoding="utf-8").partition("\n## Pace of one feeder\n")
        text += heading + by_hand
    if arguments.write:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
