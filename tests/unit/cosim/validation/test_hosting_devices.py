"""Hosting capacity of houses with cars and heat pumps: judged by pandapower at what a run without a cut gives them."""

from __future__ import annotations

import numpy as np
import pytest

from cosim import Scenario, find_hosting, run
from cosim.case.case import Case, build_case
from cosim.case.unhindered import find_device_load, find_drawn_kw
from cosim.delivery.setpoints import device_wh, spread_devices
from cosim.interval.optimistic import settle_optimistically
from grid_models.powerflow.runpp import solve_by_runpp

HOURS = 8
STREET = Scenario().with_changes(
    name="street",
    horizon={"hours": HOURS, "start": "2017-06-19T12:00:00Z"},
    houses={"n_houses": 3, "n_prosumers": 2},
    network={"n_branches": 1, "spacing_m": 60.0},
    ev={"n_cars": 3, "charger_kw": 22.0},
    heat_pump={"n_heat_pumps": 2},
    engine={"verify_sample": 0},
)
WIDE = {"min_vm_pu": 0.5, "max_vm_pu": 1.5, "max_loading_percent": 1000.0, "override": True}


def is_clean(case: Case, load_wh: np.ndarray, p_kw: np.ndarray) -> bool:
    """Whether pandapower finds every interval within the limits; loads of a generated feeder have cos φ = 0.95."""
    flow = solve_by_runpp(case.feeder, p_kw, -np.tan(np.arccos(0.95)) * load_wh / 1000.0)
    loading = np.hstack([flow.line_loading_percent, flow.trafo_loading_percent])
    within = (flow.vm_pu <= case.limits.max_vm_pu + 1e-7) & (flow.vm_pu >= case.limits.min_vm_pu - 1e-7)
    return bool(within.all() and (loading <= 100.0 + 1e-4).all())


def find_loads(scenario: Scenario) -> np.ndarray:
    """What houses draw in a run in which the network cuts nothing, (T, N) Wh."""
    result = run(scenario.with_changes(limits=WIDE))
    assert set(result.summary["network"]["outcomes"]) == {"clean"}
    return np.asarray(result.houses["load_wh"].to_numpy().reshape(HOURS, -1).astype(np.int64))


@pytest.mark.slow  # pandapower in every interval
@pytest.mark.parametrize("strategy", ["uncontrolled", "price"])
def test_answers_hold_at_the_load_with_devices_and_no_further(strategy: str) -> None:
    devices = {"strategy": strategy}
    scenario = STREET.with_changes(ev=devices, heat_pump=devices, limits={"min_vm_pu": 0.85})
    case, load, found = build_case(scenario), find_loads(scenario), find_hosting(scenario)
    pv = case.profiles.pv_wh
    sun = pv.sum(axis=1) / pv.sum(axis=1).max()
    assert found.scaling > 0.0
    for factor, clean in ((1.0, True), (1.001, False)):
        assert is_clean(case, load, (factor * found.scaling * pv - load) / 1000.0) is clean
        for k, row in found.houses.iterrows():
            p_kw = -load / 1000.0
            p_kw[:, k] += factor * row["largest_kw"] * sun
            assert is_clean(case, load, p_kw) is clean, row["house"]


@pytest.mark.slow  # runs and pandapower in every interval
@pytest.mark.parametrize("strategy", ["uncontrolled", "at_departure", "price"])
def test_what_devices_leave_of_the_voltage_is_to_the_last_digit(strategy: str) -> None:
    """A limit just below what pandapower finds without any PV leaves room for some, one just above leaves none."""
    devices = {"strategy": strategy}
    winter = STREET.with_changes(
        horizon={"start": "2017-01-16T12:00:00Z"}, network={"spacing_m": 300.0}, ev=devices, heat_pump=devices
    )
    load = find_loads(winter)
    flow = solve_by_runpp(build_case(winter).feeder, -load / 1000.0, -np.tan(np.arccos(0.95)) * load / 1000.0)
    lowest = float(flow.vm_pu.min())
    below, above = (find_hosting(winter.with_changes(limits={"min_vm_pu": lowest + by})) for by in (-1e-6, 1e-6))
    assert below.scaling > 0.0
    assert above.scaling == 0.0
    assert "pu" in above.bound_by


def test_hosting_tells_devices_and_what_they_break() -> None:
    """Where cars break a limit without any PV, nothing is held, as a run of the same file says."""
    winter = STREET.with_changes(
        horizon={"start": "2017-01-16T12:00:00Z"}, network={"spacing_m": 300.0}, limits={"min_vm_pu": 0.97}
    )
    bare = winter.with_changes(ev={"n_cars": 0, "charger_kw": 11.0}, heat_pump={"n_heat_pumps": 0})
    without, there = find_hosting(bare), find_hosting(winter)
    assert run(winter).summary["curtailed"]["cut_kwh"] > 0.0
    assert without.scaling > there.scaling == 0.0
    assert "pu" in there.bound_by
    assert there.bound_by.endswith("without any PV")
    assert not any("cars" in note for note in without.notes)
    (note,) = [note for note in there.notes if "cars" in note]
    assert note.startswith("load includes 3 cars and 2 heat pumps: what they take by their strategy")


@pytest.mark.parametrize("model", ["three_phase", "four_wire"])
def test_devices_draw_at_their_phases(model: str) -> None:
    """The load that hosting judges is what a run, phase by phase, injects where it has no panels."""
    phased = STREET.with_changes(ev={"charger_kw": 7.4}, network={"model": model})
    case = build_case(phased)
    meters = settle_optimistically(case, case.opening, 0, case.n_intervals).meters
    drawn = {name: wh for name, wh in device_wh(meters).items() if name in ("load", "ev")}
    expected = -spread_devices(drawn, case.interval_minutes, case.feeder.connections)
    np.testing.assert_allclose(find_drawn_kw(case, find_device_load(case), np.arange(HOURS)), expected)
    assert (expected > 0.0).any()


def test_reactive_control_that_is_left_out_is_named() -> None:
    short = Scenario("short", horizon={"hours": 2}, houses={"n_houses": 3, "n_prosumers": 2})
    words = "left out: reactive control of inverters (pv.control = q_v); with --draws it is kept"
    assert words in find_hosting(short.with_changes(pv={"control": "q_v"})).notes
    assert not any(note.startswith("left out: reactive") for note in find_hosting(short).notes)
