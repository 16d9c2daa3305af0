"""Clear and settle many intervals in one compiled call as if the network could carry everything.

The power flow of all of them is solved afterwards in one batch. The compiled window calls the same functions as
`cosim.interval.interval.run_interval` does for a single interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.delivery.flexible import (
    NO_DEVICES,
    NOBODY_RESTS,
    FlexibleDevices,
    ask_devices,
    find_device_imbalance,
    finish_devices,
)
from market import mechanisms
from market.book import Clearing
from market.compiled import ZERO, compiled, fill, integer
from market.exchanges import EXCHANGE, FLEXIBLE, METER, ORDER, SUBMISSION, Kind, Rows
from market.flexible import asked_wh
from market.mechanisms import ClearFunction
from market.orders import Inputs, Orders, make_orders, write_orders
from market.rules import Rules
from market.settlement import Settlement, deliver_all, find_imbalance, settle
from market.state import State, begin_interval, flatten_accounts
from market.storage import Wh

_P2P, _ONE = integer(Kind.P2P), integer(1)


NO_SUBMISSIONS: Rows = np.zeros((0, 0), SUBMISSION)


class InputSeries(NamedTuple):
    """Inputs of the market: int64 arrays of K intervals and N houses, Wh, and utility prices, (K,) µEUR/kWh.

    `submissions` are `SUBMISSION` rows, (K, N) or none at all. `load_wh` is without the devices that can wait, which
    are those of the whole run, by the number of the interval.
    """

    load_wh: Wh
    pv_wh: Wh
    fuel_cell_wh: Wh
    utility_ueur_per_kwh: Wh
    submissions: Rows = NO_SUBMISSIONS
    devices: FlexibleDevices = NO_DEVICES


class Window(NamedTuple):
    """K intervals settled as cleared.

    Attributes
    ----------
    rows, offsets
        Exchanges of all intervals, one after the other; those of interval k are rows[offsets[k] : offsets[k+1]].
    meters
        (K, N) meter rows.
    accounts
        (K, 4N + 3) account table after each interval (`market.state.flatten_accounts`).
    price_ueur_per_kwh
        (K,) price of the interval's trades, the pricing rule's where there was none.
    orders
        (K, N) order rows, (0, N) unless the rules ask for them.
    devices
        (K, D) rows of the devices that can wait.
    state
        State after the last interval.
    unbalanced
        (2,): first interval of the window whose identities fail, and the house; (-1, -1) if none.
    """

    rows: Rows
    offsets: Wh
    meters: Rows
    accounts: Wh
    price_ueur_per_kwh: Wh
    orders: Rows
    devices: Rows
    state: State
    unbalanced: Wh


@compiled
def take_inputs(supply: InputSeries, k: int, interval: int) -> Inputs:
    """Inputs of interval `interval`, the k-th of the series."""
    submitted = supply.submissions
    return Inputs(
        interval,
        supply.load_wh[k].copy(),  # what may be added to it is not that of the profiles
        supply.pv_wh[k],
        supply.fuel_cell_wh[k],
        supply.utility_ueur_per_kwh[k],
        submitted[k] if submitted.shape[0] > 0 else np.empty(0, SUBMISSION),
    )


@compiled
def with_devices(state: State, flexible: Rows) -> State:
    """The state with other rows of the devices that can wait."""
    return State(
        state.own_wh,
        state.wallet_neur,
        state.account_neur,
        state.pools_neur,
        state.lots,
        state.ratings,
        state.tally,
        flexible.copy(),
    )


@compiled
def with_asks(
    devices: FlexibleDevices, inputs: Inputs, state: State, rests: npt.NDArray[np.bool_]
) -> tuple[State, Inputs]:
    """State and inputs of an interval with what devices that can wait ask for; where a house rests they ask nothing."""
    surplus = inputs.pv_wh + inputs.fuel_cell_wh - inputs.load_wh
    flexible = ask_devices(devices, state.flexible, inputs.interval, surplus, rests)
    asking = with_devices(state, flexible)
    load = inputs.load_wh + asked_wh(flexible, inputs.load_wh.size)
    return asking, Inputs(
        inputs.interval, load, inputs.pv_wh, inputs.fuel_cell_wh, inputs.utility_ueur_per_kwh, inputs.submissions
    )


@compiled
def make_orders_at(supply: InputSeries, k: int, interval: int, before: State, rules: Rules) -> tuple[Orders, State]:
    """Orders of the k-th interval of the series, and the state they were made from (due lots are their hosts')."""
    state, inputs = begin_interval(before, interval), take_inputs(supply, k, interval)
    if supply.devices.kind.size > 0:
        state, inputs = with_asks(supply.devices, inputs, state, NOBODY_RESTS)
    return make_orders(inputs, state, rules), state


@compiled
def make_empty_window(n_intervals: int, state: State, rules: Rules) -> Window:
    """Window with space for `n_intervals`, none filled yet."""
    n = state.own_wh.size
    return Window(
        np.empty(n_intervals * 3 * n, EXCHANGE),
        np.zeros(n_intervals + 1, np.int64),
        np.empty((n_intervals, n), METER),
        np.empty((n_intervals, 4 * n + 3), np.int64),
        np.empty(n_intervals, np.int64),
        np.zeros((n_intervals * rules.records_orders, n), ORDER),
        np.zeros((n_intervals, state.flexible.size), FLEXIBLE),
        state,
        np.full(2, -1),
    )


@compiled
def trading_price(orders: Orders, clearing: Clearing) -> int:
    """Price of the interval's first trade, µEUR/kWh (an auction sets its own); the pricing rule's if none was made."""
    for row in clearing.rows:
        if row.kind == _P2P:
            return int(row.price_ueur_per_kwh)
    return orders.price_ueur_per_kwh


@compiled
def write_interval(
    window: Window, k: int, orders: Orders, clearing: Clearing, settlement: Settlement, before: State
) -> Window:
    """Write interval k into the window; the rows are moved to a larger array where they no longer fit."""
    rows, first = window.rows, window.offsets[k]
    stop = first + settlement.rows.size
    if stop > rows.size:
        larger = np.empty(2 * stop, EXCHANGE)
        fill(larger[:first], rows[:first])
        rows = larger
    fill(rows[first:stop], settlement.rows)
    window.offsets[k + 1] = stop
    fill(window.meters[k], settlement.meters)
    fill(window.accounts[k], flatten_accounts(settlement.state))
    window.price_ueur_per_kwh[k] = trading_price(orders, clearing)
    if window.orders.shape[0] > 0:
        write_orders(window.orders[k], orders, settlement.rows.size)
    state, house = settlement.state, find_imbalance(settlement, before)
    if before.flexible.size > 0:
        n_orders = settlement.meters.size if window.orders.shape[0] > 0 else 0
        first_seq = settlement.rows.size + settlement.meters.size + n_orders
        fill(window.devices[k], finish_devices(state.flexible, first_seq))
        state = with_devices(state, window.devices[k])
        wrong = find_device_imbalance(before.flexible, state.flexible, settlement.meters)
        house = wrong if house < 0 else house
    if house >= 0 and window.unbalanced[0] < 0:
        window.unbalanced[0], window.unbalanced[1] = k, house
    return Window(
        rows,
        window.offsets,
        window.meters,
        window.accounts,
        window.price_ueur_per_kwh,
        window.orders,
        window.devices,
        state,
        window.unbalanced,
    )


@compiled
def make_window_of_one(
    orders: Orders, clearing: Clearing, settlement: Settlement, before: State, rules: Rules
) -> Window:
    """Window of a single interval that is settled already."""
    return write_interval(make_empty_window(_ONE, before, rules), ZERO, orders, clearing, settlement, before)


@compiled
def settle_window(supply: InputSeries, first: int, n_intervals: int, state: State, rules: Rules) -> Window:
    """Settle `n_intervals` from interval `first` on by a built-in mechanism, all delivered as cleared."""
    window = make_empty_window(n_intervals, state, rules)
    n = state.own_wh.size
    for k in range(n_intervals):
        orders, before = make_orders_at(supply, k, first + k, window.state, rules)
        clearing = mechanisms.clear(orders, before, rules)
        settlement = settle(deliver_all(clearing.rows, n), orders, before, rules)
        window = write_interval(window, k, orders, clearing, settlement, before)
    return window


def settle_window_with(
    clear: ClearFunction, supply: InputSeries, first: int, n_intervals: int, state: State, rules: Rules
) -> Window:
    """`settle_window` for a user's own, uncompiled mechanism: called once an interval, else the same."""
    window = make_empty_window(n_intervals, state, rules)
    n = state.own_wh.size
    for k in range(n_intervals):
        orders, before = make_orders_at(supply, k, first + k, window.state, rules)
        clearing = clear(orders, before, rules)
        settlement = settle(deliver_all(clearing.rows, n), orders, before, rules)
        window = write_interval(window, k, orders, clearing, settlement, before)
    return window
