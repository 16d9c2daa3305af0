"""Curtailment by phases against `runpp_3ph`, against pro rata, and against an independent search on exact AC.

One-phase houses with PV on their own phase, scaled until a conductor is beyond its limits. Each sells a third to its
neighbour and the rest to the grid::

    medium voltage --(Dyn)--+--h1(a)--h2(c)--h3(b) …
                            +--h4(b)--h5(b)--h6(a) …
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize

from cosim.case.case import Case
from cosim.curtailment.decision_variables import make_decision_variables
from cosim.curtailment.feasible import Feasible, Outcome, make_feasible
from cosim.curtailment.search import Problem, Search
from cosim.delivery.setpoints import injection_kw, mean_kw, metered_injections
from cosim.validation.trades import TradedInterval, Trades, make_traded_interval
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.connection import make_connections
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_feeder
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.fill import FOUR_CORE, with_zero_sequence
from grid_models.phases.runpp_3ph import PhaseReference
from grid_models.powerflow.flow import Flow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, judge
from market.exchanges import GRID, METER, Reason

pytestmark = pytest.mark.slow  # exact searches

NO_METERS = np.empty(0, METER)
NOTHING_ELSE = {"max_vuf_percent": 50.0}
NETS = {
    "kerber_landnetz_kabel_1": (8, NOTHING_ELSE),
    "kerber_landnetz_freileitung_1": (13, NOTHING_ELSE),
    "kerber_landnetz_kabel_2": (8, {"max_vuf_percent": 1.0, "max_vm_pu": 1.5}),
    "cigre_lv": (12, {"max_vm_pu": 1.06}),
    "generated": (12, {"max_vm_pu": 1.06, "max_vuf_percent": 50.0}),
    "neutral": (9, {"max_vm_pu": 1.3, "min_vm_pu": 0.5, "max_vuf_percent": 50.0, "max_loading_percent": 60.0}),
    "unbalance": (12, {"max_vm_pu": 1.3}),
}
"""Houses and limits: voltages, loadings, unbalance or the neutral bind first."""


class Stressed(NamedTuple):
    case: Case
    interval: TradedInterval


def _feeder(name: str, n: int) -> Feeder:
    houses = [f"house {k}" for k in range(n)]
    if name in ("generated", "neutral", "unbalance"):
        feeder = make_radial_feeder(houses, n_branches=2, spacing_m=60.0, rng=np.random.default_rng(5))
    else:
        feeder = make_named_feeder(name, houses, seed=1)
    feeder = with_zero_sequence(feeder, FOUR_CORE)
    for net in (feeder.net, feeder.as_given().net):
        net.trafo["vector_group"] = "Dyn"
    code = np.arange(n) % 3 + 1 if name != "neutral" else np.where(np.arange(n) % 4 == 0, 1, 2)
    pv = np.where(np.arange(n) % 5 == 4, 0, code)  # some panels are on three phases
    return replace(feeder, connections=make_connections(code, pv=pv))


def _stressed(name: str, rule: str = "least_curtailment") -> Stressed:
    n, limits = NETS[name]
    feeder = _feeder(name, n)
    rng = np.random.default_rng(7)
    load, pv = rng.integers(200, 900, (1, n)), rng.integers(2000, 6000, (1, n))

    def make(scale: float) -> Case:
        panels = np.rint(pv * scale).astype(np.int64)
        start, price = np.datetime64("2017-06-01T12:00:00"), np.array([200_000])
        profiles = Profiles(start, 60, feeder.participants, load, panels, price, {})
        return replace(make_case(feeder, profiles, rule, {}), limits=Limits.from_feeder(feeder, **limits))

    def is_clean(scale: float) -> bool:
        case = make(scale)
        injected = _cleared_kva(case, case.profiles.pv_wh[0], case.profiles.load_wh[0])
        return bool(judge(_solve(case, injected[None]), case.limits).status[0] == Judgement.OK)

    scale = 1.0
    while is_clean(scale):
        scale *= 1.3
    case = make(1.25 * scale)
    surplus = (case.profiles.pv_wh - load)[0]
    house, third = np.arange(n), surplus // 3
    trades = Trades(
        np.zeros(2 * n, np.int64),
        np.concatenate([house, house]),
        np.concatenate([(house + 1) % n, np.full(n, GRID)]),
        np.concatenate([third, surplus - third]),
        np.full(2 * n, 100_000),
    )
    return Stressed(case, make_traded_interval(trades, case.profiles, 0))


def _cleared_kva(case: Case, pv_wh: np.ndarray, load_wh: np.ndarray) -> np.ndarray:
    """Injections, (C,) kVA, of energies of the houses, (N,)."""
    connections = case.feeder.connections
    assert connections is not None
    s = np.zeros(connections.house.size, np.complex128)
    s[connections.column("pv")] += mean_kw(pv_wh, 60)
    load = mean_kw(load_wh, 60)
    s[connections.column("load")] -= load * (1.0 + 1j * np.nan_to_num(case.feeder.load_tan_phi))
    return s


def _solve(case: Case, s_kva: np.ndarray) -> Flow:
    return case.engine.solve(s_kva.real, s_kva.imag)


def _feasible(stressed: Stressed) -> Feasible:
    case, interval = stressed
    return make_feasible(case, interval.orders, case.opening, interval.rows)


def _curtailed_wh(feasible: Feasible) -> int:
    rows = feasible.settlement.rows
    cut = rows["cleared_wh"] - rows["delivered_wh"]
    return int(cut[cut > 0].sum())


def _assert_clean_by_runpp_3ph(case: Case, feasible: Feasible) -> None:
    assert isinstance(case.engine, FeederPhaseFlow)
    meters = feasible.settlement.meters[None]
    of_loads = None if case.load_reactive is None else case.load_reactive.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, 60, case.feeder.connections, of_loads)
    judged = PhaseReference(case.feeder.as_given(), case.engine.connected).solve(p_kw, q_kvar)
    assert judged.converged[0]
    assert _margins(judged, case.limits).min() > -1e-3


def _margins(flow: Flow, limits: Limits) -> np.ndarray:
    """Room below each limit, (K, rows): voltages in 1e-2 pu, loadings in 10 %, unbalance in a fifth per cent."""
    return np.hstack(
        [
            100.0 * (limits.max_vm_pu - flow.vm_pu),
            100.0 * (flow.vm_pu - limits.min_vm_pu),
            (limits.max_line_loading_percent - flow.line_loading_percent) / 10.0,
            (limits.max_trafo_loading_percent - flow.trafo_loading_percent) / 10.0,
            5.0 * (limits.max_vuf_percent - flow.vuf_percent),
        ]
    )


@pytest.mark.parametrize("name", sorted(NETS))
def test_least_curtailment_is_clean_by_runpp_3ph_and_no_more_than_pro_rata(name: str) -> None:
    least, pro_rata = _stressed(name), _stressed(name, "pro_rata")
    found, shared = _feasible(least), _feasible(pro_rata)
    assert found.outcome == Outcome.CURTAILED
    assert shared.outcome in (Outcome.CURTAILED, Outcome.SHED)
    assert 0 < _curtailed_wh(found) <= _curtailed_wh(shared)
    _assert_clean_by_runpp_3ph(least.case, found)
    _assert_clean_by_runpp_3ph(pro_rata.case, shared)


@pytest.mark.parametrize("name", sorted(NETS))
def test_least_curtailment_costs_within_a_per_cent_of_a_search_on_the_ac_equations(name: str) -> None:
    stressed = _stressed(name)
    feasible = _feasible(stressed)
    assert _cost(stressed, feasible) <= 1.01 * _least_cost_by_search(stressed)


@pytest.mark.parametrize("rule", ["pro_rata", "lifo", "max_min", "reject"])
def test_every_rule_ends_clean(rule: str) -> None:
    for name in ("generated", "unbalance"):
        stressed = _stressed(name, rule)
        _assert_clean_by_runpp_3ph(stressed.case, _feasible(stressed))


def _cost(stressed: Stressed, feasible: Feasible) -> float:
    interval = stressed.interval
    variables = make_decision_variables(_search(stressed))
    rows = feasible.settlement.rows[: interval.rows.size][variables.rows]
    cut_kw = mean_kw(rows["cleared_wh"] - rows["delivered_wh"], 60)
    assert not feasible.settlement.meters["shed_wh"].any()
    return float(variables.cost[: cut_kw.size] @ cut_kw)


def _search(stressed: Stressed) -> Search:
    case, interval = stressed
    return Search(Problem(case, interval.orders, case.opening, interval.rows, NO_METERS, Reason.NONE, -4))


def _least_cost_by_search(stressed: Stressed) -> float:
    """Cost of the cheapest clean cuts by sequential quadratic programming, gradients by differences of exact AC."""
    case = stressed.case
    variables = make_decision_variables(_search(stressed))
    m = variables.rows.size
    cost, largest, effect = variables.cost[:m], variables.upper[:m], variables.effect[:, :m].real
    orders = stressed.interval.orders  # a trade may need more load than the profiles have
    cleared, scale = _cleared_kva(case, orders.pv_wh, orders.load_wh), cost.max()

    def margins(s_kva: np.ndarray) -> np.ndarray:
        flow = _solve(case, s_kva)
        assert flow.converged.all()
        found = _margins(flow, case.limits)
        return found[:, np.isfinite(found).all(axis=0)]

    def slopes(cut: np.ndarray) -> np.ndarray:
        s_kva, step = cleared + effect @ cut, 1e-3 * np.eye(cleared.size)
        return (margins(s_kva + step) - margins(s_kva - step)).T / 2e-3 @ effect

    best = np.inf
    for share in (0.6, 0.3, 0.9):  # the feasible set need not be convex
        found = minimize(
            lambda cut: float(cost @ cut / scale),
            share * largest,
            jac=lambda cut: cost / scale,
            bounds=[(0.0, kw) for kw in largest],
            constraints={"type": "ineq", "fun": lambda cut: margins((cleared + effect @ cut)[None])[0], "jac": slopes},
            method="SLSQP",
            options={"maxiter": 200, "ftol": 1e-7},
        )
        if found.success and margins((cleared + effect @ found.x)[None]).min() > -1e-4:
            best = min(best, float(found.fun) * float(scale))
    assert np.isfinite(best)
    return best


def test_injections_of_meters_are_those_of_the_search() -> None:
    stressed = _stressed("generated")
    case, orders = stressed.case, stressed.interval.orders
    meters = _feasible(stressed._replace(case=replace(case, limits=_no_limits(case.limits)))).settlement.meters
    expected = _cleared_kva(case, orders.pv_wh, orders.load_wh).real
    np.testing.assert_allclose(injection_kw(meters, 60, case.feeder.connections), expected, atol=1e-9)


def _no_limits(limits: Limits) -> Limits:
    return Limits(
        0.0 * limits.min_vm_pu,
        9.0 * limits.max_vm_pu,
        99.0 * limits.max_line_loading_percent,
        99.0 * limits.max_trafo_loading_percent,
        99.0 * limits.max_vuf_percent,
    )
