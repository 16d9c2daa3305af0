"""Unbalanced power flow against runpp_3ph and OpenDSS, light, heavy and at collapse."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from phase_nets import NETS, make_generated, make_two_stars

from cosim.nets.judges import Judge, compare
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.phases.tables import COLUMNS, read_tables

REFERENCE = Path(__file__).parents[1] / "reference" / "four_wire"
QUICK = ("generated", "two_stars", "meshed")
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


@pytest.mark.parametrize("name", EACH)
def test_runpp_agrees_with_the_balanced_model(name: str) -> None:
    net = NETS[name]()
    found = solve_network(net, Model.BALANCED)
    assert compare(found, net, Judge.RUNPP).voltage_pu < 1e-9


def test_near_collapse_both_solve_and_beyond_neither_does() -> None:
    solved, failed = 1.0, 200.0
    while failed / solved > 1.02:
        factor = np.sqrt(solved * failed)
        if solve_network(scale(make_two_stars(), factor), Model.THREE_PHASE).converged:
            solved = factor
        else:
            failed = factor
    judged(scale(make_two_stars(), solved * 0.98), Judge.RUNPP_3PH, 1e-6, 1e-4)
    beyond = scale(make_two_stars(), failed * 1.02)
    found = solve_network(beyond, Model.THREE_PHASE)
    assert all(np.isnan(v) for v in found.v.values())
    with pytest.raises(GridError, match="--judge runpp_3ph: expected a solution"):
        compare(found, beyond, Judge.RUNPP_3PH)


@pytest.mark.parametrize("shift", [30.0, 150.0, 210.0, 330.0])
def test_every_clock_of_dyn_agrees(shift: float) -> None:
    pytest.importorskip("opendssdirect")
    net = make_generated()
    net.trafo["shift_degree"] = shift
    judged(net, Judge.RUNPP_3PH, 1e-7, 1e-6)
    judged(net, Judge.OPENDSS, 1e-6, 1e-4)


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
    for table in COLUMNS:
        shutil.copy(REFERENCE / f"{table}.csv", tmp_path)
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
    pp.runpp_3ph(alone)  # without the storage and the sgen of type PV
    found = solve_network(net, Model.THREE_PHASE)
    end = int(net.storage.bus.iloc[0])
    assert abs(abs(found.v[str(end), "a"]) / found.base_v[str(end), "a"] - alone.res_bus_3ph.vm_a_pu[end]) > 1e-4
    assert compare(found, net, Judge.RUNPP_3PH).voltage_pu < 1e-7
