"""Curtailment rules without sensitivities: one factor for all, last come first cut, all or nothing; shedding load."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosim.curtailment.priority import shed_by_priority, value_of_lost_load
from cosim.curtailment.search import Found, Search, find_largest_clean
from grid_models.arrays import Places
from market.settlement import Delivery

_BATCH = 16


def pro_rata(search: Search) -> Found | None:
    """Deliver one and the same share of every exchange, as large as the network carries."""
    return find_largest_clean(search, search.deliver_share)


def lifo(search: Search) -> Found | None:
    """Last come, first cut: deliver exchanges in the order they were cleared, until the network is full.

    The last exchange delivered is delivered in part.
    """
    wanted = np.where(search.curtailable, search.problem.rows["cleared_wh"], 0)
    before = np.cumsum(wanted) - wanted

    def deliver_first(share: float) -> Delivery:
        served = np.clip(np.floor(share * wanted.sum()) - before, 0, wanted)
        return search.make_delivery(search.with_curtailable(served))

    return find_largest_clean(search, deliver_first)


def reject(search: Search) -> Found | None:
    """All or nothing per exchange: as many of the first as the network carries, then any later one that still fits."""
    cuttable = np.flatnonzero(search.curtailable)
    n_first, found = _find_longest_prefix(search, cuttable)
    if found is None:
        return None
    admitted = cuttable[:n_first].tolist()
    for k in cuttable[n_first + 1 :].tolist():
        tried = search.try_all([_deliver_only(search, [*admitted, k])])
        if tried.clean()[0]:
            admitted.append(k)
            found = tried.at(0)
    return found


def _find_longest_prefix(search: Search, cuttable: Places) -> tuple[int, Found | None]:
    """Largest number of first exchanges that is clean, by batches from the longest down."""
    for top in range(cuttable.size - 1, -1, -_BATCH):
        sizes = range(top, max(top - _BATCH, -1), -1)
        tried = search.try_all([_deliver_only(search, cuttable[:size]) for size in sizes])
        clean = np.flatnonzero(tried.clean())
        if clean.size:
            k = int(clean[0])
            return sizes[k], tried.at(k)
    return 0, None


def _deliver_only(search: Search, admitted: Places | Sequence[int]) -> Delivery:
    """Delivery of some curtailable exchanges in full, and nothing of the others."""
    delivered = search.with_curtailable(0)
    delivered[admitted] = search.problem.rows["cleared_wh"][admitted]
    return search.make_delivery(delivered)


def end_own_balance(search: Search) -> Found | None:
    """No exchange, and as little less as is clean of what houses do by themselves; then as little load shed.

    In the balanced model that is nothing to the network. Where a house's panels, battery and load are on different
    phases, it is.
    """
    if search.problem.case.feeder.connections is None:
        return None
    return find_largest_clean(search, lambda own: search.deliver_alone(own, 1.0)) or find_largest_clean(
        search, lambda served: search.deliver_alone(0.0, served)
    )


def shed_load(search: Search) -> Found | None:
    """None of the scope's exchanges, and as little of its houses' load shed as is clean, low priorities first.

    What devices can take later goes before any load.
    """
    none = search.with_curtailable(0)
    need, value = np.where(search.may_shed, search.imports_wh(none), 0), value_of_lost_load(search.problem.case)
    waits = np.minimum(need, search.problem.orders.flexible_wh)
    if not (search.curtailable.any() or need.any()):
        return None

    def serve(share: float) -> Delivery:
        unserved = (1.0 - share) * float(need.sum())
        if not waits.any():
            return search.make_delivery(none, shed_by_priority(need, value, unserved))
        parts = np.concatenate([waits, need - waits]), np.concatenate([np.zeros(value.size), value])
        return search.make_delivery(none, shed_by_priority(*parts, unserved).reshape(2, -1).sum(axis=0))

    return find_largest_clean(search, serve)
