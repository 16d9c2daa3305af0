"""Which way an outage is dispatched: hour by hour, or with energy kept for critical load to come (`islands.saving`).

Both are tried out with what is known of the hours to come, from the loss of the grid to the end of the outage.

Law: however long an outage lasts, a plan never serves less critical load than going hour by hour.
"""

from __future__ import annotations

import numpy as np

from cosim.case.case import Case
from cosim.case.state import AHEAD, HOUR_BY_HOUR, NetworkState
from cosim.interval.chunk import Chunk
from cosim.interval.event import run_event, with_admitted_devices
from cosim.islands.switching import Switching
from grid_models.arrays import Ints
from market.state import State


def is_served_as_well(short_wh: Ints, hourly_wh: Ints) -> bool:
    """Whether critical load that is short, (T,) Wh, never sums up to more than hour by hour.

    Where one is joined to the grid before the other, nothing more is short.

    Examples
    --------
    >>> is_served_as_well(np.array([0, 1, 4]), np.array([0, 3, 2]))
    True
    >>> is_served_as_well(np.array([1, 0]), np.array([0, 9])), is_served_as_well(np.array([1, 1]), np.array([1]))
    (False, False)
    """
    n = max(short_wh.size, hourly_wh.size)
    ahead, hourly = (np.cumsum(np.pad(wh, (0, n - wh.size))) for wh in (short_wh, hourly_wh))
    return bool((ahead <= hourly).all())


def find_critical_short_wh(case: Case, chunk: Chunk) -> int:
    """Critical load of all houses that is not served in an interval."""
    load, shed = (chunk.window.meters[0][name].astype(np.int64) for name in ("load_wh", "shed_wh"))
    critical = np.rint(load * case.scenario.community.critical_share).astype(np.int64)
    return int(np.maximum(critical - (load - shed), 0).sum())


def with_plan(case: Case, switching: Switching, state: State, network: NetworkState, t: int) -> NetworkState:
    """The network's state with a plan for the outage that begins in interval `t`, if the scenario asks for one."""
    if network.plan.size == 0 or network.in_force.any() or not case.timeline.open[t].any():
        return network
    hourly, ahead = (
        try_plan(case, switching, state, network._replace(plan=np.full(1, plan, np.int8)), t)
        for plan in (HOUR_BY_HOUR, AHEAD)
    )
    chosen = AHEAD if is_served_as_well(ahead, hourly) else HOUR_BY_HOUR
    return network._replace(plan=np.full(1, chosen, np.int8))


def try_plan(case: Case, switching: Switching, state: State, network: NetworkState, t: int) -> Ints:
    """Critical load that is short by a plan in each interval from `t` on until no outage is in force, (T,) Wh."""
    found = list[int]()
    while t < case.n_intervals:
        case = with_admitted_devices(case, network)
        chunk = run_event(case, switching, state, network, t)
        state, network, t = chunk.window.state, chunk.network, t + 1
        found.append(find_critical_short_wh(case, chunk))
        if not network.in_force.any():
            break
    return np.array(found, np.int64)
