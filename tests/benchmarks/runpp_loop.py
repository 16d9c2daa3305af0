"""A loop of `pandapower.runpp` over a scenario's first intervals: `… -m tests.benchmarks.runpp_loop NAME HOURS`.

Prints seconds per power flow.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pandapower as pp

from cosim.case.case import build_case
from cosim.delivery.setpoints import injection_kw
from cosim.interval.optimistic import settle_optimistically
from cosim.scenario.files import load_scenario
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.admittance import RUNPP_OPTIONS
from grid_models.powerflow.runpp import with_injection_elements, write_injections


def runpp_seconds(feeder: Feeder, p_kw: npt.NDArray[np.float64], **options: Any) -> float:
    """Seconds per `runpp` over injections, (K, N) kW: write them, solve."""
    net, index = with_injection_elements(feeder)
    q_kvar = np.zeros(p_kw.shape[1])
    begin = time.perf_counter()
    for p in p_kw:
        write_injections(net, index, p, q_kvar)
        pp.runpp(net, **RUNPP_OPTIONS, **options)
    return (time.perf_counter() - begin) / p_kw.shape[0]


def of_scenario(name: str, hours: int) -> float:
    """`runpp_seconds` of a bundled scenario, once warm."""
    case = build_case(load_scenario(name).with_changes(horizon={"hours": hours}))
    window = settle_optimistically(case, case.opening, 0, case.n_intervals)
    p_kw = injection_kw(window.meters, case.interval_minutes)
    runpp_seconds(case.feeder, p_kw[:5])
    return runpp_seconds(case.feeder, p_kw)


if __name__ == "__main__":
    print(of_scenario(sys.argv[1], int(sys.argv[2])))
