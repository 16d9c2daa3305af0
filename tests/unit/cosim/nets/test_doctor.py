"""The doctor: each planted fault is found at its element, and nothing is wrong with sound nets."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.nets.doctor.checks import CHECKS, NO_SOLUTION, examine
from cosim.nets.doctor.finding import POINTS, Finding, Severity, find_score
from cosim.nets.doctor.subject import Subject, read_subject
from cosim.report.figures.findings_map import draw_findings
from grid_models.feeder.generated import make_radial_feeder
from grid_models.feeder.named_nets import make_named_net

FOUR_WIRE = Path(__file__).parents[3] / "reference" / "four_wire"


@cache
def _street(n: int = 5) -> Any:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0, name="medium"), pp.create_bus(net, 0.4, name="busbar")
    pp.create_ext_grid(net, medium, name="grid")
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV", name="station")
    buses = [low]
    for k in range(n):
        buses.append(pp.create_bus(net, 0.4, name=f"house {k}", max_vm_pu=1.1, min_vm_pu=0.9))
        pp.create_line(net, buses[-2], buses[-1], 0.05, "NAYY 4x150 SE", name=f"line {k}")
        pp.create_load(net, buses[-1], p_mw=0.003, q_mvar=0.001, name=f"load {k}")
    return net


def street(n: int = 5) -> Any:
    """A transformer and `n` houses in a row; line k ends at the house of load k, at bus k + 2."""
    return deepcopy(_street(n))


def put(table: str, k: int, **values: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        for column, value in values.items():
            if column not in net[table]:
                net[table][column] = np.nan
            net[table].loc[k, column] = value

    return change


def flip(net: Any) -> None:
    net.trafo.loc[0, ["hv_bus", "lv_bus"]] = [1, 0]


def open_switch(net: Any) -> None:
    pp.create_switch(net, 4, 2, "l", closed=False)


def dead_end(net: Any) -> None:
    pp.create_bus(net, 0.4, name="spur")


def no_supply(net: Any) -> None:
    net.line.loc[3, "in_service"] = False


def second_grid(net: Any) -> None:
    pp.create_ext_grid(net, 0, vm_pu=1.0)


def medium_load(net: Any) -> None:
    pp.create_load(net, 0, p_mw=0.1, name="at the head")


def second_trafo(net: Any) -> None:
    pp.create_transformer(net, 0, 1, "0.25 MVA 20/0.4 kV", name="beside")
    net.trafo.loc[1, "vn_lv_kv"] = 0.42


def second_line(net: Any) -> None:
    pp.create_line(net, 1, 2, 0.4, "NAYY 4x150 SE", name="beside")


def measure(net: Any) -> None:
    pp.create_measurement(net, "v", "bus", 1.0, 0.01, 1)


def direct_current(net: Any) -> None:
    pp.create_bus_dc(net, 0.7)


def one_phase(net: Any) -> None:
    pp.create_asymmetric_load(net, 3, p_a_mw=0.002, name="one phase")


def off_bus(net: Any) -> None:
    net.bus.loc[net.bus.index[-1], "in_service"] = False


def far_level(net: Any) -> None:
    net.bus.loc[6, "vn_kv"] = 0.69


FAULTS: dict[str, tuple[Callable[[Any], None], str, str, int | None, str]] = {
    "no grid": (put("ext_grid", 0, in_service=False), "no_source", "net", None, "none of them in service"),
    "two grids": (second_grid, "several_sources", "ext_grid", 1, "+0 pu from the first"),
    "island": (no_supply, "island", "bus", 5, "2 buses with 2 elements"),
    "open switch": (open_switch, "open_switch", "switch", 0, "from bus 4 on"),
    "dead end": (dead_end, "dead_end", "bus", 7, "1 bus without supply"),
    "bus out of service": (off_bus, "dead_bus", "load", 4, "at bus 6, which is out of service"),
    "placeholder": (put("line", 1, max_i_ka=1.0), "placeholder_rating", "line", 1, "exactly 1 kA"),
    "99999": (put("line", 1, max_i_ka=99999.0), "placeholder_rating", "line", 1, "99999 kA"),
    "no rating": (put("line", 1, max_i_ka=np.nan), "missing_rating", "line", 1, "empty"),
    "rating of 0": (put("line", 1, max_i_ka=0.0), "missing_rating", "line", 1, "0 kA"),
    "no length": (put("line", 1, length_km=0.0), "number", "line", 1, "expected a number above 0, got 0"),
    "nan": (put("load", 1, p_mw=np.nan), "number", "load", 1, "p_mw is empty"),
    "inf": (put("line", 1, x_ohm_per_km=np.inf), "number", "line", 1, "x_ohm_per_km is inf"),
    "metres": (put("line", 1, length_km=50.0), "line_length", "line", 1, "50 km long at 0.4 kV"),
    "ohm of the line": (put("line", 1, r_ohm_per_km=25.0), "line_impedance", "line", 1, "25 ohm/km"),
    "R/X": (put("line", 1, x_ohm_per_km=0.001), "line_impedance", "line", 1, "R/X is 208"),
    "vk": (put("trafo", 0, vk_percent=60.0), "trafo_impedance", "trafo", 0, "vk_percent is 60 %"),
    "vkr": (put("trafo", 0, vk_percent=15.0, vkr_percent=9.0), "trafo_impedance", "trafo", 0, "vkr_percent is 9 %"),
    "kVA": (put("trafo", 0, sn_mva=250.0), "trafo_rating", "trafo", 0, "250 MVA"),
    "flipped": (flip, "flipped_trafo", "trafo", 0, "hv_bus 1 has 0.4 kV, lv_bus 0 has 20 kV"),
    "level of a line": (far_level, "voltage_level", "line", 4, "joins a bus of 0.4 kV with one of 0.69 kV"),
    "level of a trafo": (put("trafo", 0, vn_lv_kv=0.23), "voltage_level", "trafo", 0, "vn_lv_kv is 0.23 kV"),
    "parallel trafos": (second_trafo, "parallel", "trafo", 1, "4.76 % apart"),
    "parallel lines": (second_line, "parallel", "line", 0, "8.0 times"),
    "limits": (put("bus", 3, min_vm_pu=1.1), "limits", "bus", 3, "min_vm_pu 1.1 is not below max_vm_pu 1.1"),
    "tap": (put("trafo", 0, tap_pos=9), "tap", "trafo", 0, "tap position 9 is outside -2 to 2"),
    "load at MV": (medium_load, "medium_voltage_load", "load", 5, "20 kV"),
    "negative": (put("load", 2, p_mw=-0.004), "negative_load", "load", 2, "draws -4 kW"),
    "scaling": (put("load", 2, scaling=0.5), "scaling", "load", 2, "scaling is 0.5"),
    "name": (put("bus", 4, name="house 1"), "duplicate_name", "bus", 4, "2 elements of 'bus' are called 'house 1'"),
    "phases": (one_phase, "zero_sequence", "line", 0, "lacks r0_ohm_per_km"),
    "measurement": (measure, "left_out", "net", None, "measurements (1)"),
    "DC": (direct_current, "left_out", "bus_dc", 0, "are refused"),
    "too much load": (put("load", 4, p_mw=3.0), "no_solution", "bus", 6, "% of all power it has one"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_at_its_element_and_no_other_error(fault: str) -> None:
    plant, check, table, index, said = FAULTS[fault]
    net = street()
    plant(net)
    found = examine(Subject(net)).findings
    hits = [f for f in found if (f.check, f.table, f.index) == (check, table, index)]
    assert len(hits) == 1, found
    assert said in hits[0].what
    assert hits[0].why
    assert hits[0].remedy
    assert {f.check for f in found if f.severity is Severity.ERROR} <= {check}


@pytest.mark.slow
def test_a_sound_street_and_a_folder_of_four_wires_have_nothing() -> None:
    for subject in (Subject(street()), read_subject(FOUR_WIRE)):
        found = examine(subject)
        assert (found.findings, found.power_flow, found.score) == ((), "solved", 100)


@pytest.mark.slow
def test_sound_nets_of_others_have_nothing_and_cigre_only_its_placeholders(tmp_path: Path) -> None:
    nets = {name: make_named_net(name, seed=3) for name in ("kerber_dorfnetz", "voltage_control_village_1")}
    nets["generated"] = make_radial_feeder([f"h{k}" for k in range(12)], rng=np.random.default_rng(1)).net
    nets["cigre"] = make_named_net("cigre_lv", seed=1)
    for name, net in nets.items():
        pp.to_json(net, str(tmp_path / f"{name}.json"))
        found = examine(read_subject(tmp_path / f"{name}.json"))
        assert found.is_sound
        assert {f.check for f in found.findings} == ({"placeholder_rating"} if name == "cigre" else set())


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(5, 12), st.sampled_from(sorted(set(FAULTS) - {"too much load"})))
def test_one_fault_in_a_street_of_any_length_gives_its_finding_and_no_other_error(n: int, fault: str) -> None:
    plant, check, *_ = FAULTS[fault]
    net = street(n)
    plant(net)
    found = examine(Subject(net)).findings
    assert check in {f.check for f in found}
    assert {f.check for f in found if f.severity is Severity.ERROR} <= {check}


def test_an_element_of_a_folder_has_the_line_of_its_file(tmp_path: Path) -> None:
    for file in FOUR_WIRE.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    lines = (tmp_path / "line.csv").read_text(encoding="utf-8").replace("l1,b2,b3,0.06", "l1,b2,b3,60")
    (tmp_path / "line.csv").write_text(lines, encoding="utf-8")
    (found,) = examine(read_subject(tmp_path)).findings
    assert (found.check, found.table, found.index, found.name) == ("line_length", "line", 3, "l1")


def test_the_score_counts_each_check_once_for_its_worst_finding() -> None:
    def finding(check: str, severity: Severity) -> Finding:
        return Finding(check, severity, "line", 0, "", "", None, "", "", "")

    some = [finding("a", Severity.WARNING), finding("a", Severity.ERROR), finding("b", Severity.NOTE)]
    assert find_score(some) == 100 - POINTS[Severity.ERROR] - POINTS[Severity.NOTE]
    assert find_score([finding(str(k), Severity.ERROR) for k in range(9)]) == 0


def test_names_of_checks_are_different_and_stand_in_the_docs() -> None:
    names = [check.name for check in (*CHECKS, NO_SOLUTION)]
    assert len(set(names)) == len(names)
    page = (Path(__file__).parents[4] / "docs/how-to/check-a-network.md").read_text(encoding="utf-8")
    for check in (*CHECKS, NO_SOLUTION):
        assert f"| `{check.name}` | {check.severity} |" in page


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["net", *map(str, arguments)])


@pytest.mark.slow
def test_exit_codes_and_json(tmp_path: Path) -> None:
    net = street()
    pp.to_json(net, str(tmp_path / "sound.json"))
    flip(net)
    pp.to_json(net, str(tmp_path / "sick.json"))
    (tmp_path / "none.json").write_text("{", encoding="utf-8")
    assert call("check", tmp_path / "sound.json").exit_code == 0
    assert call("check", tmp_path / "none.json").exit_code == 2
    done = call("check", tmp_path / "sick.json", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["sound"], told["score"], told["errors"]) == (False, 80, 1)
    assert told["findings"][0]["check"] == "flipped_trafo"
    assert told["findings"][0]["name"] == "station"


def test_the_map_is_well_formed_and_marks_findings_also_of_hostile_names() -> None:
    net = street()
    net.line.loc[1, ["max_i_ka", "length_km", "name"]] = [1.0, np.nan, "<b>\x1b[31m&"]
    no_supply(net)
    found = examine(Subject(net))
    root = ElementTree.fromstring(draw_findings(net, found, "a\x00b"))
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("error, bus 5" in title for title in titles)
    assert any("<b>" in title and "\x1b" not in title for title in titles)


@pytest.mark.slow
def test_the_map_is_an_svg_or_nothing(tmp_path: Path) -> None:
    pp.to_json(street(), str(tmp_path / "net.json"))
    assert call("show", tmp_path / "net.json", "--out", tmp_path / "map.png").exit_code == 2
    assert not (tmp_path / "map.png").exists()
    assert call("show", tmp_path / "net.json", "--out", tmp_path / "map.svg").exit_code == 0
    assert "nothing was found" in (tmp_path / "map.svg").read_text(encoding="utf-8")


SCENARIO = """
[horizon]
start = "2024-01-01T00:00:00Z"
hours = {hours}
[profiles]
source = "table"
file = "profiles.csv"
[network]
source = "file"
file = "net.json"
participants = "places.csv"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hours", "place", "check", "said"),
    [
        (4, "house 2", "", ""),
        (3, "house 2", "profile_length", "1 h are not used"),
        (9, "house 2", "profile_length", "5 h are missing"),
        (4, "nowhere", "participant", "nowhere"),
    ],
)
def test_profiles_and_places_of_a_scenario(tmp_path: Path, hours: int, place: str, check: str, said: str) -> None:
    pp.to_json(street(), str(tmp_path / "net.json"))
    rows = [f"2024-01-01T0{t}:00Z,{name},0.5,0,0.1" for t in range(4) for name in ("anna", "ben")]
    header = "time,participant,load_kwh,pv_kwh,price_eur_per_kwh"
    (tmp_path / "profiles.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    (tmp_path / "places.csv").write_text(f"participant,bus\nanna,house 1\nben,{place}\n", encoding="utf-8")
    (tmp_path / "run.toml").write_text(SCENARIO.format(hours=hours), encoding="utf-8")
    found = examine(read_subject(tmp_path / "run.toml")).findings
    assert {f.check for f in found} == ({check} if check else set()), found
    assert all(said in f.what for f in found)
