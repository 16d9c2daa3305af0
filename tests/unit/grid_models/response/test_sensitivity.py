"""Sensitivities against central differences of `pandapower.runpp`: relative error at most 1e-3."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from physics_helpers import find_unsupplied

from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.response.differences import sensitivity_by_differences
from grid_models.response.sensitivity import sensitivity

HOUSES = ["a", "b", "c", "d", "e"]


def generated() -> Feeder:
    return make_radial_feeder(HOUSES, n_branches=2, rng=np.random.default_rng(3))


def cigre() -> Feeder:
    return make_named_feeder("cigre_lv", HOUSES, seed=2)


def kerber() -> Feeder:
    """With the net's own loads beside the participants."""
    return make_named_feeder("kerber_landnetz_kabel_1", HOUSES, seed=2, keep_elements=True)


def island() -> Feeder:
    """The grid is lost, an inverter at house `b` forms the island."""
    feeder = generated()
    net = deepcopy(feeder.net)
    net.ext_grid["in_service"] = False
    pp.create_gen(net, int(feeder.bus[1]), p_mw=0.0, vm_pu=1.01, slack=True)
    return replace(feeder, net=net)


def half_dark() -> Feeder:
    """One branch is switched off."""
    feeder = generated()
    net = deepcopy(feeder.net)
    net.switch.loc[0, "closed"] = False
    return replace(feeder, net=net)


def one_bus_for_two() -> Feeder:
    feeder = generated()
    bus = feeder.bus.copy()
    bus[4] = bus[0]
    return replace(feeder, bus=bus)


def powers() -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    rng = np.random.default_rng(9)
    return rng.normal(-2.0, 6.0, 5), rng.normal(0.0, 1.5, 5)


def relative_error(x: np.ndarray[Any, np.dtype[np.complex128]], y: np.ndarray[Any, np.dtype[np.complex128]]) -> float:
    assert x.shape == y.shape
    np.testing.assert_array_equal(np.isnan(x), np.isnan(y))
    return float(np.nanmax(np.abs(x - y)) / np.nanmax(np.abs(y)))


@pytest.mark.slow
@pytest.mark.parametrize("make", [generated, cigre, kerber, island, half_dark, one_bus_for_two])
def test_sensitivities_are_those_of_runpp(make: Callable[[], Feeder]) -> None:
    feeder = make()
    engine = PowerFlow(feeder)
    p, q = powers()
    exact = sensitivity(engine, p, q)
    judge = sensitivity_by_differences(feeder, engine.matrices, p, q)
    assert exact is not None
    assert judge is not None
    for name in ("vm_pu", "current_percent", "slack_kva"):
        assert relative_error(getattr(exact, name), getattr(judge, name)) < 1e-6, name
        for by in ("by_p", "by_q"):
            slopes = [getattr(getattr(response, by), name)() for response in (exact, judge)]
            assert relative_error(*slopes) < 1e-6, (by, name)


def test_asking_for_some_rows_gives_those_of_the_whole() -> None:
    response = sensitivity(PowerFlow(cigre()), *powers())
    assert response is not None
    some = np.array([3, 1])
    for quantity in (response.by_p.vm_pu, response.by_p.current_percent, response.by_q.current_percent):
        np.testing.assert_allclose(quantity(some), quantity()[some], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "make",
    [generated, half_dark, *(pytest.param(make, marks=pytest.mark.slow) for make in (cigre, kerber, one_bus_for_two))],
)
def test_what_all_together_change_is_the_sum_of_what_each_changes(make: Callable[[], Feeder]) -> None:
    response = sensitivity(PowerFlow(make()), *powers())
    assert response is not None
    step = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    for by in (response.by_p, response.by_q):
        vm, current = by.along(step)
        np.testing.assert_allclose(vm, by.vm_pu() @ step, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(current, by.current_percent() @ step, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("make", [generated, cigre, kerber])
def test_currents_are_the_loadings_of_the_power_flow(make: Callable[[], Feeder]) -> None:
    engine = PowerFlow(make())
    p, q = powers()
    flow, response = engine.solve(p[None], q[None]), sensitivity(engine, p, q)
    assert response is not None
    ends = np.abs(response.current_percent)
    loading = np.zeros(ends.size // 2)
    np.maximum.at(loading, np.tile(np.arange(loading.size), 2), ends)
    expected = np.concatenate([flow.line_loading_percent[0], flow.trafo_loading_percent[0]])
    np.testing.assert_allclose(loading, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(response.vm_pu, flow.vm_pu[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(response.slack_kva.real, flow.p_slack_kw[0], rtol=0, atol=1e-9)


def test_a_small_step_lands_where_the_linear_response_says() -> None:
    engine = PowerFlow(generated())
    p, q = powers()
    response = sensitivity(engine, p, q)
    assert response is not None
    dp, dq = 0.1 * np.array([1, -1, 1, 0, 0.5]), 0.1 * np.array([0, 1, 0, -1, 0.5])
    there = engine.solve((p + dp)[None], (q + dq)[None])
    predicted = response.vm_pu + response.by_p.vm_pu() @ dp + response.by_q.vm_pu() @ dq
    moved = np.abs(there.vm_pu[0] - response.vm_pu).max()
    assert np.abs(there.vm_pu[0] - predicted).max() < 0.01 * moved


def test_a_participant_at_the_source_moves_nothing_but_the_source() -> None:
    feeder = generated()
    bus = feeder.bus.copy()
    bus[0] = int(feeder.net.ext_grid.bus.iloc[0])
    response = sensitivity(PowerFlow(replace(feeder, bus=bus)), powers()[0])
    assert response is not None
    assert not response.by_p.vm_pu()[:, 0].any()
    assert not response.by_q.current_percent()[:, 0].any()
    assert response.by_p.slack_kva()[0, 0] == -1.0
    assert response.by_q.slack_kva()[0, 0] == -1.0j


def test_a_participant_without_supply_moves_nothing() -> None:
    engine = PowerFlow(half_dark())
    response = sensitivity(engine, powers()[0])
    assert response is not None
    unsupplied = find_unsupplied(engine)
    assert unsupplied.any()
    assert np.nansum(np.abs(response.by_p.vm_pu()[:, unsupplied])) == 0.0
    assert not response.by_p.slack_kva()[:, unsupplied].any()


@pytest.mark.slow
def test_nets_that_only_runpp_solves_are_differentiated_by_it() -> None:
    feeder = generated()
    net = deepcopy(feeder.net)
    pp.create_load(net, int(feeder.bus[0]), p_mw=0.005, const_z_p_percent=100, const_z_q_percent=100)
    engine = PowerFlow(replace(feeder, net=net))
    assert engine.refusal is not None
    p, _ = powers()
    response = sensitivity(engine, p)
    assert response is not None
    step = np.array([0.2, 0, 0, 0, 0])
    there = engine.solve((p + step)[None]).vm_pu[0]
    np.testing.assert_allclose(there, response.vm_pu + response.by_p.vm_pu() @ step, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_there_is_no_sensitivity_where_there_is_no_solution() -> None:
    assert sensitivity(PowerFlow(generated()), np.full(5, -1e6)) is None
