"""Where feeders come from: generated from parameters, pandapower's own nets by name, the user's JSON."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandapower as pp
import pytest
from pandapower.topology import create_nxgraph
from physics_helpers import find_unsupplied

from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import NETS, find_bus, make_named_feeder, read_feeder_json
from grid_models.powerflow.engine import PowerFlow
from grid_models.powerflow.flow import Engine

HOUSES = [f"house_{k:02d}" for k in range(25)]


def generated(**options: object) -> Feeder:
    return make_radial_feeder(HOUSES, rng=np.random.default_rng(0), **options)  # type: ignore[arg-type]


def test_generated_feeder_is_a_tree_with_its_houses_dealt_evenly() -> None:
    net = generated(n_branches=3).net
    graph = create_nxgraph(net)
    assert nx.is_tree(graph)
    assert len(net.bus) == 2 + 2 * 25
    assert len(net.switch) == 3
    heads = [int(net.line.to_bus[line]) for line in net.switch.element]
    graph.remove_node(int(net.trafo.lv_bus.iloc[0]))
    sizes = sorted(len(nx.node_connected_component(graph, head)) // 2 for head in heads)
    assert sizes == [8, 8, 9]


def test_generated_lengths_keep_their_bounds_and_are_whole_decimetres() -> None:
    net = generated(spacing_m=100.0, service_m=(10.0, 30.0)).net
    main = 1000.0 * net.line.length_km[net.line.name.str.startswith("main")]
    service = 1000.0 * net.line.length_km[net.line.name.str.startswith("service")]
    assert main.between(75.0, 125.0).all()
    assert service.between(10.0, 30.0).all()
    lengths = np.concatenate([main, service])
    np.testing.assert_allclose(lengths * 10, np.rint(lengths * 10), rtol=0, atol=1e-9)
    assert main.nunique() > 20


def test_same_seed_same_feeder() -> None:
    first, again, other = (
        make_radial_feeder(HOUSES[:4], n_branches=2, rng=np.random.default_rng(seed)).digest() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_parameters_reach_the_net() -> None:
    net = generated(
        n_branches=5,
        trafo_std_type="0.63 MVA 10/0.4 kV",
        main_cable="NAYY 4x120 SE",
        service_cable="NAYY 4x50 SE",
    ).net
    assert len(net.switch) == 5
    assert net.trafo.sn_mva.tolist() == [0.63]
    assert net.bus.vn_kv[net.ext_grid.bus.iloc[0]] == 10.0
    assert set(net.line.std_type) == {"NAYY 4x120 SE", "NAYY 4x50 SE"}


def test_opening_a_branchs_switch_darkens_its_houses() -> None:
    feeder = generated(n_branches=5)
    feeder.net.switch.loc[2, "closed"] = False
    assert find_unsupplied(PowerFlow(feeder)).sum() == 5


def test_generated_feeder_can_be_drawn() -> None:
    points = [json.loads(geo) for geo in generated().net.bus.geo]
    assert {point["type"] for point in points} == {"Point"}
    assert len({tuple(point["coordinates"]) for point in points}) == len(points)


def test_default_feeder_carries_the_houses_load_and_a_third_more_than_their_panels() -> None:
    """Sized so that 12 panels of 4.4 kW (58 % production) pass at noon, and 12 of 11 kW (128 %) do not."""
    feeder = generated()
    engine = PowerFlow(feeder)
    noon = np.full((3, 25), -0.6)
    noon[1, :12] += 4.4
    noon[2, :12] += 11.0
    evening = np.full((1, 25), -2.0)
    flow = engine.solve(np.vstack([noon, evening]))
    assert (flow.vm_pu[[0, 1, 3]] > 0.90).all()
    assert (flow.vm_pu[[0, 1, 3]] < 1.10).all()
    assert flow.vm_pu[2].max() > 1.05


QUICK = [
    "cigre_lv",
    "kerber_landnetz_freileitung_1",
    "dickert_long_overhead_multiple_bad",
    "voltage_control_rural_1",
]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NETS if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_named_nets_are_solved_by_the_fast_engine_and_repeat_by_seed(name: str) -> None:
    feeder = make_named_feeder(name, ["ann"], seed=4)
    engine = PowerFlow(feeder)
    assert engine.refusal is None
    flow = engine.solve(np.array([[1.0]]))
    assert flow.engine[0] == Engine.FAST
    assert engine.verify(np.array([[1.0], [-1.0]])).max_vm_error_pu < 1e-9
    assert make_named_feeder(name, ["ann"], seed=4).digest() == feeder.digest()


def drawn_net() -> pp.pandapowerNet:
    """A net drawn from both global generators, as pandapower draws its Kerber suburbs."""
    net = pp.create_empty_network()
    source, house = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, source)
    pp.create_line(net, source, house, 0.1 + random.random() + np.random.random(), "NAYY 4x50 SE")  # noqa: NPY002
    pp.create_load(net, house, p_mw=0.001)
    return net


def test_nets_are_drawn_by_the_seed_and_leave_the_global_generators_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(NETS, "drawn", drawn_net)
    random.seed(11)
    np.random.seed(11)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(11)
    np.random.seed(11)  # noqa: NPY002
    one = make_named_feeder("drawn", ["ann"], seed=1)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002
    assert make_named_feeder("drawn", ["ann"], seed=1).digest() == one.digest()
    assert make_named_feeder("drawn", ["ann"], seed=2).digest() != one.digest()


@pytest.mark.slow
def test_kerber_suburbs_differ_by_seed() -> None:
    one, two = (make_named_feeder("kerber_vorstadtnetz_kabel_1", ["ann"], seed=seed).digest() for seed in (1, 2))
    assert one != two


def test_participants_replace_the_nets_loads_in_the_order_of_the_buses() -> None:
    names = [f"p{k}" for k in range(15)]
    feeder = make_named_feeder("cigre_lv", names, seed=0)
    assert feeder.bus.tolist() == sorted(feeder.bus.tolist())
    assert feeder.net.load.name.tolist() == names
    assert any("max_i_ka = 1.0" in note for note in feeder.notes)


def test_participants_that_bear_names_of_buses_are_placed_there() -> None:
    feeder = make_named_feeder("cigre_lv", ["Bus R18", "Bus C12", "Bus R11"], seed=0)
    assert feeder.net.bus.name[feeder.bus].tolist() == ["Bus R18", "Bus C12", "Bus R11"]


def test_simbench_grids_come_by_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get_simbench_net(code: str) -> pp.pandapowerNet:
        asked.append(code)
        if code != "1-LV-rural1--0-sw":
            raise ValueError("no such grid")
        return drawn_net()

    monkeypatch.setitem(sys.modules, "simbench", SimpleNamespace(get_simbench_net=get_simbench_net))
    assert len(make_named_feeder("1-LV-rural1--0-sw", ["ann"], seed=0).net.line) == 1
    with pytest.raises(GridError, match="expected a SimBench code like 1-LV-rural1--0-sw, got '1-LV-rural9--0-sw'"):
        make_named_feeder("1-LV-rural9--0-sw", ["ann"], seed=0)
    assert asked == ["1-LV-rural1--0-sw", "1-LV-rural9--0-sw"]
    monkeypatch.setitem(sys.modules, "simbench", None)
    with pytest.raises(GridError, match=r"found none; install gridsettle\[simbench\]"):
        make_named_feeder("1-LV-rural1--0-sw", ["ann"], seed=0)


@pytest.mark.slow
def test_fewer_participants_than_buses_are_a_sample_by_seed() -> None:
    a, b = (make_named_feeder("dickert_long_cable_multiple_good", HOUSES, seed=seed) for seed in (1, 2))
    assert len(set(a.bus.tolist())) == 25
    assert a.bus.tolist() != b.bus.tolist()


def test_kept_elements_stay_as_constant_injections() -> None:
    kept = make_named_feeder("cigre_lv", ["ann"], seed=0, keep_elements=True)
    assert len(kept.net.load) == 16
    alone = make_named_feeder("cigre_lv", ["ann"], seed=0)
    idle = np.zeros((1, 1))
    assert PowerFlow(kept).solve(idle).vm_pu.min() < 0.92 < PowerFlow(alone).solve(idle).vm_pu.min()


def saved(feeder: Feeder, folder: Path) -> Path:
    path = folder / "net.json"
    pp.to_json(feeder.net, str(path))
    return path


def test_json_net_with_buses_by_name_and_index(tmp_path: Path) -> None:
    path = saved(make_named_feeder("cigre_lv", ["x"], seed=0), tmp_path)
    feeder = read_feeder_json(path, [("ann", "Bus R18"), ("bob", 12), ("cat", "#14"), ("dan", " 15 ")])
    assert feeder.net.bus.name[feeder.bus].tolist() == ["Bus R18", "Bus R11", "Bus R13", "Bus R14"]
    assert feeder.net.load.name.tolist() == ["ann", "bob", "cat", "dan"]
    assert feeder.name == "net.json"


def test_json_net_can_keep_its_elements_and_share_buses(tmp_path: Path) -> None:
    path = saved(make_named_feeder("cigre_lv", ["x"], seed=0, keep_elements=True), tmp_path)
    feeder = read_feeder_json(path, [("ann", 12), ("bob", 12)], keep_elements=True, shared_bus=True)
    assert len(feeder.net.load) == 16 + 2
    flow = PowerFlow(feeder).solve(np.array([[3.0, 0.0], [0.0, 3.0], [1.5, 1.5]]))
    np.testing.assert_allclose(flow.vm_pu[0], flow.vm_pu[1], rtol=0, atol=1e-13)
    np.testing.assert_allclose(flow.vm_pu[0], flow.vm_pu[2], rtol=0, atol=1e-13)


def test_an_index_that_a_table_made_a_float_is_the_index_unless_a_bus_has_that_name() -> None:
    net = pp.create_empty_network()
    for name in ("48", "b", "1.0", "c"):
        pp.create_bus(net, 0.4, name=name)
    assert find_bus(net, "3.0", "here") == 3
    assert find_bus(net, "48.0", "here") == 0
    assert find_bus(net, "1.0", "here") == 2  # a name as written counts before a number
    for other in ("3.5", "3.", "3.0.0", "9.0"):
        with pytest.raises(GridError, match="expected the name or the integer index of a bus"):
            find_bus(net, other, "here")


def test_a_number_that_is_also_a_name_must_be_made_plain() -> None:
    net = pp.create_empty_network()
    for name in ("7", "1", "b"):
        pp.create_bus(net, 0.4, name=name)
    assert find_bus(net, 1, "here") == 1
    assert find_bus(net, "#1", "here") == 1
    assert find_bus(net, "7", "here") == 0
    assert find_bus(net, "2", "here") == 2
    assert find_bus(net, "1", "here") == 1  # name and index of the same bus
    pp.create_bus(net, 0.4, name="0")
    with pytest.raises(GridError, match="here: expected one bus, found '0' as name or index of buses 0, 3; write #"):
        find_bus(net, "0", "here")
