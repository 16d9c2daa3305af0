"""Fair curtailment: the smallest delivered share as large as possible, then the next smallest, and so on.

Progressive filling (Bertsekas and Gallager 1992, Data Networks, §6.5.2): all shares rise together until an element of
the network is full; the exchanges that load this element stay there, the others go on rising.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array

from cosim.case.case import Case
from cosim.case.solve import linearise
from cosim.curtailment.decision_variables import DecisionVariables, make_decision_variables
from cosim.curtailment.search import Found, Search, find_largest_clean
from grid_models.arrays import Floats, Mask, Places
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Violation, check_limits
from grid_models.response.response import Response
from market.settlement import Delivery

FILLED = 0.1
"""An exchange loads an element if its effect is at least this share of that of the strongest exchange."""


def max_min(search: Search) -> Found | None:
    """Raise all delivered shares together; fix those that load a full element; go on with the others."""
    variables = make_decision_variables(search)
    share = np.zeros(search.problem.rows.size)
    free = search.curtailable.copy()
    best: Found | None = None
    while free.any():

        def raise_free(level: float, share: Floats = share, free: Mask = free) -> Delivery:
            return search.deliver_share(np.where(free, share + level * (1.0 - share), share))

        whole = search.try_all([raise_free(1.0)])
        if whole.clean()[0]:
            return whole.at(0)
        found = find_largest_clean(search, raise_free)
        if found is None:
            return best
        best = found
        share = np.where(free, share + found.factor * (1.0 - share), share)
        filled = free & _find_loading(search, variables, found, raise_free(min(1.0, found.factor + 1e-3)))
        free = free & ~filled if filled.any() else np.zeros_like(free)
    return best


def _find_loading(search: Search, variables: DecisionVariables, found: Found, beyond: Delivery) -> Mask:
    """Exchanges, (n,), that load the elements which the delivery `beyond`, a little more of everything, overloads."""
    case = search.problem.case
    loading = np.zeros(search.problem.rows.size, dtype=bool)
    violated = check_limits(case.feeder, case.limits, search.try_all([beyond]).flow).violations
    response = linearise(case, found.settlement.meters)
    if response is None:
        return loading
    effect = variables.effect[:, : variables.rows.size].real  # only what is shed has reactive power
    for violation in violated:
        strength = _strength(case, response, violation, effect)
        loading[variables.rows[strength >= FILLED * strength.max()]] = True
    return loading


def _strength(case: Case, response: Response, violation: Violation, effect: csc_array) -> Floats:
    """Change of the violated quantity by 1 kW of each cut, (M,): pu, or per cent of the rating."""
    rows = find_rows(case.feeder, case.limits, violation)
    if violation.quantity == "vm_pu":
        return np.asarray(np.abs(np.asarray(response.by_p.vm_pu(rows) @ effect))[0])
    return np.asarray(np.abs(np.asarray(response.by_p.current_percent(rows) @ effect)).max(axis=0))


def find_rows(feeder: Feeder, limits: Limits, violation: Violation) -> Places:
    """Rows of a `Response` that a violated quantity stands in: one of voltages, or both ends of a branch."""
    table, net = violation.element_type, feeder.net
    conductors, place = feeder.conductors(table), int(net[table].index.get_loc(violation.element))
    n_branches = limits.max_branch_percent.size
    if violation.quantity in ("vuf_percent", "neutral_v"):
        behind = 2 * n_branches + (limits.max_vuf_percent.size if violation.quantity == "neutral_v" else 0)
        return np.array([behind + place])
    row = len(conductors) * place + conductors.index(violation.phase)
    if table == "bus":
        return np.array([row])
    row += limits.max_line_loading_percent.size if table == "trafo" else 0
    return np.array([row, n_branches + row])
