"""What a net holds beside the participants: read from its tables, as `runpp` finds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandapower as pp
import pytest

from grid_models.feeder.background import Use, find_background, list_unsound, with_use
from grid_models.feeder.feeder import make_feeder
from grid_models.feeder.generated import make_radial_feeder


@pytest.fixture
def net() -> Any:
    """An external grid and a bus with one of each element that can be carried in an island."""
    net = pp.create_empty_network()
    low = [pp.create_bus(net, 0.4, name=f"b{k}") for k in range(3)]
    pp.create_ext_grid(net, low[0])
    for a, b in ((0, 1), (1, 2)):
        pp.create_line(net, low[a], low[b], 0.1, "NAYY 4x150 SE")
    pp.create_load(net, 1, p_mw=0.004, scaling=0.5, name="pump")
    pp.create_load(net, 1, p_mw=0.004, in_service=False)
    pp.create_load(net, 2, p_mw=-0.001)
    pp.create_sgen(net, 2, p_mw=0.006, q_mvar=0.001, scaling=1.5)
    pp.create_storage(net, 1, p_mw=-0.002, max_e_mwh=1, scaling=0.5)
    pp.create_shunt(net, 2, q_mvar=0.001, p_mw=0.0005, step=2, max_step=3, vn_kv=0.41)
    pp.create_ward(net, 1, 0.001, 0.0, 0.0007, 0.0)
    pp.create_motor(net, 2, pn_mech_mw=0.001, cos_phi=0.9, efficiency_percent=80, loading_percent=50, scaling=0.5)
    pp.create_asymmetric_load(net, 1, p_a_mw=0.0001, p_b_mw=0.0002, p_c_mw=0.0003)
    pp.create_asymmetric_sgen(net, 2, p_a_mw=0.0003, p_b_mw=0.0, p_c_mw=0.0001, scaling=2.0)
    return net


def injected_kw(net: Any) -> float:
    """Sum of what all elements but the grid inject, by the result tables."""
    total = -net.res_bus.p_mw.sum() + net.res_ext_grid.p_mw.sum() * -1  # losses less the grid
    return float(1000 * total)


def test_every_element_counts_as_runpp_counts_it(net: Any) -> None:
    pp.runpp(net, numba=False)
    background = find_background(net)
    power = background.power_kw(net.res_bus.vm_pu.to_numpy()[None])[0]
    assert len(background.table) == 9
    for k, (table, element) in enumerate(zip(background.table, background.element, strict=True)):
        sign = 1 if table.endswith("sgen") else -1
        columns = [c for c in net[f"res_{table}"] if c.startswith("p_")]
        found = sign * 1000 * float(net[f"res_{table}"].loc[element, columns].sum())
        assert power[k] == pytest.approx(found, abs=1e-9), table
    assert power.sum() == pytest.approx(injected_kw(net), abs=1e-6)
    assert not background.unknown
    assert list_unsound(net) == []


def test_nothing_counts_without_supply(net: Any) -> None:
    background = find_background(net)
    assert not background.power_kw(np.full((1, 3), np.nan)).any()


@pytest.mark.slow
def test_participants_are_no_background() -> None:
    net = pp.create_empty_network()
    low = [pp.create_bus(net, 0.4) for _ in range(2)]
    pp.create_ext_grid(net, low[0])
    pp.create_line(net, *low, 0.1, "NAYY 4x150 SE")
    pp.create_load(net, low[1], p_mw=0.004)
    feeder = make_feeder("f", net, ["ann"], low[1:], keep_elements=True)
    assert feeder.background.table == ("load",)
    assert feeder.background.constant_kw.tolist() == [-4.0]
    assert make_radial_feeder(["ann", "bob", "cat"], rng=np.random.default_rng(0)).background.is_empty


def test_loads_are_off_and_generation_is_turned_down_where_it_is_asked_for(net: Any) -> None:
    background = find_background(net)
    run = with_use(net, background, np.array([False, False, True]), Use(is_off=True, generation=0.25))
    before, after = (find_background(one) for one in (net, run))
    kept = [(table, row) for table, row in zip(after.table, after.row.tolist(), strict=True)]
    assert ("shunt", 2) not in kept
    assert ("motor", 2) not in kept
    assert {("load", 1), ("ward", 1), ("sgen", 2), ("load", 2)} <= set(kept)
    fed = [one.constant_kw[(one.row == 2) & one.is_generation].sum() for one in (before, after)]
    assert fed[1] == pytest.approx(0.25 * fed[0])
    assert find_background(net).constant_kw.tolist() == background.constant_kw.tolist(), "the net itself stays"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda net: pp.create_gen(net, 1, p_mw=0.001, name="chp"), "gen 0 'chp' (generator that holds its voltage)"),
        (lambda net: pp.create_dcline(net, 1, 2, 0.001, 1, 0, 1.0, 1.0), "dcline 0 (DC line)"),
        (lambda net: pp.create_load(net, 1, p_mw=0.001, const_i_p_percent=10), "load 3 (load whose power depends"),
        (lambda net: pp.create_ward(net, 1, -0.001, 0, 0, 0), "ward 1 (ward that feeds)"),
    ],
)
def test_what_cannot_be_carried_is_named(net: Any, make: Any, what: str) -> None:
    make(net)
    found = list_unsound(net)
    assert len(found) == 1
    assert found[0].what.startswith(what)
    assert 1 in found[0].bus
