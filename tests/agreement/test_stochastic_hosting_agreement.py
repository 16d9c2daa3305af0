"""Random hosting against loops over pandapower, device by device, and reactive control against Newton's steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosim import Scenario
from cosim.case.case import build_case
from cosim.case.unhindered import find_device_load
from cosim.studies.hosting.draws import WALL_BOXES_KW, Plan, draw_devices, make_sizes
from cosim.studies.hosting.first import add_up, find_first, make_window, name_violations
from cosim.studies.hosting.profiles import make_library
from cosim.studies.hosting.street import Street, make_street
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.judge import make_judge
from grid_models.powerflow.runpp import solve_by_runpp
from grid_models.powerflow.verdicts import Judgement, check_limits
from grid_models.response.reactive_control import solve_controlled

pytestmark = pytest.mark.slow

STREET = Scenario.load("phases").with_changes(
    horizon={"hours": 24},
    houses={"n_houses": 6, "n_prosumers": 4, "mean_load_w": 600.0},
    network={"spacing_m": 60.0},
)
INTERVALS = np.array([11, 12, 19])


def build(scenario: Scenario) -> Street:
    case = build_case(scenario)
    return make_street(case, find_device_load(case), make_library(case, (0, 1, 2), WALL_BOXES_KW))


def draw(street: Street, n: int):  # type: ignore[no-untyped-def]
    sizes, sites = make_sizes(street.case.scenario.heat_pump), np.arange(street.case.feeder.bus.size)
    return draw_devices(Plan((0, 1, 2), sites, 8, sizes, street.case.feeder.connections is not None), 3, range(n))


@pytest.mark.parametrize(("model", "highest"), [("three_phase", 1.05), ("balanced", 1.02)])
def test_the_first_violation_is_that_of_a_loop_over_pandapower(model: str, highest: float) -> None:
    """Every number of devices up to the first violation, and that itself, in every interval."""
    limits = {"min_vm_pu": 0.95, "max_vm_pu": highest}
    street = build(STREET.with_changes(network={"model": model}, limits=limits))
    window, draws = make_window(street, INTERVALS, judge_all=True), draw(street, 3)
    first = find_first(street, window, draws)
    named = name_violations(street, window, draws, first)
    assert (first.interval >= 0).all()
    given, engine = street.feeder.as_given(), street.engine
    reference = make_judge(given, engine.connected) if isinstance(engine, FeederPhaseFlow) else None
    for d in range(3):
        last = int(first.n_clean[d]) + 1
        steps = range(last - 1, last + 1) if reference is not None and d else range(last + 1)
        for n in steps:
            p, q = (np.zeros((INTERVALS.size, street.n_columns)) for _ in range(2))
            for k in range(INTERVALS.size):
                added = add_up(street, window.base, k, draws.select_one(d), np.array([n]))
                p[k] = window.base.p_kw[k] + added.p_kw[0]
                q[k] = 0.0 if window.base.q_kvar is None else window.base.q_kvar[k]
                q[k] += 0.0 if added.q_kvar is None else added.q_kvar[0]
            flow = solve_by_runpp(given, p, q) if reference is None else reference.solve(p, q)
            verdicts = [check_limits(given, street.case.limits, flow, k) for k in range(INTERVALS.size)]
            assert [v.status for v in verdicts].count(Judgement.OK) < 3 if n == last else True
            assert all(v.status == Judgement.OK for v in verdicts) if n < last else True
        worst = max((v for verdict in verdicts for v in verdict.violations), key=lambda v: v.excess)
        ours = named[d]
        assert ours is not None
        assert (ours.element_type, ours.element, ours.phase) == (worst.element_type, worst.element, worst.phase)
        assert ours.value == pytest.approx(worst.value, rel=1e-5)


def test_reactive_control_of_many_states_is_that_of_newton_steps() -> None:
    street = build(STREET.with_changes(pv={"control": "q_v"}))
    window, draws, k = make_window(street, INTERVALS, judge_all=True), draw(street, 4), 1
    n = np.array([0, 3, 9, 15])
    added = add_up(street, window.base, k, draws, n)
    flow = street.solve(window.base, np.full(4, k), added)
    assert flow.converged.all()
    assert added.pv_kw is not None
    assert street.control is not None
    for row in range(4):
        # Of two inverters at one injection Newton's control knows the sum: those that are there are taken away here.
        kw = added.pv_kw[row] + window.base.pv_kw[k]
        only = added.apply(lambda values, row=row: values[row : row + 1])
        base = window.base._replace(pv_kw=np.zeros_like(window.base.pv_kw))
        ours = street.solve(base, np.array([k]), only)
        rating = street.case.scenario.pv.rating_kva_per_kw * added.pv_kw[row] / base.unit[k, 0]
        q = None if base.q_kvar is None else base.q_kvar[k : k + 1]
        q = q if q is None or only.q_kvar is None else q + only.q_kvar
        control = replace(street.control, s_kva=rating)
        theirs = solve_controlled(street.engine, control, base.p_kw[k : k + 1] + only.p_kw, only.pv_kw, q)
        assert theirs.flow.converged[0]
        assert np.abs(ours.vm_pu - theirs.flow.vm_pu).max() < 3e-6
        assert kw.sum() >= added.pv_kw[row].sum()
    alone = street.engine.solve(window.base.p_kw[k : k + 1] + added.p_kw[3:], None)
    assert np.abs(alone.vm_pu - flow.vm_pu[3:]).max() > 1e-4
