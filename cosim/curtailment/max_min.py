"""Fair curtailment: the smallest delivered share as large as possible, then the next smallest, and so on.

Progressive filling (Bertsekas and Gallager 1992, Data Networks, §6.5.2): all shares rise together until an element of
the network is full; the exchanges that load this element stay there, the others go on rising.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cosim.case.solve import response_at
from cosim.curtailment.decision_variables import DecisionVariables, make_decision_variables
from cosim.curtailment.search import Found, Search, largest_clean
from grid_models.arrays import Floats
from grid_models.powerflow.limits import check_limits
from market.settlement import Delivery

FILLED = 0.1
"""An exchange loads an element if it moves it by at least this share of what the strongest exchange does."""


def max_min(search: Search) -> Found | None:
    """Raise all delivered shares together; fix those that load a full element; go on with the others."""
    lever = make_decision_variables(search)
    share = np.zeros(search.problem.rows.size)
    free = search.curtailable.copy()
    best: Found | None = None
    while free.any():

        def raised(level: float, share: Floats = share, free: npt.NDArray[np.bool_] = free) -> Delivery:
            return _delivery(search, np.where(free, share + level * (1.0 - share), share))

        whole = search.try_all([raised(1.0)])
        if whole.clean()[0]:
            return whole.at(0)
        found = largest_clean(search, raised)
        if found is None:
            return best
        best = found
        share = np.where(free, share + found.factor * (1.0 - share), share)
        filled = free & _loading(search, lever, found, raised(min(1.0, found.factor + 1e-3)))
        free = free & ~filled if filled.any() else np.zeros_like(free)
    return best


def _delivery(search: Search, share: Floats) -> Delivery:
    cleared = search.problem.rows["cleared_wh"]
    return search.delivery(np.where(search.curtailable, np.floor(share * cleared), cleared).astype(np.int64))


def _loading(
    search: Search, lever: DecisionVariables, found: Found, beyond: Delivery
) -> npt.NDArray[np.bool_]:
    """Exchanges that load the elements which a little more of everything would overload."""
    p = search.problem
    case = p.case
    none = np.zeros(p.rows.size, dtype=bool)
    tried = search.try_all([beyond])
    violated = check_limits(case.feeder, case.limits, tried.flow).violations
    response = response_at(case, found.settlement.meters)
    if response is None or not violated:
        return none
    effect = lever.effect[:, : lever.rows.size]
    for violation in violated:
        if violation.element_type == "bus":
            bus = np.array([case.feeder.net.bus.index.get_loc(violation.element)])
            strength = np.abs(response.by_p.vm_pu(bus) @ effect)[0]
        else:
            table = case.feeder.net[violation.element_type]
            position = int(table.index.get_loc(violation.element))
            if violation.element_type == "trafo":
                position += len(case.feeder.net.line)
            ends = np.flatnonzero(response.branch_of_end == position)
            strength = np.abs(response.by_p.current_percent(ends) @ effect).max(axis=0)
        none[lever.rows[strength >= FILLED * strength.max()]] = True
    return none
