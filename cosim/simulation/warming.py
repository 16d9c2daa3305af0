"""On a machine's first run, compile in a second process what the run needs last, while it compiles what it needs first.

A served run would otherwise stop its clock for half a minute at its first curtailment. What one process has compiled,
the other only loads.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cosim.case.case import Case, build_case
from cosim.case.solve import solve_meters
from cosim.delivery.redispatch import deliver
from cosim.delivery.window import make_orders_at
from cosim.interval.interval import run_interval
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from grid_models.phases.kernel import solve_intervals
from grid_models.powerflow.verdicts import judge
from market.exchanges import EXCHANGE, METER
from market.settlement import deliver_all, settle

DAY = {
    "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
    "houses": {"n_houses": 4, "n_prosumers": 3, "production_ratio": 2.0},
    "network": {"n_branches": 1, "spacing_m": 200.0},
    "market": {"feed_in": True},
    "limits": {"max_vm_pu": 1.005},
    "ledger": {"facts": True},
    "events": [{"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 3, "grid": True}],
}
"""A day with curtailment at noon and an outage."""
LOCK, LONGEST_S = "compiling.lock", 600.0
"""File in the cache's folder that is locked by who compiles, and how long others wait for it."""


def is_compiled(model: str = "balanced") -> bool:
    """Whether the cache on disk holds what curtailment needs in a model; also where nothing can be cached."""
    of_model = () if model == "balanced" else (solve_intervals,)
    return all(_is_cached(function) for function in (deliver, *of_model))


def _is_cached(function: Any) -> bool:
    path = function.stats.cache_path
    return path is None or any(Path(path).glob(f"*.{function.__name__}-*.nbi"))


@cache
def compile_once(model: str) -> None:
    """Have all that a run in a model needs compiled on this machine; wait where another process is at it.

    So of many processes that begin at the same time one compiles, and the others load. A process looks once.
    """
    path = deliver.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    if path is None:
        return
    with suppress(OSError, sqlite3.Error), _lock(Path(path)):  # who cannot wait compiles what it needs itself
        if not is_compiled(model):
            subprocess.run(_command(model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold a lock that is free when its holder ends, however it does."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / LOCK, isolation_level=None, timeout=LONGEST_S)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _command(model: str) -> list[str]:
    return [sys.executable, "-m", "cosim.simulation.warming", model]


@contextmanager
def compile_meanwhile(scenario: Scenario) -> Iterator[None]:
    """Compile what a scenario needs in a process of its own while the context lasts, unless it is done.

    Parameters
    ----------
    scenario
        Its model of the network decides; what it has no need for is compiled too.
    """
    if is_compiled():
        yield
        return
    second = subprocess.Popen(_command(scenario.network.model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        second.kill()
        second.wait()


def compile_last_first(case: Case) -> None:
    """Power flow, verdict and settlement: what a window of intervals comes to when orders and clearing are compiled."""
    flow = solve_meters(case, np.zeros((1, case.opening.own_wh.size), METER)).flow
    judge(flow, case.limits)
    orders, before = make_orders_at(case.inputs, 0, 0, case.opening, case.rules)
    settle(deliver_all(np.zeros(0, EXCHANGE), orders.need_wh.size), orders, before, case.rules)
    run_interval(case, case.opening, 12)


if __name__ == "__main__":
    day = Scenario().with_changes(**DAY).with_changes(network={"model": sys.argv[1]})
    compile_last_first(build_case(day.with_changes(events=())))
    run(day)
