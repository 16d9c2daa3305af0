"""Order of load shedding: a value of lost load per house. Load is shed where nothing else keeps the limits."""

from __future__ import annotations

import numpy as np

from cosim.case.case import MarketCase
from grid_models.arrays import Floats, Ints
from market.storage import Wh

VALUE_OF_LOST_LOAD = {"low": 1e3, "normal": 1e4, "high": 1e5}
"""Cost per kW in least curtailment. That of a trade is 3, so load is shed last, low priorities before high ones."""


def value_of_lost_load(case: MarketCase) -> Floats:
    """Cost of shedding 1 kW of each house, (N,)."""
    priority = case.scenario.curtailment.priority
    return np.array([VALUE_OF_LOST_LOAD[priority.get(name, "normal")] for name in case.profiles.participants])


def rank_houses(case: MarketCase) -> Ints:
    """Rank of each house, (N,): the higher, the later its load is shed."""
    ranks = list(VALUE_OF_LOST_LOAD)
    priority = case.scenario.curtailment.priority
    return np.array([ranks.index(priority.get(name, "normal")) for name in case.profiles.participants], np.int64)


def shed_by_priority(need_wh: Wh, value: Floats, total_wh: float) -> Wh:
    """Distribute a total of shed load to houses, (N,) Wh: the cheapest class first, within it equal shares of need.

    Examples
    --------
    >>> need, value = np.array([100, 300, 200]), np.array([1e4, 1e3, 1e4])
    >>> shed_by_priority(need, value, 200.0).tolist(), shed_by_priority(need, value, 360.0).tolist()
    ([0, 200, 0], [20, 300, 40])
    """
    shed = np.zeros(need_wh.size)
    for each in np.unique(value):
        members = value == each
        need = float(need_wh[members].sum())
        share = min(max(total_wh / need, 0.0), 1.0) if need > 0.0 else 0.0
        shed[members] = share * need_wh[members]
        total_wh -= share * need
    return np.minimum(np.ceil(shed - 1e-6).astype(np.int64), need_wh)
