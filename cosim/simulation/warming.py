"""On a machine's first run, compile in a second process what the run needs last, while it compiles what it needs first.

A served run would otherwise stop its clock for half a minute at its first curtailment. What one process has compiled,
the other only loads.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cosim.case.case import Case, build_case
from cosim.case.solve import solve_meters
from cosim.delivery.redispatch import deliver
from cosim.delivery.window import make_orders_at
from cosim.interval.interval import run_interval
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
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


def is_compiled() -> bool:
    """Whether the cache on disk holds what curtailment needs; also where nothing can be cached."""
    path = deliver.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    return path is None or any(Path(path).glob(f"*.{deliver.__name__}-*.nbc"))


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
    command = [sys.executable, "-m", "cosim.simulation.warming", scenario.network.model]
    second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
