"""The neutral as a conductor of its own: equal to three phases where earthed once, and to OpenDSS anyhow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models.errors import GridError
from grid_models.feeder.connection import FourWires, make_connections
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.connected import connect_feeder
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.fill import FOUR_CORE, Ratios, with_delta_star, with_zero_sequence
from grid_models.phases.judge import OpenDssReference, make_judge, name_judge
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import check_limits, judge
from grid_models.response.sensitivity import sensitivity

pytestmark = pytest.mark.slow  # each asks OpenDSS or runs


def _feeder(n: int = 6, seed: int = 0, wires: FourWires | None = None, ratios: Ratios = FOUR_CORE) -> Feeder:
    rng = np.random.default_rng(seed)
    houses = [f"house {k}" for k in range(n)]
    feeder = make_radial_feeder(houses, n_branches=2, spacing_m=80.0, rng=rng)
    feeder = with_zero_sequence(with_delta_star(feeder), ratios)
    return replace(feeder, connections=replace(make_connections(rng.integers(0, 4, n)), wires=wires))


def _powers(feeder: Feeder, seed: int, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng, n = np.random.default_rng(seed), feeder.injection_bus.size
    return rng.uniform(-6.0, 6.0, (k, n)), rng.uniform(-2.0, 2.0, (k, n))


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), star_ohm=st.floats(0.01, 50.0))
def test_earthed_at_the_transformer_alone_it_is_the_model_of_three_phases(seed: int, star_ohm: float) -> None:
    three, four = _feeder(seed=seed), _feeder(seed=seed, wires=FourWires(star_ohm))
    p, q = _powers(three, seed)
    found, expected = FeederPhaseFlow(four).solve(p, q), FeederPhaseFlow(three).solve(p, q)
    for name in ("vm_pu", "line_loading_percent", "trafo_loading_percent", "vuf_percent", "losses_kw", "p_grid_kw"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-8, err_msg=name)
    assert found.neutral_v.shape == (5, len(four.net.bus))
    assert expected.neutral_v.shape == (5, 0)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), house_ohm=st.sampled_from([None, 0.5, 20.0]))
def test_every_voltage_and_current_is_that_of_opendss(seed: int, house_ohm: float | None) -> None:
    pytest.importorskip("opendssdirect")
    feeder = _feeder(seed=seed, wires=FourWires(2.0, house_ohm))
    engine, (p, q) = FeederPhaseFlow(feeder), _powers(feeder, seed, 3)
    found, expected = engine.solve(p, q), OpenDssReference(feeder, engine.connected).solve(p, q)
    assert expected.converged.all()
    np.testing.assert_allclose(found.vm_pu, expected.vm_pu, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.neutral_v, expected.neutral_v, rtol=0, atol=2e-6)  # 1e-8 pu of 230 V
    np.testing.assert_allclose(found.line_loading_percent, expected.line_loading_percent, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(found.losses_kw, expected.losses_kw, rtol=0, atol=1e-5)
    assert engine.verify(p, q).n == 3


def test_power_that_enters_is_drawn_or_lost_in_branches_and_earth() -> None:
    feeder = _feeder(wires=FourWires(1.0, 5.0))
    p, q = _powers(feeder, 1)
    flow = FeederPhaseFlow(feeder).solve(p, q)
    np.testing.assert_allclose(flow.p_slack_kw.sum(axis=1) + p.sum(axis=1), flow.losses_kw, rtol=0, atol=1e-8)


def test_earthing_at_houses_lowers_the_neutral() -> None:
    p, q = _powers(_feeder(), 3)
    highest = [
        FeederPhaseFlow(_feeder(wires=FourWires(1.0, ohm))).solve(p, q).neutral_v.max()
        for ohm in (None, 50.0, 5.0, 0.5)
    ]
    assert highest == sorted(highest, reverse=True)
    assert highest[0] > 1.5 * highest[-1]


def test_derivatives_are_those_of_the_power_flow() -> None:
    feeder = _feeder(wires=FourWires(1.0, 10.0))
    engine, (p, q) = FeederPhaseFlow(feeder), _powers(feeder, 2, 1)
    response = sensitivity(engine, p[0], q[0])
    assert response is not None
    n_neutral, step = len(feeder.net.bus), 1e-4
    for column in range(p.shape[1]):
        ends = [engine.solve(p + sign * step * np.eye(p.shape[1])[column], q) for sign in (1.0, -1.0)]
        slope = (ends[0].neutral_v[0] - ends[1].neutral_v[0]) / (2.0 * step)
        neutral = response.current_percent[-n_neutral:]
        by_p = response.by_p.current_percent()[-n_neutral:, column]
        found = (np.conj(neutral) * by_p).real / np.maximum(np.abs(neutral), 1e-12) / 2.0
        np.testing.assert_allclose(found[np.abs(neutral) > 1e-6], slope[np.abs(neutral) > 1e-6], rtol=1e-4, atol=1e-7)


def test_a_limit_of_the_neutral_is_judged_and_named() -> None:
    feeder = _feeder(wires=FourWires(1.0))
    flow = FeederPhaseFlow(feeder).solve(*_powers(feeder, 3, 1))
    highest = float(flow.neutral_v.max())
    tight, wide = (Limits.from_feeder(feeder, max_neutral_to_earth_v=highest + by) for by in (-0.1, 0.1))
    assert judge(flow, wide).status[0] <= judge(flow, tight).status[0] == 1
    verdict = check_limits(feeder, tight, flow)
    assert "neutral_v" in {violation.quantity for violation in verdict.violations}
    assert judge(flow, tight).highest_neutral_v[0] == highest


def test_a_line_that_leaves_nothing_for_a_neutral_is_named() -> None:
    feeder = _feeder(wires=FourWires(), ratios=Ratios(0.9, 1.0, 1.0))
    with pytest.raises(GridError, match=r"line \d+: expected r0_ohm_per_km above r_ohm_per_km"):
        connect_feeder(feeder)


def test_judges_by_model() -> None:
    assert name_judge(_feeder()) == "pandapower.runpp_3ph"
    assert name_judge(_feeder(wires=FourWires())) == "OpenDSS"


def test_without_opendss_four_wires_have_no_judge_and_say_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("grid_models.phases.judge.importlib.import_module", missing)
    feeder = _feeder(wires=FourWires())
    engine = FeederPhaseFlow(feeder)
    with pytest.raises(GridError, match=r"pip install 'gridsettle\[phases\]'"):
        make_judge(feeder, engine.connected)
    found = engine.verify(*_powers(feeder, 0))
    assert found.n == 0
    assert "pip install 'gridsettle[phases]'" in found.why_not


@pytest.mark.slow
def test_what_opendss_cannot_be_given_is_refused_before_anything_is_solved() -> None:
    feeder = _feeder(wires=FourWires())
    feeder.net.line["g_us_per_km"] = 5.0
    with pytest.raises(GridError, match=r"line 0: expected no conductance"):
        FeederPhaseFlow(feeder)
    for group, shift in (("YNyn", 0.0), ("Dyn", 120.0)):
        feeder = _feeder(wires=FourWires())
        feeder.net.trafo["vector_group"], feeder.net.trafo["shift_degree"] = group, shift
        with pytest.raises(GridError, match=r"trafo 0: expected Dyn with an odd clock in four wires"):
            FeederPhaseFlow(feeder)


def test_one_phase_above_low_voltage_is_refused_by_name() -> None:
    feeder = _feeder()
    at_grid = feeder.bus.copy()
    at_grid[0] = int(feeder.net.ext_grid.bus.iloc[0])
    one_phase = make_connections(np.full(feeder.bus.size, 1))
    with pytest.raises(GridError, match=r"'house 0': expected three phases \(abc\) at bus \d+ of 20 kV, got phase a"):
        connect_feeder(replace(feeder, bus=at_grid, connections=one_phase))
    connect_feeder(replace(feeder, bus=at_grid, connections=make_connections(np.zeros(feeder.bus.size))))


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("wires", [None, FourWires(1.0)])
def test_no_interval_has_no_solution_and_all_columns(wires: FourWires | None) -> None:
    feeder = _feeder(wires=wires)
    engine, (p, q) = FeederPhaseFlow(feeder), _powers(feeder, 1, 0)
    flow = engine.solve(p, q)
    assert flow.vm_pu.shape == (0, 3 * len(feeder.net.bus))
    assert flow.line_loading_percent.shape == (0, 4 * len(feeder.net.line))
    assert engine.solve_limited(p, q, 1e-9).vm_pu.shape == flow.vm_pu.shape
