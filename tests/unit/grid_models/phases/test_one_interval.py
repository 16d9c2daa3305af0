"""One interval inside compiled code against the engine of a feeder with phases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid_models.feeder.connection import Connections, FourWires, make_connections
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.fill import FOUR_CORE, with_delta_star, with_zero_sequence
from grid_models.phases.one_interval import make_feeder_circuit, solve_interval


def _engine(connections: Connections) -> FeederPhaseFlow:
    feeder = make_radial_feeder(["a", "b", "c"], rng=np.random.default_rng(0))
    return FeederPhaseFlow(replace(with_zero_sequence(with_delta_star(feeder), FOUR_CORE), connections=connections))


@pytest.mark.slow
@pytest.mark.parametrize("wires", [None, FourWires(1.0, 20.0)])
def test_an_interval_is_that_of_the_engine(wires: FourWires | None) -> None:
    connections = replace(make_connections([1, 2, 0], pv=[0, 2, 0], battery=[3, 2, 0]), wires=wires)
    engine = _engine(connections)
    rng, n = np.random.default_rng(1), connections.house.size
    for p_kw, q_kvar in rng.uniform(-6.0, 4.0, (3, 2, n)):
        found = solve_interval(make_feeder_circuit(engine), p_kw, q_kvar, 0)
        flow, source = engine.solve(p_kw[None], q_kvar[None]), engine.solve_sources(p_kw[None], q_kvar[None])
        assert found.converged
        assert flow.converged[0]
        for name in ("vm_pu", "line_loading_percent", "trafo_loading_percent", "vuf_percent", "neutral_v"):
            np.testing.assert_allclose(getattr(found, name), getattr(flow, name)[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.source_kva, source[0, 0], rtol=1e-9, atol=1e-9)
        assert np.abs(found.source_kva - found.source_kva.mean()).max() > 0.1


@pytest.mark.slow
def test_what_has_no_solution_is_not_converged() -> None:
    engine = _engine(make_connections([1, 2, 0]))
    absurd = np.full(3, -1e5)
    assert not solve_interval(make_feeder_circuit(engine), absurd, np.zeros(3), 0).converged
