"""Laws of curtailment by phases, over random feeders, phases, devices and trades.

Identities hold, nothing unclean settles (checked by `runpp_3ph` and by OpenDSS), permuting phases permutes results, and
houses on three phases are the balanced model.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.case.case import Case
from cosim.curtailment.feasible import RULES, Feasible, Outcome, make_feasible
from cosim.delivery.setpoints import metered_injections
from cosim.nets.judges import ask_opendss
from cosim.validation.trades import TradedInterval, Trades, make_traded_interval
from cosim.validation.validate import make_case
from data.profiles import Profiles
from grid_models.feeder.connection import A, B, C, Connections, make_connections
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.fill import FOUR_CORE, with_delta_star, with_zero_sequence
from grid_models.phases.runpp_3ph import PhaseReference
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, judge
from market.exchanges import GRID, Reason, Status, split_reason
from market.settlement import find_imbalance

pytestmark = pytest.mark.slow  # programmes in three phases

KWH = 1000


@lru_cache(maxsize=64)
def _feeder(n: int, branches: int, spacing_m: int) -> Feeder:
    houses = [f"house {k}" for k in range(n)]
    feeder = make_radial_feeder(houses, n_branches=branches, spacing_m=spacing_m, rng=np.random.default_rng(n))
    return with_zero_sequence(with_delta_star(feeder), FOUR_CORE)


def _connect(n: int, seed: int) -> Connections:
    rng = np.random.default_rng(seed)
    code, other = rng.integers(0, 4, n), rng.integers(0, 4, n)
    return make_connections(code, pv=np.where(rng.random(n) < 0.3, other, code))


def _interval(seed: int, n: int, n_trades: int, kwh: int) -> tuple[Profiles, TradedInterval]:
    """Random load and generation, and random trades between houses and with the grid."""
    rng = np.random.default_rng(seed)
    load, pv = rng.integers(0, kwh * KWH, (1, n)), rng.integers(0, 2, (1, n)) * rng.integers(0, kwh * KWH, (1, n))
    names, price = tuple(f"house {k}" for k in range(n)), np.array([200_000])
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, names, load, pv, price, {})
    seller = rng.integers(int(GRID), n, n_trades)
    buyer = (seller - int(GRID) + rng.integers(1, n + 1, n_trades)) % (n + 1) + int(GRID)
    energy, prices = rng.integers(0, kwh * KWH, n_trades), rng.integers(0, 300_000, n_trades)
    return profiles, make_traded_interval(
        Trades(np.zeros(n_trades, np.int64), seller, buyer, energy, prices), profiles, 0
    )


def _solved(feeder: Feeder, profiles: Profiles, interval: TradedInterval, rule: str) -> tuple[Case, Feasible]:
    case = make_case(feeder, profiles, rule, {})
    return case, make_feasible(case, interval.orders, case.opening, interval.rows)


feeders = st.builds(_feeder, st.sampled_from([2, 5, 8]), st.integers(1, 2), st.sampled_from([40, 200]))
seeds = st.integers(0, 2**31)


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=[pytest.mark.slow] if rule != "least_curtailment" else []) for rule in RULES]
)
@settings(max_examples=8, deadline=None)
@given(feeder=feeders, seed=seeds, n_trades=st.integers(1, 12), kwh=st.sampled_from([2, 10, 40]))
def test_what_settles_balances_and_is_clean(rule: str, feeder: Feeder, seed: int, n_trades: int, kwh: int) -> None:
    n = feeder.bus.size
    profiles, interval = _interval(seed, n, n_trades, kwh)
    phased = replace(feeder, connections=_connect(n, seed))
    case, feasible = _solved(phased, profiles, interval, rule)
    _assert_balanced(case, feasible)
    assert feasible.verdicts.status[0] == Judgement.OK
    rows = feasible.settlement.rows
    reason, conductor = split_reason(rows["reason"][rows["status"] != Status.ACCEPTED])
    assert (conductor[np.isin(reason, [Reason.OVERVOLTAGE, Reason.UNDERVOLTAGE, Reason.LINE_OVERLOAD])] > 0).all()
    if feasible.outcome != Outcome.DE_ENERGISED:
        _assert_clean_by_judges(case, feasible)


def _assert_balanced(case: Case, feasible: Feasible) -> None:
    """Energy and money are exact; wallets are no matter of a validation."""
    settlement, rich = feasible.settlement, 10**18
    loose = case.opening._replace(wallet_neur=case.opening.wallet_neur + rich)
    in_money = settlement._replace(state=settlement.state._replace(wallet_neur=settlement.state.wallet_neur + rich))
    assert find_imbalance(in_money, loose) == -1
    rows = settlement.rows
    assert (rows["amount_neur"] == rows["delivered_wh"] * rows["price_ueur_per_kwh"]).all()


def _assert_clean_by_judges(case: Case, feasible: Feasible) -> None:
    assert isinstance(case.engine, FeederPhaseFlow)
    meters = feasible.settlement.meters[None]
    of_loads = None if case.load_reactive is None else case.load_reactive.metered_var(meters)
    p_kw, q_kvar = metered_injections(meters, 60, case.feeder.connections, of_loads)
    reference = PhaseReference(case.feeder.as_given(), case.engine.connected)
    flow = reference.solve(p_kw, q_kvar)
    assert judge(flow, _with_room(case.limits)).status[0] == Judgement.OK
    vm_pu = flow.vm_pu[0].reshape(-1, 3)
    bus = {str(index): k for k, index in enumerate(case.feeder.net.bus.index)}
    for (name, phase), v in ask_opendss(reference.net).v.items():
        base_v = case.feeder.net.bus.vn_kv.iloc[bus[name]] * 1000.0 / np.sqrt(3.0)
        assert abs(abs(v) / base_v - vm_pu[bus[name], "abc".index(phase)]) < 1e-6


def _with_room(limits: Limits) -> Limits:
    """Limits a little wider: judges agree to some 1e-8."""
    return replace(
        limits,
        min_vm_pu=limits.min_vm_pu - 1e-6,
        max_vm_pu=limits.max_vm_pu + 1e-6,
        max_line_loading_percent=limits.max_line_loading_percent + 1e-3,
        max_trafo_loading_percent=limits.max_trafo_loading_percent + 1e-3,
        max_vuf_percent=limits.max_vuf_percent + 1e-4,
    )


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(feeder=feeders, seed=seeds, n_trades=st.integers(1, 12), kwh=st.sampled_from([10, 40]))
def test_permuting_phases_permutes_what_is_cut(feeder: Feeder, seed: int, n_trades: int, kwh: int) -> None:
    n = feeder.bus.size
    profiles, interval = _interval(seed, n, n_trades, kwh)
    code = np.random.default_rng(seed).integers(0, 4, n)
    turned = np.array([0, B, C, A])[code]
    found = [
        _solved(replace(feeder, connections=make_connections(codes)), profiles, interval, "pro_rata")[1]
        for codes in (code, turned)
    ]
    first, second = (feasible.settlement.rows for feasible in found)
    assert found[0].outcome == found[1].outcome
    assert first.size == second.size
    assert np.abs(first["delivered_wh"] - second["delivered_wh"]).max(initial=0) <= 2
    vm = [feasible.flow.vm_pu[0].reshape(-1, 3) for feasible in found]
    np.testing.assert_allclose(vm[0], vm[1][:, [1, 2, 0]], atol=2e-5)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(feeder=feeders, seed=seeds, kwh=st.sampled_from([2, 10]))
def test_three_phase_houses_are_the_balanced_model(feeder: Feeder, seed: int, kwh: int) -> None:
    n = feeder.bus.size
    profiles, interval = _interval(seed, n, 6, kwh)
    balanced = _solved(feeder, profiles, interval, "least_curtailment")[1]
    phased = _solved(
        replace(feeder, connections=make_connections(np.zeros(n))), profiles, interval, "least_curtailment"
    )[1]
    assert balanced.outcome == phased.outcome
    if balanced.outcome == Outcome.CLEAN:
        np.testing.assert_array_equal(balanced.settlement.rows, phased.settlement.rows)
        np.testing.assert_allclose(np.repeat(balanced.flow.vm_pu[0], 3), phased.flow.vm_pu[0], rtol=0, atol=1e-10)
        assert abs(balanced.flow.losses_kw[0] - phased.flow.losses_kw[0]) < 1e-8
    else:
        cut = [(f.settlement.rows["cleared_wh"] - f.settlement.rows["delivered_wh"]).sum() for f in (balanced, phased)]
        assert abs(cut[0] - cut[1]) <= 0.01 * max(cut[0], 100)


_LOADINGS = ("max_line_loading_percent", "max_trafo_loading_percent")


def _street_of_two(kwh_a: int, kwh_b: int, rule: str) -> tuple[Case, Feasible]:
    """A house on phase a and one on phase b at the far end of one cable; both export."""
    feeder = replace(_feeder(2, 1, 200), connections=make_connections([A, B]))
    names, none = ("house 0", "house 1"), np.zeros((1, 2), np.int64)
    pv, price = np.array([[kwh_a, kwh_b]]), np.array([200_000])
    profiles = Profiles(np.datetime64("2017-06-01T12:00:00"), 60, names, none, pv, price, {})
    trades = Trades(np.zeros(2, np.int64), np.arange(2), np.full(2, GRID), pv[0], np.full(2, 100_000))
    case = make_case(feeder, profiles, rule, {})
    limits = case.limits
    others = {name: 50.0 * getattr(limits, name) for name in ("max_vuf_percent", *_LOADINGS)}
    case = replace(case, limits=replace(limits, **others))
    interval = make_traded_interval(trades, profiles, 0)
    return case, make_feasible(case, interval.orders, case.opening, interval.rows)


def _highest_pu(case: Case, p_kw: list[float]) -> np.ndarray:
    """Highest voltage of each phase, (3,)."""
    return case.engine.solve(np.array([p_kw])).vm_pu[0].reshape(-1, 3).max(axis=0)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_cutting_phase_b_alone_makes_phase_a_worse(rule: str) -> None:
    """Export on b lowers the voltage of a; without it a is too high, although it was not before."""
    case, _ = _street_of_two(1, 1, rule)
    high = case.limits.max_vm_pu[0]
    kw_a = next(kw for kw in np.arange(20.0, 90.0, 0.5) if _highest_pu(case, [kw, 0.0])[0] > high + 0.001)
    kw_b = next(kw for kw in np.arange(20.0, 150.0, 0.5) if _highest_pu(case, [kw_a, kw])[1] > high + 0.001)
    together, alone = _highest_pu(case, [kw_a, kw_b]), _highest_pu(case, [kw_a, 0.0])
    assert together[0] < high < together[1]
    assert alone[0] > high
    case, feasible = _street_of_two(round(1000 * kw_a), round(1000 * kw_b), rule)
    assert feasible.before is not None
    assert {violation.phase for violation in feasible.before.violations} == {"b"}
    assert feasible.outcome == Outcome.CURTAILED
    assert feasible.verdicts.status[0] == Judgement.OK
    assert (feasible.flow.vm_pu[0] <= case.limits.max_vm_pu).all()
