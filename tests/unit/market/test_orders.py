"""Own balance first, then a role: offer, trade request, share request or straight to the grid.

surplus = pv + fuel cell - load
  > 0  charge own battery    what is left is an offer
  < 0  discharge own energy  what is missing: wallet covers it at U ──▶ trade request
                             else room in the battery ──▶ share request
                             else ──▶ grid
"""

from __future__ import annotations

import numpy as np
import pytest
from market_scenes import RICH, F, U, batteries, houses, orders_of, with_lots

from market.rules import Arrival, Pricing, Rules

RULES, NO_BATTERY = Rules(battery=1), Rules(battery=0)


def test_surplus_charges_the_own_battery_and_the_rest_is_offered() -> None:
    orders, _ = orders_of(*houses([1500], batteries(1000)), RULES)
    assert (orders.charge_wh[0], orders.offer_wh[0], orders.need_wh[0]) == (1000, 500, 0)


def test_deficit_discharges_own_energy_and_the_rest_is_needed() -> None:
    orders, _ = orders_of(*houses([-1500], own_wh=[1000]), RULES)
    assert (orders.discharge_wh[0], orders.offer_wh[0], orders.need_wh[0]) == (1000, 0, 500)


def test_balanced_house_has_no_order() -> None:
    orders, _ = orders_of(*houses([0]), RULES)
    assert orders.offer_wh[0] == orders.need_wh[0] == orders.requests[0] == orders.asks_share[0] == 0


def test_fuel_cell_counts_like_pv() -> None:
    supply, state = houses([-400])
    orders, _ = orders_of(supply._replace(fuel_cell_wh=np.array([[1000]])), state, NO_BATTERY)
    assert (orders.offer_wh[0], orders.need_wh[0]) == (600, 0)


def test_own_balance_never_touches_a_lot() -> None:
    """The battery of house 0 holds 300 Wh of its own and 500 Wh of house 1."""
    supply, state = houses([-600, 0], own_wh=[300, 0])
    orders, _ = orders_of(supply, with_lots(state, (1, 0, 500)), RULES)
    assert (orders.discharge_wh[0], orders.need_wh[0]) == (300, 300)


def test_lots_of_others_take_room() -> None:
    supply, state = houses([900, 0], batteries(1000, 0), own_wh=[200, 0])
    orders, _ = orders_of(supply, with_lots(state, (1, 0, 500)), RULES)
    assert (orders.charge_wh[0], orders.offer_wh[0]) == (300, 600)


def test_power_limits_bound_charge_and_discharge() -> None:
    weak = batteries(10_000, 10_000, max_charge_wh=[400, 400], max_discharge_wh=[300, 300])
    orders, _ = orders_of(*houses([1000, -1000], weak, own_wh=[0, 5000]), RULES)
    assert orders.charge_wh.tolist() == [400, 0]
    assert orders.discharge_wh.tolist() == [0, 300]
    assert orders.offer_wh.tolist() == [600, 0]
    assert orders.need_wh.tolist() == [0, 700]


def test_losses_lie_with_the_owner() -> None:
    """Half is lost each way: 800 Wh fill 400 Wh of room; 400 Wh of content deliver 200 Wh."""
    lossy = batteries(400, 400, charge_ppm=[500_000] * 2, discharge_ppm=[500_000] * 2)
    lossy = lossy._replace(max_charge_wh=np.array([9999, 9999]))
    orders, _ = orders_of(*houses([1000, -1000], lossy, own_wh=[0, 400]), RULES)
    assert orders.charge_wh[0] == 801  # the last Wh leaves nothing behind: 801 / 2 is rounded down to 400
    assert orders.discharge_wh[1] == 200


def test_lower_bound_of_the_state_of_charge_is_kept() -> None:
    orders, _ = orders_of(*houses([-1000], batteries(5000, soc_min_wh=[500]), own_wh=[800]), RULES)
    assert (orders.discharge_wh[0], orders.need_wh[0]) == (300, 700)


def test_battery_below_its_lower_bound_rests() -> None:
    orders, _ = orders_of(*houses([-1000], batteries(5000, soc_min_wh=[500]), own_wh=[499]), RULES)
    assert (orders.discharge_wh[0], orders.need_wh[0]) == (0, 1000)


def test_without_batteries_all_surplus_is_offered_and_nobody_asks_for_sharing() -> None:
    orders, _ = orders_of(*houses([1000, -1000], own_wh=[0, 5000], wallet_neur=[RICH, 0]), NO_BATTERY)
    assert orders.offer_wh.tolist() == [1000, 0]
    assert orders.need_wh.tolist() == [0, 1000]
    assert orders.asks_share.tolist() == [0, 0]
    assert orders.charge_left_wh.tolist() == orders.discharge_left_wh.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("wallet", "role"),
    [(1000 * U, "trade request"), (1000 * U - 1, "share request")],
    ids=["covers", "1 nEUR short"],
)
def test_wallet_decides_between_trade_and_share_request(wallet: int, role: str) -> None:
    """A need of 1000 Wh costs 1000 x U at the utility price; the wallet must cover all of it."""
    orders, _ = orders_of(*houses([-1000], wallet_neur=[wallet]), RULES)
    assert (orders.requests[0], orders.asks_share[0]) == ((1, 0) if role == "trade request" else (0, 1))


@pytest.mark.parametrize(
    "battery",
    [batteries(0), batteries(1000), batteries(5000, max_charge_wh=[0])],
    ids=["none", "full of lots", "no power"],
)
def test_poor_house_without_room_goes_to_the_grid(battery) -> None:
    supply, state = houses([-500], battery, wallet_neur=[1])
    lots = with_lots(state, (0, 0, int(battery.soc_max_wh[0]))) if battery.soc_max_wh[0] == 1000 else state
    orders, _ = orders_of(supply, lots, RULES)
    assert (orders.need_wh[0], orders.requests[0], orders.asks_share[0]) == (500, 0, 0)


def test_what_own_balance_takes_out_makes_room() -> None:
    """A full battery of 1000 Wh gives 700 to its owner and may then host up to 700 of others."""
    orders, _ = orders_of(*houses([-700], batteries(1000), own_wh=[1000]), RULES)
    assert orders.charge_left_wh[0] == 700


def test_room_made_is_what_left_the_battery_not_what_arrived() -> None:
    """Delivering 400 Wh at 50 % takes 800 Wh out of the battery."""
    lossy = batteries(1000, discharge_ppm=[500_000])
    orders, _ = orders_of(*houses([-400], lossy, own_wh=[1000]), RULES)
    assert orders.charge_left_wh[0] == 800


def test_power_left_is_what_own_balance_does_not_use() -> None:
    weak = batteries(10_000, 10_000, max_charge_wh=[400, 400], max_discharge_wh=[300, 300])
    orders, _ = orders_of(*houses([100, -200], weak, own_wh=[0, 5000]), RULES)
    assert orders.charge_left_wh.tolist() == [300, 400]
    assert orders.discharge_left_wh.tolist() == [300, 100]


def test_price_counts_houses_not_energy() -> None:
    """One small request, three large offers: F + (U - F)/4. Who is too poor does not count."""
    orders, _ = orders_of(*houses([9000, 9000, 9000, -1, -1], wallet_neur=[RICH] * 4 + [0]), NO_BATTERY)
    assert orders.price_ueur_per_kwh == F + (U - F) // 4
    assert (orders.utility_ueur_per_kwh, orders.feed_in_ueur_per_kwh) == (U, F)


def test_supply_demand_ratio_counts_energy_of_offers_and_trade_requests() -> None:
    rules = Rules(battery=0, pricing=Pricing.SUPPLY_DEMAND_RATIO)
    orders, _ = orders_of(*houses([500, -1000, -1000], wallet_neur=[RICH, RICH, 0]), rules)
    assert orders.price_ueur_per_kwh == U * F // ((U - F) // 2 + F)


def test_order_of_arrival_comes_with_the_orders() -> None:
    rules = Rules(arrival=Arrival.ROTATE)
    orders, _ = orders_of(*houses([0, 0, 0]), rules, interval=4)
    assert orders.order.tolist() == [1, 2, 0]
