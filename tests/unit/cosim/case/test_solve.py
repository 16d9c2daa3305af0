"""Inverters under control in a run: what settles is clean with its own reactive power, and less must be cut."""

from __future__ import annotations

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

import cosim.case.solve
import grid_models.response.reactive_control
from cosim import Scenario, run
from cosim.case.case import Case, build_case
from cosim.curtailment.feasible import Outcome
from cosim.delivery.setpoints import injection_kw
from cosim.errors import ScenarioError
from cosim.interval.fold import run_intervals
from cosim.scenario.files import parse_scenario
from cosim.validation.validate import validate
from grid_models.errors import GridError
from grid_models.powerflow.runpp import solve_by_runpp
from market.exchanges import Kind, Reason

LIMIT = 1.02


def _scenario(**pv: object) -> Scenario:
    return Scenario().with_changes(
        horizon={"hours": 24, "start": "2017-06-20T00:00:00Z"},
        houses={"n_houses": 6, "n_prosumers": 5, "production_ratio": 2.0, "load_cos_phi": 1.0},
        battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        market={"feed_in": True},
        network={"n_branches": 1, "spacing_m": 400.0},
        limits={"max_vm_pu": LIMIT},
        pv=pv,
    )


def _curtailed_wh(case: Case) -> int:
    rows = np.concatenate([chunk.window.rows for chunk in run_intervals(case, case.opening)])
    exported = rows[rows["kind"] == Kind.GRID_EXPORT]
    return int((exported["cleared_wh"] - exported["delivered_wh"]).sum())


CONTROLS: dict[str, dict[str, object]] = {
    "cos_phi": {"control": "cos_phi", "cos_phi": 0.95},
    "q_v": {"control": "q_v", "q_v_vm_pu": (0.95, 0.99, 1.0, 1.02)},
}


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_what_settles_is_clean_in_pandapower_at_the_metered_reactive_power(name: str) -> None:
    case = build_case(_scenario(**CONTROLS[name]))
    seen = set()
    for chunk in run_intervals(case, case.opening):
        meters = chunk.window.meters
        p_kw, q_kvar = injection_kw(meters, case.interval_minutes), meters["q_var"] / 1000.0
        judged = solve_by_runpp(case.feeder, p_kw, q_kvar)
        np.testing.assert_allclose(chunk.flow.vm_pu, judged.vm_pu, rtol=0.0, atol=1e-9)
        assert np.nanmax(judged.vm_pu) <= LIMIT + 1e-5
        assert (q_kvar <= 0.0).all()
        seen |= {Outcome(int(outcome)) for outcome in chunk.outcome}
    assert seen == {Outcome.CLEAN, Outcome.CURTAILED}


def test_absorbing_reactive_power_saves_energy() -> None:
    without = _curtailed_wh(build_case(_scenario()))
    for control in CONTROLS.values():
        assert 0 < _curtailed_wh(build_case(_scenario(**control))) < 0.9 * without


@pytest.mark.slow
def test_least_curtailment_still_cuts_no_more_than_the_other_rules() -> None:
    for control in CONTROLS.values():
        cut = {
            rule: _curtailed_wh(build_case(_scenario(**control).with_changes(curtailment={"rule": rule})))
            for rule in ("least_curtailment", "pro_rata", "lifo", "max_min")
        }
        assert min(cut, key=cut.__getitem__) == "least_curtailment"


def test_without_control_no_reactive_power_is_metered_or_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the ordinary path asked for reactive control")

    monkeypatch.setattr(cosim.case.solve, "solve_controlled", never)
    monkeypatch.setattr(cosim.case.solve, "controlled_sensitivity", never)
    assert not run(_scenario()).houses["q_var"].any()


def test_an_interval_whose_control_finds_no_balance_is_reported_and_not_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grid_models.response.reactive_control, "MAX_ROUNDS", 1)
    case = build_case(_scenario(control="cos_phi"))
    off = []
    for chunk in run_intervals(case, case.opening):
        for k, outcome in enumerate(chunk.outcome):
            rows = chunk.window.rows[chunk.window.offsets[k] : chunk.window.offsets[k + 1]]
            rows = rows[rows["kind"] != Kind.LOSS]
            if outcome == Outcome.CLEAN:
                assert not chunk.window.meters["q_var"][k].any()
                continue
            cut = rows[rows["kind"] == Kind.GRID_EXPORT]
            assert (cut["reason"] == Reason.CONTROL).all()
            assert (cut["delivered_wh"] == 0).all()
            off.append(outcome)
    assert len(off) >= 8


@pytest.mark.parametrize("control", ["cos_phi", "q_v"])
def test_trades_of_others_are_judged_with_reactive_power_too(control: str) -> None:
    net = pp.create_empty_network(name="one house at the end")
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    far = pp.create_bus(net, 0.4, name="far")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    pp.create_line(net, low, far, 0.8, "NAYY 4x150 SE")
    sale = {"time": "2017-06-01T12:00Z", "seller": "far", "buyer": "grid", "energy_kwh": 90.0}
    trades = pd.DataFrame([{**sale, "price_eur_per_kwh": 0.1}])
    limits = {"max_vm_pu": 1.06}
    without = validate(net, trades, limits=limits)
    found = validate(net, trades, limits=limits, pv={"control": control})
    assert 0 < found.trades["curtailed_wh"][0] < without.trades["curtailed_wh"][0]
    assert found.houses["q_var"][0] < 0 == without.houses["q_var"][0]
    assert found.bus_voltage["after_vm_pu"].max() <= 1.06 + 1e-5
    assert found.summary["agreement"]["intervals"] == 1
    assert found.summary["pv_control"] == control


def test_a_rising_characteristic_is_refused() -> None:
    with pytest.raises(GridError, match=r"pv\.q_v_vm_pu.*do not rise with voltage"):
        build_case(_scenario(control="q_v", q_v_q_pu=(-0.4, 0.0, 0.0, 0.4)))
    with pytest.raises(ScenarioError, match=r"pv\.control"):
        parse_scenario('[pv]\ncontrol = "volt-var"', "text")
