"""Unbalanced power flow: how exact and how fast it is, beside other programs, measured in one run.

Times are processor times on one core, medians of several.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp

from cosim.nets.judges import Judge, compare
from cosim.nets.models import Model
from cosim.nets.opendss import write_opendss
from cosim.nets.solve import solve_network
from grid_models.phases.circuit import Circuit
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.power_grid import write_power_grid
from grid_models.phases.tables import read_tables
from grid_models.phases.three_phase import make_three_phase
from tests.reference.phase_nets import NETS, make_drawn, make_european, make_wye, write_european_four_wire

TITLE = "## Unbalanced power flow"
FOLDER = Path(__file__).parents[1] / "reference" / "four_wire"


def seconds_of(work: Callable[[], Any], repeat: int) -> float:
    """Median processor time of a few runs, after one that warms up."""
    work()
    taken = []
    for _ in range(repeat):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return float(np.median(taken))


def draw_factors(n: int) -> np.ndarray:
    """What the loads are multiplied by in each interval, the same for all programs."""
    return np.random.default_rng(0).uniform(0.0, 1.5, n)


def our_seconds(circuit: Circuit, n: int, repeat: int) -> tuple[float, float]:
    """Seconds per interval, all voltages and currents, in a batch and one at a time."""
    engine = PhasePowerFlow(circuit)
    powers = circuit.power_kva * draw_factors(n)[:, None]
    batched = seconds_of(lambda: engine.solve(powers), repeat) / n
    alone = seconds_of(lambda: [engine.solve(powers[k : k + 1]) for k in range(50)], repeat) / 50
    return batched, alone


def runpp_3ph_seconds(net: Any, n: int) -> float:
    """Seconds per `pandapower.runpp_3ph`."""
    given = deepcopy(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return seconds_of(lambda: pp.runpp_3ph(given), n)


def power_grid_seconds(net: Any, n: int, repeat: int) -> float:
    """Seconds per interval of power-grid-model's batch on one core, by its fastest exact method."""
    import power_grid_model as pgm

    rows = {}
    for kind, components in write_power_grid(net, make_three_phase(net)).components.items():
        rows[kind] = pgm.initialize_array("input", kind, len(components))
        for column in components[0]:
            rows[kind][column] = [component[column] for component in components]
    model, load = pgm.PowerGridModel(rows), rows["asym_load"]
    update = pgm.initialize_array("update", "asym_load", (n, len(load)))
    update["id"] = load["id"]
    for column in ("p_specified", "q_specified"):
        update[column] = load[column][None] * draw_factors(n)[:, None, None]
    options: dict[str, Any] = {"symmetric": False, "update_data": {"asym_load": update}, "threading": -1}
    return seconds_of(lambda: model.calculate_power_flow(calculation_method="iterative_current", **options), repeat) / n


def opendss_seconds(network: Any, n: int, repeat: int) -> float:
    """Seconds per interval of OpenDSS: the loads' multiplier set, solved at its default tolerance, voltages read."""
    import opendssdirect as dss

    for command in write_opendss(network).script.commands:
        dss.Text.Command(command)
    dss.Text.Command("set tolerance=0.0001")

    def solve() -> None:
        for factor in draw_factors(n):
            dss.Solution.LoadMult(float(factor))
            dss.Solution.Solve()
            dss.Circuit.AllBusVolts()

    return seconds_of(solve, repeat) / n


def speed_rows(n: int, n_slow: int, repeat: int) -> Iterator[str]:
    """Rows of Markdown: networks, and µs per interval of the programs."""
    with tempfile.TemporaryDirectory() as folder:
        tables = read_tables(write_european_four_wire(Path(folder)))
    european, drawn = make_european(), make_drawn()
    of_three = {"European LV, 907 buses, 55 one-phase houses": european, "feeder, 25 one-phase houses": drawn}
    for (name, net), bar in zip(of_three.items(), (40, 5), strict=True):
        ours = our_seconds(make_three_phase(net).circuit, n, repeat)
        others = (
            runpp_3ph_seconds(net, n_slow), power_grid_seconds(net, n // 2, 3), opendss_seconds(net, n // 4, 3)
        )  # fmt: skip
        yield format_row(name, ours, bar, others)
    whole = our_seconds(make_three_phase(european).circuit, 8 * n, repeat)
    yield format_row(f"European LV, {8 * n:,} intervals in a batch", whole, 40, (None, None, None))
    ours = our_seconds(make_four_wire(tables), n, repeat)
    yield format_row("European LV, four wires", ours, 80, (None, None, opendss_seconds(tables, n // 4, 3)))


def format_row(name: str, ours: tuple[float, float], bar: int, others: tuple[float | None, ...]) -> str:
    """A row of `speed_rows`."""
    numbers = ["–" if each is None else f"{1e6 * each:,.0f}" for each in others]
    return f"| {name} | {1e6 * ours[0]:,.1f} | ≤ {bar} | {1e6 * ours[1]:,.0f} | {' | '.join(numbers)} |"


def agreement_rows(names: tuple[str, ...]) -> Iterator[str]:
    """Rows of Markdown: the largest difference to each judge over nets, as they are."""
    for judge, bar in ((Judge.RUNPP_3PH, "≤ 1e-7"), (Judge.OPENDSS, "≤ 1e-6"), (Judge.PGM, "≤ 1e-6")):
        found = [judge_net(make_wye(name) if judge is Judge.PGM else NETS[name](), judge) for name in names]
        v, i = np.max(found, axis=0)
        yield f"| three_phase against {judge}, {len(names)} networks | {v:.0e} | {bar} | {i:.0e} | ≤ 1e-4 |"
    with tempfile.TemporaryDirectory() as folder:
        both = [read_tables(FOLDER), read_tables(write_european_four_wire(Path(folder)))]
    v, i = np.max([judge_net(tables, Judge.OPENDSS) for tables in both], axis=0)
    yield f"| four_wire against opendss, with neutrals, {len(both)} networks | {v:.0e} | ≤ 1e-8 | {i:.0e} | ≤ 1e-4 |"


def judge_net(network: Any, judge: Judge) -> tuple[float, float]:
    """Largest difference of voltage, pu, and of current, relative to the largest current."""
    model = Model.FOUR_WIRE if hasattr(network, "linecode_matrix") else Model.THREE_PHASE
    found = solve_network(network, model)
    difference = compare(found, network, judge)
    return difference.voltage_pu, difference.current_a / max(abs(current) for current in found.current_a.values())


def year_rows(hours: int) -> Iterator[str]:
    """Rows of Markdown: the command `gridsettle run` on the 25 houses of `rural`, once its code is compiled."""
    models = ("balanced", "three_phase")
    balanced, three = (min(command_seconds(model, hours) for _ in range(2)) for model in models)
    yield f"| balanced | {balanced:.1f} | 1 | |"
    yield f"| three_phase | {three:.1f} | {three / balanced:.1f} | ≤ 3 |"


def command_seconds(model: str, hours: int) -> float:
    """Processor seconds of the command on `hours` of `rural` in a model: ledger, tables, sample and report."""
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "scenario.toml"
        scenario.write_text(f'name = "year"\n[horizon]\nhours = {hours}\n[network]\nmodel = "{model}"\n')
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = "from cosim.cli.entry import main; main()"
        run = [sys.executable, "-c", command, "run", str(scenario), "--out", str(Path(folder) / "run")]
        subprocess.run(run, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def phase_section(*, quick: bool) -> list[str]:
    """The section of docs/benchmarks.md."""
    names = ("generated", "meshed", "two_stars") if quick else tuple(NETS)
    return [
        TITLE,
        "",
        "Every voltage and current of every conductor, 256 intervals in a batch; µs of processor time per interval on "
        "one core, medians. A batch of 2,048 includes 270 MB of memory that is touched for the first time. The others: "
        "`runpp_3ph` at its default tolerance, power-grid-model's batch by `iterative_current`, OpenDSS with its "
        "loads' multiplier set, solved at its default tolerance, and its voltages read.",
        "",
        "| network | batched | to reach | one at a time | runpp_3ph | power-grid-model | OpenDSS |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *speed_rows(64 if quick else 256, 2 if quick else 5, 3 if quick else 15),
        "",
        "Largest differences to other programs, voltages in pu, currents relative to the largest:",
        "",
        "| model and judge | voltage | to reach | current | to reach |",
        "|---|---:|---:|---:|---:|",
        *agreement_rows(names),
        "",
        "A year of the 25 houses of `rural`, their loads on one phase each, by the command `gridsettle run`: ledger, "
        "tables, the 24 intervals that `runpp` or `runpp_3ph` solves again, and the report; seconds of processor time, "
        "the better of two:",
        "",
        "| model | seconds | times the balanced year | to reach |",
        "|---|---:|---:|---:|",
        *year_rows(24 if quick else 8760),
        "",
    ]


def with_section(text: str, section: list[str]) -> str:
    """A page in which a section takes the place of the one of its title, or stands behind the first."""
    parts = text.split("\n## ")
    title, body = section[0].removeprefix("## "), "\n".join(section).removeprefix("## ").rstrip("\n") + "\n"
    at = [k for k, part in enumerate(parts) if part.startswith(title + "\n")]
    before, after = (parts[: at[0]], parts[at[0] + 1 :]) if at else (parts[:2], parts[2:])
    return "\n## ".join([*before, body, *after])
