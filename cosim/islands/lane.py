"""An outage of the whole network, hour by hour in one compiled call, as long as nothing needs a closer look.

Law: what it makes of an interval is what `event_interval.run_event_interval` makes of it, to the Wh and the nEUR
(tests/agreement/test_lane_agreement.py). It ends before an interval where the best former, or a phase of it, is
overloaded, the network is not clean at full service, or panels are to give way; only the other can repair that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.delivery.redispatch import find_battery_room
from cosim.delivery.window import InputSeries
from cosim.islands.lane_dispatch import Dispatched, Supplies
from cosim.islands.lane_former import (
    CANNOT,
    ELSEWHERE,
    NOBODY_HOLDS,
    UNSURE,
    Place,
    Trial,
    Wires,
    find_best,
    find_headroom,
    find_spare,
    integer_of,
    try_former,
)
from cosim.islands.lane_market import Opened, list_transfers, open_interval
from grid_models.arrays import Floats, Ints, Mask
from grid_models.compiled import compiled
from grid_models.devices.fuel_cell_lane import Cells, find_energies, run_cell
from market.compiled import ZERO, integer
from market.rules import Rules
from market.settlement import Delivery, move_energy, post_payments
from market.state import State
from market.storage import Wh

DONE, LOOK_CLOSER, OTHER_FORMER = integer(0), integer(1), integer(2)
"""Why a lane ended: the outage is over, the next interval needs a closer look, or the network of another former."""
FORMER, IS_DARK, PICKUP = 0, 1, 2
"""Places in `Lane.mark`: house that holds the voltage or -1; whether all is dark; intervals with raised load."""
LOAD, NOT_SERVED, CRITICAL_SHORT = 0, 1, 2
"""Columns of `Lane.found`."""


class Lane(NamedTuple):
    """What changes in place: `mark`, (3,), `plants`, (C, 4), formers `tried` in vain in the interval, (N + C,).

    `found` is (n, 3): Wh of load, of load that is not served and of critical load that is not, of each interval.
    """

    mark: Ints
    plants: Floats
    tried: Mask
    found: Ints


class Ended(NamedTuple):
    """Why and before which interval a lane ended, its state, and the house of the former that it asks for."""

    why: int
    t: int
    state: State
    former: int


@compiled
def list_supplies(place: Place, cells: Cells, plants: Floats, opened: Opened, is_used: bool) -> Supplies:
    """What the island can draw on, nothing held in reserve yet; `is_used` says whether the market uses batteries."""
    n_cells, orders = place.cell_house.size, opened.orders
    low, high, stops = np.zeros(n_cells, np.int64), np.zeros(n_cells, np.int64), np.zeros(n_cells, np.bool_)
    for k in range(n_cells):
        low[k], high[k], stops[k] = find_energies(cells, k, plants[k], place.hours)
    room, release = find_battery_room(orders, opened.before, opened.rows, opened.rows["delivered_wh"].copy())
    spare = find_spare(place, opened.before, plants, high, is_used, orders.interval)
    return Supplies(
        opened.surplus_wh, release, room, orders.charge_wh.copy(), place.cell_house, low, high, stops, spare
    )


@compiled
def with_former(supplies: Supplies, former: int, cell: int) -> Supplies:
    """The supplies with the former's own rules: it keeps its charge, and a fuel cell that forms may not stop."""
    charge, battery = supplies.charge_wh.copy(), supplies.battery_wh.copy()
    high, stops = supplies.high_wh.copy(), supplies.may_stop.copy()
    charge[former] = 0
    if cell >= 0:
        stops[cell] = False
    surplus, room, house, low = supplies.surplus_wh, supplies.room_wh, supplies.house, supplies.low_wh
    return Supplies(surplus, battery, room, charge, house, low, high, stops, supplies.spare_wh)


@compiled
def settle_held(
    place: Place, cells: Cells, opened: Opened, trial: Trial, cell: int, rules: Rules, plants: Floats
) -> State:
    """State after an interval that a former holds; the fuel cells' in place."""
    plan, before = trial.dispatched, opened.before
    released, fuel = plan.released_wh.copy(), plan.fuel_wh.copy()
    if cell < 0:
        released[place.former] += trial.losses_wh
    else:
        fuel[cell] += trial.losses_wh
    rows = list_transfers(opened, plan, place.former, trial.losses_wh)
    delivery = Delivery(rows, plan.absorbed_wh, released)
    _, wallet, account, pools = post_payments(rows, before, rules)
    own, lots, tally = move_energy(delivery, opened.orders, before, rules)
    for k in range(fuel.size):
        run_cell(cells, k, plants[k], fuel[k], place.hours)
    return State(own, wallet, account, pools, lots, before.ratings, tally, before.flexible)


@compiled
def write_found(found: Ints, load_wh: Wh, served_wh: Wh, critical_share: float) -> None:
    """Write what an interval served, (3,)."""
    for i in range(load_wh.size):
        critical = integer_of(load_wh[i] * critical_share)
        found[LOAD] += load_wh[i]
        found[NOT_SERVED] += load_wh[i] - served_wh[i]
        found[CRITICAL_SHORT] += max(critical - served_wh[i], ZERO)


@compiled
def advance_mark(mark: Ints, former: int, pickup: int) -> None:
    """Set who holds the island, -1 where it is dark; the load of houses that come out of the dark stays raised."""
    mark[PICKUP] = max(mark[PICKUP] - 1, ZERO)
    if former < 0:
        mark[PICKUP] = 0
    elif mark[IS_DARK] != 0:
        mark[PICKUP] = pickup
    mark[FORMER], mark[IS_DARK] = former, 1 if former < 0 else 0


@compiled
def without_trial(verdict: int, opened: Opened) -> Trial:
    """A verdict with nothing dispatched."""
    zero = np.zeros_like(opened.need_wh)
    return Trial(verdict, Dispatched(zero, zero, zero, zero, zero, zero), ZERO)


@compiled
def try_formers(net: Wires, place: Place, opened: Opened, supplies: Supplies, lane: Lane) -> tuple[int, int, Trial]:
    """House of the first former that does not fail, -1 for none, number of its fuel cell or -1, and its trial."""
    headroom, n = find_headroom(place, opened, supplies.high_wh, lane.mark[IS_DARK] != 0), opened.need_wh.size
    while True:
        best = find_best(place, headroom, lane.tried, lane.mark[FORMER])
        if best < 0:
            gives_way = place.gives_way and lane.tried.any() and opened.orders.pv_wh.any()
            return -1, -1, without_trial(UNSURE if gives_way else NOBODY_HOLDS, opened)
        cell = best - n if best >= n else -1
        house = place.cell_house[cell] if cell >= 0 else best
        if house != place.former:
            return house, cell, without_trial(ELSEWHERE, opened)
        trial = try_former(net, place, opened, with_former(supplies, house, cell), cell)
        if trial.verdict != CANNOT:
            return house, cell, trial
        lane.tried[best] = True


@compiled
def run_lane(
    net: Wires,
    place: Place,
    cells: Cells,
    supply: InputSeries,
    rules: Rules,
    lane: Lane,
    state: State,
    span: tuple[int, int],
) -> Ended:
    """Run intervals `span`, first and behind the last, of an outage; `lane.found` begins with the first of them.

    Parameters
    ----------
    net, place
        The network with a former in place, and what else does not change.
    cells
        Fuel cells that are admitted.
    supply, rules
        Inputs and rules of the market.
    lane, state
        What changes in place, and the state before the first interval.
    span
        First interval, and the one behind the last.
    """
    first, stop = span
    for t in range(first, stop):
        raised = lane.mark[IS_DARK] != 0 or lane.mark[PICKUP] > 0
        opened = open_interval(supply, t, state, rules, raised)
        supplies = list_supplies(place, cells, lane.plants, opened, rules.battery != 0)
        house, cell, trial = try_formers(net, place, opened, supplies, lane)
        if trial.verdict == ELSEWHERE:
            return Ended(OTHER_FORMER, t, state, house)
        if trial.verdict == UNSURE:
            return Ended(LOOK_CLOSER, t, state, house)
        found = lane.found[t - first]
        if trial.verdict == NOBODY_HOLDS:
            state = opened.before
            lane.plants[:, 1:] = 0.0
            write_found(found, supply.load_wh[t], np.zeros_like(opened.need_wh), place.critical_share)
        else:
            state = settle_held(place, cells, opened, trial, cell, rules, lane.plants)
            served = opened.orders.load_wh - opened.need_wh + trial.dispatched.served_wh
            write_found(found, opened.orders.load_wh, served, place.critical_share)
        advance_mark(lane.mark, house, place.pickup)
        lane.tried[:] = False
    return Ended(DONE, stop, state, place.former)
