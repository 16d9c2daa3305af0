"""Integer energy in and out of a battery, rounded so that a battery never creates energy.

The physical model is `grid_models.devices.battery`; what the market needs of it arrives here as `Ratings`. The market
trades energy at the battery's terminals (AC); the battery holds stored energy.
"""

from __future__ import annotations

from typing import NamedTuple

from market.compiled import compiled
from market.exchanges import Ints

Wh = Ints

PPM = 1_000_000


class Ratings(NamedTuple):
    """What each house's battery can do in one interval; int64 arrays of shape (N,).

    `charge_ppm` and `discharge_ppm` are efficiencies, `self_discharge_ppm` is lost per interval, all in parts per
    million; `max_charge_wh` and `max_discharge_wh` are energies at the terminals.
    """

    soc_min_wh: Wh
    soc_max_wh: Wh
    max_charge_wh: Wh
    max_discharge_wh: Wh
    charge_ppm: Ints
    discharge_ppm: Ints
    self_discharge_ppm: Ints


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
