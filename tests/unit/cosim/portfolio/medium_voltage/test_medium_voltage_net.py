"""The medium-voltage net and what hangs on it: buses by index or name, what stays beside feeders, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from medium_voltage_nets import build, make_net, make_scenario, place

from cosim.errors import ScenarioError
from cosim.portfolio.medium_voltage.feeders import FeederUnder
from grid_models.errors import GridError


def under(mv_bus: int | str = "end", name: str = "a", **more: Any) -> FeederUnder:
    return FeederUnder(name, mv_bus, make_scenario(name, **more))


def test_feeders_are_at_their_buses_by_index_or_name() -> None:
    mv = place(make_net(), [under("end"), under(3, "b"), under(" 2 ", "c")])
    assert mv.feeder.participants == ("a", "b", "c")
    assert mv.feeder.bus.tolist() == [3, 3, 2]
    assert [mv.name_bus(k) for k in range(3)] == ["bus 3 'end'", "bus 3 'end'", "bus 2 'middle'"]


def test_loads_of_the_net_at_a_bus_of_a_feeder_stay_and_are_named() -> None:
    mv = place(make_net(), [under("middle")])
    assert "medium voltage: 1 load of the net at buses of feeders stay beside the feeders" in mv.feeder.notes
    assert mv.feeder.net.load.p_mw.sum() == 0.2
    assert not any("at buses of feeders" in note for note in place(make_net(), [under("end")]).feeder.notes)


@pytest.mark.parametrize("wanted", ["nowhere", 7, "", "1.0"])
def test_a_bus_that_is_none_is_refused(wanted: int | str) -> None:
    words = f"feeder 'a', mv_bus: expected index or name of one bus .* got '{wanted}', which none of them have"
    with pytest.raises(ScenarioError, match=words):
        place(make_net(), [under(wanted)])


def test_a_name_of_two_buses_is_refused() -> None:
    net = make_net()
    net.bus["name"] = "twin"
    with pytest.raises(ScenarioError, match="got 'twin', which 4 of them have"):
        place(net, [under("twin")])


def test_a_bus_without_supply_and_a_feeder_twice_are_refused() -> None:
    net = make_net()
    net.line.loc[1, "in_service"] = False
    with pytest.raises(GridError, match="participant 'a': expected a bus with supply, got bus 3"):
        place(net, [under("end")])
    with pytest.raises(GridError, match="expected each participant once"):
        place(make_net(), [under("end"), under("middle")])


def test_a_file_is_read_with_care(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    pp.to_json(make_net(), path)
    assert place(path, [under()]).feeder.bus.tolist() == [3]
    path.write_text('{"_module": "os", "_class": "system", "_object": "{}"}')
    with pytest.raises(GridError, match=r"net\.json: expected a net written by pandapower\.to_json"):
        place(path, [under()])
    with pytest.raises(GridError, match=r"none\.json: expected a pandapower JSON file, found none"):
        place(tmp_path / "none.json", [under()])
    with pytest.raises(GridError, match="medium voltage: expected a pandapower net or the path of one, got dict"):
        place({}, [under()])


def test_a_net_without_names_is_placed_by_index(tmp_path: Path) -> None:
    net = make_net()
    for table in ("bus", "line", "trafo"):
        net[table] = net[table].drop(columns="name")
    pp.to_json(net, tmp_path / "net.json")
    mv = place(tmp_path / "net.json", [under("3")])
    assert (mv.name_bus(0), mv.feeder.labels["line"].name) == ("bus 3", ["", ""])
    for word in ("end", "None", ""):
        with pytest.raises(ScenarioError, match=f"such as 0, 1, 2, 3, got '{word}', which none of them have"):
            place(net, [under(word)])


@pytest.mark.slow
def test_a_feeder_has_the_nominal_voltage_of_its_bus() -> None:
    words = "feeder 'a' at bus 3 'end': expected the nominal voltage of the .* bus, 10 kV, at .* head, got 20 kV"
    with pytest.raises(ScenarioError, match=words):
        build(make_net(vn_kv=10.0), [under()])
    net = make_net()
    net.f_hz = 60.0
    with pytest.raises(ScenarioError, match="expected the frequency of the medium-voltage bus, 60 Hz"):
        build(net, [under()])


@pytest.mark.slow
def test_feeders_have_the_same_intervals() -> None:
    later = under("middle", "b", hours=7)
    words = (
        "feeder 'b': expected the intervals of feeder 'a', 6 intervals of 60 minutes from 2017-06-01T09:00:00, got 7"
    )
    with pytest.raises(ScenarioError, match=words):
        build(make_net(), [under(), later])


def test_what_cannot_be_under_medium_voltage_is_refused_before_anything_runs(tmp_path: Path) -> None:
    phases = under(network={"model": "three_phase"})
    with pytest.raises(ScenarioError, match=r"scenario 'a', network\.model: expected balanced"):
        build(make_net(), [phases])
    own = under(network={"head_file": tmp_path / "h.csv"})
    with pytest.raises(
        ScenarioError, match=r"feeder 'a', network\.head_file: expected none under a medium-voltage net"
    ):
        build(make_net(), [own])
