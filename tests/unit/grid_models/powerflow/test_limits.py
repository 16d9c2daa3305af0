"""A verdict is data: ok, violated or not solved; it names what is beyond its limit, or what is closest to it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Flow, make_unsolved_flow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, check_limits, judge

FEEDER = make_radial_feeder(["a", "b"], n_branches=1, rng=np.random.default_rng(0))
B, L = len(FEEDER.net.bus), len(FEEDER.net.line)
LIMITS = Limits.from_feeder(FEEDER)


def flow_of(vm_pu: Any, line: Any, trafo: float = 10.0) -> Flow:
    """A solved interval with these voltages and loadings."""
    empty = make_unsolved_flow(1, B, L, 1, 1)
    return empty._replace(
        converged=np.ones(1, dtype=bool),
        vm_pu=np.broadcast_to(np.asarray(vm_pu, dtype=float), (1, B)).copy(),
        line_loading_percent=np.broadcast_to(np.asarray(line, dtype=float), (1, L)).copy(),
        trafo_loading_percent=np.full((1, 1), trafo),
    )


def with_net_limits(**columns: tuple[str, Any]) -> Feeder:
    net = deepcopy(FEEDER.net)
    for column, (table, values) in columns.items():
        net[table][column] = values
    return replace(FEEDER, net=net)


def test_within_limits_is_ok_and_says_what_is_tightest() -> None:
    flow = flow_of([1, 1, 1, 1, 1, 0.93], [10, 20, 30, 90])
    verdicts = judge(flow, LIMITS)
    assert verdicts.status.tolist() == [Judgement.OK]
    assert (verdicts.lowest_vm_pu[0], verdicts.lowest_bus[0]) == (0.93, 5)
    assert (verdicts.highest_vm_pu[0], verdicts.highest_bus[0]) == (1.0, 0)
    assert (verdicts.highest_loading_percent[0], verdicts.highest_branch[0]) == (90.0, 3)
    assert verdicts.voltage_margin_pu[0] == pytest.approx(0.03)
    assert verdicts.loading_margin_percent[0] == pytest.approx(10.0)
    verdict = check_limits(FEEDER, LIMITS, flow)
    assert verdict.status == Judgement.OK
    assert verdict.violations == ()
    assert verdict.tightest is not None
    assert (verdict.tightest.element_type, verdict.tightest.element, verdict.tightest.limit) == (
        "bus",
        5,
        0.90,
    )


@pytest.mark.parametrize(
    ("vm_pu", "line", "trafo", "element", "value", "limit"),
    [
        (1.11, 0.0, 0.0, ("bus", 0), 1.11, 1.10),
        (0.89, 0.0, 0.0, ("bus", 0), 0.89, 0.90),
        (1.0, [0, 0, 101.0, 0], 0.0, ("line", 2), 101.0, 100.0),
        (1.0, 0.0, 100.5, ("trafo", 0), 100.5, 100.0),
    ],
)
def test_every_kind_of_violation_is_named(
    vm_pu: float, line: Any, trafo: float, element: tuple[str, int], value: float, limit: float
) -> None:
    voltages = np.full(B, 1.0)
    voltages[0] = vm_pu
    flow = flow_of(voltages, line, trafo)
    assert judge(flow, LIMITS).status.tolist() == [Judgement.VIOLATED]
    verdict = check_limits(FEEDER, LIMITS, flow)
    assert verdict.status == Judgement.VIOLATED
    (violation,) = verdict.violations
    assert (violation.element_type, violation.element) == element
    assert (violation.value, violation.limit) == (value, limit)
    assert violation.name == FEEDER.net[element[0]]["name"].iloc[element[1]]
    assert f"limit {limit:.4g}" in str(violation)


def test_violations_come_worst_first() -> None:
    flow = flow_of([1, 1, 1.2, 0.88, 1, 1], [150, 0, 0, 0])
    found = [(v.element_type, v.element) for v in check_limits(FEEDER, LIMITS, flow).violations]
    assert found == [("line", 0), ("bus", 2), ("bus", 3)]


def test_the_limit_itself_is_still_ok() -> None:
    flow = flow_of([0.90, 1.10, 1, 1, 1, 1], 100.0, 100.0)
    assert judge(flow, LIMITS).status[0] == Judgement.OK
    assert check_limits(FEEDER, LIMITS, flow).status == Judgement.OK
    beyond = flow_of([np.nextafter(0.90, 0), 1.10, 1, 1, 1, 1], 100.0, 100.0)
    assert judge(beyond, LIMITS).status[0] == Judgement.VIOLATED


def test_not_solved_never_passes_whatever_numbers_are_in_it() -> None:
    flow = flow_of(1.0, 0.0)._replace(converged=np.zeros(1, dtype=bool))
    verdicts = judge(flow, LIMITS)
    assert verdicts.status.tolist() == [Judgement.NOT_SOLVED]
    assert np.isnan(verdicts.lowest_vm_pu[0])
    assert verdicts.highest_branch.tolist() == [-1]
    assert check_limits(FEEDER, LIMITS, flow).status == Judgement.NOT_SOLVED
    assert judge(make_unsolved_flow(3, B, L, 1, 1), LIMITS).status.tolist() == [Judgement.NOT_SOLVED] * 3


def test_a_loading_that_is_no_number_does_not_pass() -> None:
    assert judge(flow_of(1.0, [0, np.nan, 0, 0]), LIMITS).status.tolist() == [Judgement.VIOLATED]


def test_buses_without_supply_are_not_judged() -> None:
    flow = flow_of([1, 1, np.nan, 0.95, np.nan, 1], 0.0)
    verdicts = judge(flow, LIMITS)
    assert verdicts.status.tolist() == [Judgement.OK]
    assert (verdicts.lowest_vm_pu[0], verdicts.lowest_bus[0]) == (0.95, 3)
    dark = judge(flow_of(np.nan, 0.0), LIMITS)
    assert dark.status.tolist() == [Judgement.OK]
    assert np.isnan(dark.lowest_vm_pu[0])
    assert dark.lowest_bus.tolist() == dark.highest_bus.tolist() == [-1]


def test_of_a_limit_in_the_net_and_one_that_is_asked_for_the_stricter_holds() -> None:
    feeder = with_net_limits(
        max_vm_pu=("bus", [np.nan, np.nan, 1.05, np.nan, np.nan, np.nan]),
        max_loading_percent=("line", [60.0, np.nan, np.nan, np.nan]),
    )
    limits = Limits.from_feeder(feeder, max_vm_pu=1.08)
    assert limits.max_vm_pu.tolist() == [1.08, 1.08, 1.05, 1.08, 1.08, 1.08]
    assert limits.max_line_loading_percent.tolist() == [60.0, 100.0, 100.0, 100.0]
    assert Limits.from_feeder(feeder, max_vm_pu=1.02).max_vm_pu.tolist() == [1.02] * 6
    assert Limits.from_feeder(feeder, max_vm_pu=1.08, override=True).max_vm_pu.tolist() == [1.08] * 6
    assert Limits.from_feeder(feeder).max_vm_pu.tolist() == [1.10, 1.10, 1.05, 1.10, 1.10, 1.10]
    assert limits.origins == (
        ("bus", "min_vm_pu", "default", 6, 0.9, 0.9),
        ("bus", "max_vm_pu", "asked", 5, 1.08, 1.08),
        ("bus", "max_vm_pu", "net", 1, 1.05, 1.05),
        ("line", "max_loading_percent", "default", 3, 100.0, 100.0),
        ("line", "max_loading_percent", "net", 1, 60.0, 60.0),
        ("trafo", "max_loading_percent", "default", 1, 100.0, 100.0),
    )
    flow = flow_of([1, 1, 1.06, 1, 1, 1], [61, 0, 0, 0])
    found = {(v.element_type, v.limit) for v in check_limits(feeder, limits, flow).violations}
    assert found == {("bus", 1.05), ("line", 60.0)}


def test_tightest_loading_is_relative_to_its_own_limit() -> None:
    limits = Limits.from_feeder(with_net_limits(max_loading_percent=("line", [50.0, np.nan, np.nan, np.nan])))
    verdicts = judge(flow_of(1.0, [45, 80, 0, 0]), limits)
    assert (verdicts.highest_branch[0], verdicts.highest_loading_percent[0]) == (0, 45.0)
    assert verdicts.loading_margin_percent[0] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ({"min_vm_pu": 1.2}, {}, "bus 0: expected 0 <= min_vm_pu < max_vm_pu, got 1.2 and 1.1"),
        ({}, {"min_vm_pu": ("bus", [-0.1] * 6)}, "bus 0: expected"),
        (
            {},
            {"min_vm_pu": ("bus", [1.0] * 6), "max_vm_pu": ("bus", [1.0] * 6)},
            "bus 1: expected .*--override-limits",
        ),
        ({"max_loading_percent": 0.0}, {}, "line 0: expected max_loading_percent > 0, got 0"),
        ({}, {"min_vm_pu": ("bus", [np.nan, np.nan, 1.3, np.nan, np.nan, np.nan])}, "bus 2: expected"),
        ({}, {"max_loading_percent": ("trafo", [-5.0])}, "trafo 0: expected max_loading_percent > 0, got -5"),
    ],
)
def test_impossible_limits_are_refused(
    options: dict[str, float], columns: dict[str, tuple[str, Any]], message: str
) -> None:
    with pytest.raises(GridError, match=message):
        Limits.from_feeder(with_net_limits(**columns), **options)


def test_equal_limits_are_met_where_a_source_holds_the_voltage() -> None:
    band = [1.0, *[np.nan] * 5]
    feeder = with_net_limits(min_vm_pu=("bus", band), max_vm_pu=("bus", band))
    limits = Limits.from_feeder(feeder)
    assert judge(ENGINE.solve(np.zeros((1, len(FEEDER.participants)))), limits).status[0] == Judgement.OK
    assert judge(flow_of([1.001, 1, 1, 1, 1, 1], 0.0), limits).status[0] == Judgement.VIOLATED


def test_zero_and_two_are_no_limits() -> None:
    feeder = with_net_limits(min_vm_pu=("bus", [0.0] * 6), max_vm_pu=("bus", [2.0] * 6))
    limits, flow = Limits.from_feeder(feeder), flow_of([0.3, 1, 1, 1, 1, 1.7], 0.0)
    assert judge(flow, limits).status[0] == Judgement.OK
    assert check_limits(feeder, limits, flow).status == Judgement.OK
    asked = Limits.from_feeder(feeder, min_vm_pu=0.9, max_vm_pu=1.1)
    assert {v.limit for v in check_limits(feeder, asked, flow).violations} == {0.9, 1.1}


@given(st.lists(st.floats(-60, 60), min_size=2, max_size=2), st.floats(0.90, 0.99), st.floats(20, 100))
def test_judge_and_check_limits_agree(p: list[float], min_vm_pu: float, max_loading: float) -> None:
    limits = Limits.from_feeder(FEEDER, min_vm_pu=min_vm_pu, max_vm_pu=2.0 - min_vm_pu, max_loading_percent=max_loading)
    flow = ENGINE.solve(np.array([p]))
    verdicts, verdict = judge(flow, limits), check_limits(FEEDER, limits, flow)
    assert verdict.status == verdicts.status[0]
    if verdict.status == Judgement.VIOLATED:
        assert min(verdicts.voltage_margin_pu[0], verdicts.loading_margin_percent[0]) < 0
    else:
        assert verdicts.voltage_margin_pu[0] >= 0
        assert verdicts.loading_margin_percent[0] >= 0


ENGINE = PowerFlow(FEEDER)


def test_verdicts_between() -> None:
    verdicts = judge(ENGINE.solve(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])), LIMITS)
    part = verdicts.select(1, 3)
    assert part.highest_vm_pu.tolist() == verdicts.highest_vm_pu[1:].tolist()
    assert part.status.size == 2
