"""A market without a network: the totals of a scenario's exchanges, for studies that ask about money alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cosim.case.case import MarketCase
from cosim.delivery.window import Window
from cosim.interval.chunk import check_conserved
from cosim.interval.fold import settle_optimistically
from market.exchanges import CONTRACT, NEUR_PER_EUR, Kind, Rows
from market.storage import Wh

WINDOW = 4096
"""Intervals settled at a time."""


def run_market(case: MarketCase) -> Iterator[Window]:
    """Windows of the whole horizon, every exchange delivered as cleared."""
    state = case.opening
    for first in range(0, case.n_intervals, WINDOW):
        n = min(WINDOW, case.n_intervals - first)
        window = check_conserved(settle_optimistically(case, state, first, n), first)
        yield window
        state = window.state


def sum_market(case: MarketCase) -> dict[str, float]:
    """Totals of a market run, by the names of the reference study's table.

    Returns
    -------
    dict
        Energies in Wh, money in EUR; `residual_wh` = demand + wasted + exported + what batteries gained -
        generation - grid, 0 with ideal batteries when no energy is lost.
    """
    wh, neur = np.zeros(17, np.int64), np.zeros(17, np.int64)
    fees = paid_by_contract = earned_by_contract = 0
    window = None
    for window in run_market(case):
        rows = window.rows[: window.offsets[-1]]
        wh += _sum_by_kind(rows, "delivered_wh")
        neur += _sum_by_kind(rows, "amount_neur")
        fees += int(rows["fee_neur"].sum())
        shared = np.isin(rows["kind"], (Kind.SHARE_USE, Kind.SHARE_STORE))
        paid_by_contract += int(rows["amount_neur"][shared].sum())
        sold_by_contract = (rows["seller"] == CONTRACT) & (rows["kind"] == Kind.LOT_SALE)
        earned_by_contract += int(rows["amount_neur"][sold_by_contract].sum())
    assert window is not None
    demand, generation = int(case.profiles.load_wh.sum()), int(case.profiles.pv_wh.sum())
    stored = int(window.state.own_wh.sum() + window.state.lots.stored_wh.sum() - case.opening.own_wh.sum())
    grid, wasted = int(wh[Kind.GRID_IMPORT]), int(wh[Kind.SPILL])
    shared_wh = int(wh[Kind.SHARE_USE] + wh[Kind.SHARE_STORE])
    lot_neur = int(neur[Kind.LOT_SALE]) - earned_by_contract
    return {
        "demand_wh": demand,
        "generation_wh": generation,
        "grid_wh": grid,
        "paid_to_grid_eur": int(neur[Kind.GRID_IMPORT]) / NEUR_PER_EUR,
        "traded_wh": int(wh[Kind.P2P] + wh[Kind.LOT_SALE]),
        "earned_p2p_eur": (int(neur[Kind.P2P]) - fees) / NEUR_PER_EUR,
        "wasted_wh": wasted,
        "shared_wh": shared_wh,
        "earned_sharing_eur": (paid_by_contract + lot_neur) / NEUR_PER_EUR,
        "fees_eur": fees / NEUR_PER_EUR,
        "contract_sales_eur": earned_by_contract / NEUR_PER_EUR,
        "contract_left_eur": int(window.state.pools_neur[1]) / NEUR_PER_EUR,
        "stored_wh": stored,
        "residual_wh": demand + wasted + int(wh[Kind.GRID_EXPORT]) + stored - generation - grid,
    }


def _sum_by_kind(rows: Rows, column: str) -> Wh:
    totals = np.zeros(17, np.int64)
    np.add.at(totals, rows["kind"], rows[column])
    return totals
