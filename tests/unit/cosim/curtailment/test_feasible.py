"""Curtailment: nothing unclean settles, whatever it takes; every step of the ladder."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.case.case import Case, build_case
from cosim.curtailment.feasible import RULES, Outcome
from cosim.delivery.setpoints import injection_kw
from cosim.interval.fold import run_intervals
from cosim.interval.interval import run_interval
from cosim.scenario.model import Scenario
from grid_models.powerflow.runpp import solve_by_runpp
from grid_models.powerflow.verdicts import Judgement, check_limits
from market.exchanges import Kind, Reason, Status


def _case(**changes: dict[str, object]) -> Case:
    base = {
        "horizon": {"hours": 24, "start": "2017-06-20T00:00:00Z"},
        "houses": {"n_houses": 6, "n_prosumers": 5, "production_ratio": 2.0},
        "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        "market": {"feed_in": True},
        "network": {"n_branches": 1, "spacing_m": 400.0},
    }
    merged = {key: {**base.get(key, {}), **changes.get(key, {})} for key in {*base, *changes}}
    return build_case(Scenario().with_changes(**merged))


def _outcomes(case: Case) -> set[Outcome]:
    return {Outcome(int(o)) for chunk in run_intervals(case, case.opening) for o in chunk.outcome}


def test_wide_limits_leave_every_exchange_alone() -> None:
    assert _outcomes(_case(limits={"min_vm_pu": 0.5, "max_vm_pu": 1.5, "max_loading_percent": 1000.0})) == {
        Outcome.CLEAN
    }


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=[pytest.mark.slow] * (rule != "least_curtailment")) for rule in sorted(RULES)]
)
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_vm_pu": 1.02}, Outcome.CURTAILED),
        ({"min_vm_pu": 0.995}, Outcome.SHED),
        pytest.param({"min_vm_pu": 1.001, "max_vm_pu": 1.1}, Outcome.DE_ENERGISED, marks=pytest.mark.slow),
    ],
)
def test_each_step_of_the_ladder_ends_clean_for_pandapower(
    limits: dict[str, float], expected: Outcome, rule: str
) -> None:
    case = _case(limits=limits, curtailment={"rule": rule})
    seen = set()
    for chunk in run_intervals(case, case.opening):
        p_kw = injection_kw(chunk.window.meters, case.interval_minutes)
        judged = solve_by_runpp(case.feeder, p_kw, chunk.window.meters["q_var"] / 1000.0)
        for k, outcome in enumerate(chunk.outcome):
            seen.add(Outcome(int(outcome)))
            if outcome == Outcome.DE_ENERGISED:
                assert (p_kw[k] == 0).all()
                continue
            assert judged.converged[k]
            assert np.nanmin(judged.vm_pu[k] - case.limits.min_vm_pu) >= -1e-5
            assert np.nanmax(judged.vm_pu[k] - case.limits.max_vm_pu) <= 1e-5
            assert judged.line_loading_percent[k].max() <= 100.01
    assert expected in seen


def test_what_is_cut_says_which_limit_at_which_bus() -> None:
    case = _case(limits={"max_vm_pu": 1.02})
    state = case.opening
    for t in range(case.n_intervals):
        state, result = run_interval(case, state, t)
        rows = result.feasible.settlement.rows
        cut = rows[(rows["status"] != Status.ACCEPTED)]
        if cut.size == 0:
            continue
        assert (cut["reason"] == Reason.OVERVOLTAGE).all()
        worst = result.feasible.before.violations[0]
        assert worst.element_type == "bus"
        assert (cut["element"] == worst.element).all()
        assert check_limits(case.feeder, case.limits, result.feasible.flow).status == Judgement.OK
        return
    pytest.fail("expected an interval with an overvoltage")


@pytest.mark.slow
def test_least_curtailment_cuts_no_more_than_any_other_rule() -> None:
    cut = {}
    for rule in RULES:
        case = _case(limits={"max_vm_pu": 1.02}, curtailment={"rule": rule})
        rows = np.concatenate(
            [chunk.window.rows[: chunk.window.offsets[-1]] for chunk in run_intervals(case, case.opening)]
        )
        exported = rows[rows["kind"] == Kind.GRID_EXPORT]
        cut[rule] = int((exported["cleared_wh"] - exported["delivered_wh"]).sum())
    assert cut["least_curtailment"] > 0
    assert min(cut, key=cut.__getitem__) == "least_curtailment"


def test_least_curtailment_ends_within_eight_power_flows() -> None:
    case = _case(limits={"max_vm_pu": 1.02})
    flows = [int(n) for chunk in run_intervals(case, case.opening) for n in chunk.power_flows]
    assert max(flows) <= 8


def test_shed_load_is_not_billed() -> None:
    case = _case(limits={"min_vm_pu": 0.995})
    for chunk in run_intervals(case, case.opening):
        rows = chunk.window.rows[: chunk.window.offsets[-1]]
        shed = rows[rows["kind"] == Kind.SHED]
        assert (shed["amount_neur"] == 0).all()
        if shed.size:
            meters = chunk.window.meters
            assert meters["shed_wh"].sum() == shed["delivered_wh"].sum()
            served = meters["load_wh"].sum() - meters["shed_wh"].sum()
            assert rows[rows["kind"] == Kind.GRID_IMPORT]["delivered_wh"].sum() <= served
            return
    pytest.fail("expected shed load")


@pytest.mark.parametrize(("cos_phi", "most"), [(1.0, 8), (0.95, 10)])
def test_load_is_shed_by_the_programme_where_every_house_costs_the_same(cos_phi: float, most: int) -> None:
    """Shedding any house relieves the transformer alike, and no two programmes need choose the same houses."""
    changes = {
        "horizon": {"hours": 48},
        "houses": {"n_houses": 60, "n_prosumers": 20, "load_cos_phi": cos_phi},
        "network": {"n_branches": 6, "spacing_m": 30},
        "limits": {"max_loading_percent": 40},
    }
    shed, flows = {}, []
    for rule in ("least_curtailment", "reject"):  # what rejecting leaves is shed in proportion
        case = build_case(Scenario().with_changes(**changes, curtailment={"rule": rule}))
        done = [chunk for chunk in run_intervals(case, case.opening) if (chunk.outcome == Outcome.SHED).any()]
        shed[rule] = {chunk.first: int(chunk.window.meters["shed_wh"].sum()) for chunk in done}
        flows += [int(chunk.power_flows[0]) for chunk in done if rule == "least_curtailment"]
    assert len(flows) > 5
    assert max(flows) <= most
    first = min(shed["least_curtailment"])
    assert shed["least_curtailment"][first] <= shed["reject"][first]
