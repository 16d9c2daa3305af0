"""The second process of a machine's first run: `cosim.simulation.compile_ahead` starts it.

A served run would otherwise stop its clock for half a minute at its first curtailment.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from cosim.case.case import Case, build_case
from cosim.case.solve import solve_meters
from cosim.delivery.window import make_orders_at
from cosim.interval.interval import IntervalResult, run_interval
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run_in_memory
from grid_models.powerflow.verdicts import judge
from market.exchanges import EXCHANGE, METER
from market.ledger.crypto.sha256 import hash_rows
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
"""A day with curtailment and an outage."""
NOON = 12
"""Hour of it with the most sun."""


def make_noon(model: str) -> Case:
    """The day without its outage and without batteries: at noon it is curtailed from its opening state on."""
    empty = {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    changes: dict[str, Any] = {**DAY, "events": (), "battery": empty}
    return build_case(Scenario().with_changes(**changes).with_changes(network={"model": model}))


def compile_last_first(case: Case) -> IntervalResult:
    """Power flow, verdict, hashes, settlement, repair: what a run comes to when orders and clearing are compiled.

    Returns what noon came to.
    """
    flow = solve_meters(case, np.zeros((1, case.opening.own_wh.size), METER)).flow
    judge(flow, case.limits)
    hash_rows(0, np.zeros((1, 1), np.uint8))
    orders, before = make_orders_at(case.inputs, 0, 0, case.opening, case.rules)
    settle(deliver_all(np.zeros(0, EXCHANGE), orders.need_wh.size), orders, before, case.rules)
    return run_interval(case, case.opening, NOON)[1]


if __name__ == "__main__":
    compile_last_first(make_noon(sys.argv[1]))
    run_in_memory(Scenario().with_changes(**DAY).with_changes(network={"model": sys.argv[1]}))
