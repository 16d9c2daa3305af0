"""What settles is clean for pandapower, every interval of it; what cannot be is listed, and nothing of it settles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.curtailment.feasible import RULES, Outcome
from cosim.delivery.setpoints import injection_kw
from cosim.interval.fold import run_intervals
from cosim.validation.validate import validate
from grid_models.feeder.named_nets import make_named_net
from grid_models.powerflow.runpp import solve_by_runpp

pytestmark = pytest.mark.slow  # every settled interval by runpp

LIMITS = {
    "overvoltage": {"max_vm_pu": 1.02},
    "undervoltage": {"min_vm_pu": 0.995},
    "overload": {"max_loading_percent": 8.0},
    "nothing can": {"min_vm_pu": 1.001, "max_vm_pu": 1.1},
}


def _scenario(limits: dict[str, float], rule: str, control: str = "none") -> Scenario:
    return Scenario().with_changes(
        horizon={"hours": 10, "start": "2017-06-20T11:00:00Z"},
        houses={"n_houses": 6, "n_prosumers": 5, "production_ratio": 2.0},
        battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 3.0},
        market={"feed_in": True},
        network={"n_branches": 1, "spacing_m": 400.0},
        limits=limits,
        curtailment={"rule": rule},
        pv={"control": control},
        engine={"verify_sample": 4},
    )


@pytest.mark.parametrize(
    ("rule", "control"),
    [
        ("least_curtailment", "none"),
        ("pro_rata", "none"),
        *(pytest.param(rule, "none", marks=pytest.mark.slow) for rule in ("lifo", "max_min", "reject")),
        pytest.param("least_curtailment", "cos_phi", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_settled_interval_is_clean_in_runpp(name: str, rule: str, control: str) -> None:
    case = build_case(_scenario(LIMITS[name], rule, control))
    limits, outcomes = case.limits, set()
    for chunk in run_intervals(case, case.opening):
        meters = chunk.window.meters
        off = chunk.outcome == Outcome.DE_ENERGISED
        p_kw = injection_kw(meters, case.interval_minutes)
        judged = solve_by_runpp(case.feeder, p_kw[~off], meters["q_var"][~off] / 1000.0)
        assert judged.converged.all()
        assert (judged.vm_pu >= limits.min_vm_pu - 1e-5).all()
        assert (judged.vm_pu <= limits.max_vm_pu + 1e-5).all()
        assert (judged.line_loading_percent <= limits.max_line_loading_percent + 0.01).all()
        assert (judged.trafo_loading_percent <= limits.max_trafo_loading_percent + 0.01).all()
        assert (p_kw[off] == 0.0).all()
        outcomes |= set(chunk.outcome.tolist())
    assert outcomes != {Outcome.CLEAN}


def test_what_cannot_be_settled_is_listed_with_its_reason_and_moves_no_money() -> None:
    result = run(_scenario(LIMITS["nothing can"], "least_curtailment"))
    off = result.intervals.index[result.intervals["outcome"] == "de_energised"]
    listed = result.summary["not_settled"]
    assert [entry["time"] for entry in listed] == [time.isoformat() for time in off]
    assert {entry["reason"] for entry in listed} == {"undervoltage"}
    rows = result.exchanges[result.exchanges.index.isin(off)]
    assert (rows["amount_neur"] == 0).all()
    assert (rows[~rows["kind"].isin(["spill", "shed"])]["delivered_wh"] == 0).all()
    assert result.summary["agreement"]["intervals"] == 0


def test_every_run_is_sampled_by_pandapower_and_a_clean_one_lists_nothing() -> None:
    result = run(_scenario({}, "least_curtailment"))
    assert result.summary["agreement"]["intervals"] == 4
    assert result.summary["agreement"]["max_vm_error_pu"] < 1e-9
    assert result.summary["not_settled"] == []


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_settled_interval_of_a_validation_is_clean_in_runpp(rule: str) -> None:
    net = make_named_net("kerber_landnetz_freileitung_1", seed=1)
    buses = net.load.bus.to_numpy()
    rng = np.random.default_rng(4)
    rows = [
        (f"2017-06-01T{hour:02d}:00Z", str(a), "grid" if hour % 2 else str(b), float(rng.uniform(1, 60)))
        for hour in range(6)
        for a, b in (rng.permutation(buses)[:2].tolist() for _ in range(4))
    ]
    trades = pd.DataFrame(rows, columns=["time", "seller", "buyer", "energy_kwh"]).assign(price_eur_per_kwh=0.1)
    limits = {"min_vm_pu": 0.97, "max_vm_pu": 1.03}
    found = validate(net, trades, rule=rule, limits=limits)
    assert not found.accepted
    assert found.summary["not_settled"] == []
    assert found.summary["agreement"]["intervals"] == 6
    after = found.bus_voltage["after_vm_pu"]
    assert after.between(limits["min_vm_pu"] - 1e-5, limits["max_vm_pu"] + 1e-5).all()
    assert (found.branch_loading["after_loading_percent"] <= 100.01).all()
