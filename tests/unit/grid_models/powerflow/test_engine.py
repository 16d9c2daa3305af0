"""What a power flow promises: balance, status per interval, nothing stale, the same bits in every batch."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from physics_helpers import find_unsupplied

import grid_models.powerflow.engine
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.admittance import read_matrices
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Engine, Flow
from grid_models.powerflow.runpp import solve_by_runpp

N = 6
ABSURD_KW = 1e6


def feeder() -> Feeder:
    return make_radial_feeder(["a", "b", "c", "d", "e", "f"], n_branches=2, rng=np.random.default_rng(5))


ENGINE = PowerFlow(feeder())


def two_islands(first_far: bool) -> Feeder:
    """Two separate lines, each with a source of its own: `source --- house`, long or short.

    ::

        grid o=====o a          grid o-----o b
    """
    net = pp.create_empty_network()
    houses = []
    for far in (first_far, not first_far):
        source, house = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
        pp.create_ext_grid(net, source)
        pp.create_line(net, source, house, 2.0 if far else 0.05, "NAYY 4x50 SE")
        houses.append(house)
    return make_feeder("two islands", net, ["a", "b"], houses)


def assert_identical(a: Flow, b: Flow) -> None:
    for name, x, y in zip(Flow._fields, a, b, strict=True):
        assert x.tobytes() == y.tobytes(), name


def test_losses_are_what_goes_in_and_does_not_come_out() -> None:
    p = np.random.default_rng(0).normal(0, 5, (20, N))
    flow = ENGINE.solve(p)
    np.testing.assert_allclose(flow.p_grid_kw + p.sum(axis=1), flow.losses_kw, rtol=0, atol=1e-9)
    assert (flow.losses_kw > 0).all()


def test_feeding_in_raises_and_drawing_lowers_every_voltage_behind_the_transformer() -> None:
    flow = ENGINE.solve(np.array([[0.0] * N, [4.0] * N, [-4.0] * N]))
    assert (flow.vm_pu[1, 2:] > flow.vm_pu[0, 2:]).all()
    assert (flow.vm_pu[2, 2:] < flow.vm_pu[0, 2:]).all()
    assert flow.trafo_p_kw[1, 0] < 0 < flow.trafo_p_kw[2, 0]


@pytest.mark.slow
@pytest.mark.parametrize("n_intervals", [1, 2, 7, 31, 32, 33, 100, 512])
def test_length_of_a_batch_changes_no_bit(n_intervals: int) -> None:
    """Law: an interval's result does not depend on the intervals it is solved with."""
    rng = np.random.default_rng(8)
    p, q = rng.normal(0, 10, (600, N)), rng.normal(0, 2, (600, N))
    p[::37] *= 1e3  # some that no engine solves, and some that take many iterations
    p[5::41] *= 4.0
    whole = ENGINE.solve(p[:200], q[:200]) if n_intervals < 100 else ENGINE.solve(p, q)
    first = 90
    stop = min(first + n_intervals, whole.converged.size)
    assert_identical(ENGINE.solve(p[first:stop], q[first:stop]), whole.select(first, stop))


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.floats(-40, 40), min_size=N, max_size=N), st.integers(1, 40), st.integers(0, 39))
def test_neighbours_change_no_bit(p: list[float], n_intervals: int, place: int) -> None:
    place = place % n_intervals
    batch = np.random.default_rng(n_intervals).normal(0, 20, (n_intervals, N))
    batch[place] = p
    assert_identical(ENGINE.solve(batch).select_one(place), ENGINE.solve(batch[place : place + 1]))


def test_absurd_power_is_not_solved_and_carries_nothing() -> None:
    p = np.full((5, N), 2.0)
    p[2] = -ABSURD_KW
    flow = ENGINE.solve(p)
    assert flow.converged.tolist() == [True, True, False, True, True]
    assert flow.engine[2] == Engine.RUNPP  # it was asked, too
    assert flow.iterations[2] == 0
    for name in (
        *("vm_pu", "line_loading_percent", "trafo_loading_percent", "trafo_p_kw", "p_slack_kw"),
        *("q_slack_kvar", "p_grid_kw", "q_grid_kvar", "losses_kw"),
    ):
        values = getattr(flow, name)
        assert np.isnan(values[2]).all(), name
        assert not np.isnan(values[[0, 1, 3, 4]]).any(), name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_powers_that_are_no_numbers_are_not_solved(bad: float) -> None:
    p = np.zeros((3, N))
    p[1, 3] = bad
    assert ENGINE.solve(p).converged.tolist() == [True, False, True]
    assert ENGINE.solve(np.zeros((3, N)), p).converged.tolist() == [True, False, True]


@pytest.mark.parametrize("first_far", [True, False])
def test_an_island_that_diverges_is_not_hidden_by_one_that_converges(first_far: bool) -> None:
    engine = PowerFlow(two_islands(first_far))
    p = np.array([[-1.0, -1.0], [-ABSURD_KW, -1.0], [-1.0, -ABSURD_KW]])
    flow = engine.solve(p)
    assert flow.converged.tolist() == [True, False, False]
    assert np.isnan(flow.vm_pu[1:]).all()


def test_what_the_fixed_point_does_not_reach_is_left_to_runpp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close to the largest power a line can carry, the fixed point is too slow and Newton-Raphson is not."""
    p = np.full((3, N), -9.0)
    p[1] = 0.0
    with monkeypatch.context() as impatient:
        impatient.setattr(grid_models.powerflow.engine, "MAX_ITERATIONS", 5)
        flow = PowerFlow(feeder()).solve(p)
    assert flow.converged.all()
    assert flow.engine.tolist() == [Engine.RUNPP, Engine.FAST, Engine.RUNPP]
    thorough = ENGINE.solve(p)
    assert (thorough.engine == Engine.FAST).all()
    np.testing.assert_allclose(flow.vm_pu, thorough.vm_pu, rtol=0, atol=1e-9)


def test_one_interval_and_no_interval() -> None:
    assert ENGINE.solve(np.zeros((1, N))).vm_pu.shape == (1, len(ENGINE.feeder.net.bus))
    assert ENGINE.solve(np.zeros((0, N))).vm_pu.shape == (0, len(ENGINE.feeder.net.bus))


@pytest.mark.parametrize("shape", [(N,), (2, N - 1), (2, N, 1)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GridError, match=r"expected injections of shape \(K, 6\)"):
        ENGINE.solve(np.zeros(shape))
    with pytest.raises(GridError, match="expected injections of shape"):
        ENGINE.solve(np.zeros((2, N)), np.zeros((3, N)))


def test_the_net_of_the_feeder_is_never_touched() -> None:
    own = feeder()
    before = pp.to_json(own.net)
    engine = PowerFlow(own)
    engine.solve(np.full((2, N), 3.0))
    engine.solve(np.full((1, N), -ABSURD_KW))
    engine.verify(np.full((1, N), 3.0))
    assert pp.to_json(own.net) == before


def test_houses_without_supply_have_no_voltage_and_no_effect() -> None:
    own = feeder()
    net = deepcopy(own.net)
    net.switch.loc[net.switch.name == "branch 1", "closed"] = False
    engine = PowerFlow(replace(own, net=net))
    unsupplied = find_unsupplied(engine)
    assert unsupplied.sum() == N / 2
    p = np.full((1, N), -3.0)
    flow = engine.solve(p)
    dark = np.isin(own.net.bus.index, own.bus[unsupplied])
    assert np.isnan(flow.vm_pu[0, dark]).all()
    assert not np.isnan(flow.line_loading_percent).any()
    louder = np.where(unsupplied, -100.0, p)
    assert_identical(engine.solve(louder), flow)


REFUSED = {
    "loads with voltage-dependent power": lambda net, bus: pp.create_load(
        net, bus, p_mw=0.002, const_z_p_percent=50, const_z_q_percent=50
    ),
    "generators that hold their voltage": lambda net, bus: pp.create_gen(net, bus, p_mw=0.001, vm_pu=1.0),
    "elements of type ward": lambda net, bus: pp.create_ward(net, bus, 0.001, 0.0, 0.001, 0.0),
    "options of its own": lambda net, bus: pp.set_user_pf_options(net, trafo_model="pi"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_fast_engine_cannot_represent_goes_to_runpp(reason: str) -> None:
    own = feeder()
    net = deepcopy(own.net)
    REFUSED[reason](net, int(own.bus[0]))
    other = replace(own, net=net)
    engine = PowerFlow(other)
    assert engine.refusal is not None
    assert engine.refusal.startswith(reason)
    p = np.full((2, N), -2.0)
    flow = engine.solve(p)
    assert (flow.engine == Engine.RUNPP).all()
    assert_identical(flow, solve_by_runpp(other, p))


@pytest.mark.parametrize(("table", "column"), [("line", "max_i_ka"), ("trafo", "sn_mva")])
def test_a_branch_without_rating_is_refused_since_it_could_not_be_judged(table: str, column: str) -> None:
    own = feeder()
    net = deepcopy(own.net)
    net[table].loc[net[table].index[0], column] = 0.0 if table == "line" else np.nan
    with pytest.raises(GridError, match="expected"):
        PowerFlow(replace(own, net=net))


@pytest.mark.slow
def test_a_line_out_of_service_needs_no_rating() -> None:
    own = feeder()
    net = deepcopy(own.net)
    spare = pp.create_line(net, int(own.bus[0]), int(own.bus[1]), 0.1, "NAYY 4x50 SE", in_service=False)
    net.line.loc[spare, "max_i_ka"] = np.nan
    flow = PowerFlow(replace(own, net=net)).solve(np.ones((1, N)))
    assert flow.line_loading_percent[0, -1] == 0.0


def test_a_net_without_source_says_so() -> None:
    own = feeder()
    net = deepcopy(own.net)
    net.ext_grid["in_service"] = False
    with pytest.raises(GridError, match="expected a net that pandapower"):
        PowerFlow(replace(own, net=net))


def test_a_net_that_ends_at_no_voltage_is_not_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    net = pn.create_kerber_landnetz_kabel_1()
    bus = int(net.load["bus"].iloc[-1])
    solve = pp.runpp

    def end_at_no_voltage(net: Any, **options: Any) -> None:
        solve(net, **options)
        net.res_bus.loc[bus, "vm_pu"] = 3e-30

    monkeypatch.setattr(pp, "runpp", end_at_no_voltage)
    with pytest.raises(GridError, match=rf"a net that pandapower.runpp solves .* got 0\.000 pu at bus {bus}\b"):
        read_matrices(net)


def test_lines_of_thousands_of_kilometres_are_never_solved() -> None:
    net = pn.create_kerber_landnetz_kabel_1()
    net.line["length_km"] *= 4000.0
    net.load["in_service"] = False
    # Where Newton's method ends here, at 0 V, in a singular matrix or not at all, differs from run to run.
    with pytest.raises(GridError, match=r"a net that pandapower\.runpp solves without the participants"):
        read_matrices(net)


def test_switched_off_is_dark_and_counts_as_solved() -> None:
    off = ENGINE.solve(np.full((2, N), -ABSURD_KW)).with_feeder_off()
    assert off.converged.all()
    assert np.isnan(off.vm_pu).all()
    assert not off.losses_kw.any()
    assert not off.line_loading_percent.any()


def test_voltages_are_complex_and_none_where_there_is_no_solution() -> None:
    p = np.full(N, -3.0)
    v = ENGINE.voltages(p)
    assert v is not None
    np.testing.assert_allclose(np.abs(v)[ENGINE.matrices.bus], ENGINE.solve(p[None]).vm_pu[0], rtol=0, atol=1e-15)
    assert ENGINE.voltages(np.full(N, -ABSURD_KW)) is None
