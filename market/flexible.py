"""Devices that can wait in the market: what they ask for is load, what the wires cut of it they take later.

Whatever a house is not given is taken from its devices first: down to the larger of what they must have and what
dimming leaves, then to what dimming leaves, then to nothing; of two devices the first in the list waits first.
"""

from __future__ import annotations

import numpy as np

from market.compiled import compiled, integer
from market.exchanges import CAR, Ints, Kind, Rows
from market.storage import Wh

_SHIFT = integer(Kind.SHIFT)


@compiled
def asked_wh(flexible: Rows, n: int) -> Wh:
    """Energy that the devices of each house ask for, (n,) Wh."""
    asked = np.zeros(n, np.int64)
    for row in flexible:
        asked[row.house] += row.wanted_wh
    return asked


def asked_by_cars_wh(flexible: Rows, n: int) -> Wh:
    """Energy that the cars of each house ask for, (n,) Wh."""
    asked = np.zeros(n, np.int64)
    cars = flexible[flexible["status"] == CAR]
    np.add.at(asked, cars["house"], cars["wanted_wh"])
    return asked


@compiled
def postponed_wh(flexible: Rows, n: int) -> Wh:
    """Energy that the devices of each house ask for and can take later without harm, (n,) Wh."""
    later = np.zeros(n, np.int64)
    for row in flexible:
        later[row.house] += max(row.wanted_wh - row.least_wh, 0)
    return later


@compiled
def dimmable_wh(flexible: Rows, n: int) -> Wh:
    """Energy that dimming may take from the devices of each house, (n,) Wh."""
    taken = np.zeros(n, np.int64)
    for row in flexible:
        taken[row.house] += row.wanted_wh - row.floor_wh
    return taken


@compiled
def price_later(flexible: Rows, n: int) -> Ints:
    """Lowest price at which a device of each house can take later what it asks for now, (n,); 0 where none can wait."""
    lowest = np.zeros(n, np.int64)
    for row in flexible:
        if row.wanted_wh > row.least_wh:
            price = max(row.later_ueur_per_kwh, 0)
            known = lowest[row.house]
            lowest[row.house] = price if known == 0 else min(known, price)
    return lowest


@compiled
def shifted_wh(rows: Rows, n: int) -> Wh:
    """Energy that each house's devices did not get, (n,) Wh, from the exchanges of an interval."""
    shifted = np.zeros(n, np.int64)
    for row in rows:
        if row.kind == _SHIFT:
            shifted[row.buyer] += row.delivered_wh
    return shifted


@compiled
def with_given(flexible: Rows, rows: Rows) -> Rows:
    """Devices with what they were given.

    Parameters
    ----------
    flexible
        What devices say, (D,) `FLEXIBLE` rows.
    rows
        `EXCHANGE` rows of the interval.
    """
    if flexible.size == 0:
        return flexible
    given = flexible.copy()
    left = shifted_wh(rows, flexible["house"].max() + 1)
    for device in given:
        device.given_wh = device.wanted_wh
    for step in range(3):
        for device in given:
            stop = max(device.least_wh, device.floor_wh) if step == 0 else (device.floor_wh if step == 1 else 0)
            cut = max(min(left[device.house], device.given_wh - stop), 0)
            device.given_wh -= cut
            left[device.house] -= cut
    return given
