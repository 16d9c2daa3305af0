"""What was understood of a scenario's tables is said by every way to look at a run."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

SCENARIO = """
name = "mine"
[horizon]
start = 2017-06-01T10:00:00Z
hours = 2
[profiles]
source = "table"
file = "profiles.csv"
timezone = "Europe/Berlin"
price_eur_per_kwh = 0.2
[network]
source = "file"
file = "feeder.json"
participants = "participants.csv"
"""
HALF_HOURS = ("12:00", "13:00", "14:00")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    net = pp.create_empty_network()
    grid = pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, grid)
    for name in ("Müller 1", "Weg 2"):
        pp.create_line(net, grid, pp.create_bus(net, 0.4, name=name), 0.05, "NAYY 4x150 SE")
    pp.to_json(net, "feeder.json")
    rows = [f"01.06.2017 {at};{who};1,5;{pv}" for at in HALF_HOURS for who, pv in (("ann", "2,25"), ("bob", "0"))]
    Path("profiles.csv").write_text("time;participant;load_kwh;pv_kwh\n" + "\n".join(rows) + "\n")
    Path("participants.csv").write_bytes("participant;bus\nann;Müller 1\nbob;Weg 2\n".encode("cp1252"))
    Path("mine.toml").write_text(SCENARIO)
    return tmp_path


@pytest.mark.slow
def test_notes_reach_check_screen_summary_and_report(folder: Path) -> None:
    profiles = "profiles.csv: columns separated by semicolons; decimal commas ('1,5' is 1.5); dates with the day first"
    participants = "participants.csv: read as Windows-1252 text (with 'Müller'); columns separated by semicolons"
    check = CliRunner().invoke(app, ["scenario", "check", "mine.toml"])
    assert f"note: {profiles}" in check.stdout
    assert f"note: {participants}" in check.stdout
    run = CliRunner().invoke(app, ["run", "mine.toml", "--out", "out"])
    assert run.exit_code == 0, run.output
    assert f"note: {profiles}" in run.stdout
    (note,) = json.loads(Path("out/summary.json").read_text())["notes"]
    assert note.startswith(profiles)
    assert CliRunner().invoke(app, ["report", "out"]).exit_code == 0
    page = html.unescape(Path("out/report.html").read_text())
    assert f"About the profiles: {profiles}" in page
    assert f"About this network: {participants}" in page


def test_plain_tables_leave_no_notes(folder: Path) -> None:
    plain = "".join(f"2017-06-01T{10 + k}:00Z,{who},1.5,0\n" for k in range(3) for who in ("ann", "bob"))
    Path("profiles.csv").write_text("time,participant,load_kwh,pv_kwh\n" + plain)
    Path("participants.csv").write_text("participant,bus\nann,Müller 1\nbob,Weg 2\n", encoding="utf-8")
    run = CliRunner().invoke(app, ["run", "mine.toml", "--out", "out"])
    assert run.exit_code == 0, run.output
    assert "notes" not in json.loads(Path("out/summary.json").read_text())
