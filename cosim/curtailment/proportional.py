"""Rules without sensitivities: one factor for all, last come first cut, all or nothing; and shedding load."""

from __future__ import annotations

import numpy as np

from cosim.curtailment.priority import shed_by_priority, value_of_lost_load
from cosim.curtailment.search import Found, Search, largest_clean
from market.settlement import Delivery
from market.storage import Wh

_BATCH = 16


def pro_rata(search: Search) -> Found | None:
    """Deliver one and the same share of every exchange, as large as the network carries."""
    return largest_clean(search, search.at_factor)


def lifo(search: Search) -> Found | None:
    """Last come, first cut: deliver exchanges in the order they were cleared, until the network is full.

    The exchange at the border is delivered in part.
    """
    cleared = search.problem.rows["cleared_wh"]
    wanted = np.where(search.curtailable, cleared, 0)
    before = np.cumsum(wanted) - wanted

    def first_in(share: float) -> Delivery:
        served = np.clip(np.floor(share * wanted.sum()) - before, 0, wanted)
        return search.delivery(np.where(search.curtailable, served, cleared).astype(np.int64))

    return largest_clean(search, first_in)


def reject(search: Search) -> Found | None:
    """All or nothing per exchange: as many of the first as the network carries, then any later one that still fits."""
    cleared = search.problem.rows["cleared_wh"].astype(np.int64)
    cuttable = np.flatnonzero(search.curtailable)
    kept, found = _longest_prefix(search, cleared, cuttable)
    if found is None:
        return None
    admitted = set(cuttable[:kept].tolist())
    for k in cuttable[kept + 1 :].tolist():
        tried = search.try_all([search.delivery(_only(cleared, cuttable, {*admitted, k}))])
        if tried.clean()[0]:
            admitted.add(k)
            found = tried.at(0)
    return found


def _longest_prefix(search: Search, cleared: Wh, cuttable: Wh) -> tuple[int, Found | None]:
    """Largest number of first exchanges that is clean, by batches from the longest down."""
    for top in range(cuttable.size - 1, -1, -_BATCH):
        sizes = list(range(top, max(top - _BATCH, -1), -1))
        tried = search.try_all(
            [search.delivery(_only(cleared, cuttable, set(cuttable[:size].tolist()))) for size in sizes]
        )
        clean = np.flatnonzero(tried.clean())
        if clean.size:
            k = int(clean[0])
            return sizes[k], tried.at(k)
    return 0, None


def _only(cleared: Wh, cuttable: Wh, admitted: set[int]) -> Wh:
    delivered = cleared.copy()
    delivered[[k for k in cuttable.tolist() if k not in admitted]] = 0
    return delivered


def shed_load(search: Search) -> Found | None:
    """F2: no exchange at all, and as little load shed as makes the feeder clean, low priorities first."""
    none = np.where(search.curtailable, 0, search.problem.rows["cleared_wh"]).astype(np.int64)
    need, value = search.imports_wh(none), value_of_lost_load(search.problem.case)

    def served(share: float) -> Delivery:
        return search.delivery(none, shed_by_priority(need, value, (1.0 - share) * float(need.sum())))

    return largest_clean(search, served)
