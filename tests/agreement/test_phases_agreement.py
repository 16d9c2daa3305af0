"""Unbalanced power flow against runpp_3ph, OpenDSS and power-grid-model, light, heavy and at collapse."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from phase_nets import NETS, make_generated, make_two_stars, make_wye, write_european_four_wire

from cosim import Scenario, run
from cosim.nets.judges import Judge, compare
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.phases.tables import read_tables

pytestmark = pytest.mark.slow  # every net by runpp_3ph

REFERENCE = Path(__file__).parents[1] / "reference" / "four_wire"
QUICK = ("generated", "two_stars", "meshed", "laterals", "two_sources", "delta")
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NETS]


def scale(net: Any, factor: float) -> Any:
    for table in ("load", "sgen", "storage", "asymmetric_load", "asymmetric_sgen"):
        net[table]["scaling"] = net[table].scaling * factor
    return net


def judged(net: Any, judge: Judge, voltage_pu: float, relative: float) -> None:
    found = solve_network(net, Model.THREE_PHASE)
    assert found.converged
    difference = compare(found, net, judge)
    assert difference.voltage_pu <= voltage_pu, difference
    assert difference.current_a <= relative * max(abs(i) for i in found.current_a.values()), difference


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("factor", [0.2, 1.0, 2.0])
def test_runpp_3ph_agrees(name: str, factor: float) -> None:
    judged(scale(NETS[name](), factor), Judge.RUNPP_3PH, 1e-7, 1e-6)


@pytest.mark.parametrize("name", EACH)
def test_opendss_agrees(name: str) -> None:
    pytest.importorskip("opendssdirect")
    judged(NETS[name](), Judge.OPENDSS, 1e-6, 1e-4)


@pytest.mark.parametrize("name", [each for each in EACH if each.values != ("delta",)])
def test_power_grid_model_agrees(name: str) -> None:
    pytest.importorskip("power_grid_model")
    judged(make_wye(name), Judge.PGM, 1e-6, 1e-4)


@pytest.mark.parametrize(
    ("group", "shift"), [("Yzn", 150.0), ("Yzn", 330.0), ("YNyn", 0.0), ("YNyn", 180.0), ("Dyn", 90.0), ("Yyn", 0.0)]
)
def test_power_grid_model_agrees_on_every_vector_group(group: str, shift: float) -> None:
    pytest.importorskip("power_grid_model")
    net = make_wye("laterals")
    net.trafo["vector_group"], net.trafo["shift_degree"] = group, shift
    net.trafo["rn_ohm"] = 0.0 if group == "YNyn" else 0.7
    judged(scale(net, 0.05 if group == "Yyn" else 1.0), Judge.PGM, 1e-6, 1e-4)


@pytest.mark.parametrize("ohm", [0.2, 1.0])
def test_a_star_point_behind_a_resistance_agrees(ohm: float) -> None:
    """Without runpp_3ph, in which it counts once and not threefold."""
    net = NETS["laterals"]()
    net.trafo["rn_ohm"] = ohm
    bare = solve_network(NETS["laterals"](), Model.THREE_PHASE)
    found = solve_network(net, Model.THREE_PHASE)
    assert max(abs(v - bare.v[at]) / bare.base_v[at] for at, v in found.v.items()) > 0.01
    for judge, package in ((Judge.OPENDSS, "opendssdirect"), (Judge.PGM, "power_grid_model")):
        pytest.importorskip(package)
        judged(net, judge, 1e-6, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_runpp_agrees_with_the_balanced_model(name: str) -> None:
    net = NETS[name]()
    found = solve_network(net, Model.BALANCED)
    assert compare(found, net, Judge.RUNPP).voltage_pu < 1e-9


@pytest.mark.slow
def test_near_collapse_all_solve_and_beyond_none_does() -> None:
    solved, failed = 12.0, 20.0  # times the loads
    while failed / solved > 1.02:
        factor = np.sqrt(solved * failed)
        if solve_network(scale(make_wye("two_stars"), float(factor)), Model.THREE_PHASE).converged:
            solved = factor
        else:
            failed = factor
    near, beyond = (scale(make_wye("two_stars"), factor) for factor in (solved * 0.98, failed * 1.02))
    found = solve_network(beyond, Model.THREE_PHASE)
    assert all(np.isnan(v) for v in found.v.values())
    # OpenDSS's transformer differs by 1e-6 of its impedance, which near collapse is much of the voltage.
    for judge, voltage_pu in ((Judge.RUNPP_3PH, 1e-6), (Judge.OPENDSS, 1e-4), (Judge.PGM, 1e-6)):
        judged(near, judge, voltage_pu, 1e-4)
        with pytest.raises(GridError, match=f"--judge {judge}: expected a solution"):
            compare(found, beyond, judge)


@pytest.mark.parametrize("shift", [30.0, 150.0, 210.0, 330.0])
def test_every_clock_of_dyn_agrees(shift: float) -> None:
    pytest.importorskip("opendssdirect")
    pytest.importorskip("power_grid_model")
    net = make_generated()
    net.trafo["shift_degree"] = shift
    judged(net, Judge.RUNPP_3PH, 1e-7, 1e-6)
    judged(net, Judge.OPENDSS, 1e-6, 1e-4)
    net.asymmetric_load["type"] = "wye"
    judged(net, Judge.PGM, 1e-6, 1e-4)


FOUR_WIRE_CHANGES = {
    "as it is": (),
    "clock 11": (("transformer", "Dyn,5", "Dyn,11"),),
    "clock 7": (("transformer", "Dyn,5", "Dyn,7"),),
    "clock 1": (("transformer", "Dyn,5", "Dyn,1"),),
    "two stars": (("transformer", "Dyn,5", "YNyn,0"),),
    "capacitance": (("linecode_matrix", ",0.38,0\n", ",0.38,400\n"), ("linecode_matrix", ",0,0.3,0\n", ",0,0.3,-90\n")),
    "ring": (("line", "l9,b7,h3", "l10,b5,b7,0.1,nayy50,142\nl9,b7,h3"),),
    "heavy": (("load", "9.2,2", "60,13"), ("load", "7.4,1.2", "25,4")),
    "bad earth": (("earthing", "b1,n,2,0", "b1,n,2000,3"),),
}


@pytest.mark.parametrize("name", FOUR_WIRE_CHANGES)
def test_opendss_agrees_on_four_wires(tmp_path: Path, name: str) -> None:
    pytest.importorskip("opendssdirect")
    for path in REFERENCE.glob("*.csv"):
        shutil.copy(path, tmp_path)
    for table, old, new in FOUR_WIRE_CHANGES[name]:
        path = tmp_path / f"{table}.csv"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    tables = read_tables(tmp_path)
    found = solve_network(tables, Model.FOUR_WIRE)
    assert found.converged
    difference = compare(found, tables, Judge.OPENDSS)
    assert difference.voltage_pu <= 1e-8, difference
    assert difference.current_a <= 1e-5, difference


def test_what_runpp_3ph_leaves_out_is_put_in_for_it() -> None:
    net = make_two_stars()
    alone = deepcopy(net)
    pp.runpp_3ph(alone, numba=False)  # without the storage and the sgen of type PV
    found = solve_network(net, Model.THREE_PHASE)
    end = int(net.storage.bus.iloc[0])
    assert abs(abs(found.v[str(end), "a"]) / found.base_v[str(end), "a"] - alone.res_bus_3ph.vm_a_pu[end]) > 1e-4
    assert compare(found, net, Judge.RUNPP_3PH).voltage_pu < 1e-7


@pytest.mark.slow
def test_opendss_agrees_on_the_european_net_with_four_wires(tmp_path: Path) -> None:
    pytest.importorskip("opendssdirect")
    tables = read_tables(write_european_four_wire(tmp_path))
    found = solve_network(tables, Model.FOUR_WIRE)
    assert max(abs(v) for (_, conductor), v in found.v.items() if conductor == "n") > 2.0
    difference = compare(found, tables, Judge.OPENDSS)
    assert difference.voltage_pu <= 1e-8, difference
    assert difference.current_a <= 1e-5, difference


def test_what_power_grid_model_does_not_have_is_refused_by_name() -> None:
    pytest.importorskip("power_grid_model")
    net = NETS["delta"]()
    found = solve_network(net, Model.THREE_PHASE)
    with pytest.raises(
        GridError, match=r"power-grid-model: expected loads of type wye, got one of type delta at bus 6"
    ):
        compare(found, net, Judge.PGM)
    net = NETS["laterals"]()
    net.line["g_us_per_km"] = 1.0
    with pytest.raises(GridError, match=r"power-grid-model, line 0: expected no conductance"):
        compare(found, net, Judge.PGM)
    net = NETS["laterals"]()
    net.trafo["shift_degree"] = 0.0
    with pytest.raises(GridError, match=r"power-grid-model, trafo 0: expected an odd clock of Dyn, got shift_degree 0"):
        compare(found, net, Judge.PGM)
    net = NETS["laterals"]()
    net.trafo["tap_changer_type"], net.trafo["tap_step_percent"] = "Ideal", 0.0
    net.trafo["tap_step_degree"], net.trafo["tap_pos"] = 3.0, 1
    for judge in (Judge.OPENDSS, Judge.PGM):
        with pytest.raises(GridError, match=r"trafo 0: expected no tap that turns the phase, got one"):
            compare(found, net, judge)


@pytest.mark.slow
def test_opendss_has_an_answer_where_a_neutral_has_no_voltage() -> None:
    """It takes changes relative to each voltage: where that is 0 they are noise, and it says that nothing converged."""
    found = run(
        Scenario(
            seed=3,
            horizon={"start": "2017-06-01T00:00:00Z", "hours": 24},
            houses={"n_houses": 8, "n_prosumers": 4},
            network={"model": "four_wire", "n_branches": 1, "spacing_m": 60.0},
        )
    )
    assert found.summary["agreement"]["intervals"] == 24
