"""Local dispatch: who is asked first, who is served first, and that no Wh is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosim.islands.local_dispatch import (
    FuelRange,
    LocalDispatch,
    Sources,
    dispatch_locally,
    run_fuel_cells,
    share_equally,
    spread_share,
)

Wh = st.lists(st.integers(0, 5000), min_size=4, max_size=4).map(lambda values: np.array(values, np.int64))
ZERO = np.zeros(4, np.int64)


def _dispatch(
    critical: list[int],
    other: list[int],
    *,
    surplus: list[int] | None = None,
    cells: tuple[FuelRange, ...] = (),
    battery: list[int] | None = None,
    charge: list[int] | None = None,
) -> LocalDispatch:
    sources = Sources(
        np.array(surplus or [0] * 4),
        cells,
        np.array(battery or [0] * 4),
        np.full(4, 1000, np.int64),
        np.array(charge or [0] * 4),
    )
    return dispatch_locally(np.array(critical), np.array(other), sources)


@given(
    critical=Wh,
    other=Wh,
    surplus=Wh,
    battery=Wh,
    room=Wh,
    charge=Wh,
    high=st.integers(0, 6000),
    share=st.floats(0, 1),
)
def test_every_house_balances_and_nothing_is_made_up(
    critical: np.ndarray,
    other: np.ndarray,
    surplus: np.ndarray,
    battery: np.ndarray,
    room: np.ndarray,
    charge: np.ndarray,
    high: int,
    share: float,
) -> None:
    cell = FuelRange(1, min(500, high), high, True)
    done = dispatch_locally(critical, other, Sources(surplus, (cell,), battery, room, charge), share)
    sent, received, fuel = ZERO.copy(), ZERO.copy(), ZERO.copy()
    for seller, buyer, wh in done.transfers:
        assert wh > 0
        sent[seller] += wh
        received[buyer] += wh
    fuel[1] = done.fuel_wh[0]
    into = surplus + fuel + done.released_wh + received
    assert (into == done.served_wh + sent + done.absorbed_wh + done.spilled_wh).all()
    assert ((done.released_wh >= 0) & (done.released_wh <= battery)).all()
    assert ((done.served_wh >= 0) & (done.served_wh <= critical + other)).all()
    assert ((done.absorbed_wh >= -charge) & (done.absorbed_wh <= room)).all()
    if share == 1.0 and done.served_wh.sum() < critical.sum() + other.sum():
        assert (done.absorbed_wh <= -charge).all()  # no load is shed while a battery is charged
    assert (done.spilled_wh >= 0).all()
    assert done.fuel_wh[0] == 0 or cell.low_wh <= done.fuel_wh[0] <= cell.high_wh


def test_panels_come_before_the_fuel_cell_and_the_fuel_cell_before_batteries() -> None:
    cells = (FuelRange(1, 100, 500, True),)
    done = _dispatch([0, 0, 0, 900], [0] * 4, surplus=[300, 0, 0, 0], cells=cells, battery=[0, 0, 400, 0])
    assert done.fuel_wh == [500]
    assert done.released_wh.tolist() == [0, 0, 100, 0]
    assert done.served_wh.tolist() == [0, 0, 0, 900]


def test_critical_needs_come_first_and_the_rest_is_short_in_equal_shares() -> None:
    done = _dispatch([100, 100, 0, 0], [400, 0, 400, 0], battery=[0, 0, 0, 400])
    assert done.served_wh.tolist() == [200, 100, 100, 0]


def test_battery_serves_its_own_house_before_the_fullest_serves_others() -> None:
    done = _dispatch([0, 300, 300, 0], [0] * 4, battery=[900, 200, 0, 0])
    assert done.released_wh.tolist() == [400, 200, 0, 0]
    assert [tuple(t) for t in done.transfers] == [(0, 1, 100), (0, 2, 300)]


def test_fuel_cell_rests_below_its_minimum_where_batteries_can_do() -> None:
    cell = FuelRange(0, 500, 5000, True)
    assert run_fuel_cells([cell], 300, battery_wh=1000) == [0]
    assert run_fuel_cells([cell], 300, battery_wh=100) == [500]
    assert run_fuel_cells([cell], 0, battery_wh=0) == [0]
    assert run_fuel_cells([cell._replace(may_stop=False)], 0, battery_wh=1000) == [500]


def test_equal_shares_never_exceed_what_is_wanted() -> None:
    assert share_equally(10, np.array([3, 4])).tolist() == [3, 4]
    assert share_equally(0, ZERO).tolist() == [0, 0, 0, 0]


def test_charge_is_given_up_before_a_battery_discharges_and_after_fuel_cells() -> None:
    cell = FuelRange(3, 100, 300, True)
    done = _dispatch([0] * 4, [1000, 0, 0, 0], cells=(cell,), battery=[0, 0, 400, 0], charge=[0, 500, 0, 0])
    assert done.fuel_wh == [300]
    assert done.absorbed_wh.tolist() == [0, -500, 0, 0]
    assert done.released_wh.tolist() == [0, 0, 200, 0]
    assert done.served_wh.tolist() == [1000, 0, 0, 0]


@given(critical=Wh, other=Wh, battery=Wh, rank=st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_low_ranks_are_shed_before_high_ones_and_equals_alike(
    critical: np.ndarray, other: np.ndarray, battery: np.ndarray, rank: list[int]
) -> None:
    order = np.array(rank)
    done = dispatch_locally(critical, other, Sources(ZERO, (), battery, ZERO, ZERO), 1.0, order)
    first = np.minimum(done.served_wh, critical)
    for served, wanted in ((first, critical), (done.served_wh - first, other)):
        for i in range(4):
            for j in range(4):
                if order[j] < order[i] and served[i] < wanted[i]:
                    assert served[j] == 0
                if order[j] == order[i] and wanted[i] and wanted[j]:
                    assert abs(served[i] / wanted[i] - served[j] / wanted[j]) <= 1 / wanted[i] + 1 / wanted[j]
    assert done.served_wh.sum() == min(critical.sum() + other.sum(), battery.sum())


@given(critical=Wh, other=Wh, surplus=Wh, battery=Wh, share=st.floats(0, 1))
def test_houses_of_one_rank_are_as_without_ranks(
    critical: np.ndarray, other: np.ndarray, surplus: np.ndarray, battery: np.ndarray, share: float
) -> None:
    sources = Sources(surplus, (), battery, ZERO, ZERO)
    plain = dispatch_locally(critical, other, sources, share)
    ranked = dispatch_locally(critical, other, sources, spread_share(share, ZERO + 1), ZERO + 1)
    assert plain.transfers == ranked.transfers
    assert (plain.served_wh == ranked.served_wh).all()
