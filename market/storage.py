"""Integer energy in and out of a battery, rounded so that a battery never creates energy.

The physical model is `grid_models.devices.battery`; what it knows of a battery arrives here as `Ratings`. Energies at
the battery's terminals (AC) are what the market trades; stored energies are what the battery holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from market.compiled import compiled

Wh = npt.NDArray[np.int64]

PPM = 1_000_000


class Ratings(NamedTuple):
    """What each house's battery can do in one interval; int64 arrays of shape (N,)."""

    soc_min_wh: Wh
    soc_max_wh: Wh
    max_charge_wh: Wh
    max_discharge_wh: Wh
    charge_ppm: Wh
    discharge_ppm: Wh
    self_discharge_ppm: Wh


@compiled
def stored_wh(charge_wh: int, charge_ppm: int) -> int:
    """Stored energy that `charge_wh` at the terminals leaves in the battery, rounded down."""
    return charge_wh * charge_ppm // PPM


@compiled
def drawn_wh(discharge_wh: int, discharge_ppm: int) -> int:
    """Stored energy that delivering `discharge_wh` at the terminals takes, rounded up."""
    return -(-discharge_wh * PPM // discharge_ppm)


@compiled
def chargeable_wh(room_wh: int, charge_ppm: int) -> int:
    """Largest energy at the terminals whose stored part fits into `room_wh`."""
    return ((room_wh + 1) * PPM - 1) // charge_ppm if room_wh > 0 else 0


@compiled
def deliverable_wh(stored: int, discharge_ppm: int) -> int:
    """Largest energy at the terminals that `stored` Wh can supply."""
    return stored * discharge_ppm // PPM if stored > 0 else 0


def ideal_ratings(capacity_wh: Wh) -> Ratings:
    """Ratings of the reference study: lossless, 0-100 %, no power limit but the capacity itself.

    Parameters
    ----------
    capacity_wh
        Battery capacities, shape (N,), Wh.
    """
    capacity = np.ascontiguousarray(capacity_wh, dtype=np.int64)
    zero, full = np.zeros_like(capacity), np.full_like(capacity, PPM)
    return Ratings(zero, capacity, capacity, capacity, full, full, zero)
