"""Local dispatch of an island, compiled: `local_dispatch.dispatch_locally` for houses of one rank.

Law: the dispatch is the same to the Wh (tests/agreement/test_lane_agreement.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Ints
from market.compiled import ZERO, compiled
from market.storage import Wh

NO_LIMIT = 2**62
"""Spare energy where nothing is kept."""


class Needs(NamedTuple):
    """What houses still need once the market has cleared, (N,) Wh each; the first is served first."""

    critical_wh: Wh
    other_wh: Wh


class Supplies(NamedTuple):
    """What an island can draw on, as `local_dispatch.Sources`; fuel cells by their number, (C,) each.

    `battery_wh` is what batteries can still release, `charge_wh` what they could forgo: nothing at the former.
    `spare_wh` is what need not be kept for later, `NO_LIMIT` where nothing is.
    """

    surplus_wh: Wh
    battery_wh: Wh
    room_wh: Wh
    charge_wh: Wh
    house: Ints
    low_wh: Wh
    high_wh: Wh
    may_stop: npt.NDArray[np.bool_]
    spare_wh: int


class Dispatched(NamedTuple):
    """As `local_dispatch.LocalDispatch`; `supplied_wh` is what a house hands over or uses itself, (N,)."""

    fuel_wh: Wh
    released_wh: Wh
    absorbed_wh: Wh
    spilled_wh: Wh
    served_wh: Wh
    supplied_wh: Wh


@compiled
def share_total(total_wh: int, wanted_wh: Wh) -> Wh:
    """`local_dispatch.share_equally`."""
    wanted = wanted_wh.sum()
    if total_wh >= wanted:
        return wanted_wh.copy()
    dealt: Wh = wanted_wh * total_wh // wanted
    left = total_wh - dealt.sum()
    for i in range(dealt.size):
        if left > 0 and dealt[i] < wanted_wh[i]:
            dealt[i] += 1
            left -= 1
    return dealt


@compiled
def run_cells(supplies: Supplies, needed_wh: int, battery_wh: int) -> Wh:
    """`local_dispatch.run_fuel_cells`."""
    run, left = np.zeros(supplies.house.size, np.int64), needed_wh
    for k in range(run.size):
        low, high = supplies.low_wh[k], supplies.high_wh[k]
        wh = min(left, high)
        if wh < low:
            rests = supplies.may_stop[k] and (wh <= 0 or left <= battery_wh or high == 0)
            wh = ZERO if rests else low
        run[k] = wh
        left = max(left - wh, ZERO)
    return run


@compiled
def drain_batteries(available_wh: Wh, quota_wh: Wh, total_wh: int) -> Wh:
    """`local_dispatch.drain`, the fullest battery first."""
    taken = np.zeros_like(available_wh)
    if total_wh == 0:
        return taken
    order = np.argsort(-available_wh, kind="mergesort")
    for own in (True, False):
        for i in order:
            limit = min(available_wh[i], quota_wh[i]) if own else available_wh[i]
            wh = min(limit - taken[i], total_wh)
            taken[i] += wh
            total_wh -= wh
    return taken


@compiled
def add_fuel(supplies: Supplies, fuel_wh: Wh) -> Wh:
    """What the fuel cells of each house generate, (N,)."""
    generated = np.zeros_like(supplies.surplus_wh)
    for k in range(fuel_wh.size):
        generated[supplies.house[k]] += fuel_wh[k]
    return generated


@compiled
def limit_other(needs: Needs, supplies: Supplies) -> Wh:
    """Ordinary load that may be served: `local_dispatch.limit_ordinary`."""
    if supplies.spare_wh == NO_LIMIT:
        return needs.other_wh
    left = supplies.surplus_wh.sum() - needs.critical_wh.sum()
    spare = max(supplies.spare_wh + supplies.charge_wh.sum() + min(left, ZERO), ZERO)
    return share_total(max(left, ZERO) + spare, needs.other_wh)


@compiled
def dispatch_needs(needs: Needs, supplies: Supplies) -> Dispatched:
    """Serve needs from an island's sources: `local_dispatch.dispatch_locally`."""
    surplus, battery = supplies.surplus_wh.sum(), supplies.battery_wh.sum()
    charge = supplies.charge_wh.sum()
    other = limit_other(needs, supplies)
    wanted = needs.critical_wh.sum() + other.sum()
    from_surplus = min(wanted, surplus)
    fuel = run_cells(supplies, wanted - from_surplus, charge + battery)
    from_fuel = min(wanted - from_surplus, fuel.sum())
    from_charge = min(wanted - from_surplus - from_fuel, charge)
    from_battery = min(wanted - from_surplus - from_fuel - from_charge, battery)
    served = from_surplus + from_fuel + from_charge + from_battery
    use = share_total(served, needs.critical_wh)
    use = use + share_total(served - use.sum(), other)
    generated = add_fuel(supplies, fuel)
    fuel_used = share_total(from_fuel, generated)
    given = share_total(from_surplus, supplies.surplus_wh) + fuel_used
    given_up = share_total(from_charge, supplies.charge_wh)
    released = drain_batteries(supplies.battery_wh, np.maximum(use - given - given_up, 0), from_battery)
    left = supplies.surplus_wh + generated - given
    absorbed = np.minimum(generated - fuel_used, supplies.room_wh)
    absorbed[released > 0] = 0
    return Dispatched(fuel, released, absorbed - given_up, left - absorbed, use, given + given_up + released)
