"""A car at the wall box of its house: a battery that comes and goes.

While it is away it uses energy, which is missing when it comes back. At home it is to be charged to what it wants to
leave with. All energies are whole Wh, so that the battery's content follows exactly from what it was given.
"""

from __future__ import annotations

from typing import NamedTuple

from grid_models.compiled import compiled
from grid_models.devices.flexible import (
    PRICE,
    SURPLUS,
    UNCONTROLLED,
    Wish,
    content_wh,
    least_given_wh,
    most_given_wh,
)

ONE_PHASE_KW = (3.7, 7.4)
"""Ratings of wall boxes on one phase, 16 A and 32 A at 230 V; 11 and 22 kW are on three. IEC 61851-1, mode 3."""


class Arrival(NamedTuple):
    """A battery as its car comes home: its content, and what it was charged elsewhere on the way, Wh."""

    held_wh: int
    elsewhere_wh: int


@compiled
def arrive(held_wh: int, used_wh: int) -> Arrival:
    """The battery after a trip that used `used_wh`; what it did not hold was charged elsewhere.

    Examples
    --------
    >>> arrive(9000, 4000), arrive(3000, 4000)
    (Arrival(held_wh=5000, elsewhere_wh=0), Arrival(held_wh=0, elsewhere_wh=1000))
    """
    left = held_wh - used_wh
    return Arrival(max(left, 0), max(-left, 0))


@compiled
def car_wish(
    held_wh: int,
    target_wh: int,
    power_wh: int,
    gain_ppm: int,
    n_later: int,
    n_cheaper: int,
    surplus_wh: int,
    strategy: int,
) -> Wish:
    """What a car at home says of an interval.

    Parameters
    ----------
    held_wh, target_wh
        Content of its battery, and what it is to leave with.
    power_wh
        Energy that the wall box gives in an interval at full power.
    gain_ppm
        Efficiency of charging, parts per million.
    n_later, n_cheaper
        Intervals of the stay behind this one, and those of them with a lower price.
    surplus_wh
        Own surplus of the house.
    strategy
        A `Strategy`.

    Examples
    --------
    >>> car_wish(0, 9000, 10_000, 900_000, 1, 0, 0, UNCONTROLLED)
    Wish(least_wh=0, wanted_wh=10000, most_wh=10000)
    >>> car_wish(0, 9900, 10_000, 900_000, 1, 1, 0, PRICE)
    Wish(least_wh=1000, wanted_wh=1000, most_wh=10000)
    >>> car_wish(0, 9000, 10_000, 900_000, 1, 1, 300, SURPLUS)
    Wish(least_wh=0, wanted_wh=300, most_wh=10000)
    """
    room = max(target_wh - held_wh, 0)
    most = min(power_wh, most_given_wh(room, gain_ppm))
    in_full = content_wh(power_wh, gain_ppm)
    least = min(least_given_wh(room - n_later * in_full, gain_ppm), most)
    wanted = least
    if strategy == UNCONTROLLED:
        wanted = most
    elif strategy == SURPLUS:
        wanted = max(least, min(surplus_wh, most))
    elif strategy == PRICE:  # all that cheaper intervals cannot give: so only the dearest of those chosen is partial
        wanted = min(least_given_wh(room - n_cheaper * in_full, gain_ppm), most)
    return Wish(least, wanted, most)
