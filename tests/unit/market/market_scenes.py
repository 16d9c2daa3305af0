"""Small markets for the examples in tests: U = 300,000 and F = 100,000 µEUR/kWh, one interval, large wallets."""

from __future__ import annotations

import numpy as np

from cosim.delivery.window import InputSeries, make_orders_at
from market.exchanges import Rows
from market.orders import Orders
from market.rules import Rules
from market.state import Lots, State, make_opening_state
from market.storage import PPM, Ratings, Wh

U, F = 300_000, 100_000
RICH = 10**12
"""A wallet of 1,000 EUR, in nEUR."""


def ideal_ratings(capacity_wh: Wh) -> Ratings:
    """Ratings of the reference study: lossless, 0-100 %, no power limit but the capacity itself."""
    capacity = np.ascontiguousarray(capacity_wh, dtype=np.int64)
    zero, full = np.zeros_like(capacity), np.full_like(capacity, PPM)
    return Ratings(zero, capacity, capacity, capacity, full, full, zero)


def batteries(*capacity_wh: int, **changes: list[int]) -> Ratings:
    """Lossless batteries of these capacities, with other columns of their ratings as given."""
    columns = {name: np.array(values, np.int64) for name, values in changes.items()}
    return ideal_ratings(np.array(capacity_wh))._replace(**columns)


def houses(
    surplus_wh: list[int],
    ratings: Ratings | None = None,
    own_wh: list[int] | None = None,
    wallet_neur: list[int] | None = None,
) -> tuple[InputSeries, State]:
    """Houses with that pv - load, each with an empty battery of 10 kWh unless told otherwise."""
    n = len(surplus_wh)
    net = np.array([surplus_wh])
    supply = InputSeries(np.maximum(-net, 0), np.maximum(net, 0), np.zeros((1, n), np.int64), np.array([U]))
    ratings = ratings or batteries(*[10_000] * n)
    return supply, make_opening_state(own_wh or [0] * n, wallet_neur or [RICH] * n, ratings)


def with_lots(state: State, *lots: tuple[int, int, int]) -> State:
    """State with lots (owner, host, stored Wh), numbered from 0, that live until interval 9."""
    owner, host, stored = np.array(lots, np.int64).T.copy()
    n = len(lots)
    tally = np.array([n, stored[owner >= 0].sum(), 0])
    return state._replace(lots=Lots(np.arange(n), owner, host, stored, np.full(n, 9)), tally=tally)


def with_contract(state: State, balance_neur: int) -> State:
    """State in which the sharing contract owns that much."""
    return state._replace(pools_neur=np.array([0, balance_neur, 0]))


def orders_of(supply: InputSeries, state: State, rules: Rules, interval: int = 0) -> tuple[Orders, State]:
    """Orders of the scene in `interval`, and the state they were made from."""
    return make_orders_at(supply, 0, interval, state, rules)


def short(rows: Rows) -> list[tuple[int, int, int, int]]:
    """(kind, seller, buyer, Wh cleared) of each row."""
    return [(int(r["kind"]), int(r["seller"]), int(r["buyer"]), int(r["cleared_wh"])) for r in rows]
