"""The page docs/how-to/one-phase-houses.md is a case that builds, and its figures are those of the bundled scenario."""

from __future__ import annotations

from pathlib import Path

import pandapower as pp
import pytest
from doc_blocks import blocks

from cosim import Scenario
from cosim.case.connections import connect
from cosim.case.inputs import read_feeder, read_inputs
from grid_models.feeder.connection import DEVICES, NAMES
from grid_models.phases.three_phase import make_three_phase

PAGE = "docs/how-to/one-phase-houses.md"


def write_street() -> None:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.4 MVA 20/0.4 kV")
    for house in "abcd":
        pp.create_line(net, low, pp.create_bus(net, 0.4, name=f"house {house}"), 0.1, "NAYY 4x50 SE")
    pp.to_json(net, "street.json")
    rows = [f"2017-06-01T10:00:00Z,{name},1.0,0.0,0.2" for name in ("ann", "bob", "cat", "dan")]
    Path("profiles.csv").write_text("\n".join(["time,participant,load_kwh,pv_kwh,price_eur_per_kwh", *rows]))


def test_the_street_of_the_page_is_read_with_its_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = blocks(PAGE)
    Path("participants.csv").write_text(next(block.text for block in page if block.language == "text"))
    Path("street.toml").write_text(next(block.text for block in page if block.language == "toml"))
    write_street()
    scenario = Scenario.load("street.toml")
    profiles, capacity_wh = read_inputs(scenario)
    feeder = read_feeder(scenario, profiles.participants, set())
    found = connect(scenario, feeder, profiles.pv_wh[0] / 1000.0, capacity_wh / 2000.0).connections
    assert found is not None
    assert {device: [NAMES[code] for code in getattr(found, device)] for device in DEVICES} == {
        "load": ["a", "b", "c", "abc"],
        "pv": ["a", "abc", "c", "abc"],
        "battery": ["a", "b", "abc", "abc"],
        "fuel_cell": ["a", "b", "c", "abc"],
    }
    assert make_three_phase(feeder.net).circuit.branches


@pytest.mark.parametrize("key", ["model", "phases", "zero_sequence", "max_vuf_percent", "max_neutral_to_earth_v"])
def test_the_page_names_every_key_of_phases(key: str) -> None:
    text = Path(__file__).parents[2].joinpath(PAGE).read_text(encoding="utf-8")
    assert f"`{key}" in text or f"{key} = " in text
