"""The bundled street of one-phase houses: clean as long as its phases are taken alike, too high a voltage on one."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from cosim import Result, Scenario, run
from cosim.case.case import Case, build_case
from cosim.case.connections import connect
from cosim.case.inputs import read_feeder
from cosim.delivery.setpoints import mean_kw
from cosim.nets.judges import Judge, compare
from cosim.nets.models import Model
from cosim.nets.solution import NetSolution
from cosim.nets.solve import solve_network
from grid_models.feeder.connection import ABC, LARGEST_ONE_PHASE_KVA, Codes
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.own_loads import HOUSEHOLD_COS_PHI, convert_to_tan_phi
from grid_models.phases.engine import PhasePowerFlow
from grid_models.phases.three_phase import make_three_phase

pytestmark = pytest.mark.slow  # a week in three models


@cache
def balanced() -> tuple[Case, Result]:
    scenario = Scenario.load("phases").with_changes(network={"model": "balanced"})
    return build_case(scenario), run(scenario)


@cache
def join(phases: str = "drawn") -> Feeder:
    scenario, case = Scenario.load("phases").with_changes(network={"phases": phases}), balanced()[0]
    feeder = read_feeder(scenario, case.profiles.participants, set())
    pv_kw = mean_kw(case.profiles.pv_wh.max(axis=0), case.interval_minutes)
    return connect(scenario, feeder, pv_kw, np.zeros_like(pv_kw))


def add(net: Any, feeder: Feeder, create: Any, kw: np.ndarray, codes: Codes, tan_phi: float) -> None:
    for bus, power, code in zip(feeder.bus, kw, codes, strict=True):
        phases = "abc" if code == ABC else "abc"[code - 1]
        p = {f"p_{phase}_mw": power / 1000.0 / len(phases) for phase in phases}
        q = {f"q_{phase}_mvar": tan_phi * power / 1000.0 / len(phases) for phase in phases}
        create(net, int(bus), **p, **q, type="wye")


def load_net(t: int, phases: str = "drawn") -> Any:
    """The street in interval t, before anything is curtailed."""
    case, feeder = balanced()[0], join(phases)
    assert feeder.connections is not None
    net = deepcopy(feeder.net)
    for table in ("load", "sgen", "storage"):
        net[table].drop(net[table].index, inplace=True)
    load_kw, pv_kw = (mean_kw(wh[t], 60) for wh in (case.profiles.load_wh, case.profiles.pv_wh))
    add(net, feeder, pp.create_asymmetric_load, load_kw, feeder.connections.load, convert_to_tan_phi(HOUSEHOLD_COS_PHI))
    add(net, feeder, pp.create_asymmetric_sgen, pv_kw, feeder.connections.pv, 0.0)
    return net


def largest_pu(found: NetSolution) -> dict[str, float]:
    return {c: max(abs(v) / found.base_v[p] for p, v in found.v.items() if p[1] == c) for c in "abc"}


def find_noon() -> int:
    profiles = balanced()[0].profiles
    return int(np.argmax((profiles.pv_wh - profiles.load_wh).sum(axis=1)))


def test_the_street_is_clean_as_long_as_its_phases_are_taken_alike() -> None:
    case, result = balanced()
    assert result.summary["network"]["outcomes"] == {"clean": 168}
    assert result.table("bus_voltage").to_pandas().vm_pu.max() < 1.06
    assert case.feeder.connections is None


def test_its_houses_are_on_one_phase_with_all_that_they_have() -> None:
    pv_kw = mean_kw(balanced()[0].profiles.pv_wh.max(axis=0), 60)
    found = join().connections
    assert found is not None
    assert pv_kw.max() < LARGEST_ONE_PHASE_KVA
    assert np.bincount(found.load, minlength=4).tolist() == [0, 6, 7, 5]
    assert found.pv.tolist() == found.load.tolist()


def test_at_noon_the_voltage_of_phase_b_is_too_high_and_runpp_3ph_agrees() -> None:
    net = load_net(find_noon())
    found = solve_network(net, Model.THREE_PHASE)
    largest = largest_pu(found)
    assert largest["b"] > 1.115
    assert max(largest["a"], largest["c"]) < 1.05
    assert compare(found, net, Judge.RUNPP_3PH).voltage_pu < 1e-7


def test_no_other_phase_is_beyond_its_limits_in_any_hour_and_no_cable_is_overloaded() -> None:
    profiles, noon = balanced()[0].profiles, find_noon()
    circuit = make_three_phase(load_net(noon)).circuit
    load_kw, pv_kw = mean_kw(profiles.load_wh, 60), mean_kw(profiles.pv_wh, 60)
    tan_phi = convert_to_tan_phi(HOUSEHOLD_COS_PHI)
    drawn_kva = np.asarray(load_kw * (1.0 + 1j * tan_phi) - pv_kw, dtype=np.complex128)  # a port for each house
    np.testing.assert_allclose(drawn_kva[noon], circuit.power_kva, rtol=1e-12)
    engine = PhasePowerFlow(circuit)
    flow = engine.solve(drawn_kva)
    assert flow.converged.all()
    pu = np.abs(flow.v) / circuit.base_v
    on_b = np.array(circuit.conductor) == "b"
    assert pu.min() > 0.92
    assert pu[:, ~on_b].max() < 1.05
    assert int((pu[:, on_b].max(axis=1) > 1.10).sum()) == 8
    assert (np.abs(flow.current_a) < 0.75 * engine.rated_a).all()
    assert engine.unbalance_percent(flow.v)[1].max() < 2.0


def test_balanced_houses_on_the_same_street_are_clean_in_three_phases() -> None:
    largest = largest_pu(solve_network(load_net(find_noon(), "balanced"), Model.THREE_PHASE))
    assert max(largest.values()) - min(largest.values()) < 1e-5  # but for the source's other sequences
    assert max(largest.values()) < 1.05


def test_houses_at_their_worst_are_worse_than_drawn_ones() -> None:
    largest = largest_pu(solve_network(load_net(find_noon(), "worst"), Model.THREE_PHASE))
    assert largest["a"] > 1.2
