"""Inverters under control: their fixed point is a power flow of pandapower, whatever else is solved beside it."""

from __future__ import annotations

import numpy as np
import pytest

import grid_models.response.reactive_control
from grid_models.devices.inverter import Characteristic, Inverter
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Engine
from grid_models.powerflow.runpp import solve_by_runpp
from grid_models.response.reactive_control import Control, controlled_sensitivity, solve_controlled

pytestmark = pytest.mark.slow  # fixed points by runpp

HOUSES = 8
PEAK_KW = np.array([12.0, 8.0, 0.0, 15.0, 10.0, 6.0, 0.0, 9.0])
SCALE = {"generated": 1.0, "cigre_lv": 6.0, "kerber_landnetz_freileitung_1": 3.0}
"""Of the powers, so that voltages leave the dead band of the characteristic."""
RULES = {
    "cos_phi": Inverter(1.0, "cos_phi", cos_phi=0.92),
    "q_v": Inverter(1.0, "q_v"),
    "steep": Inverter(1.0, "q_v", characteristic=Characteristic((0.995, 1.0, 1.002, 1.004), (0.4, 0, 0, -0.4))),
}


def _feeder(name: str) -> Feeder:
    houses = [f"house {k}" for k in range(HOUSES)]
    if name == "generated":
        return make_radial_feeder(houses, n_branches=1, spacing_m=200.0, rng=np.random.default_rng(3))
    return make_named_feeder(name, houses, seed=1)


def _powers(n_intervals: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    pv_kw = rng.random((n_intervals, 1)) * PEAK_KW * rng.uniform(0.7, 1.0, (n_intervals, HOUSES))
    return pv_kw - rng.uniform(0.2, 3.0, pv_kw.shape), pv_kw


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("name", sorted(SCALE))
def test_the_fixed_point_is_pandapowers_solution_at_the_same_reactive_power(name: str, rule: str) -> None:
    engine, control = PowerFlow(_feeder(name)), Control(RULES[rule], 1.12 * SCALE[name] * PEAK_KW)
    p_kw, pv_kw = (SCALE[name] * power for power in _powers(24))
    found = solve_controlled(engine, control, p_kw, pv_kw)
    assert (found.rounds > 0).all()
    assert found.flow.converged.all()
    judge = solve_by_runpp(engine.feeder, p_kw, found.q_kvar)
    np.testing.assert_allclose(found.flow.vm_pu, judge.vm_pu, rtol=0.0, atol=1e-9)
    at = np.array([engine.feeder.net.bus.index.get_loc(bus) for bus in engine.feeder.bus])
    # The rule at pandapower's own voltages, to a var or what a var of all houses moves it by.
    wanted = control.q_kvar(pv_kw, judge.vm_pu[:, at])
    moved = np.abs(control.slope_kvar_per_pu(pv_kw, judge.vm_pu[:, at])) * 2e-6
    assert (np.abs(found.q_kvar - wanted) <= 1e-3 + moved).all()
    assert np.abs(found.q_kvar).max() > 1.0
    np.testing.assert_allclose(1000.0 * found.q_kvar, np.rint(1000.0 * found.q_kvar), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_an_interval_is_solved_the_same_alone_and_among_others(rule: str) -> None:
    engine, control = PowerFlow(_feeder("generated")), Control(RULES[rule], 1.12 * PEAK_KW)
    p_kw, pv_kw = _powers(40)
    together = solve_controlled(engine, control, p_kw, pv_kw)
    for k in range(0, 40, 7):
        alone = solve_controlled(engine, control, p_kw[k : k + 1], pv_kw[k : k + 1])
        assert (alone.q_kvar[0] == together.q_kvar[k]).all()
        assert (alone.flow.vm_pu[0] == together.flow.vm_pu[k]).all()
        assert alone.rounds[0] == together.rounds[k]


def test_a_control_that_finds_no_balance_is_not_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, control = PowerFlow(_feeder("generated")), Control(RULES["q_v"], 1.12 * PEAK_KW)
    p_kw, pv_kw = _powers(6)
    pv_kw[2] = 0.0  # no sun: nothing to be found
    monkeypatch.setattr(grid_models.response.reactive_control, "MAX_ROUNDS", 1)
    found = solve_controlled(engine, control, p_kw, pv_kw)
    given_up = found.rounds == 0
    assert given_up.any()
    assert not given_up[2]
    assert (found.flow.converged == ~given_up).all()
    assert np.isnan(found.flow.vm_pu[given_up]).all()
    assert (found.flow.engine[given_up] == Engine.CONTROL).all()
    assert (found.q_kvar[given_up] == 0.0).all()


@pytest.mark.parametrize("rule", ["cos_phi", "q_v"])
def test_the_response_is_that_of_finite_differences(rule: str) -> None:
    """Differences of the controlled power flow, steps of 200 W so that whole var do not matter."""
    engine, control = PowerFlow(_feeder("generated")), Control(RULES[rule], 1.12 * PEAK_KW)
    p_kw, pv_kw = (power[0] for power in _powers(1))
    p_kw, pv_kw = p_kw - pv_kw + 0.8 * PEAK_KW, 0.8 * PEAK_KW
    response = controlled_sensitivity(engine, control, p_kw, pv_kw)
    assert response is not None
    step = 0.2
    change = np.where(PEAK_KW > 0.0, step, 0.0)
    more = solve_controlled(engine, control, (p_kw + np.diag(change)), pv_kw + np.diag(change))
    less = solve_controlled(engine, control, (p_kw - np.diag(change)), pv_kw - np.diag(change))
    generating = PEAK_KW > 0.0
    by_differences = ((more.flow.vm_pu - less.flow.vm_pu) / (2.0 * step)).T[:, generating]
    scale = np.nanmax(np.abs(by_differences))
    assert np.nanmax(np.abs(response.by_p.vm_pu()[:, generating] - by_differences)) < 0.02 * scale
