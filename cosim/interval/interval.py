"""One interval, whole and on one screen: from orders to final accounts.

`run_interval` is the definition of an interval. Windows of many intervals (`cosim.interval.fold`) and intervals with an
outage (`cosim.islands.event_interval`) call the same steps; they are faster or richer, never different.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.state import NetworkState
from cosim.curtailment.feasible import Feasible, make_feasible
from cosim.curtailment.search import try_deliveries
from cosim.delivery.volt_watt import is_reduced
from cosim.delivery.window import make_orders_at, make_window_of_one
from cosim.interval.chunk import Chunk, close_intervals
from cosim.interval.taps import with_taps_after, with_taps_of
from market.book import Clearing
from market.exchanges import Rows
from market.orders import Orders
from market.settlement import deliver_all
from market.state import State


class IntervalResult(NamedTuple):
    """Everything an interval decided.

    Attributes
    ----------
    orders
        Offers, requests and prices after each house's own balance.
    before
        State the orders were made from: stored energy of others that fell due belongs to its hosts.
    cleared
        Exchanges the market agreed on.
    feasible
        What the network admitted of them, settled.
    final
        The interval as it is recorded: losses booked, conservation checked.
    """

    orders: Orders
    before: State
    cleared: Rows
    feasible: Feasible
    final: Chunk


def run_interval(case: Case, state: State, t: int, network: NetworkState | None = None) -> tuple[State, IntervalResult]:
    """Simulate interval `t` from `state`; returns the state after it and everything it decided.

    Parameters
    ----------
    case
        Profiles, market and network.
    state
        State before the interval; it is not changed.
    t
        Interval, 0 … T-1.
    network
        State of the network, carried on as it is; the case's opening state if left out.

    Raises
    ------
    ConservationError
        If energy or money does not balance.
    """
    network = network or case.opening_network
    case = with_taps_of(case, network).at(t, t + 1)
    # Own balance first; what is left over becomes offers and requests.
    orders, before = make_orders_at(case.inputs, t, t, state, case.rules)
    # The market agrees on exchanges.
    rows = case.mechanism.clear(orders, before, case.rules).rows
    # As if all of them were delivered: settle, set devices, solve the AC power flow, judge it by the limits.
    cleared = try_deliveries(case, orders, before, [deliver_all(rows, orders.need_wh.size)]).at(0)
    # Curtail what the network cannot carry, and settle what is delivered.
    feasible = make_feasible(case, orders, before, rows, cleared)
    # Book the losses, check that energy and money balance.
    final = close_one(case, t, orders, before, rows, feasible, network)
    return final.window.state, IntervalResult(orders, before, rows, feasible, final)


def close_one(
    case: Case, t: int, orders: Orders, before: State, rows: Rows, feasible: Feasible, network: NetworkState
) -> Chunk:
    """Interval `t` in its final form, from its orders, cleared rows and what was admitted of them."""
    after = with_taps_after(case, network, feasible.flow)
    reduced = case.active is not None and bool(is_reduced(feasible.settlement.rows).any())
    return close_intervals(
        case,
        t,
        make_window_of_one(orders, Clearing(rows), feasible.settlement, before, case.rules),
        feasible.flow,
        feasible.verdicts,
        after,
        outcome=np.array([feasible.outcome], np.int8),
        power_flows=np.array([feasible.power_flows], np.int32),
        unclean={} if feasible.before is None else {t: feasible.before},
        hunting=(t,) if feasible.hunts else (),
        acted=reduced or not np.array_equal(after.tap_pos, network.tap_pos),
    )
