"""Devices that can wait: what a device says of an interval, and integer energy in and out of what it fills.

A car fills its battery, a heat pump its buffer. Both take energy at their terminals; a part of a million of it, the
*gain*, arrives: the efficiency of a charger, the coefficient of performance of a heat pump.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from grid_models.compiled import compiled

PPM = 1_000_000


class Strategy(IntEnum):
    """When a device takes energy: at once, as late as it can, from its own house's surplus first, or where it is cheap.

    Whatever the strategy, a device takes what it could not make up for later.
    """

    UNCONTROLLED = 0
    AT_DEPARTURE = 1
    SURPLUS = 2
    PRICE = 3


UNCONTROLLED, SURPLUS, PRICE = int(Strategy.UNCONTROLLED), int(Strategy.SURPLUS), int(Strategy.PRICE)


class Wish(NamedTuple):
    """What a device says of an interval: the least, wanted and most energy at its terminals, Wh."""

    least_wh: int
    wanted_wh: int
    most_wh: int


@compiled
def content_wh(given_wh: int, gain_ppm: int) -> int:
    """What `given_wh` at the terminals adds to the content, rounded down.

    Examples
    --------
    >>> content_wh(1000, 900_000), content_wh(1, 900_000), content_wh(1000, 3_500_000)
    (900, 0, 3500)
    """
    return given_wh * gain_ppm // PPM


@compiled
def least_given_wh(content: int, gain_ppm: int) -> int:
    """Smallest energy at the terminals that adds at least `content` Wh; 0 where nothing is to be added.

    Examples
    --------
    >>> least_given_wh(900, 900_000), least_given_wh(901, 900_000), least_given_wh(-5, 900_000)
    (1000, 1002, 0)
    """
    return -(-content * PPM // gain_ppm) if content > 0 else 0


@compiled
def most_given_wh(room: int, gain_ppm: int) -> int:
    """Largest energy at the terminals that adds no more than `room` Wh.

    Examples
    --------
    >>> most_given_wh(900, 900_000), content_wh(1001, 900_000), most_given_wh(0, 900_000)
    (1001, 900, 0)
    """
    return ((room + 1) * PPM - 1) // gain_ppm if room > 0 else 0
