"""What was delivered becomes money, stored energy and meter rows; what leaves one account enters another."""

from __future__ import annotations

import numpy as np
import pytest
from market_scenes import RICH, F, U, batteries, houses, orders_of, with_contract, with_lots

from cosim.delivery.window import InputSeries
from market.exchanges import CONTRACT, EXCHANGE, GRID, NOBODY, OPERATOR, Kind, Rows
from market.rules import Rules
from market.settlement import Delivery, Settlement, deliver_all, find_imbalance, settle
from market.state import POOL_CONTRACT, POOL_OPERATOR, POOL_UTILITY, State

RULES = Rules(battery=1, tau_intervals=12)
P = 200_000


def row(kind: Kind, seller: int, buyer: int, wh: int, price: int, **more: int) -> np.ndarray:
    """One exchange, delivered as cleared unless `delivered_wh` says otherwise."""
    made = np.zeros(1, EXCHANGE)
    made["host"] = made["lot"] = made["element"] = NOBODY
    values = {
        "kind": kind, "seller": seller, "buyer": buyer, "cleared_wh": wh, "delivered_wh": wh,
        "price_ueur_per_kwh": price, **more,
    }  # fmt: skip
    for name, value in values.items():
        made[name] = value
    return made


def settled(scene: tuple[InputSeries, State], *rows: np.ndarray, rules: Rules = RULES) -> tuple[Settlement, State]:
    """Settlement of these rows in that scene, and the state before it."""
    orders, before = orders_of(*scene, rules)
    return settle(deliver_all(np.concatenate(rows), before.own_wh.size), orders, before, rules), before


def changes(settlement: Settlement, before: State) -> tuple[list[int], list[int], list[int]]:
    """What wallets, utility accounts and pools gained, in nEUR."""
    after = settlement.state
    return (
        (after.wallet_neur - before.wallet_neur).tolist(),
        (after.account_neur - before.account_neur).tolist(),
        (after.pools_neur - before.pools_neur).tolist(),
    )


# ------------------------------------------------------------------------------------------------------- money


def test_trade_moves_money_from_wallet_to_wallet() -> None:
    settlement, before = settled(houses([500, -500]), row(Kind.P2P, 0, 1, 500, P, host=0))
    assert changes(settlement, before) == ([500 * P, -500 * P], [0, 0], [0, 0, 0])
    assert settlement.rows["amount_neur"].tolist() == [500 * P]


def test_only_delivered_energy_is_paid() -> None:
    curtailed = row(Kind.P2P, 0, 1, 500, P, host=0, delivered_wh=200)
    settlement, before = settled(houses([500, -500]), curtailed)
    assert changes(settlement, before)[0] == [200 * P, -200 * P]


def test_fee_goes_from_the_seller_to_the_contract_rounded_down() -> None:
    """10 % of 3 Wh x 7 µEUR/kWh = 21 nEUR is 2 nEUR."""
    settlement, before = settled(
        houses([3, -3]), row(Kind.P2P, 0, 1, 3, 7, host=0), rules=RULES._replace(fee_permille=100)
    )
    assert changes(settlement, before) == ([19, -21], [0, 0], [0, 2, 0])
    assert settlement.rows["fee_neur"].tolist() == [2]


@pytest.mark.parametrize("owner", [0, CONTRACT], ids=["prosumer's lot", "contract's lot"])
def test_sale_of_a_lot_pays_its_owner_without_fee(owner: int) -> None:
    supply, state = houses([0, 0, -400])
    scene = supply, with_lots(state, (owner, 1, 1000))
    sale = row(Kind.LOT_SALE, owner, 2, 400, P, host=1, lot=0)
    settlement, before = settled(scene, sale, rules=RULES._replace(fee_permille=100))
    wallets, _, pools = changes(settlement, before)
    assert wallets == [400 * P if owner == 0 else 0, 0, -400 * P]
    assert pools == [0, 0 if owner == 0 else 400 * P, 0]


def test_contract_pays_the_prosumer_for_use_and_store() -> None:
    supply, state = houses([1000, -800], wallet_neur=[0, 0])
    settlement, before = settled(
        (supply, with_contract(state, 1000 * P)),
        row(Kind.SHARE_USE, 0, 1, 500, P, host=1),
        row(Kind.SHARE_STORE, 0, CONTRACT, 500, P, host=1, lot=0),
    )
    assert changes(settlement, before) == ([1000 * P, 0], [0, 0], [0, -1000 * P, 0])


def test_sharing_between_houses_moves_no_money() -> None:
    settlement, before = settled(
        houses([1000, -800], wallet_neur=[0, 0]),
        row(Kind.SHARE_USE, 0, 1, 500, 0, host=1),
        row(Kind.SHARE_STORE, 0, 0, 500, 0, host=1, lot=0),
    )
    assert changes(settlement, before) == ([0, 0], [0, 0], [0, 0, 0])


def test_imports_are_owed_to_the_utility_and_never_touch_the_wallet() -> None:
    settlement, before = settled(houses([-300], wallet_neur=[0]), row(Kind.GRID_IMPORT, GRID, 0, 300, U))
    assert changes(settlement, before) == ([0], [-300 * U], [300 * U, 0, 0])


def test_exports_are_credited_on_the_utility_account() -> None:
    settlement, before = settled(houses([300]), row(Kind.GRID_EXPORT, 0, GRID, 300, F))
    assert changes(settlement, before) == ([0], [300 * F], [-300 * F, 0, 0])


def test_operator_buys_the_losses_of_the_utility() -> None:
    settlement, before = settled(houses([0]), row(Kind.LOSS, GRID, OPERATOR, 7, U))
    gained = changes(settlement, before)[2]
    assert (gained[POOL_UTILITY], gained[POOL_CONTRACT], gained[POOL_OPERATOR]) == (7 * U, 0, -7 * U)


def test_spilled_and_shed_energy_costs_nothing() -> None:
    settlement, before = settled(
        houses([300, -200]), row(Kind.SPILL, 0, NOBODY, 300, 0), row(Kind.SHED, NOBODY, 1, 200, 0)
    )
    assert changes(settlement, before) == ([0, 0], [0, 0], [0, 0, 0])


# ------------------------------------------------------------------------------------------------------ energy


def test_own_balance_changes_own_energy() -> None:
    lossy = batteries(5000, 5000, charge_ppm=[950_000] * 2, discharge_ppm=[950_000] * 2)
    settlement, _ = settled(houses([100, -100], lossy, own_wh=[0, 1000]), row(Kind.SPILL, 0, NOBODY, 0, 0))
    assert settlement.state.own_wh.tolist() == [95, 1000 - 106]


def test_stored_share_becomes_a_lot_of_its_owner_for_tau_intervals() -> None:
    supply, state = houses([1000, -800], batteries(0, 10_000, charge_ppm=[950_000] * 2), wallet_neur=[0, 0])
    orders, before = orders_of(supply, state, RULES, interval=3)
    store = row(Kind.SHARE_STORE, 0, 0, 500, 0, host=1, lot=41)
    lots = settle(deliver_all(store, 2), orders, before, RULES).state.lots
    assert [column.tolist() for column in lots] == [[41], [0], [1], [475], [15]]


def test_share_too_small_to_leave_anything_behind_makes_no_lot_but_uses_its_number() -> None:
    """1 Wh at 95 % stores 0 Wh."""
    supply, state = houses([1, -800], batteries(0, 10_000, charge_ppm=[950_000] * 2), wallet_neur=[0, 0])
    settlement, _ = settled((supply, state), row(Kind.SHARE_STORE, 0, 0, 1, 0, host=1, lot=5))
    assert settlement.state.lots.lot.size == 0
    assert settlement.state.tally.tolist() == [6, 0, 0]


def test_sale_takes_from_the_lot_what_leaves_the_battery() -> None:
    """190 Wh at the terminals take 200 of 1000 Wh stored at 95 %."""
    supply, state = houses([0, -190], batteries(10_000, 0, discharge_ppm=[950_000] * 2))
    scene = supply, with_lots(state, (1, 0, 1000))
    settlement, _ = settled(scene, row(Kind.LOT_SALE, 1, 1, 190, 0, host=0, lot=0))
    assert settlement.state.lots.stored_wh.tolist() == [800]
    assert settlement.state.own_wh.tolist() == [0, 0]


def test_lot_that_is_used_up_is_gone() -> None:
    supply, state = houses([0, 0, -300])
    scene = supply, with_lots(state, (0, 1, 300), (0, 1, 200))
    settlement, _ = settled(scene, row(Kind.LOT_SALE, 0, 2, 300, P, host=1, lot=0))
    assert settlement.state.lots.lot.tolist() == [1]


def test_lots_may_be_sold_in_any_order_and_piecemeal() -> None:
    """A mechanism of one's own may sell the newest lot first."""
    supply, state = houses([0, 0, -600])
    scene = supply, with_lots(state, (0, 1, 300), (0, 1, 200), (0, 1, 100))
    settlement, _ = settled(
        scene,
        row(Kind.LOT_SALE, 0, 2, 100, P, host=1, lot=2),
        row(Kind.LOT_SALE, 0, 2, 50, P, host=1, lot=0),
        row(Kind.LOT_SALE, 0, 2, 150, P, host=1, lot=1),
        row(Kind.LOT_SALE, 0, 2, 50, P, host=1, lot=0),
    )
    assert settlement.state.lots.lot.tolist() == [0, 1]
    assert settlement.state.lots.stored_wh.tolist() == [200, 50]


def test_tally_counts_stored_wh_of_prosumers_lots_only() -> None:
    """(next lot, Wh ever stored, Wh of those sold); the contract's lots do not count."""
    supply, state = houses([1000, 0, -300])
    scene = with_contract(with_lots(state, (0, 1, 500), (CONTRACT, 1, 500)), RICH)
    settlement, _ = settled(
        (supply, scene),
        row(Kind.LOT_SALE, 0, 2, 100, P, host=1, lot=0),
        row(Kind.LOT_SALE, CONTRACT, 2, 200, P, host=1, lot=1),
        row(Kind.SHARE_STORE, 0, 0, 60, 0, host=1, lot=2),
        row(Kind.SHARE_STORE, 0, CONTRACT, 70, P, host=1, lot=3),
    )
    assert settlement.state.tally.tolist() == [4, 560, 100]


def test_absorbed_and_released_energy_goes_through_the_own_battery() -> None:
    orders, before = orders_of(*houses([0, 0], own_wh=[500, 500]), RULES)
    delivery = Delivery(row(Kind.SPILL, 0, NOBODY, 0, 0), np.array([40, 0]), np.array([0, 30]))
    settlement = settle(delivery, orders, before, RULES)
    assert settlement.state.own_wh.tolist() == [540, 470]
    assert settlement.meters["charge_wh"].tolist() == [40, 0]
    assert settlement.meters["discharge_wh"].tolist() == [0, 30]


# ------------------------------------------------------------------------------------------------------ meters


def meters_of(rows: Rows) -> list[dict[str, int]]:
    """The non-zero energies of each meter row."""
    shown = [name for name in rows.dtype.names if name.endswith("_wh")]
    return [{name: int(m[name]) for name in shown if m[name]} for m in rows]


def test_meter_sees_energy_and_not_its_owner() -> None:
    """A share of 1000 Wh: the consumer's meter sees 1000 Wh bought and 500 Wh charged, whoever owns the lot."""
    supply, state = houses([1000, -800], batteries(0, 10_000), wallet_neur=[0, 0])
    settlement, _ = settled(
        (supply, state),
        row(Kind.SHARE_USE, 0, 1, 500, 0, host=1),
        row(Kind.SHARE_STORE, 0, 0, 500, 0, host=1, lot=0),
        row(Kind.GRID_IMPORT, GRID, 1, 300, U),
    )
    assert meters_of(settlement.meters) == [
        {"pv_wh": 1000, "sold_wh": 1000},
        {"load_wh": 800, "charge_wh": 500, "bought_wh": 1000, "imported_wh": 300, "hosted_wh": 500},
    ]


def test_lot_flows_out_of_its_hosts_meter() -> None:
    supply, state = houses([0, 0, -400])
    scene = supply, with_lots(state, (0, 1, 1000))
    settlement, _ = settled(scene, row(Kind.LOT_SALE, 0, 2, 400, P, host=1, lot=0))
    assert meters_of(settlement.meters) == [
        {},
        {"discharge_wh": 400, "sold_wh": 400, "hosted_wh": 600},
        {"load_wh": 400, "bought_wh": 400},
    ]


def test_meters_are_numbered_after_the_exchanges() -> None:
    settlement, _ = settled(houses([500, -500]), row(Kind.P2P, 0, 1, 500, P, host=0))
    assert settlement.meters["seq"].tolist() == [1, 2]
    assert settlement.meters["house"].tolist() == [0, 1]


# ---------------------------------------------------------------------------------------------------- identities


def trade_of_500() -> tuple[Settlement, State]:
    """A settlement in order: house 0 (no room) sells 500 Wh to house 1."""
    return settled(houses([500, -500], batteries(0, 0)), row(Kind.P2P, 0, 1, 500, P, host=0))


def test_settlement_in_order_balances() -> None:
    assert find_imbalance(*trade_of_500()) == -1


INTO = ["pv_wh", "fuel_cell_wh", "discharge_wh", "bought_wh", "imported_wh", "shed_wh"]
OUT_OF = ["load_wh", "charge_wh", "sold_wh", "exported_wh", "spilled_wh"]


@pytest.mark.parametrize("column", [*INTO, *OUT_OF])
def test_one_watt_hour_too_many_is_noticed(column: str) -> None:
    settlement, before = trade_of_500()
    settlement.meters[column][1] += 1
    assert find_imbalance(settlement, before) == 1


def test_one_nano_euro_too_many_is_noticed() -> None:
    settlement, before = trade_of_500()
    settlement.state.account_neur[0] += 1
    assert find_imbalance(settlement, before) == 2


def test_wallet_or_contract_below_zero_is_noticed() -> None:
    settlement, before = trade_of_500()
    settlement.state.wallet_neur[1] = -1
    assert find_imbalance(settlement, before) == 1
    settlement, before = trade_of_500()
    settlement.state.pools_neur[POOL_CONTRACT] -= 1
    settlement.state.pools_neur[POOL_UTILITY] += 1
    assert find_imbalance(settlement, before) == 2


def test_unanswered_order_is_noticed() -> None:
    """House 0 offers 500 Wh, which nobody buys, exports or spills."""
    settlement, before = settled(houses([500, 0], batteries(0, 0)), row(Kind.SPILL, 0, NOBODY, 0, 0))
    assert find_imbalance(settlement, before) == 0


def test_share_that_overfills_its_host_is_noticed() -> None:
    supply, state = houses([900, 0], batteries(0, 800))
    settlement, before = settled((supply, state), row(Kind.SHARE_STORE, 0, 0, 900, 0, host=1, lot=0))
    assert find_imbalance(settlement, before) == 1


def test_lot_that_is_oversold_is_noticed() -> None:
    """500 Wh sold of a lot of 300: energy out of nowhere."""
    supply, state = houses([0, 0, -500])
    scene = supply, with_lots(state, (0, 1, 300))
    settlement, before = settled(scene, row(Kind.LOT_SALE, 0, 2, 500, P, host=1, lot=0))
    assert find_imbalance(settlement, before) == 1


def test_sale_of_a_lot_that_is_not_there_is_refused() -> None:
    supply, state = houses([0, 0, -500])
    scene = supply, with_lots(state, (0, 1, 300))
    with pytest.raises(ValueError, match="no lot of that number"):
        settled(scene, row(Kind.LOT_SALE, 0, 2, 100, P, host=1, lot=7))
