"""The fast engine against `pandapower.runpp(tolerance_mva=1e-11)`: at most 1e-9 pu and 1e-6 % loading apart."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from physics_helpers import find_unsupplied, net_at

from grid_models.errors import EngineDisagreementError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.powerflow.admittance import read_matrices
from grid_models.powerflow.engine import PowerFlow, verify_against_pandapower
from grid_models.powerflow.flow import Engine, Flow
from grid_models.powerflow.runpp import solve_by_runpp

VM_PU, LOADING_PERCENT, KW = 1e-9, 1e-6, 1e-6


def names(n: int) -> list[str]:
    return [f"house_{k:02d}" for k in range(n)]


def generated() -> Feeder:
    """25 houses on three long branches, each with a switch at its head."""
    return make_radial_feeder(names(25), rng=np.random.default_rng(7))


def cigre() -> Feeder:
    """Residential, industrial and commercial feeders behind three transformers, each with a bus-bus switch."""
    return make_named_feeder("cigre_lv", names(15), seed=1)


def kerber() -> Feeder:
    """Two branches behind a 0.16 MVA transformer, with a line switch at the end of the first line."""
    feeder = make_named_feeder("kerber_landnetz_kabel_2", names(14), seed=1)
    net = deepcopy(feeder.net)
    pp.create_switch(net, int(net.line.to_bus.iloc[0]), 0, et="l", closed=True, name="first line")
    return replace(feeder, net=net)


def with_switch_open(feeder: Feeder) -> Feeder:
    net = deepcopy(feeder.net)
    net.switch.loc[net.switch.index[0], "closed"] = False
    return replace(feeder, net=net)


def assert_equal_flows(fast: Flow, judge: Flow) -> None:
    assert fast.converged.all()
    assert judge.converged.all()
    for name, tolerance in (
        ("vm_pu", VM_PU),
        ("line_loading_percent", LOADING_PERCENT),
        ("trafo_loading_percent", LOADING_PERCENT),
        ("trafo_p_kw", KW),
        ("p_slack_kw", KW),
        ("q_slack_kvar", KW),
        ("p_grid_kw", KW),
        ("q_grid_kvar", KW),
        ("losses_kw", KW),
    ):
        np.testing.assert_allclose(getattr(fast, name), getattr(judge, name), rtol=0, atol=tolerance, err_msg=name)


def solved(flow: Flow) -> Flow:
    return Flow._make(column[flow.converged] for column in flow)


FEEDERS = pytest.mark.parametrize("make", [generated, cigre, kerber], ids=lambda make: make.__name__)
SWITCH = pytest.mark.parametrize("switch", ["closed", "open"])
LEVEL = pytest.mark.parametrize("level", ["light", "overloaded"])


def injections(feeder: Feeder, level: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two intervals of random injections, in and out; `overloaded` pushes far beyond the limits."""
    rng = np.random.default_rng(3)
    n = len(feeder.participants)
    spread = {"light": 0.5, "overloaded": {"generated": 12.0, "cigre_lv": 45.0}.get(feeder.name, 16.0)}[level]
    p = rng.normal(0.0, spread / 3.0, (2, n)) + spread * np.array([[1.0], [-0.6]])
    return p, 0.3 * rng.normal(0.0, spread / 3.0, (2, n))


@FEEDERS
@SWITCH
@LEVEL
def test_engine_agrees_with_runpp(make: Callable[[], Feeder], switch: str, level: str) -> None:
    feeder = make() if switch == "closed" else with_switch_open(make())
    engine = PowerFlow(feeder)
    p, q = injections(feeder, level)
    fast = engine.solve(p, q)
    assert (fast.engine == Engine.FAST).all()
    assert_equal_flows(fast, solve_by_runpp(feeder, p, q))
    assert find_unsupplied(engine).any() == (switch == "open")
    if level == "overloaded" and switch == "closed":
        beyond = np.nanmax(np.abs(fast.vm_pu - 1.0)) > 0.1
        loading = max(fast.line_loading_percent.max(), fast.trafo_loading_percent.max())
        assert beyond or loading > 100.0


@pytest.mark.slow
@FEEDERS
def test_engine_agrees_with_runpp_on_the_devices_tables(make: Callable[[], Feeder]) -> None:
    """Loads, panels and storages written into their own tables give what the sum of their injections gives."""
    feeder = make()
    n = len(feeder.participants)
    rng = np.random.default_rng(11)
    load, pv, battery = -rng.uniform(0, 3, n), rng.uniform(0, 5, n), rng.uniform(-4, 4, n)
    net = net_at(feeder, {"load": load, "pv": pv, "battery": battery}, {"load": 0.2 * load})
    pp.runpp(net, tolerance_mva=1e-11)
    assert net.storage.p_mw.abs().max() > 1e-3
    fast = PowerFlow(feeder).solve((load + pv + battery)[None], (0.2 * load)[None])
    np.testing.assert_allclose(fast.vm_pu[0], net.res_bus.vm_pu, rtol=0, atol=VM_PU)
    np.testing.assert_allclose(fast.line_loading_percent[0], net.res_line.loading_percent, rtol=0, atol=LOADING_PERCENT)
    np.testing.assert_allclose(
        fast.trafo_loading_percent[0], net.res_trafo.loading_percent, rtol=0, atol=LOADING_PERCENT
    )
    assert fast.p_grid_kw[0] == pytest.approx(net.res_ext_grid.p_mw.sum() * 1e3, abs=KW)


@FEEDERS
def test_engine_agrees_with_runpp_beside_the_nets_own_elements(make: Callable[[], Feeder]) -> None:
    """Elements kept in the net are constant injections, shunts constant admittances."""
    feeder = make()
    net = deepcopy(feeder.net)
    bus = int(feeder.bus[0])
    pp.create_load(net, bus, p_mw=0.004, q_mvar=0.001, scaling=0.5)
    pp.create_sgen(net, int(feeder.bus[1]), p_mw=0.003)
    pp.create_storage(net, int(feeder.bus[2]), p_mw=0.002, max_e_mwh=1.0)
    pp.create_shunt(net, bus, q_mvar=-0.005, p_mw=0.001)
    kept = replace(feeder, net=net)
    p, q = injections(kept, "light")
    assert_equal_flows(PowerFlow(kept).solve(p, q), solve_by_runpp(kept, p, q))
    PowerFlow(kept).verify(p, q)


def test_engine_agrees_with_runpp_in_an_island() -> None:
    """The grid is lost; a battery inverter at house 2 holds 1.02 pu, and one branch is without supply."""
    feeder = with_switch_open(generated())
    net = deepcopy(feeder.net)
    net.ext_grid["in_service"] = False
    home = next(k for k, dark in enumerate(find_unsupplied(PowerFlow(feeder))) if not dark)
    pp.create_gen(net, int(feeder.bus[home]), p_mw=0.0, vm_pu=1.02, slack=True)
    island = replace(feeder, net=net)
    engine = PowerFlow(island)
    p, q = injections(island, "light")
    fast = engine.solve(p, q)
    assert_equal_flows(fast, solve_by_runpp(island, p, q))
    engine.verify(p, q)
    assert engine.slack_bus.tolist() == [feeder.bus[home]]
    assert fast.p_grid_kw.tolist() == [0.0] * 2
    np.testing.assert_allclose(
        fast.p_slack_kw[:, 0] + p[:, ~find_unsupplied(engine)].sum(axis=1), fast.losses_kw, rtol=0, atol=1e-9
    )


def test_engine_agrees_with_runpp_with_two_sources() -> None:
    """A second external grid at another bus, and a slack generator beside the first."""
    feeder = cigre()
    net = deepcopy(feeder.net)
    pp.create_ext_grid(net, int(feeder.bus[3]), vm_pu=0.99)
    meshed = replace(feeder, net=net)
    p, q = injections(meshed, "light")
    fast = PowerFlow(meshed).solve(p, q)
    assert fast.p_slack_kw.shape == (2, 2)
    assert_equal_flows(fast, solve_by_runpp(meshed, p, q))
    PowerFlow(meshed).verify(p, q)


def test_engine_agrees_with_runpp_on_taps_and_line_switches() -> None:
    """A tap position, parallel cables, derating, a shunted ring and a line open at one end."""
    feeder = generated()
    net = deepcopy(feeder.net)
    net.trafo["tap_pos"] = -2
    net.line.loc[0, ["parallel", "df"]] = [2, 0.8]
    net.ext_grid["vm_pu"], net.ext_grid["va_degree"] = 1.03, 12.0
    far = [int(net.line.to_bus[net.line.name == name].iloc[0]) for name in ("main 1.8", "main 2.8")]
    ring = pp.create_line(net, *far, 0.3, "NAYY 4x150 SE")
    half_open = pp.create_line(net, far[0], int(net.trafo.lv_bus.iloc[0]), 2.0, "NAYY 4x150 SE")
    pp.create_switch(net, far[0], half_open, et="l", closed=False)
    changed = replace(feeder, net=net)
    p, q = injections(changed, "light")
    fast = PowerFlow(changed).solve(p, q)
    assert_equal_flows(fast, solve_by_runpp(changed, p, q))
    PowerFlow(changed).verify(p, q)
    assert fast.line_loading_percent[:, ring].min() > 0.0


def _unbalanced(net: Any, bus: int) -> None:
    pp.create_asymmetric_load(net, bus, p_a_mw=0.003, q_b_mvar=0.001, p_c_mw=0.002)
    pp.create_asymmetric_sgen(net, bus, p_b_mw=0.001)


def _motor(net: Any, bus: int) -> None:
    pp.create_motor(net, bus, pn_mech_mw=0.003, cos_phi=0.9)


def _impedance(net: Any, bus: int) -> None:
    far = pp.create_bus(net, 0.4)
    pp.create_impedance(net, bus, far, 0.01, 0.02, sn_mva=0.1)
    pp.create_load(net, far, 0.002)


def _switch_with_impedance(net: Any, bus: int) -> None:
    far = pp.create_bus(net, 0.4)
    pp.create_switch(net, bus, far, et="b", z_ohm=0.01)
    pp.create_load(net, far, 0.002)


def _three_windings(net: Any, bus: int) -> None:
    high, ten, low = int(net.ext_grid.bus.iloc[0]), pp.create_bus(net, 10.0), pp.create_bus(net, 0.4)
    rated = {
        "sn_hv_mva": 0.4,
        "sn_mv_mva": 0.3,
        "sn_lv_mva": 0.2,
        "vn_hv_kv": 20.0,
        "vn_mv_kv": 10.0,
        "vn_lv_kv": 0.4,
    }
    short = {
        f"{name}_{side}_percent": value for name, value in (("vk", 4.0), ("vkr", 0.5)) for side in ("hv", "mv", "lv")
    }
    pp.create_transformer3w_from_parameters(net, high, ten, low, **rated, **short, pfe_kw=0.3, i0_percent=0.1)
    pp.create_load(net, ten, 0.05)
    pp.create_load(net, low, 0.03)


def _out_of_service(net: Any, bus: int) -> None:
    pp.create_load(net, bus, 0.05, in_service=False)
    net.bus.loc[bus, "in_service"] = False


FOREIGN = [_unbalanced, _motor, _impedance, _switch_with_impedance, _three_windings, _out_of_service]


@pytest.mark.parametrize("add", FOREIGN, ids=lambda add: add.__name__.strip("_"))
def test_engine_agrees_with_runpp_on_elements_of_other_peoples_nets(add: Callable[[Any, int], None]) -> None:
    """What is not refused is represented."""
    feeder = make_radial_feeder(names(6), n_branches=2, rng=np.random.default_rng(0))
    net = deepcopy(feeder.net)
    add(net, int(feeder.bus[0]))
    other = replace(feeder, net=net)
    p, q = injections(other, "light")
    fast = PowerFlow(other).solve(p, q)
    assert (fast.engine == Engine.FAST).all()
    assert_equal_flows(fast, solve_by_runpp(other, p, q))
    PowerFlow(other).verify(p, q)


@pytest.mark.slow
@settings(max_examples=10)
@given(
    n=st.integers(1, 12),
    n_branches=st.integers(1, 3),
    seed=st.integers(0, 2**31),
    out=st.sets(st.integers(0, 23), max_size=2),
    spread=st.floats(0.1, 15.0),
)
def test_engine_agrees_with_runpp_on_random_feeders(
    n: int, n_branches: int, seed: int, out: set[int], spread: float
) -> None:
    """Any radial feeder, some lines out of service, any injections that both solve."""
    rng = np.random.default_rng(seed)
    feeder = make_radial_feeder(names(n), n_branches=min(n, n_branches), rng=rng, spacing_m=rng.uniform(20.0, 300.0))
    net = deepcopy(feeder.net)
    net.line.loc[[line for line in out if line < len(net.line)], "in_service"] = False
    broken = replace(feeder, net=net)
    p, q = rng.normal(0.0, spread, (1, n)), rng.normal(0.0, 0.3 * spread, (1, n))
    fast, judge = PowerFlow(broken).solve(p, q), solve_by_runpp(broken, p, q)
    assert fast.converged.tolist() == judge.converged.tolist()
    if fast.converged[0]:
        assert_equal_flows(fast, judge)


@pytest.mark.slow
@FEEDERS
@SWITCH
def test_judge_that_converts_a_net_once_finds_what_whole_runs_find(make: Callable[[], Feeder], switch: str) -> None:
    """Also behind an interval that nothing solves, whose voltages must not be carried on."""
    feeder = make() if switch == "closed" else with_switch_open(make())
    n = len(feeder.participants)
    p = np.vstack([injections(feeder, "light")[0], np.full((1, n), 1e6), injections(feeder, "overloaded")[0]])
    q = np.random.default_rng(5).normal(0.0, 0.2, p.shape)
    p, q = np.vstack([p, p[::-1]]), np.vstack([q, q])
    matrices = read_matrices(feeder.net)
    once, whole = (solve_by_runpp(feeder, p, q, matrices=matrices, recycle=recycle) for recycle in (True, False))
    assert once.converged.tolist() == whole.converged.tolist()
    assert np.flatnonzero(~whole.converged).tolist() == [2, 7]
    assert_equal_flows(solved(once), solved(whole))


def test_verify_compares_a_sample() -> None:
    engine = PowerFlow(cigre())
    p = np.random.default_rng(0).normal(0, 3, (50, 15))
    agreement = engine.verify(p, sample=[0, 10, 49])
    assert agreement.n == 3
    assert agreement.max_vm_error_pu < VM_PU
    assert agreement.max_loading_error_percent < LOADING_PERCENT


def test_verify_is_loud_about_an_engine_of_another_topology() -> None:
    """An engine whose matrices are not those of its feeder, as after a forgotten switch."""
    engine = PowerFlow(generated())
    longer = deepcopy(engine.feeder.net)
    longer.line["length_km"] *= 1.001
    engine.feeder = replace(engine.feeder, net=longer)
    with pytest.raises(EngineDisagreementError, match="between the fast engine and runpp"):
        verify_against_pandapower(engine, np.full((1, 25), -1.0))


def test_flows_of_both_engines_have_the_same_shapes() -> None:
    feeder = cigre()
    fast, judge = PowerFlow(feeder).solve(np.zeros((2, 15))), solve_by_runpp(feeder, np.zeros((2, 15)))
    for a, b in zip(fast, judge, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
