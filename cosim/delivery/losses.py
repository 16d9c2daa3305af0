"""Network losses as money: the network operator buys them from the utility at the utility price."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cosim.delivery.window import Window
from market.compiled import compiled, fill, integer
from market.exchanges import EXCHANGE, GRID, NOBODY, OPERATOR, Kind
from market.state import POOL_OPERATOR, POOL_UTILITY, State
from market.storage import Wh

_LOSS, _GRID, _OPERATOR, _NOBODY = integer(Kind.LOSS), integer(GRID), integer(OPERATOR), integer(NOBODY)


def losses_wh(losses_kw: npt.NDArray[np.float64], interval_minutes: int) -> Wh:
    """Losses of each interval to the nearest Wh, (K,); 0 where the feeder is switched off."""
    wh = np.where(np.isfinite(losses_kw), losses_kw, 0.0) * (1000.0 * interval_minutes / 60.0)
    return np.maximum(np.rint(wh), 0.0).astype(np.int64)


@compiled
def with_losses(window: Window, lost_wh: Wh, utility_ueur_per_kwh: Wh, first: int, n: int) -> Window:
    """Window in which each interval has one more exchange, its `loss`, paid by the operator's account.

    Parameters
    ----------
    window
        Settled intervals.
    lost_wh, utility_ueur_per_kwh
        Losses and price of each interval, (K,).
    first
        Interval number of the window's first.
    n
        Number of houses.
    """
    n_intervals = window.offsets.size - 1
    total = window.offsets[n_intervals]
    rows = np.empty(total + n_intervals, EXCHANGE)
    accounts, meters, orders = window.accounts.copy(), window.meters.copy(), window.orders.copy()
    devices = window.devices.copy()
    paid = 0
    for k in range(n_intervals):
        begin, end = window.offsets[k], window.offsets[k + 1]
        fill(rows[begin + k : end + k], window.rows[begin:end])
        row = rows[end + k]
        row.kind = _LOSS
        row.status = 0
        row.reason = 0
        row.interval = first + k
        row.seq = end - begin
        row.seller = _GRID
        row.buyer = _OPERATOR
        row.host = _NOBODY
        row.element = _NOBODY
        row.lot = _NOBODY
        row.cleared_wh = lost_wh[k]
        row.delivered_wh = lost_wh[k]
        row.price_ueur_per_kwh = utility_ueur_per_kwh[k]
        row.amount_neur = lost_wh[k] * utility_ueur_per_kwh[k]
        row.fee_neur = 0
        paid += row.amount_neur
        accounts[k, 2 * n + POOL_UTILITY] += paid
        accounts[k, 2 * n + POOL_OPERATOR] -= paid
        for i in range(n):
            meters[k, i].seq += 1
            if orders.shape[0] > 0:
                orders[k, i].seq += 1
        for j in range(devices.shape[1]):
            devices[k, j].seq += 1
    s = window.state
    pools = s.pools_neur.copy()
    pools[POOL_UTILITY] += paid
    pools[POOL_OPERATOR] -= paid
    state = State(s.own_wh, s.wallet_neur, s.account_neur, pools, s.lots, s.ratings, s.tally, s.flexible)
    return Window(
        rows,
        window.offsets + np.arange(n_intervals + 1),
        meters,
        accounts,
        window.price_ueur_per_kwh,
        orders,
        devices,
        state,
        window.unbalanced,
    )
