"""A mechanism is one function, looked up by name; each built-in one is shown here on the same small market.

    house 0: offer 600 Wh            house 2: need 400 Wh, rich
    house 1: offer 400 Wh            house 3: need 500 Wh, poor, room for 10 kWh

U = 300,000 and F = 100,000 µEUR/kWh; one request and two offers: p = F + (U - F)/3 = 166,666.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest
from market_scenes import RICH, F, U, batteries, houses, orders_of, short, with_contract

from market import mechanisms
from market.book import Clearing
from market.errors import MarketError
from market.exchanges import CONTRACT, GRID, NOBODY, Kind
from market.mechanisms import BUILT_IN, find_mechanism, list_mechanisms, wrap_mechanism
from market.orders import Orders
from market.rules import PLUGGED_IN, Rules
from market.state import State

P = 166_666
P2P, USE, STORE, IMPORT, SPILL = Kind.P2P, Kind.SHARE_USE, Kind.SHARE_STORE, Kind.GRID_IMPORT, Kind.SPILL


def rules_of(name: str) -> Rules:
    chosen = BUILT_IN[name]
    return Rules(mechanism=chosen.code, battery=int(chosen.uses_battery), seed=1)


def cleared(name: str, contract_neur: int = 0) -> list[tuple[int, int, int, int]]:
    """(kind, seller, buyer, Wh) of the small market above."""
    supply, state = houses([600, 400, -400, -500], batteries(0, 0, 0, 10_000), wallet_neur=[0, 0, RICH, 0])
    rules = rules_of(name)
    orders, before = orders_of(supply, with_contract(state, contract_neur), rules)
    rows = find_mechanism(name).clear(orders, before, rules).rows
    return short(rows)


def test_one_request_and_two_offers_make_the_price() -> None:
    assert P == F + (U - F) // 3


def test_none_leaves_everything_to_the_grid() -> None:
    assert cleared("none") == [
        (SPILL, 0, NOBODY, 600),
        (SPILL, 1, NOBODY, 400),
        (IMPORT, GRID, 2, 400),
        (IMPORT, GRID, 3, 500),
    ]


@pytest.mark.parametrize("name", ["trading", "trading_battery"])
def test_trading_serves_who_can_pay(name: str) -> None:
    assert cleared(name) == [
        (P2P, 0, 2, 400),
        (SPILL, 0, NOBODY, 200),
        (SPILL, 1, NOBODY, 400),
        (IMPORT, GRID, 3, 500),
    ]


def test_sharing_p2p_shares_what_trading_left() -> None:
    assert cleared("sharing_p2p") == [
        (P2P, 0, 2, 400),
        (USE, 0, 3, 100),
        (STORE, 0, 0, 100),
        (USE, 1, 3, 200),
        (STORE, 1, 1, 200),
        (IMPORT, GRID, 3, 200),
    ]


def test_sharing_central_shares_what_the_contract_can_pay() -> None:
    """Money for 250 Wh: all 200 Wh of offer 0 and 50 Wh of offer 1."""
    assert cleared("sharing_central", 250 * P) == [
        (P2P, 0, 2, 400),
        (USE, 0, 3, 100),
        (STORE, 0, CONTRACT, 100),
        (USE, 1, 3, 25),
        (STORE, 1, CONTRACT, 25),
        (SPILL, 1, NOBODY, 350),
        (IMPORT, GRID, 3, 375),
    ]


def test_sharing_hybrid_uses_the_contract_where_it_pays_more() -> None:
    """Money for 250 Wh covers offer 0; the 50 Wh left for offer 1 are less than its lot of 200 Wh should bring."""
    assert cleared("sharing_hybrid", 250 * P)[1:5] == [
        (USE, 0, 3, 100),
        (STORE, 0, CONTRACT, 100),
        (USE, 1, 3, 200),
        (STORE, 1, 1, 200),
    ]


def test_sharing_selfish_stores_as_much_as_the_battery_takes() -> None:
    assert cleared("sharing_selfish") == [
        (P2P, 0, 2, 400),
        (USE, 0, 3, 20),
        (STORE, 0, 0, 180),
        (USE, 1, 3, 40),
        (STORE, 1, 1, 360),
        (IMPORT, GRID, 3, 440),
    ]


def test_double_auction_serves_the_cheapest_ask_if_the_bid_reaches_it() -> None:
    """With seed 1 house 1 asks less than house 0, and house 2 bids enough for it."""
    assert cleared("double_auction") == [
        (P2P, 1, 2, 400),
        (SPILL, 0, NOBODY, 600),
        (IMPORT, GRID, 3, 500),
    ]


def test_eight_mechanisms_are_built_in() -> None:
    assert list(BUILT_IN) == [
        "none",
        "trading",
        "trading_battery",
        "sharing_central",
        "sharing_p2p",
        "sharing_hybrid",
        "sharing_selfish",
        "double_auction",
    ]
    assert [chosen.code for chosen in BUILT_IN.values()] == list(range(8))


def test_batteries_and_fees_by_mechanism() -> None:
    assert {name for name, chosen in BUILT_IN.items() if not chosen.uses_battery} == {"none", "trading"}
    with_fee = {name for name, chosen in BUILT_IN.items() if chosen.charges_fee}
    assert with_fee == {"sharing_central", "sharing_hybrid"}


# --------------------------------------------------------------------------------------------- one's own mechanism


def plug(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    """Pretend that installed packages declare these entry points."""

    def entry_points(*, group: str, **narrower: str) -> EntryPoints:
        assert group == "gridsettle.mechanisms"
        return EntryPoints(points).select(group=group, **narrower)

    monkeypatch.setattr(mechanisms, "entry_points", entry_points)


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "gridsettle.mechanisms")


def test_unknown_name_lists_all_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, point("zebra", "zoo:clear"), point("ant", "zoo:clear"))
    with pytest.raises(MarketError) as error:
        find_mechanism("x")
    assert str(error.value) == (
        "mechanism: expected one of none, trading, trading_battery, sharing_central, sharing_p2p, sharing_hybrid, "
        "sharing_selfish, double_auction, ant, zebra, got 'x'"
    )
    assert list_mechanisms()[-2:] == ["ant", "zebra"]


def test_entry_point_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, point("broken", "no_such_package:clear"))
    with pytest.raises(MarketError) as error:
        find_mechanism("broken")
    assert str(error.value) == (
        "mechanism 'broken': expected entry point no_such_package:clear to load, got ModuleNotFoundError(\"No module "
        "named 'no_such_package'\"); mend or uninstall the package that declares it"
    )


def test_built_in_names_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plug(monkeypatch, point("trading", "no_such_package:clear"))
    assert find_mechanism("trading") is BUILT_IN["trading"]


def test_function_may_say_that_it_uses_no_battery_and_charges_a_fee() -> None:
    def function(orders: Orders, state: State, rules: Rules) -> Clearing:
        return BUILT_IN["none"].clear(orders, state, rules)

    plain = wrap_mechanism("mine", function)
    assert (plain.name, plain.code, plain.uses_battery, plain.charges_fee) == (
        "mine",
        PLUGGED_IN,
        True,
        False,
    )
    function.uses_battery, function.charges_fee = False, True  # type: ignore[attr-defined]
    assert wrap_mechanism("mine", function)[2:4] == (False, True)


def test_answers_of_ones_own_mechanism_are_checked() -> None:
    def forgetful(orders: Orders, state: State, rules: Rules) -> Clearing:
        return Clearing(BUILT_IN["none"].clear(orders, state, rules_of("none")).rows[:-1])

    orders, before = orders_of(*houses([500, -300], batteries(0, 0)), Rules(battery=0))
    with pytest.raises(MarketError) as error:
        wrap_mechanism("forgetful", forgetful).clear(orders, before, Rules(mechanism=PLUGGED_IN, battery=0))
    assert str(error.value) == ("mechanism 'forgetful', interval 0, house 1, need answered, Wh: expected 300, got 0")
