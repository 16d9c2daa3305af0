"""Random hosting against loops over pandapower, device by device, and reactive control against Newton's steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosim import Scenario
from cosim.case.case import build_case
from cosim.case.solve import solve_meters
from cosim.case.unhindered import find_device_load
from cosim.studies.hosting.draws import WALL_BOXES_KW, Plan, draw_devices, make_sizes
from cosim.studies.hosting.first import add_up, find_first, make_window, name_violations
from cosim.studies.hosting.profiles import make_library
from cosim.studies.hosting.street import Street, make_street
from grid_models.feeder.connection import ABC
from grid_models.phases.feeder_engine import FeederPhaseFlow
from grid_models.phases.judge import make_judge
from grid_models.powerflow.admittance import find_injection_rows
from grid_models.powerflow.runpp import solve_by_runpp
from grid_models.powerflow.verdicts import Judgement, check_limits
from grid_models.response.reactive_control import solve_controlled
from grid_models.response.tap_changer import with_taps
from market.exchanges import METER

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
    assert street.controls.reactive is not None
    for row in range(4):
        # Of two inverters at one injection Newton's control knows the sum: those that are there are taken away here.
        kw = added.pv_kw[row] + window.base.pv_kw[k]
        only = added.apply(lambda values, row=row: values[row : row + 1])
        base = window.base._replace(pv_kw=np.zeros_like(window.base.pv_kw))
        ours = street.solve(base, np.array([k]), only)
        rating = street.case.scenario.pv.rating_kva_per_kw * added.pv_kw[row] / base.unit[k, 0]
        q = None if base.q_kvar is None else base.q_kvar[k : k + 1]
        q = q if q is None or only.q_kvar is None else q + only.q_kvar
        control = replace(street.controls.reactive, s_kva=rating)
        theirs = solve_controlled(street.engine, control, base.p_kw[k : k + 1] + only.p_kw, only.pv_kw, q)
        assert theirs.flow.converged[0]
        assert np.abs(ours.vm_pu - theirs.flow.vm_pu).max() < 3e-6
        assert kw.sum() >= added.pv_kw[row].sum()
    alone = street.engine.solve(window.base.p_kw[k : k + 1] + added.p_kw[3:], None)
    assert np.abs(alone.vm_pu - flow.vm_pu[3:]).max() > 1e-4


CURVE = {"volt_watt": True, "volt_watt_vm_pu": (1.005, 1.03)}
TAPS = {"enabled": True, "vm_lower_pu": 0.992, "vm_upper_pu": 1.002, "bus": "4", "tap_step_percent": 1.0}


@pytest.mark.parametrize("model", ["balanced", "three_phase"])
@pytest.mark.parametrize("tapped", [False, True])
def test_held_voltages_are_those_of_a_run_and_of_pandapower(model: str, *, tapped: bool) -> None:
    """P(V), Q(V) and tap changers at what draws place: what a run finds with these panels, and a state at rest."""
    changes = {"network": {"model": model, "spacing_m": 150.0}, "pv": {**CURVE, "control": "q_v"}}
    street = build(STREET.with_changes(**changes, tap_changer=TAPS if tapped else {}))
    case, k, n = street.case, 1, np.array([0, 3, 4, 6]) if model == "three_phase" else np.array([0, 6, 14, 20])
    window, plan = make_window(street, INTERVALS, judge_all=True), (0,)
    base = window.base._replace(p_kw=window.base.p_kw - window.base.pv_kw, pv_kw=np.zeros_like(window.base.pv_kw))
    sizes, sites = make_sizes(case.scenario.heat_pump), np.arange(case.feeder.bus.size)
    phases, every = case.feeder.connections, np.full(sites.size, ABC)
    of_panels = every if phases is None else phases.code[phases.column("pv")]  # a run's panels are at one injection
    draws = draw_devices(Plan(plan, sites, 8, sizes, phases is not None), 3, range(4))
    draws = draws._replace(code=of_panels[draws.house])
    added = add_up(street, base, k, draws, n)
    held = street.solve_held(base, np.full(4, k), added)
    assert held.flow.converged.all()
    assert held.lost_kw.sum(axis=1)[0] == 0.0
    assert (held.lost_kw.sum(axis=1)[1:] > 0.0).any()
    assert added.pv_kw is not None
    controls, position = street.controls, find_injection_rows(street.feeder)
    assert controls.active is not None
    assert controls.reactive is not None
    rated = added.pv_kw / base.unit[k, 0]
    vm_pu = held.flow.vm_pu[:, position].mean(axis=2)
    # At rest: what the rules ask for at these voltages is what is injected, to some Wh, by rounding.
    passed = replace(controls.active, rated_kw=rated).passed_kw(added.pv_kw, vm_pu)
    assert np.abs(added.pv_kw - held.lost_kw - passed).max() < 5e-3
    q = replace(controls.reactive, s_kva=rated * controls.rating_kva_per_kw).q_kvar(passed, vm_pu)
    total_q = q + (0.0 if base.q_kvar is None else base.q_kvar[k])
    p = base.p_kw[k] + added.p_kw - held.lost_kw
    for row in range(4):
        feeder, at = street.feeder.as_given(), held.flow.tap_pos[row]
        assert at.size == int(tapped)
        if tapped:
            assert controls.taps is not None
            assert controls.taps.is_at_rest(at, held.flow.select_one(row)).all()
            feeder = replace(feeder, net=with_taps(feeder.net, controls.taps.trafos, tuple(at.tolist())))
        engine = street.engine
        reference = make_judge(feeder, engine.connected) if isinstance(engine, FeederPhaseFlow) else None
        injected = p[row : row + 1], total_q[row : row + 1]
        judged = solve_by_runpp(feeder, *injected) if reference is None else reference.solve(*injected)
        np.testing.assert_allclose(held.flow.vm_pu[row], judged.vm_pu[0], rtol=0.0, atol=3e-5)
    if tapped:
        assert len(np.unique(held.flow.tap_pos)) > 1
    # A run whose houses have these panels finds the same.
    own = street.column(sites, of_panels)
    kw, minutes = added.pv_kw[:, own], case.interval_minutes
    for row in range(4):
        meters = np.zeros((1, own.size), METER)
        meters["interval"], meters["load_wh"] = INTERVALS[k], case.profiles.load_wh[INTERVALS[k]]
        meters["pv_wh"] = np.rint(kw[row] * 1000.0 * minutes / 60.0)
        mine = rated[row, own]
        of_run = replace(
            case,
            active=replace(controls.active, rated_kw=mine),
            control=replace(controls.reactive, s_kva=mine * controls.rating_kva_per_kw),
        )
        solved = solve_meters(of_run, meters)
        np.testing.assert_allclose(held.flow.vm_pu[row], solved.flow.vm_pu[0], rtol=0.0, atol=3e-5)
        assert solved.reduced_wh is not None
        assert np.abs(solved.reduced_wh[0] - 1000.0 * held.lost_kw[row, own]).max() <= 4.0
        assert solved.flow.tap_pos[0].tolist() == held.flow.tap_pos[row].tolist()
