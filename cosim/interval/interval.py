"""One interval, on one screen: orders, clearing, physics, settlement."""

from __future__ import annotations

from typing import NamedTuple

from cosim.case.case import Case
from cosim.curtailment.feasible import Feasible, make_feasible
from cosim.delivery.window import orders_at
from market.book import Clearing
from market.orders import Orders
from market.state import State


class IntervalResult(NamedTuple):
    """Everything an interval decided.

    Attributes
    ----------
    orders
        Offers, requests and prices after each house's own balance.
    before
        State the orders were made from: lots that fell due are their hosts' own.
    clearing
        Exchanges the market agreed on.
    feasible
        What the network admitted of them, settled.
    """

    orders: Orders
    before: State
    clearing: Clearing
    feasible: Feasible


def run_interval(case: Case, state: State, t: int) -> tuple[State, IntervalResult]:
    """Simulate interval `t` from `state`; returns the state after it and everything it decided.

    Parameters
    ----------
    case
        Profiles, market and network.
    state
        State before the interval; it is not changed.
    t
        Interval, 0 … T-1.
    """
    orders, before = orders_at(case.supply, t, t, state, case.rules)
    clearing = case.mechanism.clear(orders, before, case.rules)
    feasible = make_feasible(case, orders, before, clearing.rows)
    return feasible.settlement.state, IntervalResult(orders, before, clearing, feasible)
