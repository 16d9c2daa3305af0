"""Whose load is shed first when nothing else keeps the network within its limits: a value of lost load per house."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market.storage import Wh

if TYPE_CHECKING:
    from cosim.case.case import MarketCase

VALUE_OF_LOST_LOAD = {"low": 1e3, "normal": 1e4, "high": 1e5}
"""Cost per kW in least curtailment, beside 3 of a trade: shed last of all, low priorities before high ones."""


def value_of_lost_load(case: MarketCase) -> npt.NDArray[np.float64]:
    """Cost of shedding 1 kW of each house, (N,)."""
    priority = case.scenario.curtailment.priority
    return np.array([VALUE_OF_LOST_LOAD[priority.get(name, "normal")] for name in case.profiles.participants])


def shed_by_priority(need_wh: Wh, value: npt.NDArray[np.float64], total_wh: float) -> Wh:
    """Shares of a total that houses shed, (N,) Wh: the cheapest class first, equal shares of their need within a class.

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
