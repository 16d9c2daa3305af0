"""Devices wait before anything is cut: as little as is clean, one share for all of them; and dimming by § 14a EnWG.

Cars and heat pumps take later what they do not get now. Dimming leaves each of them 4.2 kW.
"""

from __future__ import annotations

import numpy as np

from cosim.curtailment.decision_variables import DIMMING
from cosim.curtailment.least import least_curtailment
from cosim.curtailment.scope import find_in_scopes, list_scopes
from cosim.curtailment.search import Found, Search, find_largest_clean
from market.flexible import dimmable_wh
from market.settlement import Delivery
from market.storage import Wh


def section_14a(search: Search) -> Found | None:
    """Dim devices, one share for all of what each wants above 4.2 kW; where that is not enough, curtail least besides.

    BNetzA BK6-22-300 of 27 November 2023, on § 14a EnWG: the network operator may lower what a controllable device
    draws from the network, but not below 4.2 kW.
    """
    dimmable = dimmable_wh(search.problem.state.flexible, search.problem.orders.need_wh.size)
    return find_waiting(search, dimmable) or least_curtailment(search)


def wait(search: Search) -> Found | None:
    """All exchanges as cleared, and as little as is clean of what devices asked for taken later; else None."""
    if search.problem.case.scenario.curtailment.rule in (DIMMING, least_curtailment.__name__):
        return None  # they see what waiting helps themselves
    return find_waiting(search, search.problem.orders.flexible_wh)


def find_waiting(search: Search, largest_wh: Wh) -> Found | None:
    """The smallest share of `largest_wh`, (N,), that devices must wait for, of those that help a broken limit."""
    if not largest_wh.any():
        return None
    cleared = search.problem.rows["cleared_wh"].astype(np.int64)
    imports = search.imports_wh(cleared)

    def try_scope(search: Search) -> Found | None:
        most = np.where(search.may_shed, np.minimum(largest_wh, imports), 0)

        def serve(share: float) -> Delivery:
            return search.make_delivery(cleared, np.ceil((1.0 - share) * most - 1e-6).astype(np.int64))

        return find_largest_clean(search, serve) if most.any() else None

    return find_in_scopes(search, try_scope, list_scopes(search))
