"""A heat pump with a buffer: electrical energy becomes heat, the buffer decouples it from the demand of the house.

Energies are whole Wh, so that the buffer's content follows exactly from heat and demand. What the house misses is the
comfort shortfall.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Floats
from grid_models.compiled import compiled
from grid_models.devices.flexible import (
    PRICE,
    SURPLUS,
    UNCONTROLLED,
    Wish,
    least_given_wh,
    most_given_wh,
)
from grid_models.errors import GridError

QUADRATIC_COP = {"air": (6.81, -0.121, 0.000630), "ground": (8.77, -0.150, 0.000734)}
"""Coefficients of the coefficient of performance by the source of heat; see `quadratic_cop`."""
_LEAST_K, _LARGEST_K = {"air": 15.0, "ground": 20.0}, 60.0
RESTART_SHARE = 4
"""A heat pump that is not controlled starts where less than one part of so many of the buffer would be left."""


def quadratic_cop(difference_k: Floats, source: str = "air") -> Floats:
    """Coefficient of performance by the difference of flow and source temperature, K.

    Parameters
    ----------
    difference_k
        (T,); beyond the range of the source, 15 (air) or 20 (ground) to 60 K, the value at its end holds.
    source
        `air` or `ground`.

    Raises
    ------
    GridError
        If the source is another.

    Notes
    -----
    Regression over manufacturers' data of Staffell, Brett, Brandon and Hawkes (2012), A review of domestic heat pumps,
    Energy & Environmental Science 5, 9291-9306, doi:10.1039/c2ee22653g.

    Examples
    --------
    >>> quadratic_cop(np.array([30.0, 45.0, 100.0])).round(3).tolist()
    [3.747, 2.641, 1.818]
    """
    if source not in QUADRATIC_COP:
        raise GridError(f"source of heat: expected one of {', '.join(QUADRATIC_COP)}, got '{source}'; correct it")
    a, b, c = QUADRATIC_COP[source]
    within = np.clip(difference_k, _LEAST_K[source], _LARGEST_K)
    return np.asarray(a + b * within + c * within**2, dtype=np.float64)


@compiled
def heat_pump_wish(
    held_wh: int,
    demand_wh: int,
    capacity_wh: int,
    power_wh: int,
    least_power_wh: int,
    gain_ppm: int,
    surplus_wh: int,
    strategy: int,
    is_cheap: bool,
    was_on: bool,
    n_must_run: int,
) -> Wish:
    """What a heat pump says of an interval.

    Parameters
    ----------
    held_wh, demand_wh, capacity_wh
        Heat in the buffer, heat that the house takes in the interval, and heat that the buffer can hold.
    power_wh, least_power_wh
        Electrical energy in an interval at full power, and at the least at which it runs.
    gain_ppm
        Coefficient of performance, parts per million.
    surplus_wh
        Own surplus of the house.
    strategy
        A `Strategy`.
    is_cheap
        Whether the price is low.
    was_on, n_must_run
        Whether it ran in the interval before, and for how many more it must once it has started.

    Examples
    --------
    >>> heat_pump_wish(4000, 1000, 6000, 3000, 900, 3_000_000, 0, UNCONTROLLED, False, False, 0)
    Wish(least_wh=0, wanted_wh=0, most_wh=1000)
    >>> heat_pump_wish(500, 2000, 6000, 3000, 900, 3_000_000, 0, 1, False, False, 0)
    Wish(least_wh=500, wanted_wh=900, most_wh=2500)
    """
    most = min(power_wh, most_given_wh(capacity_wh - held_wh + demand_wh, gain_ppm))
    least = min(least_given_wh(demand_wh - held_wh, gain_ppm), most)
    wanted = least
    if strategy == UNCONTROLLED:
        is_low = (held_wh - demand_wh) * RESTART_SHARE < capacity_wh
        wanted = most if was_on or is_low else least
    elif strategy == SURPLUS:
        wanted = max(least, min(surplus_wh, most))
    elif strategy == PRICE and is_cheap:
        wanted = most
    if wanted > 0 or n_must_run > 0:
        wanted = max(wanted, min(least_power_wh, most))
    return Wish(least, wanted, most)


@compiled
def shortfall_wh(held_wh: int, demand_wh: int, heat_wh: int) -> int:
    """Heat that the house misses, Wh: what neither the buffer nor the heat pump gives."""
    return max(demand_wh - held_wh - heat_wh, 0)
