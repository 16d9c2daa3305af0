"""The community on networks that are not generated: CIGRE LV, Kerber, the user's own JSON; in an outage, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandapower as pp
import pytest

from cosim import Result, Scenario, run
from cosim.case.case import build_case
from cosim.errors import ScenarioError
from grid_models.feeder.topology import find_fused_buses, find_grid_transformers

OUT = {"kind": "outage", "start": "2017-01-01T06:00:00Z", "hours": 4, "grid": True}
DAY: dict[str, Any] = {
    "horizon": {"hours": 24},
    "community": {"enabled": True, "fuel_eur_per_kg": 1.0},
    "events": [OUT],
    "engine": {"verify_sample": 2},
}


def supplied(result: Result) -> set[tuple[str, int]]:
    rows = result.table("outage_intervals").to_pylist()
    return {(row["supply"], row["houses"]) for row in rows if row["time"].hour == 7}


def elements(net: Any, place: int) -> dict[str, list[str]]:
    named = {"sgen": net.sgen, "storage": net.storage, "load": net.load}
    return {kind: sorted(t.name[(t.bus == place) & t.name.str.startswith("community")]) for kind, t in named.items()}


def test_cigre_has_the_community_at_the_residential_busbar_and_falls_into_three_islands() -> None:
    """R, I and C hang at one medium-voltage busbar; without the grid each is on its own."""
    scenario = Scenario().with_changes(
        **DAY, houses={"n_houses": 15, "n_prosumers": 7}, network={"source": "named", "name": "cigre_lv"}
    )
    case = build_case(scenario)
    bus = int(case.feeder.bus[-1])
    assert case.feeder.net.bus.name[bus] == "Bus R1"
    assert elements(case.feeder.net, bus) == {
        "sgen": ["community fuel cell", "community pv"],
        "storage": ["community battery"],
        "load": ["community"],
    }
    assert find_grid_transformers(case.feeder.net) == [0, 1, 2]
    result = run(scenario)
    # Six hours after the start batteries are empty still: only the community's fuel cell holds its part.
    assert supplied(result) == {("island", 7), ("dark", 1), ("dark", 8)}
    assert result.table("fuel_cells").to_pandas()["delivered_wh"].sum() > 0
    assert result.summary["agreement"]["max_vm_error_pu"] < 1e-6


def test_kerber_net_holds_an_outage_with_the_community() -> None:
    scenario = Scenario().with_changes(
        **DAY,
        houses={"n_houses": 8, "n_prosumers": 4},
        network={"source": "named", "name": "kerber_landnetz_kabel_1"},
    )
    case = build_case(scenario)
    assert int(case.feeder.bus[-1]) == int(case.feeder.net.trafo.lv_bus.iloc[0])
    assert len(set(case.feeder.bus.tolist())) == 9
    assert supplied(run(scenario)) == {("island", 9)}


@pytest.fixture
def own_net(tmp_path: Path) -> Path:
    """Draw the feeder: grid ~ trafo ~ low ── a ── b."""
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4, name="low")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    a, b = pp.create_bus(net, 0.4, name="a"), pp.create_bus(net, 0.4, name="b")
    for start, end in ((low, a), (a, b)):
        pp.create_line(net, start, end, 0.1, "NAYY 4x150 SE")
    pp.to_json(net, str(tmp_path / "net.json"))
    return tmp_path


@pytest.mark.slow
def test_own_net_takes_the_community_where_the_table_puts_it(own_net: Path) -> None:
    places = own_net / "participants.csv"
    network = {"source": "file", "file": own_net / "net.json", "participants": places}
    scenario = Scenario().with_changes(**DAY, houses={"n_houses": 2, "n_prosumers": 1}, network=network)
    places.write_text("participant,bus\nhouse_01,a\nhouse_02,b\n")
    with pytest.raises(ScenarioError, match="expected a bus for participant 'community'"):
        build_case(scenario)
    places.write_text("participant,bus\nhouse_01,a\nhouse_02,b\ncommunity,low\n")
    case = build_case(scenario)
    low = int(case.feeder.net.bus.index[case.feeder.net.bus.name == "low"][0])
    assert elements(case.feeder.net, low)["sgen"] == ["community fuel cell", "community pv"]
    assert supplied(run(scenario)) == {("island", 3)}


def test_closed_switches_make_buses_one_and_open_ones_do_not() -> None:
    net = pp.create_empty_network()
    one, two, three = (pp.create_bus(net, 20.0) for _ in range(3))
    pp.create_switch(net, one, two, et="b", closed=True)
    pp.create_switch(net, two, three, et="b", closed=False)
    assert find_fused_buses(net, {one}) == {one, two}
