"""Trades that were cleared elsewhere, as an interval of this market: rows of exchanges, and orders that they fulfil.

Profiles are what the meters would show, and the trades are a part of that: what a house sells is generation beyond its
load, what it buys is load. A surplus that no trade covers goes to the grid, and an uncovered need comes from it. Where
trades move more than the profile shows, or there is no profile, the trades count (docs/decisions/0050).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.curtailment.feasible import Feasible
from data.columns import Table
from data.errors import DataError
from data.profiles import LARGEST_WH, Profiles
from data.trades import NOTES
from market.exchanges import EXCHANGE, GRID, NO_LIMIT, NOBODY, Kind, Rows
from market.orders import Orders
from market.storage import Wh

UTILITY = "grid"
INFERRED = (60, 30, 15, 10, 5)
"""Lengths of intervals, minutes, that times of trades may ask for. Those of one minute are asked for by name: a trade
that is merely dated to the minute would else stand for a power sixty times as large."""


class Trades(NamedTuple):
    """Trades in integers, in the order of the file; all arrays (M,).

    Attributes
    ----------
    interval
        Interval of the profiles.
    seller, buyer
        Participants 0 … N-1, or `GRID`.
    energy_wh, price_ueur_per_kwh
        What was agreed.
    """

    interval: Wh
    seller: Wh
    buyer: Wh
    energy_wh: Wh
    price_ueur_per_kwh: Wh

    def at(self, t: int) -> Trades:
        """The trades in interval t."""
        return Trades(*(column[self.interval == t] for column in self))


class TradedInterval(NamedTuple):
    """One interval as if this market had cleared it.

    Attributes
    ----------
    trades
        Those in the interval.
    rows
        `EXCHANGE` rows: trades in the order of the file, then uncovered surplus sold to the grid, then one purchase
        from the grid a house, trades and uncovered need together.
    row_of_trade
        Row of each trade; of a purchase from the grid that of its buyer.
    orders
        Orders that these rows fulfil.
    beyond_wh
        What trades move beyond the profile, (N,): generation where positive, load where negative.
    """

    trades: Trades
    rows: Rows
    row_of_trade: npt.NDArray[np.intp]
    orders: Orders
    beyond_wh: Wh


def encode_trades(trades: pd.DataFrame, profiles: Profiles, source: str = "trades") -> Trades:
    """Trades with intervals and participants of the profiles.

    Parameters
    ----------
    trades
        As from `data.trades.read_trades`.
    profiles
        Their intervals and participants.
    source
        Name of the file for messages.

    Raises
    ------
    DataError
        Naming the row of a party that is no participant, or of a time that no interval begins at.
    """
    position = {name: k for k, name in enumerate(profiles.participants)} | {UTILITY: int(GRID)}
    expected = f"'grid' or a participant such as {', '.join(profiles.participants[:5])}"
    parties = {}
    for column in ("seller", "buyer"):
        unknown = ~trades[column].isin(list(position)).to_numpy()
        Table(trades, source).column(column).check(unknown, expected, "correct the name or add the participant")
        parties[column] = _integers(trades[column].map(position))
    amounts = (_integers(trades[column]) for column in ("energy_wh", "price_ueur_per_kwh"))
    return Trades(_find_intervals(trades, profiles, source), parties["seller"], parties["buyer"], *amounts)


def _integers(column: Any) -> Wh:
    return np.asarray(column, dtype=np.int64)


def _find_intervals(trades: pd.DataFrame, profiles: Profiles, source: str) -> Wh:
    seconds, minutes = _seconds(trades) - int(profiles.start.astype(np.int64)), profiles.interval_minutes
    interval, rest = np.divmod(seconds, 60 * minutes)
    outside = (interval < 0) | (interval >= profiles.n_intervals)
    for wrong, expected in (
        (rest != 0, f"the begin of one of the {minutes}-minute intervals, so that none overlap"),
        (outside, f"a time from {profiles.time[0]} to {profiles.time[-1]} UTC"),
    ):
        Table(trades, source).column("time").check(
            wrong,
            expected,
            "correct the row, supply other profiles, or name the length of an interval (interval_minutes)",
        )
    return _integers(interval)


def _seconds(trades: pd.DataFrame) -> Wh:
    clock = trades["time"].dt.tz_convert("UTC").dt.tz_localize(None)
    return _integers(clock.to_numpy().astype("datetime64[s]").astype(np.int64))


def find_interval_minutes(trades: pd.DataFrame) -> int:
    """Length of the longest intervals at whose begin all trades are; the shortest of `INFERRED` if there is none."""
    return next((minutes for minutes in INFERRED if not (_seconds(trades) % (60 * minutes)).any()), INFERRED[-1])


def list_notes(
    trades: pd.DataFrame, profiles: Profiles | None, interval_minutes: int | None, others: Sequence[str]
) -> list[str]:
    """What was understood of the inputs, in sentences: of trades, profiles, and `others`."""
    notes = [*trades.attrs.get(NOTES, ())]
    if profiles is not None:
        notes += [note for note in str(profiles.provenance.get(NOTES, "")).split(" | ") if note]
    elif interval_minutes is None and (minutes := find_interval_minutes(trades)) != 60:
        notes.append(f"intervals of {minutes} minutes, since trades begin there (--interval-minutes)")
    return [*notes, *others]


def make_empty_profiles(trades: pd.DataFrame, participants: tuple[str, ...], interval_minutes: int) -> Profiles:
    """Profiles without load and generation from the first trade to the last: the trades alone are injected."""
    seconds, step = _seconds(trades), 60 * interval_minutes
    first, last = int(seconds.min()) // step, int(seconds.max()) // step
    nothing = np.zeros((last - first + 1, len(participants)), np.int64)
    return Profiles(
        np.datetime64(first * step, "s"),
        interval_minutes,
        participants,
        nothing,
        nothing,
        nothing[:, 0],
        {"source": "none: the trades alone"},
    )


def make_traded_interval(trades: Trades, profiles: Profiles, t: int) -> TradedInterval:
    """Interval `t` as if this market had cleared these trades.

    Raises
    ------
    DataError
        If the trades of one house add up to more than a meter row holds.
    """
    trades, n = trades.at(t), profiles.n_participants
    sold, bought = (_sum_by_house(party, trades.energy_wh, n) for party in (trades.seller, trades.buyer))
    if max(sold.max(), bought.max()) > LARGEST_WH - int(profiles.load_wh[t].max() + profiles.pv_wh[t].max()):
        raise DataError(
            f"trades at {profiles.time[t]} UTC: expected at most {LARGEST_WH:,} Wh a house; is the unit right?"
        )
    surplus = profiles.pv_wh[t] - profiles.load_wh[t]
    net = sold - bought
    injection = np.where(net > 0, np.maximum(surplus, net), np.where(net < 0, np.minimum(surplus, net), surplus))
    beyond = injection - surplus
    orders = _make_orders(profiles, t, np.maximum(beyond, 0), np.maximum(-beyond, 0))
    rows, row_of_trade = _make_rows(trades, injection - net, t)
    return TradedInterval(trades, rows, row_of_trade, orders, beyond)


def _sum_by_house(party: Wh, wh: Wh, n: int) -> Wh:
    total = np.zeros(n, np.int64)
    np.add.at(total, party[party >= 0], wh[party >= 0])
    return total


def _make_orders(profiles: Profiles, t: int, more_pv_wh: Wh, more_load_wh: Wh) -> Orders:
    """Orders of houses without batteries."""
    n = profiles.n_participants
    load, pv = profiles.load_wh[t] + more_load_wh, profiles.pv_wh[t] + more_pv_wh
    zeros = np.zeros((9, n), np.int64)
    return Orders(
        interval=t,
        load_wh=load,
        pv_wh=pv,
        fuel_cell_wh=zeros[0],
        charge_wh=zeros[1],
        discharge_wh=zeros[2],
        offer_wh=np.maximum(pv - load, 0),
        need_wh=np.maximum(load - pv, 0),
        requests=zeros[3],
        asks_share=zeros[4],
        charge_left_wh=zeros[5],
        discharge_left_wh=zeros[6],
        order=np.arange(n),
        utility_ueur_per_kwh=int(profiles.price_ueur_per_kwh[t]),
        feed_in_ueur_per_kwh=0,
        price_ueur_per_kwh=0,
        reserve_wh=zeros[7],
        limit_ueur_per_kwh=np.full(n, NO_LIMIT),
        flexible_wh=zeros[8],
    )


def _make_rows(trades: Trades, rest: Wh, t: int) -> tuple[Rows, npt.NDArray[np.intp]]:
    """Rows of the trades and of the rest that goes to (positive) or comes from (negative) the grid."""
    seller, buyer, wh = trades.seller, trades.buyer, trades.energy_wh
    from_grid = seller == GRID
    own = np.flatnonzero(~from_grid)
    kind = np.where(buyer[own] == GRID, int(Kind.GRID_EXPORT), int(Kind.P2P))
    exported = np.flatnonzero(rest > 0)
    imports_wh = _sum_by_house(buyer[from_grid], wh[from_grid], rest.size) + np.maximum(-rest, 0)
    imported = np.union1d(buyer[from_grid], np.flatnonzero(imports_wh)).astype(np.int64)
    rows = np.concatenate(
        [
            _fill_rows(kind, seller[own], buyer[own], wh[own], trades.price_ueur_per_kwh[own]),
            _fill_rows(Kind.GRID_EXPORT, exported, GRID, rest[exported], 0),
            _fill_rows(Kind.GRID_IMPORT, np.full(imported.size, GRID), imported, imports_wh[imported], 0),
        ]
    )
    rows["interval"], rows["seq"] = t, np.arange(rows.size)
    row_of_trade = np.empty(seller.size, np.intp)
    row_of_trade[own] = np.arange(own.size)
    row_of_trade[from_grid] = own.size + exported.size + np.searchsorted(imported, buyer[from_grid])
    return rows, row_of_trade


def _fill_rows(kind: Any, seller: Wh, buyer: Any, wh: Wh, price_ueur_per_kwh: Any) -> Rows:
    """Rows that are all delivered as cleared."""
    rows = np.zeros(seller.size, EXCHANGE)
    rows["kind"], rows["seller"], rows["buyer"] = kind, seller, buyer
    rows["cleared_wh"], rows["delivered_wh"] = wh, wh
    rows["price_ueur_per_kwh"] = price_ueur_per_kwh
    for name in ("host", "element", "lot"):
        rows[name] = NOBODY
    return rows


def allot_delivery(interval: TradedInterval, settled: Rows) -> Wh:
    """Energy delivered of each trade of an interval, given its settled rows.

    What a house takes from the grid serves its trades with the grid first, in the order of the file, then its
    uncovered need.
    """
    trades = interval.trades
    delivered = np.asarray(settled["delivered_wh"][interval.row_of_trade], dtype=np.int64)
    left: dict[int, int] = {}
    for k in np.flatnonzero(trades.seller == GRID):
        house = int(trades.buyer[k])
        available = left.get(house, int(delivered[k]))
        delivered[k] = min(available, int(trades.energy_wh[k]))
        left[house] = available - int(delivered[k])
    return delivered


class JudgedInterval(NamedTuple):
    """What the network said to the trades of one interval."""

    traded: TradedInterval
    feasible: Feasible

    @property
    def interval(self) -> int:
        """Its number in the profiles."""
        return self.traded.orders.interval
