"""Orders are clipped before the market: what houses may not do they do not ask for, and nothing is lost on the way."""

from __future__ import annotations

import numpy as np
from market_scenes import batteries, houses, orders_of

from market.clipping import NO_LIMIT_WH, Rooms, clip_asks, clip_orders, with_spilled
from market.exchanges import CAR, EXCHANGE, FLEXIBLE, HEAT_PUMP, Kind
from market.mechanisms import clear
from market.orders import Orders
from market.rules import TRADING, Rules
from market.state import State

FREE = np.full(2, NO_LIMIT_WH)
FREELY = Rooms(FREE, FREE, FREE, FREE, FREE)
RULES = Rules(mechanism=TRADING, battery=0, feed_in=1)


def of_street(surplus_wh: list[int], rules: Rules = RULES) -> tuple[Orders, State]:
    return orders_of(*houses(surplus_wh, batteries(0, 0)), rules)


def test_an_offer_beyond_its_room_is_spilled_before_the_market() -> None:
    orders, state = of_street([3000, -1000])
    limit = FREELY._replace(surplus_wh=np.array([1800, NO_LIMIT_WH]))
    clipped, spilled = clip_orders(orders, limit, RULES)
    assert (clipped.offer_wh.tolist(), spilled.tolist()) == ([1800, 0], [1200, 0])
    rows = with_spilled(clear(clipped, state, RULES).rows, clipped, spilled)
    told = {Kind(row["kind"]): int(row["cleared_wh"]) for row in rows}
    assert told == {Kind.P2P: 1000, Kind.GRID_EXPORT: 800, Kind.SPILL: 1200}
    assert rows["seq"].tolist() == [0, 1, 2]


def test_where_the_market_spills_too_a_house_has_one_row_of_it() -> None:
    rules = RULES._replace(feed_in=0)
    orders, state = of_street([3000, -1000], rules)
    limit = FREELY._replace(surplus_wh=np.array([1800, NO_LIMIT_WH]))
    clipped, spilled = clip_orders(orders, limit, rules)
    rows = with_spilled(clear(clipped, state, rules).rows, clipped, spilled)
    assert rows["cleared_wh"][rows["kind"] == Kind.SPILL].tolist() == [2000]
    assert rows.dtype == EXCHANGE


def test_without_limits_orders_are_as_they_were() -> None:
    orders, _ = of_street([3000, -1000])
    clipped, spilled = clip_orders(orders, FREELY, RULES)
    for name in Orders._fields:
        np.testing.assert_array_equal(getattr(clipped, name), getattr(orders, name))
    assert not spilled.any()


def test_the_price_is_that_of_the_clipped_offers() -> None:
    """Mid-market is the same whatever is offered; by supply and demand a smaller offer is worth more."""
    rules = RULES._replace(pricing=2)
    orders, _ = of_street([900, -1000], rules)
    limit = FREELY._replace(surplus_wh=np.array([300, NO_LIMIT_WH]))
    clipped, _ = clip_orders(orders, limit, rules)
    assert clipped.price_ueur_per_kwh > orders.price_ueur_per_kwh


def test_what_can_wait_goes_before_what_a_device_would_miss() -> None:
    asks = np.zeros(3, FLEXIBLE)
    asks["status"], asks["house"] = [CAR, HEAT_PUMP, CAR], [0, 0, 0]
    asks["least_wh"], asks["wanted_wh"], asks["floor_wh"] = [4000, 0, 1000], [5000, 2000, 3000], [4200, 2000, 3000]
    one = np.zeros(1, np.int64)
    asked = Rooms(one, one, one, np.array([8000]), np.array([2000]))
    left, less = clip_asks(asks, asked, asked._replace(cars_wh=np.array([4500]), heat_pumps_wh=np.array([1500])))
    assert less.tolist() == [4000]
    assert left["wanted_wh"].tolist() == [3500, 1500, 1000]  # 1,000 and 2,000 that can wait, then 500 of the first
    assert left["least_wh"].tolist() == [3500, 0, 1000]
    assert (left["floor_wh"] <= left["wanted_wh"]).all()
    assert asks["wanted_wh"].tolist() == [5000, 2000, 3000]
