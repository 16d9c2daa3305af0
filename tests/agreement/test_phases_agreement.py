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


@pytest.mark.slow
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
    pp.runpp_3ph(alone, numba=False)  # without the storage and the sgen of type PV
    found = solve_network(net, Model.THREE_PHASE)
    end = int(net.storage.bus.iloc[0])
    assert abs(abs(found.v[str(end), "a"]) / found.base_v[str(end), "a"] - alone.res_bus_3ph.vm_a_pu[end]) > 1e-4
    assert compare(found, net, Judge.RUNPP_3PH).voltage_pu < 1e-7


def make_plain() -> Any:
    """A net of what power-grid-model has: one impedance of source and transformer for all sequences, loads of wye."""
    net = NETS["generated"]()
    net.trafo["tap_pos"] = net.trafo.tap_neutral
    net.trafo["i0_percent"], net.trafo["pfe_kw"] = 0.0, 0.0
    net.trafo["vk0_percent"], net.trafo["vkr0_percent"] = net.trafo.vk_percent, net.trafo.vkr_percent
    net.trafo["mag0_percent"], net.ext_grid["s_sc_max_mva"] = 1e12, 1e9
    net.asymmetric_load["type"] = "wye"
    return net


def ask_power_grid_model(net: Any) -> Any:
    """Voltages of the net's buses and phases, pu, (B, 3)."""
    pgm = pytest.importorskip("power_grid_model")
    rows = {
        name: pgm.initialize_array("input", name, size)
        for name, size in (
            *(("node", len(net.bus)), ("line", len(net.line)), ("transformer", len(net.trafo)), ("source", 1)),
            *(("asym_load", len(net.asymmetric_load)), ("asym_gen", len(net.asymmetric_sgen))),
        )
    }
    ids = iter(range(len(net.bus), 10_000))
    rows["node"]["id"], rows["node"]["u_rated"] = np.arange(len(net.bus)), net.bus.vn_kv * 1e3
    place = {bus: k for k, bus in enumerate(net.bus.index)}
    line, trafo = rows["line"], rows["transformer"]
    for table, ends in (("line", ("from_bus", "to_bus")), ("transformer", ("hv_bus", "lv_bus"))):
        given = net.line if table == "line" else net.trafo
        rows[table]["id"] = [next(ids) for _ in range(len(given))]
        rows[table]["from_node"], rows[table]["to_node"] = (given[end].map(place) for end in ends)
        rows[table]["from_status"] = rows[table]["to_status"] = 1
    for k in "01":
        column = {"0": ("r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km")}.get(
            k, ("r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km")
        )
        for name, source, factor in zip("rxc", column, (1.0, 1.0, 1e-9), strict=True):
            line[f"{name}{k}"] = net.line[source] * net.line.length_km * factor
        line[f"tan{k}"] = 0.0
    line["i_n"] = 100.0
    trafo["u1"], trafo["u2"], trafo["sn"] = net.trafo.vn_hv_kv * 1e3, net.trafo.vn_lv_kv * 1e3, net.trafo.sn_mva * 1e6
    trafo["uk"], trafo["pk"] = net.trafo.vk_percent / 100, net.trafo.vkr_percent / 100 * net.trafo.sn_mva * 1e6
    trafo["i0"] = trafo["p0"] = trafo["tap_size"] = 0.0
    trafo["winding_from"], trafo["winding_to"], trafo["clock"] = 2, 1, net.trafo.shift_degree / 30
    trafo["tap_side"] = trafo["tap_pos"] = trafo["tap_min"] = trafo["tap_max"] = trafo["tap_nom"] = 0
    source = rows["source"]
    source["id"], source["node"], source["status"] = next(ids), place[net.ext_grid.bus.iloc[0]], 1
    source["u_ref"], source["sk"] = net.ext_grid.vm_pu.iloc[0], 1e15
    for table, elements in (("asym_load", net.asymmetric_load), ("asym_gen", net.asymmetric_sgen)):
        rows[table]["id"] = [next(ids) for _ in range(len(elements))]
        rows[table]["node"], rows[table]["status"], rows[table]["type"] = elements.bus.map(place), 1, 0
        for name, column in (("p_specified", "p_{}_mw"), ("q_specified", "q_{}_mvar")):
            values = elements[[column.format(phase) for phase in "abc"]].mul(elements.scaling, axis=0)
            rows[table][name] = values.to_numpy() * 1e6
    model = pgm.PowerGridModel(rows, system_frequency=net.f_hz)
    found = model.calculate_power_flow(symmetric=False, error_tolerance=1e-13, max_iterations=100)
    return found["node"]["u_pu"]


@pytest.mark.parametrize("shift", [30.0, 150.0, 330.0])
def test_power_grid_model_agrees(shift: float) -> None:
    net = make_plain()
    net.trafo["shift_degree"] = shift
    found = solve_network(net, Model.THREE_PHASE)
    judge = ask_power_grid_model(net)
    vm = np.array([abs(v) / found.base_v[place] for place, v in found.v.items()]).reshape(-1, 3)
    assert max(found.unbalance_percent.values()) > 0.5
    assert np.abs(vm - judge).max() < 1e-7
