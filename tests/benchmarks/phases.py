"""Unbalanced power flow per interval, batched, single, and by runpp_3ph: `python -m tests.benchmarks.phases`."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as pn

from grid_models.phases.circuit import Circuit
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.tables import read_tables
from grid_models.phases.three_phase import make_three_phase

FOLDER = Path(__file__).parents[1] / "reference" / "four_wire"


def circuit_seconds(circuit: Circuit, n: int) -> tuple[float, float]:
    """Seconds per interval, all voltages and currents, in a batch of n and one at a time; best of three."""
    engine = PhasePowerFlow(circuit)
    powers = circuit.power_kva * np.random.default_rng(0).uniform(0.0, 1.5, (n, 1))
    found = []
    for parts in ([powers], [powers[k : k + 1] for k in range(50)]):
        engine.solve(parts[0])
        taken = []
        for _ in range(3):
            begin = time.perf_counter()
            for part in parts:
                engine.solve(part)
            taken.append(time.perf_counter() - begin)
        found.append(min(taken) / sum(len(part) for part in parts))
    return found[0], found[1]


def runpp_3ph_seconds(net: Any, n: int) -> float:
    """Seconds per `pandapower.runpp_3ph`, once warm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp_3ph(net)
        begin = time.perf_counter()
        for _ in range(n):
            pp.runpp_3ph(net)
    return (time.perf_counter() - begin) / n


def phase_rows(n: int, n_slow: int) -> list[str]:
    """Rows of Markdown."""
    european = pn.ieee_european_lv_asymmetric()
    batched, single = circuit_seconds(make_three_phase(european).circuit, n)
    four_batched, four_single = circuit_seconds(make_four_wire(read_tables(FOLDER)), n)
    slow = runpp_3ph_seconds(european, n_slow)
    rows = [
        ("European LV, 907 buses, three phases, batched", batched, 1.0),
        ("European LV, one at a time", single, single / batched),
        ("European LV, pandapower.runpp_3ph", slow, slow / batched),
        ("11 buses, four wires, batched", four_batched, 1.0),
        ("11 buses, four wires, one at a time", four_single, four_single / four_batched),
    ]
    return [f"| {name} | {1e6 * each:,.1f} | {ratio:,.1f} |" for name, each, ratio in rows]


if __name__ == "__main__":
    print("\n".join(phase_rows(2048, 5)))
