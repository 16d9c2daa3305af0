"""Local dispatch of an island once the market has cleared: surplus first, then fuel cells, then batteries.

Batteries stop charging before any load is shed. Critical load is served first, and within it, as within the rest,
houses of high rank before those of low; within a rank a shortage is shared in proportion to need. All energies are
whole Wh, and their sums are kept exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Ints
from market.storage import Wh


class FuelRange(NamedTuple):
    """What a fuel cell can deliver: `low_wh` … `high_wh`, or nothing where it may stop."""

    house: int
    low_wh: int
    high_wh: int
    may_stop: bool


class Sources(NamedTuple):
    """What an island can draw on, (N,) each and 0 outside it.

    Attributes
    ----------
    surplus_wh
        Generation that nobody has taken.
    fuel_cells
        Ranges of the fuel cells, in the order in which they are called.
    battery_wh, room_wh
        What each battery can still release of its own, and absorb.
    charge_wh
        What each battery is about to charge, and could forgo.
    spare_wh
        Energy of batteries and fuel cells that need not be kept for later (`saving`); None to keep nothing.
    """

    surplus_wh: Wh
    fuel_cells: Sequence[FuelRange]
    battery_wh: Wh
    room_wh: Wh
    charge_wh: Wh
    spare_wh: int | None = None


class Transfer(NamedTuple):
    """Energy of one house that another uses."""

    seller: int
    buyer: int
    wh: int


class LocalDispatch(NamedTuple):
    """The dispatch: energies (N,), Wh; `fuel_wh` by fuel cell; `absorbed_wh` is below zero where charging is forgone.

    Per house: surplus + fuel + released + received = served + sent + absorbed + spilled.
    """

    transfers: list[Transfer]
    fuel_wh: list[int]
    released_wh: Wh
    absorbed_wh: Wh
    spilled_wh: Wh
    served_wh: Wh


def share_equally(total_wh: int, wanted_wh: Wh) -> Wh:
    """`total_wh` shared in proportion to what is wanted, none above it; the remaining single Wh go to the first houses.

    Examples
    --------
    >>> share_equally(5, np.array([4, 0, 4])).tolist()
    [3, 0, 2]
    """
    wanted = int(wanted_wh.sum())
    if total_wh >= wanted:
        return wanted_wh.copy()
    dealt = wanted_wh * total_wh // wanted
    short = np.flatnonzero(dealt < wanted_wh)
    dealt[short[: total_wh - int(dealt.sum())]] += 1
    return dealt


def share_by_rank(total_wh: int, wanted_wh: Wh, rank: Ints) -> Wh:
    """`total_wh` for the highest rank first, what is left for the next one; within a rank as of `share_equally`.

    Examples
    --------
    >>> share_by_rank(7, np.array([4, 6, 4]), np.array([0, 1, 0])).tolist()
    [1, 6, 0]
    """
    dealt = np.zeros_like(wanted_wh)
    for each in np.unique(rank)[::-1]:
        wanted = np.where(rank == each, wanted_wh, 0)
        dealt += share_equally(total_wh, wanted)
        total_wh -= min(total_wh, int(wanted.sum()))
    return dealt


def spread_share(share: float, rank: Ints) -> Floats:
    """Share that each rank is served with where `share` is of them all: the lowest falls to 0 first, then the next.

    Examples
    --------
    >>> spread_share(0.75, np.array([0, 1, 1])).tolist(), spread_share(0.25, np.array([0, 1, 1])).tolist()
    ([0.5, 1.0, 1.0], [0.0, 0.5, 0.5])
    >>> spread_share(0.3, np.array([2, 2])).tolist()
    [0.3, 0.3]
    """
    ranks = np.unique(rank)
    place = np.searchsorted(ranks, rank)
    return np.clip(ranks.size * share - (ranks.size - 1 - place), 0.0, 1.0)


def run_fuel_cells(ranges: Sequence[FuelRange], needed_wh: int, battery_wh: int) -> list[int]:
    """Energy of each fuel cell, in order: what is needed, and never between 0 and its minimum.

    One that would run below its minimum stops where batteries can serve instead, else it runs at its minimum.
    """
    run = []
    left = needed_wh
    for cell in ranges:
        wh = min(left, cell.high_wh)
        if wh < cell.low_wh:
            rests = cell.may_stop and (wh <= 0 or left <= battery_wh or cell.high_wh == 0)
            wh = 0 if rests else cell.low_wh
        run.append(wh)
        left = max(left - wh, 0)
    return run


def drain(order: Wh, available_wh: Wh, quota_wh: Wh, total_wh: int) -> Wh:
    """Take `total_wh` from batteries in `order`: each serves its own house first (`quota_wh`), then the others."""
    taken = np.zeros_like(available_wh)
    for limit in (np.minimum(available_wh, quota_wh), available_wh):
        for i in order:
            wh = min(int(limit[i] - taken[i]), total_wh)
            taken[i] += wh
            total_wh -= wh
    return taken


def match_island(supply_wh: Wh, use_wh: Wh) -> list[Transfer]:
    """Transfers from houses with more than they use to houses with less; both sums are equal."""
    more, less = np.maximum(supply_wh - use_wh, 0), np.maximum(use_wh - supply_wh, 0)
    transfers = []
    sellers, buyers = np.flatnonzero(more), np.flatnonzero(less)
    s = b = 0
    while s < sellers.size and b < buyers.size:
        seller, buyer = sellers[s], buyers[b]
        wh = min(more[seller], less[buyer])
        transfers.append(Transfer(int(seller), int(buyer), int(wh)))
        more[seller] -= wh
        less[buyer] -= wh
        s += more[seller] == 0
        b += less[buyer] == 0
    return transfers


def limit_ordinary(sources: Sources, critical_wh: int) -> int:
    """Ordinary load that surplus and spare energy serve once critical load is served; no limit without a plan.

    Examples
    --------
    >>> nothing = np.zeros(1, np.int64)
    >>> of = Sources(np.array([3]), [], nothing, nothing, np.array([1]), spare_wh=5)
    >>> limit_ordinary(of, 2), limit_ordinary(of, 6), limit_ordinary(of._replace(spare_wh=-9), 2)
    (7, 3, 1)
    """
    assert sources.spare_wh is not None
    left = int(sources.surplus_wh.sum()) - critical_wh
    return max(left, 0) + max(sources.spare_wh + int(sources.charge_wh.sum()) + min(left, 0), 0)


def _rank_all(rank: Ints | None, n: int) -> Ints:
    """Ranks of n houses; all equal if left out."""
    return np.zeros(n, np.int64) if rank is None else rank


def dispatch_locally(
    critical_wh: Wh,
    other_wh: Wh,
    sources: Sources,
    served_share: float | Floats = 1.0,
    rank: Ints | None = None,
) -> LocalDispatch:
    """Serve needs from an island's sources.

    Parameters
    ----------
    critical_wh, other_wh
        What the houses still need, (N,); the first is served first.
    sources
        What there is.
    served_share
        At most this share of each house's need is served, one for all or (N,); below 1 where the wires carry no more.
    rank
        (N,) houses of a higher rank are served before those of a lower one; all are equal if left out.
    """
    n = critical_wh.size
    critical = np.floor(critical_wh * served_share).astype(np.int64)
    other = np.floor(other_wh * served_share).astype(np.int64)
    surplus, battery = int(sources.surplus_wh.sum()), int(sources.battery_wh.sum())
    charge = int(sources.charge_wh.sum())
    if sources.spare_wh is not None:
        other = share_by_rank(limit_ordinary(sources, int(critical.sum())), other, _rank_all(rank, n))
    wanted = int(critical.sum() + other.sum())
    from_surplus = min(wanted, surplus)
    fuel = run_fuel_cells(sources.fuel_cells, wanted - from_surplus, charge + battery)
    from_fuel = min(wanted - from_surplus, sum(fuel))
    from_charge = min(wanted - from_surplus - from_fuel, charge)
    from_battery = min(wanted - from_surplus - from_fuel - from_charge, battery)
    served = from_surplus + from_fuel + from_charge + from_battery
    order = _rank_all(rank, n)
    use = share_by_rank(served, critical, order)
    use = use + share_by_rank(served - int(use.sum()), other, order)

    generated = np.zeros(n, np.int64)
    for cell, wh in zip(sources.fuel_cells, fuel, strict=True):
        generated[cell.house] += wh
    fuel_used = share_equally(from_fuel, generated)
    given = share_equally(from_surplus, sources.surplus_wh) + fuel_used
    given_up = share_equally(from_charge, sources.charge_wh)
    fullest = np.argsort(-sources.battery_wh, kind="stable")
    released = drain(fullest, sources.battery_wh, np.maximum(use - given - given_up, 0), from_battery)
    left = sources.surplus_wh + generated - given
    absorbed = np.where(released == 0, np.minimum(generated - fuel_used, sources.room_wh), 0)
    supplied = given + given_up + released
    return LocalDispatch(match_island(supplied, use), fuel, released, absorbed - given_up, left - absorbed, use)
