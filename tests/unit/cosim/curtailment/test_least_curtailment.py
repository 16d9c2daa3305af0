"""Least curtailment where imports, not exports, are too much: shed what is needed, cut nothing else.

::

    medium voltage --(transformer)--+--sun--neighbour
                                    +------------------heavy      900 m of thin cable
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandapower as pp
import pytest

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.curtailment.feasible import Feasible, Outcome, make_feasible
from cosim.errors import ScenarioError
from cosim.validation.trades import Trades, make_traded_interval
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder, make_feeder
from grid_models.powerflow.verdicts import Judgement, judge
from market.exchanges import GRID, Kind

SUN, NEIGHBOUR, HEAVY = 0, 1, 2
NAMES = ("sun", "neighbour", "heavy")


def _feeder() -> Feeder:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    sun, neighbour, heavy = (pp.create_bus(net, 0.4, name=name) for name in NAMES)
    for begin, end, km in ((low, sun, 0.1), (sun, neighbour, 0.1), (low, heavy, 0.9)):
        pp.create_line(net, begin, end, km, "NAYY 4x50 SE")
    return make_feeder("three houses", net, NAMES, [sun, neighbour, heavy])


def _solved(
    trades: list[tuple[int, int, int]],
    rule: str = "least_curtailment",
    priority: dict[str, str] | None = None,
    limits: dict[str, float] | None = None,
) -> tuple[Case, Feasible]:
    """Trades (seller, buyer, kWh) and nothing else, at a lower limit of 0.97 pu."""
    seller, buyer, kwh = np.array(trades, np.int64).T
    nothing = np.zeros((1, len(NAMES)), np.int64)
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, NAMES, nothing, nothing, nothing[:, 0], {})
    case = make_case(_feeder(), profiles, rule, limits or {"min_vm_pu": 0.97})
    scenario = case.scenario.with_changes(curtailment={"priority": priority or {}})
    case = replace(case, scenario=scenario)
    price = np.full(seller.size, 100_000)
    interval = make_traded_interval(Trades(np.zeros_like(seller), seller, buyer, 1000 * kwh, price), profiles, 0)
    return case, make_feasible(case, interval.orders, case.opening, interval.rows)


def _least_shed_wh(case: Case, bought_wh: int) -> int:
    """By bisection: the least load of `heavy` that must go, and with it its purchase, for the network to be clean."""
    low, high = 0, bought_wh
    while high - low > 1:
        shed = (low + high) // 2
        served_kw = (bought_wh - shed) / 1000.0
        p_kw = np.array([[served_kw + 5.0, -5.0, -served_kw]])
        clean = judge(case.engine.solve(p_kw), case.limits).status[0] == Judgement.OK
        low, high = (low, shed) if clean else (shed, high)
    return high


@pytest.mark.parametrize("kwh", [18, 30, 60])
def test_load_that_was_bought_from_a_neighbour_is_shed_and_no_more(kwh: int) -> None:
    case, feasible = _solved([(SUN, HEAVY, kwh), (SUN, NEIGHBOUR, 5)])
    rows, meters = feasible.settlement.rows, feasible.settlement.meters
    assert feasible.outcome == Outcome.SHED
    assert feasible.power_flows <= 8
    assert meters["shed_wh"][[SUN, NEIGHBOUR]].tolist() == [0, 0]
    least_wh = _least_shed_wh(case, 1000 * kwh)
    assert least_wh <= meters["shed_wh"][HEAVY] <= 1.003 * least_wh + 1  # good enough is 0.2 %
    trade, other = rows[rows["kind"] == Kind.P2P]
    assert other["delivered_wh"] == other["cleared_wh"]
    cut_wh = int(trade["cleared_wh"] - trade["delivered_wh"])
    assert meters["shed_wh"][HEAVY] <= cut_wh <= 1.003 * meters["shed_wh"][HEAVY]
    assert 0.97 <= np.nanmin(feasible.flow.vm_pu) < 0.9703


@pytest.mark.parametrize("rule", ["least_curtailment", "pro_rata"])
def test_load_is_shed_by_priority(rule: str) -> None:
    """Both houses of one cable import 60 kWh; its rating of 0.142 kA carries about 98 kWh less the losses."""
    trades, limits = [(GRID, SUN, 60), (GRID, NEIGHBOUR, 60)], {"min_vm_pu": 0.5}
    shed = {}
    for spared in (SUN, NEIGHBOUR):
        priority = {NAMES[spared]: "high", NAMES[SUN + NEIGHBOUR - spared]: "low"}
        _, feasible = _solved(trades, rule, priority, limits)
        assert feasible.outcome == Outcome.SHED
        shed[spared] = feasible.settlement.meters["shed_wh"]
        assert shed[spared][spared] == 0
        assert shed[spared][SUN + NEIGHBOUR - spared] > 10_000
    _, feasible = _solved(trades, rule, {"sun": "low"}, limits)
    assert feasible.settlement.meters["shed_wh"].tolist() == shed[NEIGHBOUR].tolist()


def test_high_priorities_are_shed_where_low_ones_do_not_suffice() -> None:
    priority = {"sun": "low", "neighbour": "high"}
    _, feasible = _solved([(GRID, SUN, 10), (GRID, NEIGHBOUR, 120)], "pro_rata", priority, {"min_vm_pu": 0.5})
    shed = feasible.settlement.meters["shed_wh"]
    assert shed[SUN] == 10_000
    assert shed[NEIGHBOUR] > 10_000


def test_a_priority_of_nobody_is_refused() -> None:
    with pytest.raises(ScenarioError, match="'zoe'"):
        build_case(Scenario().with_changes(curtailment={"priority": {"zoe": "high"}}, horizon={"hours": 1}))


def test_what_cannot_be_solved_as_traded_is_repaired_from_where_it_can() -> None:
    _, feasible = _solved([(SUN, HEAVY, 400), (GRID, HEAVY, 100), (SUN, NEIGHBOUR, 5)])
    assert not feasible.before.violations  # no AC solution, so no value to compare with a limit
    rows, meters = feasible.settlement.rows, feasible.settlement.meters
    assert feasible.outcome == Outcome.SHED
    assert meters["shed_wh"][[SUN, NEIGHBOUR]].tolist() == [0, 0]
    assert rows[rows["buyer"] == NEIGHBOUR]["delivered_wh"].sum() == 5000
    assert 0.97 <= np.nanmin(feasible.flow.vm_pu) < 0.9706
