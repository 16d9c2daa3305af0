"""Deals between feeders: matched from what their clearings leave over, traced through the rows of both sides.

A deal is an export in the table of its seller's feeder and an import in that of its buyer's, at the price of the pair
instead of the tariffs. The rows bear the number of the deal as their lot, so both sides can be added up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from cosim.errors import ConservationError
from market.exchanges import EXCHANGE, GRID, NOBODY, Ints, Kind, Rows

_LEFT_OVER = (Kind.SPILL, Kind.GRID_EXPORT)
_OF_DEALS = (Kind.GRID_EXPORT, Kind.GRID_IMPORT)


class Deal(NamedTuple):
    """Energy that one feeder sells to another in an interval, at µEUR/kWh."""

    seller: int
    buyer: int
    wh: int
    price_ueur_per_kwh: int


def match_deals(
    surplus_wh: Sequence[int],
    need_wh: Sequence[int],
    feed_in: Sequence[int],
    utility: Sequence[int],
    capacity_wh: int,
) -> list[Deal]:
    """Match feeders' left-over surplus with left-over need, both in the order of the feeders.

    A feeder that sells in the interval does not buy; the grid covers its need. At most `capacity_wh` passes its
    transformer in either direction. Tariffs are in µEUR/kWh; the price is the midpoint of the seller's feed-in tariff
    and the buyer's utility price.

    Examples
    --------
    >>> match_deals([500, 0, 0], [0, 300, 900], [20, 20, 20], [60, 60, 60], 1000)
    [Deal(seller=0, buyer=1, wh=300, price_ueur_per_kwh=40), Deal(seller=0, buyer=2, wh=200, price_ueur_per_kwh=40)]
    """
    offered = [min(wh, capacity_wh) for wh in surplus_wh]
    wanted = [0 if offered[f] > 0 else min(wh, capacity_wh) for f, wh in enumerate(need_wh)]
    deals = []
    for seller, buyer in product(range(len(offered)), range(len(wanted))):
        wh = min(offered[seller], wanted[buyer])
        if wh > 0 and feed_in[seller] <= utility[buyer]:
            deals.append(Deal(seller, buyer, wh, (feed_in[seller] + utility[buyer]) // 2))
            offered[seller] -= wh
            wanted[buyer] -= wh
    return deals


def sum_left_over(rows: Rows) -> tuple[int, int]:
    """Energy that a feeder's clearing leaves to sell and to buy, Wh."""
    surplus = rows["cleared_wh"][np.isin(rows["kind"], [int(kind) for kind in _LEFT_OVER])]
    return int(surplus.sum()), int(rows["cleared_wh"][rows["kind"] == Kind.GRID_IMPORT].sum())


def with_deals(rows: Rows, deals: Sequence[Deal], feeder: int) -> Rows:
    """Rows of a feeder in which its deals replace left-over energy, taken from the rows in their order.

    Selling turns spill and export into export at the pair's price; buying turns import into import at that price. The
    lot of such a row is the deal's place in `deals`.
    """
    out = [row.copy() for row in rows]
    new: list[np.void] = []
    for number, deal in enumerate(deals):
        if feeder in (deal.seller, deal.buyer):
            new += _take_from(out, number, deal, selling=deal.seller == feeder)
    kept = [row for row in out if row["cleared_wh"] > 0]
    result = np.array([*kept, *new], dtype=EXCHANGE)
    result["delivered_wh"] = result["cleared_wh"]
    result["seq"] = np.arange(result.size)
    return result


def _take_from(rows: Sequence[np.void], number: int, deal: Deal, *, selling: bool) -> list[np.void]:
    """Rows of a deal, whose energy the rows given lose."""
    kinds = _LEFT_OVER if selling else (Kind.GRID_IMPORT,)
    missing, taken = deal.wh, []
    for row in rows:
        wh = min(int(row["cleared_wh"]), missing) if row["kind"] in kinds else 0
        if wh == 0:
            continue
        row["cleared_wh"] -= wh
        missing -= wh
        sold = row.copy()
        sold["cleared_wh"], sold["price_ueur_per_kwh"] = wh, deal.price_ueur_per_kwh
        sold["host"], sold["lot"] = NOBODY, number
        if selling:
            sold["kind"], sold["buyer"] = Kind.GRID_EXPORT, GRID
        taken.append(sold)
    return taken


def lost_ueur_per_kwh(rows: Rows, deals: Sequence[Deal], utility: Sequence[int], feeder: int) -> Ints:
    """What the parties of each exchange lose where the feeder's network cuts it, (n,) µEUR/kWh.

    An export at the feed-in tariff loses that. Of a trade the seller loses the price, and the buyer what the utility
    takes more than that: together the utility price of the buyer's feeder. Shares and lots count as trades.

    Parameters
    ----------
    rows
        Rows of a feeder with its deals.
    deals
        Deals of the interval.
    utility
        Utility price of each feeder.
    feeder
        The feeder whose network cuts.
    """
    lost = np.where(rows["kind"] == Kind.GRID_EXPORT, rows["price_ueur_per_kwh"], utility[feeder])
    for k in np.flatnonzero((rows["kind"] == Kind.GRID_EXPORT) & (rows["lot"] != NOBODY)):
        lost[k] = utility[deals[rows["lot"][k]].buyer]
    return np.asarray(lost, dtype=np.int64)


def find_deal_rows(rows: Rows) -> Rows:
    """The rows of a feeder's deals; `lot` is the number of the deal."""
    is_deal = np.isin(rows["kind"], [int(kind) for kind in _OF_DEALS]) & (rows["lot"] != NOBODY)
    return np.asarray(rows[is_deal])


def sum_deals(rows: Rows, column: str, n_deals: int) -> Ints:
    """Sum of a column, `delivered_wh` or `amount_neur`, over the rows of each deal in a feeder's table, (n_deals,)."""
    total, mine = np.zeros(n_deals, np.int64), find_deal_rows(rows)
    np.add.at(total, mine["lot"], mine[column])
    return total


def check_deals(deals: Sequence[Deal], tables: Sequence[Rows], interval: int) -> None:
    """Check that each deal is, in both feeders' tables, the energy delivered and the money paid for it.

    Parameters
    ----------
    deals
        Deals as delivered.
    tables
        Settled rows of each feeder.
    interval
        Their interval, for the message.

    Raises
    ------
    ConservationError
        If one side got other energy or other money than the deal says.
    """
    for column in ("delivered_wh", "amount_neur"):
        sums = [sum_deals(rows, column, len(deals)) for rows in tables]
        for number, deal in enumerate(deals):
            expected = deal.wh * (deal.price_ueur_per_kwh if column == "amount_neur" else 1)
            sides = [int(sums[feeder][number]) for feeder in (deal.seller, deal.buyer)]
            if sides != [expected, expected]:
                raise ConservationError(
                    f"interval {interval}, deal {number}: {column} is {expected} of the deal but {sides[0]} at the "
                    f"seller's feeder and {sides[1]} at the buyer's; this is a defect, please report it"
                )
