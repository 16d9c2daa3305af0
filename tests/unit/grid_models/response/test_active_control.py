"""P(V) in the power flow: its fixed point against a naive one, alone and among others, and what has no fixed point."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from grid_models.arrays import Floats
from grid_models.devices.inverter import Inverter
from grid_models.devices.volt_watt import VoltWatt
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Engine
from grid_models.response.active_control import ActiveControl, solve_actively_controlled
from grid_models.response.reactive_control import Control

N = 8
RATED = np.full(N, 14.0)
CURVE = VoltWatt((1.015, 1.04))


@cache
def make_small() -> PowerFlow:
    return PowerFlow(make_radial_feeder([f"house {k}" for k in range(N)], rng=np.random.default_rng(3)))


def draw(n: int, seed: int = 5) -> tuple[Floats, Floats]:
    """Injections and the generation in them, (n, N) kW each."""
    rng = np.random.default_rng(seed)
    pv_kw = rng.uniform(0.0, 14.0, (n, N))
    return pv_kw - rng.uniform(0.0, 3.0, (n, N)), pv_kw


def find_naively(control: ActiveControl, reactive: Control | None, p_kw: Floats, pv_kw: Floats) -> Floats:
    """What passes, by small steps towards what the rule asks for, one interval at a time."""
    engine, position = make_small(), find_injection_rows(make_small().feeder)
    passed, q = pv_kw.copy(), np.zeros(N)
    for _ in range(120):
        vm_pu = engine.solve((p_kw - pv_kw + passed)[None], q[None]).vm_pu[0, position].mean(axis=1)
        passed += 0.2 * (control.passed_kw(pv_kw, vm_pu) - passed)
        q += 0.2 * (0.0 if reactive is None else reactive.q_kvar(passed, vm_pu) - q)
    return passed


@pytest.mark.parametrize("rule", ["none", "q_v"])
def test_the_fixed_point_is_that_of_a_naive_one(rule: str) -> None:
    reactive = None if rule == "none" else Control(Inverter(1.0, "q_v"), 1.12 * RATED)
    control, (p_kw, pv_kw) = ActiveControl(CURVE, RATED), draw(3)
    found = solve_actively_controlled(make_small(), control, reactive, p_kw, pv_kw)
    assert found.rounds.min() > 0
    assert (found.reduced_kw > 0).any()
    for k in range(3):
        naive = find_naively(control, reactive, p_kw[k], pv_kw[k])
        np.testing.assert_allclose(pv_kw[k] - found.reduced_kw[k], naive, atol=0.0015)


def test_an_interval_is_the_same_alone_and_among_others() -> None:
    control, (p_kw, pv_kw) = ActiveControl(CURVE, RATED), draw(5)
    all_at_once = solve_actively_controlled(make_small(), control, None, p_kw, pv_kw)
    for k in range(5):
        alone = solve_actively_controlled(make_small(), control, None, p_kw[k : k + 1], pv_kw[k : k + 1])
        assert np.array_equal(alone.reduced_kw[0], all_at_once.reduced_kw[k])
        assert np.array_equal(alone.flow.vm_pu[0], all_at_once.flow.vm_pu[k])


def test_reductions_are_whole_steps_and_no_more_than_is_generated() -> None:
    control, (p_kw, pv_kw) = ActiveControl(VoltWatt((1.0, 1.001), 0.0), RATED), draw(3)
    found = solve_actively_controlled(make_small(), ActiveControl(CURVE, RATED), None, p_kw, pv_kw, step_kw=0.012)
    np.testing.assert_allclose(found.reduced_kw / 0.012, np.rint(found.reduced_kw / 0.012), atol=1e-9)
    assert (found.reduced_kw <= pv_kw).all()
    # So steep a curve finds no rest at these powers; that is said, and nothing is reduced.
    steep = solve_actively_controlled(make_small(), control, None, p_kw, pv_kw)
    lost = steep.rounds == 0
    assert lost.any()
    assert (steep.flow.engine[lost] == Engine.CONTROL).all()
    assert not steep.flow.converged[lost].any()
    assert not steep.reduced_kw[lost].any()
