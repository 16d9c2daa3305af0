"""What becomes of exchanges where inverters reduce their active power by the voltage, P(V), in whole Wh.

The generation is lost before anything is delivered: the house feeds in less, and nothing else at any bus changes. So
its sales are cut, exports first, then trades, then shares that are used at once, the last of each first. Who misses
them takes them from the grid. What sales do not cover, of its own load, its battery and what others store, the house
takes from the grid itself. All of that bears the reason `VOLT_WATT`, and the bus where it happened.
"""

from __future__ import annotations

import numpy as np

from grid_models.arrays import Ints, Mask
from market.exchanges import EXCHANGE, GRID, NOBODY, Kind, Reason, Rows, Status
from market.orders import Orders
from market.settlement import Delivery
from market.storage import Wh

CUT_IN_ORDER = (Kind.GRID_EXPORT, Kind.P2P, Kind.SHARE_USE)
"""Sales in the order in which they are cut; a share that is stored is not: its host would charge less."""


def with_reduction(delivery: Delivery, reduced_wh: Wh, orders: Orders, bus: Ints) -> Delivery:
    """The delivery with what P(V) takes of the houses' generation.

    Parameters
    ----------
    delivery
        As if nothing were taken.
    reduced_wh
        What is taken of each house's generation, (N,).
    orders
        Of the interval.
    bus
        Of each house, (N,).
    """
    if not reduced_wh.any():
        return delivery
    rows, more = delivery.rows.copy(), list[Rows]()
    for house in np.flatnonzero(reduced_wh):
        missed = _cut_sales(rows, int(house), int(reduced_wh[house]), int(bus[house]))
        more += [_make_row(orders, Kind.SPILL, int(house), int(reduced_wh[house]), int(bus[house]))]
        more += [_make_row(orders, Kind.GRID_IMPORT, buyer, wh, int(bus[house])) for buyer, wh in missed.items() if wh]
    joined = np.concatenate([rows, *more])
    joined["seq"] = np.arange(joined.size)
    return delivery._replace(rows=joined)


def _cut_sales(rows: Rows, house: int, wh: int, bus: int) -> dict[int, int]:
    """Cut what a house sells by `wh`, in place; returns what each house then lacks, itself included."""
    missed: dict[int, int] = {}
    for kind in CUT_IN_ORDER:
        for k in _list_sales(rows, kind, house):
            cut = min(wh, int(rows["delivered_wh"][k]))
            if cut:
                wh -= cut
                _cut_row(rows, int(k), cut, bus)
                buyer = int(rows["buyer"][k])
                missed[buyer] = missed.get(buyer, 0) + (0 if kind == Kind.GRID_EXPORT else cut)
    missed[house] = missed.get(house, 0) + wh
    return missed


def _list_sales(rows: Rows, kind: Kind, house: int) -> list[int]:
    """Sales of a house, the last first; those that a limit has cut already come behind."""
    at = np.flatnonzero((rows["kind"] == kind) & (rows["seller"] == house))[::-1]
    return sorted(at.tolist(), key=lambda k: int(rows["status"][k]) != Status.ACCEPTED)


def _cut_row(rows: Rows, k: int, cut: int, bus: int) -> None:
    """Deliver less of an exchange; one that a limit has cut already keeps the reason that it has."""
    rows["delivered_wh"][k] -= cut
    if rows["status"][k] == Status.ACCEPTED:
        rows["reason"][k], rows["element"][k] = Reason.VOLT_WATT, bus
    rows["status"][k] = Status.CURTAILED if rows["delivered_wh"][k] > 0 else Status.REJECTED


def _make_row(orders: Orders, kind: Kind, house: int, wh: int, bus: int) -> Rows:
    """A row that nobody cleared: generation that is lost, or energy from the grid in its place."""
    row = np.zeros(1, EXCHANGE)
    row["kind"], row["reason"], row["interval"], row["element"] = kind, Reason.VOLT_WATT, orders.interval, bus
    row["host"] = row["lot"] = NOBODY
    is_spill = kind == Kind.SPILL
    row["seller"], row["buyer"] = (house, NOBODY) if is_spill else (GRID, house)
    row["delivered_wh"], row["price_ueur_per_kwh"] = wh, 0 if is_spill else orders.utility_ueur_per_kwh
    return row


def is_reduced(rows: Rows) -> Mask:
    """Which rows P(V) is the reason of, (n,): what it cut is not curtailed, and what it spilled no limit asked for."""
    return np.asarray(rows["reason"] == Reason.VOLT_WATT)


def reduced_by_house_wh(rows: Rows, n_houses: int) -> Wh:
    """What P(V) took of each house's generation, (N,), by the rows of an interval."""
    wh = np.zeros(n_houses, np.int64)
    at = rows[(rows["kind"] == Kind.SPILL) & is_reduced(rows)]
    np.add.at(wh, at["seller"], at["delivered_wh"])
    return wh
