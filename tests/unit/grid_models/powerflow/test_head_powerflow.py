"""A feeder at another voltage of its head: the same as a net with that voltage in it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models.arrays import Floats
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.head import HeadPowerFlow, make_head, with_head_voltage
from grid_models.response.sensitivity import sensitivity

N = 4


def make_plain() -> Feeder:
    return make_radial_feeder(list("abcd"), n_branches=2, rng=np.random.default_rng(3))


def make_mixed() -> Feeder:
    """A feeder with loads, a generator and a shunt of its own, at the head too: `grid o--o a,b --o c,d`."""
    net = pp.create_empty_network()
    far, near, end = (pp.create_bus(net, 0.4) for _ in range(3))
    pp.create_ext_grid(net, far, vm_pu=1.02, va_degree=30.0)
    for start, stop in ((far, near), (near, end)):
        pp.create_line(net, start, stop, 0.2, "NAYY 4x150 SE")
    for bus in (far, near, end):
        pp.create_load(net, bus, 0.01, 0.003)
    pp.create_sgen(net, end, 0.02)
    pp.create_shunt(net, near, q_mvar=0.002, p_mw=0.004)
    return make_feeder("mixed", net, list("abcd"), [near, near, end, end], shared_bus=True)


ENGINES = {"plain": PowerFlow(make_plain()), "mixed": PowerFlow(make_mixed())}
powers = st.lists(st.floats(-20.0, 20.0), min_size=N, max_size=N)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=10, deadline=None)
@given(p_kw=powers, q_kvar=powers, vm_pu=st.floats(0.9, 1.1))
def test_a_head_is_a_net_with_that_voltage(name: str, p_kw: list[float], q_kvar: list[float], vm_pu: float) -> None:
    engine, p, q = ENGINES[name], np.array([p_kw]), np.array([q_kvar])
    at_head = HeadPowerFlow(make_head(engine), np.array([vm_pu]))
    naive = PowerFlow(with_head_voltage(engine.feeder, vm_pu))
    found, expected = at_head.solve(p, q), naive.solve(p, q)
    for column in ("vm_pu", "line_loading_percent", "trafo_loading_percent", "trafo_p_kw", "p_slack_kw", "losses_kw"):
        np.testing.assert_allclose(getattr(found, column), getattr(expected, column), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(found.q_slack_kvar, expected.q_slack_kvar, atol=1e-8)
    ours, theirs = (sensitivity(each, p[0], q[0]) for each in (at_head, naive))
    assert ours is not None
    assert theirs is not None
    np.testing.assert_allclose(ours.vm_pu, theirs.vm_pu, atol=1e-10)
    np.testing.assert_allclose(ours.by_p.vm_pu(), theirs.by_p.vm_pu(), atol=1e-10)
    np.testing.assert_allclose(ours.slack_kva, theirs.slack_kva, atol=1e-7)


def draw(n: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(n)
    return rng.normal(0.0, 8.0, (n, N)), rng.normal(0.0, 2.0, (n, N)), rng.uniform(0.95, 1.05, n)


@pytest.mark.parametrize("name", ENGINES)
def test_an_interval_has_the_same_bits_in_every_batch(name: str) -> None:
    p, q, vm = draw(40)
    head = make_head(ENGINES[name])
    together = HeadPowerFlow(head, vm).solve(p, q)
    for k in (0, 17, 39):
        alone = HeadPowerFlow(head, vm[k : k + 1]).solve(p[k : k + 1], q[k : k + 1])
        for one, column in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, column[k : k + 1])


@pytest.mark.slow
def test_pandapower_agrees_on_the_net_as_it_was_given() -> None:
    p, q, vm = draw(3)
    agreement = HeadPowerFlow(make_head(ENGINES["mixed"]), vm).verify(p, q, [0, 2])
    assert agreement.n == 2
    assert 0.0 < agreement.max_vm_error_pu < 1e-9


def test_what_no_engine_solves_has_no_values() -> None:
    p = np.array([[1e6] * N, [1.0] * N])
    flow = HeadPowerFlow(make_head(ENGINES["plain"]), np.array([1.0, 1.0])).solve(p)
    assert flow.converged.tolist() == [False, True]
    assert np.isnan(flow.vm_pu[0]).all()
    assert np.isnan(flow.p_slack_kw[0]).all()


def test_a_voltage_for_each_interval_or_one_for_all() -> None:
    head = make_head(ENGINES["plain"])
    assert HeadPowerFlow(head, np.array([1.01])).solve(np.zeros((3, N))).vm_pu[:, 0].tolist() == pytest.approx(
        [1.01] * 3
    )
    with pytest.raises(GridError, match="a voltage of the head for each of 3 intervals, got 2"):
        HeadPowerFlow(head, np.array([1.0, 1.01])).solve(np.zeros((3, N)))
    with pytest.raises(GridError, match="voltage of the head"):
        HeadPowerFlow(head, np.array([1.0, 20.0]))


def test_the_net_of_an_engine_is_left_as_it_is() -> None:
    engine = ENGINES["mixed"]
    at_head = HeadPowerFlow(make_head(engine), np.array([0.97]))
    assert at_head.origin is engine
    assert engine.origin is engine
    assert at_head.judged_feeder().net.ext_grid.vm_pu.tolist() == pytest.approx([0.97])
    assert at_head.judged_feeder().as_given().net.ext_grid.vm_pu.tolist() == pytest.approx([0.97])
    assert engine.judged_feeder().net.ext_grid.vm_pu.tolist() == [1.02]


def test_a_feeder_needs_one_grid_and_constant_powers() -> None:
    feeder = make_mixed()
    two = replace(feeder, net=(net := deepcopy(feeder.net)))
    pp.create_ext_grid(net, 2)
    with pytest.raises(GridError, match=r"network 'mixed': expected one source, an external grid .*got 2 buses"):
        make_head(PowerFlow(two))
    depends = replace(feeder, net=(net := deepcopy(feeder.net)))
    net.load.loc[1, ["const_z_p_percent", "const_z_q_percent"]] = 100.0
    with pytest.raises(GridError, match=r"a net of constant powers, .*got loads with voltage-dependent power"):
        make_head(PowerFlow(depends))
