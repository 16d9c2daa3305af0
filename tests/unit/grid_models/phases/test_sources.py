"""Several sources in three phases: an island's former beside the grid, by our engine and by `runpp_3ph`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid_models.feeder.connection import ABC, make_connections
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.topology import open_elements, with_formers
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.fill import FOUR_CORE, with_delta_star, with_zero_sequence
from grid_models.phases.runpp_3ph import PhaseReference


def _with_island() -> Feeder:
    """Two cables of four houses; the second is cut off at its transformer, and the last house holds it."""
    houses = [f"house {k}" for k in range(8)]
    feeder = make_radial_feeder(houses, n_branches=2, rng=np.random.default_rng(0))
    feeder = with_zero_sequence(with_delta_star(feeder), FOUR_CORE)
    connections = make_connections(np.where(np.arange(8) == 7, ABC, np.arange(8) % 3 + 1))
    first = next(name for name in feeder.net.line.name if name.startswith("main 2"))
    net = with_formers(open_elements(feeder.net, lines=[first]), [int(feeder.bus[7])])
    return replace(feeder, net=net, connections=connections)


def test_the_power_of_each_source_is_that_of_runpp_3ph_and_balances_its_part() -> None:
    feeder = _with_island()
    engine = FeederPhaseFlow(feeder)
    rng = np.random.default_rng(1)
    p, q = rng.uniform(-3.0, 3.0, (3, 8)), rng.uniform(-1.0, 1.0, (3, 8))
    found, expected = engine.solve(p, q), PhaseReference(feeder, engine.connected).solve(p, q)
    assert found.p_slack_kw.shape == (3, 2)
    np.testing.assert_allclose(found.p_slack_kw, expected.p_slack_kw, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.q_slack_kvar, expected.q_slack_kvar, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.p_grid_kw, expected.p_grid_kw, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.p_slack_kw.sum(axis=1) + p.sum(axis=1), found.losses_kw, rtol=0, atol=1e-8)
    former = int(np.flatnonzero(engine.slack_bus == feeder.bus[7])[0])
    by_phase = engine.solve_sources(p, q)[:, former]
    np.testing.assert_allclose(by_phase.sum(axis=1).real, found.p_slack_kw[:, former], rtol=0, atol=1e-9)
    assert np.abs(by_phase - by_phase.mean(axis=1, keepdims=True)).max() > 0.1
