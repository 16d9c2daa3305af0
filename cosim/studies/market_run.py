"""A market without a network: the totals of a scenario's exchanges, for studies that ask about money alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cosim.case.case import MarketCase
from cosim.case.charges import check_no_charges
from cosim.case.checks import check_no_envelopes
from cosim.case.head import check_no_head
from cosim.delivery.window import Window
from cosim.interval.chunk import check_conserved
from cosim.interval.optimistic import settle_optimistically
from cosim.studies.balance import check_totals
from market.exchanges import CONTRACT, NEUR_PER_EUR, Kind, Rows
from market.storage import Wh

WINDOW = 4096
"""Intervals settled at a time."""

_METERED = ("load_wh", "pv_wh", "fuel_cell_wh", "charge_wh", "discharge_wh")
_N_KINDS = max(Kind) + 1


def run_market(case: MarketCase) -> Iterator[Window]:
    """Windows of the whole horizon, every exchange delivered as cleared."""
    check_no_envelopes(case.scenario, "a market without a network")
    check_no_head(case.scenario, "a market without a network")
    check_no_charges(case.scenario, "a market without a network")
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
        Energies in Wh, money in EUR. `demand_wh` is that of the meters, as `run` says it: cars and heat pumps, by
        themselves `devices_wh`, are a part of it. `lost_in_batteries_wh` is what batteries were charged with and
        neither gave nor hold. `residual_wh` = demand + wasted + exported + what batteries gained and lost - generation
        - fuel cells - grid, which is 0.

    Raises
    ------
    ConservationError
        If the residual is not 0.
    """
    wh, neur = np.zeros(_N_KINDS, np.int64), np.zeros(_N_KINDS, np.int64)
    metered = np.zeros(len(_METERED), np.int64)
    fees = paid_by_contract = earned_by_contract = devices_wh = 0
    window = None
    for window in run_market(case):
        rows = window.rows[: window.offsets[-1]]
        wh += _sum_by_kind(rows, "delivered_wh")
        neur += _sum_by_kind(rows, "amount_neur")
        metered += [window.meters[name].sum(dtype=np.int64) for name in _METERED]
        devices_wh += int(window.devices["given_wh"].sum(dtype=np.int64))
        fees += int(rows["fee_neur"].sum())
        shared = np.isin(rows["kind"], (Kind.SHARE_USE, Kind.SHARE_STORE))
        paid_by_contract += int(rows["amount_neur"][shared].sum())
        sold_by_contract = (rows["seller"] == CONTRACT) & (rows["kind"] == Kind.LOT_SALE)
        earned_by_contract += int(rows["amount_neur"][sold_by_contract].sum())
    assert window is not None
    stored = int(window.state.own_wh.sum() + window.state.lots.stored_wh.sum() - case.opening.own_wh.sum())
    energies = {**_name_energies(wh, metered.tolist(), stored), "devices_wh": devices_wh}
    money = {
        "paid_to_grid_eur": neur[Kind.GRID_IMPORT],
        "earned_feed_in_eur": neur[Kind.GRID_EXPORT],
        "earned_p2p_eur": neur[Kind.P2P] - fees,
        "earned_sharing_eur": paid_by_contract + neur[Kind.LOT_SALE] - earned_by_contract,
        "fees_eur": fees,
        "contract_sales_eur": earned_by_contract,
        "contract_left_eur": window.state.pools_neur[1],
    }
    return check_totals(energies | {key: int(value) / NEUR_PER_EUR for key, value in money.items()}, case.scenario.name)


def _name_energies(wh: Wh, metered: Sequence[int], stored_wh: int) -> dict[str, float]:
    """Energies by their names, from those of exchanges by kind, and of the meters `_METERED`."""
    demand, generation, fuel_cell, charged, discharged = metered
    return {
        "demand_wh": demand,
        "generation_wh": generation,
        "fuel_cell_wh": fuel_cell,
        "grid_wh": int(wh[Kind.GRID_IMPORT]),
        "exported_wh": int(wh[Kind.GRID_EXPORT]),
        "traded_wh": int(wh[Kind.P2P] + wh[Kind.LOT_SALE]),
        "wasted_wh": int(wh[Kind.SPILL]),
        "shared_wh": int(wh[Kind.SHARE_USE] + wh[Kind.SHARE_STORE]),
        "stored_wh": stored_wh,
        "lost_in_batteries_wh": charged - discharged - stored_wh,
    }


def _sum_by_kind(rows: Rows, column: str) -> Wh:
    totals = np.zeros(_N_KINDS, np.int64)
    np.add.at(totals, rows["kind"], rows[column])
    return totals
