"""Dispatch of an island with elements of the net: every Wh is accounted for, loads whole or not at all."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosim.islands.background import IslandBackground, dispatch_with_background, make_background_rows
from cosim.islands.local_dispatch import Sources
from grid_models.feeder.background import Background
from market.exchanges import OPERATOR, Kind
from market.storage import Wh

N = 3
wh = st.integers(0, 5000)
some = st.lists(wh, min_size=N, max_size=N).map(lambda values: np.array(values, np.int64))
NONE = Background((), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


def background(load_wh: int, generation_wh: int) -> IslandBackground:
    return IslandBackground(NONE, load_wh, float(generation_wh), generation_wh)


@given(wh, wh, some, some, some, some, some)
def test_energy_is_conserved_at_every_house_and_in_the_background(
    load_wh: int, generation_wh: int, critical: Wh, other: Wh, surplus: Wh, battery: Wh, room: Wh
) -> None:
    zero = np.zeros(N, np.int64)
    surplus = np.where(critical + other > 0, 0, surplus)
    sources = Sources(surplus, (), battery, room, zero)
    found = dispatch_with_background(
        background(load_wh, generation_wh), critical, other, sources, np.ones(N), np.zeros(N, np.int64)
    )
    if found is None:
        assert load_wh > generation_wh + int(surplus.sum() + battery.sum()), "only where it cannot be served whole"
        return
    local, plan = found
    transfers = [*local.transfers, *plan.transfers]
    given_wh, got_wh = np.zeros(N + 1, np.int64), np.zeros(N + 1, np.int64)
    for seller, buyer, energy in transfers:
        assert energy > 0
        given_wh[seller] += energy
        got_wh[buyer] += energy
    assert (
        surplus + local.released_wh + got_wh[:N]
        == local.served_wh + given_wh[:N] + local.absorbed_wh + local.spilled_wh
    ).all()
    assert plan.kept_wh + got_wh[N] == load_wh
    assert plan.kept_wh + given_wh[N] == plan.used_wh <= generation_wh
    assert (local.absorbed_wh <= room).all()
    assert not (local.absorbed_wh[local.released_wh > 0] > 0).any(), "no battery charges and discharges"
    short = local.served_wh.sum() < critical.sum() + other.sum()
    assert not short or plan.used_wh == generation_wh, "nothing is turned down while load is shed"
    rows = make_background_rows(plan, 5, 1, N, 7)
    assert (rows["kind"] == Kind.BACKGROUND).all()
    assert rows["delivered_wh"][rows["buyer"] == OPERATOR].sum() == load_wh + 7
    assert rows["delivered_wh"][rows["seller"] == OPERATOR].sum() == plan.used_wh
    assert (rows["host"] == 1).all()


def test_what_nobody_uses_charges_batteries_and_the_rest_is_turned_down() -> None:
    zero = np.zeros(N, np.int64)
    sources = Sources(zero, (), zero, np.array([400, 0, 200]), zero)
    found = dispatch_with_background(background(1000, 5000), np.array([300, 0, 0]), zero, sources, np.ones(N), zero)
    assert found is not None
    local, plan = found
    assert local.absorbed_wh.tolist() == [400, 0, 200]
    assert (plan.kept_wh, plan.used_wh) == (1000, 1900)


def test_a_share_of_generation_and_loads_that_are_off() -> None:
    given_background = background(1000, 5001)
    assert given_background.with_share(0.5).generation_wh == 2500
    assert given_background.list_uses(7, 5001) == ()
    (bus, use), *_ = given_background.without_load().list_uses(7, 2500)
    assert (bus, use.is_off) == (7, True)
    assert use.generation == 2500 / 5001
