"""Speed as ratios, measured in one run on one machine: `python -m tests.benchmarks [--quick] [--phases] [--write]`.

Prints Markdown; `--write` puts it into docs/benchmarks.md, with `--phases` that section alone. Nothing here asserts a
time.
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
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp

from cosim.case.case import build_case, build_market
from cosim.delivery.setpoints import injection_kw
from cosim.interval.fold import run_intervals
from cosim.interval.optimistic import settle_optimistically
from cosim.recording.recorder import open_recorder
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.studies.market_run import run_market
from grid_models.powerflow.admittance import RUNPP_OPTIONS
from grid_models.powerflow.runpp import with_injection_elements
from grid_models.powerflow.verdicts import judge
from market.ledger.check.verify import verify_ledger
from tests.benchmarks.phases import phase_section, with_section
from tests.benchmarks.runpp_loop import runpp_seconds


def seconds(work: Callable[[], Any], repeat: int = 3) -> float:
    """Shortest of a few runs."""
    best = np.inf
    for _ in range(repeat):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def power_flow_rows(scenario: Scenario, n_slow: int) -> list[str]:
    """Power flow per interval: batched, single, and by other engines on the same injections."""
    case = build_case(scenario)
    window = settle_optimistically(case, case.opening, 0, min(case.n_intervals, 8760))
    p_kw = injection_kw(window.meters, case.interval_minutes)
    n = p_kw.shape[0]
    batched = seconds(lambda: case.engine.solve(p_kw)) / n
    judged = seconds(lambda: judge(case.engine.solve(p_kw), case.limits)) / n
    single = seconds(lambda: [case.engine.solve(p_kw[k : k + 1]) for k in range(200)]) / 200
    net, index = with_injection_elements(case.feeder)

    loop_runpp = runpp_seconds(case.feeder, p_kw[:n_slow])
    recycle = {"bus_pq": True, "trafo": False, "gen": False}
    loop_recycled = runpp_seconds(case.feeder, p_kw[:n_slow], recycle=recycle, init="results")
    rows = [
        ("gridsettle, batched", batched),
        ("gridsettle, batched, with verdicts", judged),
        ("gridsettle, one at a time", single),
        (f"pandapower.runpp loop ({n_slow} h)", loop_runpp),
        (f"pandapower.runpp loop, recycled ({n_slow} h)", loop_recycled),
        *other_engines(net, index, p_kw, n_slow),
    ]
    return [f"| {name} | {1e6 * each:,.1f} | {each / batched:,.1f} |" for name, each in rows]


def other_engines(net: Any, index: Any, p_kw: np.ndarray, n: int) -> list[tuple[str, float]]:
    """lightsim2grid and power-grid-model where they are installed (extra `bench`)."""
    found = []
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.append(("lightsim2grid, one at a time", lightsim_seconds(deepcopy(net), index, p_kw, n)))
    with suppress(ImportError):
        found.append(("power-grid-model, batched", power_grid_model_seconds(deepcopy(net), p_kw, n)))
    return found


def lightsim_seconds(net: Any, index: Any, p_kw: np.ndarray, n: int) -> float:
    """Seconds per power flow of lightsim2grid's Newton-Raphson on the net's model."""
    from lightsim2grid.gridmodel import init_from_pandapower

    pp.runpp(net, **RUNPP_OPTIONS)
    model = init_from_pandapower(net)
    start = (net.res_bus.vm_pu * np.exp(1j * np.deg2rad(net.res_bus.va_degree))).to_numpy(np.complex128)
    first = len(net.sgen) - len(index)

    def solve() -> None:
        for k in range(n):
            for i in range(len(index)):
                model.change_p_sgen(first + i, float(p_kw[k, i]) / 1000.0)
            if model.ac_pf(start, 20, 1e-9).shape[0] == 0:
                raise RuntimeError("lightsim2grid did not converge")

    return seconds(solve, 1) / n


def power_grid_model_seconds(net: Any, p_kw: np.ndarray, n: int) -> float:
    """Seconds per power flow of power-grid-model's batch on a feeder of the same size and cables."""
    import power_grid_model as pgm

    lines, buses = net.line, net.bus
    node = pgm.initialize_array("input", "node", len(buses))
    node["id"], node["u_rated"] = np.arange(len(buses)), buses.vn_kv * 1000.0
    line = pgm.initialize_array("input", "line", len(lines))
    line["id"] = 1000 + np.arange(len(lines))
    line["from_node"], line["to_node"] = lines.from_bus, lines.to_bus
    line["from_status"] = line["to_status"] = 1
    line["r1"], line["x1"] = lines.r_ohm_per_km * lines.length_km, lines.x_ohm_per_km * lines.length_km
    line["c1"], line["tan1"] = lines.c_nf_per_km * lines.length_km * 1e-9, 0.0
    source = pgm.initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"] = (
        5000,
        int(net.trafo.lv_bus.iloc[0]),
        1,
        1.0,
    )
    load = pgm.initialize_array("input", "sym_load", p_kw.shape[1])
    load["id"], load["node"] = 2000 + np.arange(p_kw.shape[1]), net.sgen.bus.to_numpy()[-p_kw.shape[1] :]
    load["status"], load["type"] = 1, pgm.LoadGenType.const_power
    load["p_specified"] = load["q_specified"] = 0.0
    model = pgm.PowerGridModel({"node": node, "line": line, "source": source, "sym_load": load})
    update = pgm.initialize_array("update", "sym_load", (n, p_kw.shape[1]))
    update["id"] = load["id"]
    update["p_specified"], update["q_specified"] = -1000.0 * p_kw[:n], 0.0
    options: dict[str, Any] = {"update_data": {"sym_load": update}, "calculation_method": "iterative_current"}
    return seconds(lambda: model.calculate_power_flow(**options)) / n


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
        verified = seconds(lambda: verify_ledger(Path(folder)), 2)
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
            3,
        )
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
        "| engine | µs per interval | against batched |",
        "|---|---:|---:|",
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
    arguments = parser.parse_args()
    page = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    if arguments.phases:
        section = phase_section(quick=arguments.quick)
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
