"""What people typed and what they meant: answered in their sense, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError, run, validate
from cosim.case.case import build_case
from cosim.cli.app import app
from data.errors import DataError
from data.tables import profiles_from_frame
from grid_models.errors import GridError

NAMES = ("../../esc", "/tmp/abs", "a/b", "a\\b", "..", ".", "  ", "x ", "a\nb", "", "n" * 101)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_cannot_name_a_folder_elsewhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run goes into runs/NAME-001 if nobody says where: a name with a path in it wrote outside."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    Path("s.toml").write_text(f"name = {name!r}\n[horizon]\nhours = 1\n" if "\n" not in name else 'name = "a\\nb"\n')
    for command in (["scenario", "check", "s.toml"], ["run", "s.toml", "--quiet"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2, done.output
        assert "name: " in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "s.toml"]


def test_amperes_are_no_kiloamperes() -> None:
    scenario = Scenario().with_changes(
        horizon={"hours": 1},
        houses={"n_houses": 3, "n_prosumers": 1},
        network={"source": "named", "name": "cigre_lv", "line_ratings_ka": {"Line R1-R2": 270.0}},
    )
    with pytest.raises(GridError, match=r"Line R1-R2.* at most 20 kA, got 270; 270 A would be 0.27"):
        build_case(scenario)


@pytest.mark.parametrize(
    ("rows", "wanted", "said"),
    [
        (15, 60, "rows of 15 minutes joined to means of 60: peaks within them are not seen"),
        (60, 15, "rows of 60 minutes spread evenly over intervals of 15"),
        (30, 30, ""),
    ],
)
def test_rows_of_another_length_are_said(rows: int, wanted: int, said: str) -> None:
    times = pd.date_range("2017-06-01", periods=240 // rows, freq=f"{rows}min", tz="UTC")
    frame = pd.DataFrame({"time": times, "participant": "ann", "load_wh": 100, "price_eur_per_kwh": 0.2})
    notes = profiles_from_frame(frame, interval_minutes=wanted).provenance.get("notes", "")
    assert (said in str(notes)) if said else notes == ""


def test_a_table_of_participants_is_asked_for_as_a_mapping() -> None:
    net = pn.create_kerber_landnetz_kabel_1()
    trades = pd.DataFrame(
        {"time": ["2017-06-01T12:00Z"], "seller": "a", "buyer": "grid", "energy_kwh": 1.0, "price_eur_per_kwh": 0.1}
    )
    table = pd.DataFrame({"participant": ["a"], "bus": [3]})
    with pytest.raises(DataError, match="expected a mapping from participant to bus, got a DataFrame; of a table make"):
        validate(net, trades, participants=table)  # type: ignore[arg-type]
    assert validate(net, trades, participants=dict(zip(table.participant, table.bus, strict=True))).accepted


def write_street(folder: Path, participants: str, columns: str = "", values: str = "") -> Scenario:
    (folder / "bus.csv").write_text(participants)
    rows = [f"2017-06-01T12:00Z,{name},1000{values}" for name in ("ann", "bob")]
    (folder / "p.csv").write_text("\n".join([f"time,participant,load_wh{columns}", *rows]))
    pp.to_json(pn.create_cigre_network_lv(), str(folder / "net.json"))
    return Scenario().with_changes(
        horizon={"start": "2017-06-01T12:00:00Z", "hours": 1},
        profiles={"source": "table", "file": folder / "p.csv", "price_eur_per_kwh": 0.2},
        network={"source": "file", "file": folder / "net.json", "participants": folder / "bus.csv"},
        market={"mechanism": "none"},
    )


def test_reactive_power_of_profiles_is_said_to_be_theirs(tmp_path: Path) -> None:
    scenario = write_street(tmp_path, "participant,bus\nann,Bus R11\nbob,Bus R15\n", ",load_kvarh", ",2")
    result = run(scenario, tmp_path / "run")
    notes = result.summary["network"]["notes"]
    assert "reactive power of loads as in the profiles" in notes
    assert not any("as in the net" in note for note in notes)


def test_power_factors_of_a_table_are_said_beside_those_of_the_net(tmp_path: Path) -> None:
    both = build_case(write_street(tmp_path, "participant,bus,load_cos_phi\nann,Bus R11,0.8\nbob,Bus R15,0.9\n"))
    assert "power factor of 2 loads as in the table of participants" in both.feeder.notes
    assert not any("as in the net" in note for note in both.feeder.notes)


def test_a_name_may_still_be_any_word() -> None:
    assert Scenario(name="Straße 7, Häuser <2>").name == "Straße 7, Häuser <2>"
    with pytest.raises(ScenarioError, match="name: expected a name that can be that of a folder"):
        Scenario(name="a/b")
