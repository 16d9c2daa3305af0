"""How far a state is beyond its limits goes with its verdict; what stood before is no violation until it is worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cosim.studies.hosting.judged import WORSE, find_excess, make_bounds, name_worst
from grid_models.feeder.connection import A, make_connections
from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow.flow import Flow, make_unsolved_flow
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, check_limits, judge

FEEDER = make_radial_feeder(["a", "b", "c"], rng=np.random.default_rng(0))
FEEDER = replace(FEEDER, connections=make_connections(np.array([A, A, A])))
LIMITS = Limits.from_feeder(FEEDER)


def draw_flow(n: int, spread: float) -> Flow:
    """Intervals whose values are close to their limits, some beyond; every seventh is not solved."""
    rng = np.random.default_rng(3)
    sizes = (LIMITS.max_vm_pu.size, LIMITS.max_line_loading_percent.size, LIMITS.max_trafo_loading_percent.size)
    vm, line, trafo = (1.0 + rng.normal(0.0, spread, (n, size)) for size in sizes)
    vuf = rng.uniform(0.0, 2.02, (n, LIMITS.max_vuf_percent.size))
    flow = make_unsolved_flow(n, *sizes, 0)
    values = {"vm_pu": vm, "line_loading_percent": 90.0 * line, "trafo_loading_percent": 90.0 * trafo}
    return flow._replace(**values, vuf_percent=vuf, neutral_v=np.zeros((n, 0)), converged=np.arange(n) % 7 > 0)


def test_a_state_is_beyond_its_limits_where_its_verdict_says_so() -> None:
    flow, every = draw_flow(400, 0.035), np.arange(400)
    bounds = make_bounds(LIMITS, flow, judge_all=True)
    excess, status = find_excess(LIMITS, bounds, every, flow), judge(flow, LIMITS).status
    assert set(status.tolist()) == {0, 1, 2}
    assert np.array_equal(excess > 0.0, status != Judgement.OK)
    for k in np.flatnonzero(status == Judgement.VIOLATED)[:20].tolist():
        assert name_worst(FEEDER, LIMITS, bounds, k, flow, k) == check_limits(FEEDER, LIMITS, flow, k).violations[0]
    assert name_worst(FEEDER, LIMITS, bounds, 0, flow, 0) is None


def test_what_stood_before_is_no_violation_until_it_is_worse() -> None:
    base, limit = draw_flow(8, 0.0)._replace(vuf_percent=np.zeros((8, LIMITS.max_vuf_percent.size))), 0.9
    base.vm_pu[:, 4] = limit - 0.02
    base.line_loading_percent[:, 2] = 120.0
    bounds, every = make_bounds(LIMITS, base, judge_all=False), np.arange(8)
    assert (find_excess(LIMITS, bounds, every, base) <= 0.0).all()
    for change, worse in ((0.9, False), (1.1, True)):
        lower, fuller = base.vm_pu.copy(), base.line_loading_percent.copy()
        lower[:, 4] -= change * WORSE * limit
        fuller[:, 2] += change * WORSE * 100.0
        for changed in (base._replace(vm_pu=lower), base._replace(line_loading_percent=fuller)):
            excess = find_excess(LIMITS, bounds, every, changed)
            assert (excess[base.converged] > 0.0).all() == worse
            assert (excess[~base.converged] == -np.inf).all()  # nothing can be told of what had no solution before
    violation = name_worst(FEEDER, LIMITS, bounds, 1, base._replace(vm_pu=lower), 1)
    assert violation is not None
    assert (violation.quantity, violation.limit, violation.value) == ("vm_pu", limit, lower[1, 4])
