"""One interval with an outage, or with a device that asks to join or leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cosim.case.batteries import rate_batteries, with_batteries
from cosim.case.case import Case
from cosim.case.state import NetworkState
from cosim.delivery.losses import losses_wh
from cosim.delivery.window import Window, make_window_of_one
from cosim.interval.chunk import Chunk, close_intervals
from cosim.interval.device_requests import answer_requests, release_batteries, retire_devices
from cosim.islands.event_interval import EventInterval, run_event_interval
from cosim.islands.switching import Switching
from grid_models.powerflow.verdicts import judge
from market.book import Clearing
from market.exchanges import ORDER
from market.orders import write_orders
from market.state import State


def with_admitted_devices(case: Case, network: NetworkState) -> Case:
    """The case with the devices that are admitted, and no others."""
    made, loads = case.fleet.make_inputs(network.standing), case.load_reactive
    if case.given is not None:
        made, loads = case.given.series(made), case.given.reactive(loads)
    return replace(case, inputs=made._replace(submissions=case.inputs.submissions), load_reactive=loads)


def with_orders_of_parts(window: Window, event: EventInterval) -> Window:
    """The window of an interval whose parts traded by themselves, each at a price of its own."""
    if window.orders.size == 0:
        return window
    rows = window.orders.copy()
    for number, part in enumerate(event.parts):
        made = np.zeros(rows.shape[1], ORDER)
        write_orders(made, part.orders, event.settlement.rows.size, number)
        rows[0, part.inside] = made[part.inside]
    return window._replace(orders=rows)


def run_event(case: Case, switching: Switching, state: State, network: NetworkState, t: int) -> Chunk:
    """Interval `t`: devices leave, each part of the network is run, devices are admitted or let go."""
    network, left = retire_devices(case, network, t)
    case = with_admitted_devices(case, network)
    event = run_event_interval(case, switching, state, network, t)
    network, decisions = answer_requests(case, switching, event, t)
    network, gone = release_batteries(case, network, event, t)
    decisions += gone
    clearing = Clearing(event.settlement.rows)
    window = make_window_of_one(event.orders, clearing, event.settlement, event.before, case.rules)
    window = with_orders_of_parts(window, event)
    ratings = rate_batteries(case.opening.ratings, case.scenario, case.fleet.batteries, network.standing)
    moved = [(case.fleet.devices[decision.device].house, decision.energy_wh) for decision in decisions]
    by_formers = sum(part.losses_wh for part in event.parts)
    lost = losses_wh(event.flow.losses_kw, case.interval_minutes)
    return close_intervals(
        case,
        t,
        window._replace(state=with_batteries(window.state, ratings, moved)),
        event.flow,
        judge(event.flow, case.limits),
        network,
        outcome=np.array([event.outcome], np.int8),
        power_flows=np.array([event.power_flows], np.int32),
        unclean={} if event.unclean is None else {t: event.unclean},
        lost_wh=np.maximum(lost - by_formers, 0) if event.on_grid.any() else np.zeros_like(lost),
        event=event,
        decisions=(*left, *decisions),
    )
