"""Intervals whose orders are clipped to envelopes before the market: windows of `market.network = "envelope"`.

A window is settled as if there were no envelopes. That is what a market within envelopes gives, too, up to the first
interval in which an envelope keeps somebody from something. That one follows the steps of
`cosim.interval.interval.run_interval`, on clipped orders. Verdict and curtailment have the last word.

Law: the length of a window never changes a byte of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from cosim.case.case import Case
from cosim.case.state import NetworkState
from cosim.curtailment.feasible import Feasible, make_feasible
from cosim.curtailment.search import Found, try_deliveries
from cosim.delivery.flexible import NO_DEVICES
from cosim.delivery.redispatch import find_curtailable
from cosim.delivery.setpoints import injection_kw
from cosim.delivery.window import InputSeries, Window, make_orders_at
from cosim.interval.bounds import Envelope, make_bounds, make_no_limits
from cosim.interval.chunk import Chunk
from cosim.interval.envelope import solve_envelope
from cosim.interval.interval import close_one
from cosim.interval.optimistic import (
    Optimistic,
    close_clean,
    settle_optimistically,
    slice_inputs,
    try_window,
)
from cosim.interval.rooms import Plan, plan_dimmed, plan_window, sum_devices
from cosim.interval.screen import find_close
from grid_models.powerflow.verdicts import Judgement
from market.clipping import Rooms, clip_asks, clip_orders, with_spilled
from market.exchanges import ORDER
from market.orders import Orders
from market.settlement import Settlement, deliver_all, settle
from market.state import NO_FLEXIBLE, State
from market.storage import Wh


class Whole(NamedTuple):
    """Leading intervals of a window that nothing is taken off: their envelopes, and that of the next, if solved."""

    envelopes: list[Envelope]
    next: Envelope | None


def run_within(case: Case, state: State, network: NetworkState, first: int, n: int) -> list[Chunk]:
    """The leading intervals of the next `n` that envelopes leave as they are, and the first that they do not."""
    foreseen = case.scenario.market.envelope_forecast == "perfect"
    tried, plan = try_with_orders(case, state, first, n if foreseen else 1)
    whole = find_whole(case, state, tried, plan) if foreseen else find_by_forecast(case, state, tried)
    k, done = len(whole.envelopes), list[Chunk]()
    if k:
        asked = Rooms._make(column[:k] for column in plan.asked)
        done.append(close_clean(case, state, tried, network, k, make_bounds(asked, whole.envelopes)))
    if whole.next is not None:
        at = done[-1].window.state if done else state
        done.append(run_clipped(case, at, tried, network, k, plan.asked.at(k), whole.next))
    return done


def try_with_orders(case: Case, state: State, first: int, n: int) -> tuple[Optimistic, Plan]:
    """The next `n` intervals settled as if there were no envelopes, and what houses would do in them."""
    tried = try_window(with_recorded_orders(case), state, first, n)
    plan = plan_window(case, state, tried.window)
    return tried._replace(window=without_orders(tried.window)), plan


def without_orders(window: Window) -> Window:
    """The window without its orders: devices, which are numbered behind them, have the numbers that they have then."""
    n, devices, flexible = window.meters.shape[1], window.devices.copy(), window.state.flexible.copy()
    devices["seq"] -= n
    if flexible.size:
        flexible["seq"] -= n
    return window._replace(
        orders=np.zeros((0, n), ORDER), devices=devices, state=window.state._replace(flexible=flexible)
    )


def with_recorded_orders(case: Case) -> Case:
    """The case with rules that keep orders beside what is settled."""
    return replace(case, rules=case.rules._replace(records_orders=1))


def find_whole(case: Case, state: State, tried: Optimistic, plan: Plan) -> Whole:
    """Envelopes of the leading intervals that are clean and nothing is taken off, and of the next, if there is one.

    Only intervals are solved that come close to a limit: see `cosim.interval.screen`.
    """
    meters, houses, first = tried.meters, tried.meters.shape[1], tried.first
    p_kw = injection_kw(meters, case.interval_minutes, case.feeder.connections)
    unclean = tried.verdicts.status != Judgement.OK
    solved = find_close(case, plan, tried.flow, p_kw) | unclean
    found: list[Envelope] = []
    for k in range(len(meters)):
        envelope = make_no_limits(houses)
        if solved[k]:
            supply = slice_inputs(case.inputs, first + k, first + k + 1)
            dim = partial(dim_devices, case, partial(go_to, case, state, first, k), first + k, supply)
            envelope = solve_envelope(case, plan.at(k), dim)
        if envelope.binds or unclean[k]:
            return Whole(found, envelope)
        found.append(envelope)
    return Whole(found, None)


def go_to(case: Case, state: State, first: int, k: int) -> State:
    """State before the k-th interval behind `first`, where those between are settled as cleared."""
    return settle_optimistically(case, state, first, k).state if k else state


def dim_devices(case: Case, find_state: Callable[[], State], t: int, supply: InputSeries, share: float) -> Plan:
    """Plan of interval `t` where devices get a share of what they ask for; the state is found only where need be."""
    state, recording = find_state(), with_recorded_orders(case)
    asks = make_orders_at(supply, 0, t, state, case.rules)[1].flexible
    return plan_dimmed(recording, state, t, supply, asks, share)


def find_by_forecast(case: Case, state: State, tried: Optimistic) -> Whole:
    """Envelope of one interval by the load and generation of the same time a day earlier; those of its own at first.

    Batteries, cars and heat pumps are as they are: they say themselves what they will do.
    """
    t, day = tried.first, 24 * 60 // case.interval_minutes
    supply = slice_inputs(case.inputs, t, t + 1)
    if t >= day:
        seen = slice_inputs(case.inputs, t - day, t - day + 1)
        supply = supply._replace(load_wh=seen.load_wh, pv_wh=seen.pv_wh, fuel_cell_wh=seen.fuel_cell_wh)
    plan = plan_window(case, state, settle_optimistically(with_recorded_orders(case), state, t, 1, supply))
    envelope = make_no_limits(tried.meters.shape[1])
    if find_close(case, plan, case.engine.solve(plan.anyway_kw, plan.q_kvar), plan.anyway_kw)[0]:
        envelope = solve_envelope(case, plan, partial(dim_devices, case, lambda: state, t, supply))
    if envelope.binds or tried.verdicts.status[0] != Judgement.OK:
        return Whole([], envelope)
    return Whole([envelope], None)


def run_clipped(
    case: Case, state: State, tried: Optimistic, network: NetworkState, k: int, asked: Rooms, envelope: Envelope
) -> Chunk:
    """The k-th interval of a window, on orders clipped to its envelope."""
    t = tried.first + k
    orders, before = make_orders_at(case.inputs, t, t, state, case.rules)
    instead = curtail_instead(case, orders, before, tried, k)
    orders, before, not_taken = ask_within(case, state, orders, before, asked, envelope.limit)
    orders, spilled = clip_orders(orders, envelope.limit, case.rules)
    rows = with_spilled(case.mechanism.clear(orders, before, case.rules).rows, orders, spilled)
    cleared = try_deliveries(case, orders, before, [deliver_all(rows, spilled.size)]).at(0)
    feasible = make_feasible(case, orders, before, rows, cleared)
    chunk = close_one(case, t, orders, before, rows, feasible, network)
    bounds = make_bounds(Rooms._make(column[None] for column in asked), [envelope])
    more = carried_wh(instead.settlement) - carried_wh(feasible.settlement)
    bounds = bounds._replace(spilled_wh=spilled[None], not_taken_wh=not_taken[None], instead_wh=np.array([more]))
    return chunk._replace(bounds=bounds)


def ask_within(
    case: Case, state: State, orders: Orders, before: State, asked: Rooms, limit: Rooms
) -> tuple[Orders, State, Wh]:
    """Orders of houses whose devices ask for no more than they may, their state, and what that is less, (N,) Wh.

    Parameters
    ----------
    case, state
        What is run, and the state at the end of the interval before.
    orders, before
        Orders as they would be, and the state they were made from.
    asked, limit
        What houses would do at most, and what they may, (N,).
    """
    asks, less = clip_asks(before.flexible, asked, limit)
    if not less.any():
        return orders, before, less
    t, load = orders.interval, orders.load_wh - less
    supply = slice_inputs(case.inputs, t, t + 1)._replace(load_wh=load[None], devices=NO_DEVICES)
    made, at = make_orders_at(supply, 0, t, state._replace(flexible=NO_FLEXIBLE), case.rules)
    waits = sum_devices(asks[None], asks["wanted_wh"][None].astype(np.int64), (1, load.size), cars=True)
    waits += sum_devices(asks[None], asks["wanted_wh"][None].astype(np.int64), (1, load.size), cars=False)
    return made._replace(flexible_wh=waits[0]), at._replace(flexible=asks), less


def curtail_instead(case: Case, orders: Orders, before: State, tried: Optimistic, k: int) -> Feasible:
    """What the k-th interval of a window would have been without an envelope, from the same state."""
    rows = tried.window.rows[tried.window.offsets[k] : tried.window.offsets[k + 1]]
    settlement = settle(deliver_all(rows, orders.need_wh.size), orders, before, case.rules)
    settlement = settlement._replace(meters=tried.meters[k])
    cleared = Found(settlement, tried.flow.select_one(k), tried.verdicts.select(k, k + 1))
    return make_feasible(case, orders, before, rows, cleared)


def carried_wh(settlement: Settlement) -> int:
    """What an interval carried between connections and to devices that can wait."""
    rows = settlement.rows
    delivered = rows["delivered_wh"][find_curtailable(rows)].sum()
    return int(delivered + settlement.state.flexible["given_wh"].sum())
