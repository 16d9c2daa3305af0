"""Events that a command would leave out without a word: refused, or named."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

SMALL = """
name = "{name}"
[horizon]
start = 2017-06-20T10:00:00Z
hours = 2
[houses]
n_houses = 3
n_prosumers = 2
[engine]
verify_sample = 0
"""
EVENTS = {
    "outage": "start = 2017-06-20T11:00:00Z\nhours = 1\ngrid = true\n",
    "register": 'at = 2017-06-20T11:00:00Z\nparticipant = "house_01"\ndevice = "battery"\nbattery_kwh = 5.0\n',
    "load": 'start = 2017-06-20T11:00:00Z\nhours = 1\nparticipant = "house_01"\nfactor = 2.0\n',
}


def write(tmp_path: Path, name: str, *kinds: str) -> str:
    events = [f'[[events]]\nkind = "{kind}"\n{EVENTS[kind]}' for kind in kinds]
    (tmp_path / f"{name}.toml").write_text("".join([SMALL.format(name=name), *events]))
    return str(tmp_path / f"{name}.toml")


@pytest.mark.parametrize("kind", ["outage", "register"])
@pytest.mark.parametrize("study", ["microgrids", "production"])
def test_studies_refuse_events_that_they_do_not_know(tmp_path: Path, study: str, kind: str) -> None:
    scenarios = [write(tmp_path, "north", "load", kind), *([write(tmp_path, "south")] if study == "microgrids" else [])]
    shown = CliRunner().invoke(app, ["study", study, *scenarios, "--hours", "2", "--out", str(tmp_path / "out")])
    assert shown.exit_code == 2, shown.output
    assert f"events, entry 2: expected events of kind load for study {study}" in shown.output
    assert f"got {kind}; remove it" in shown.output
    assert not (tmp_path / "out" / "deals.csv").exists()


@pytest.mark.slow
def test_events_of_loads_hold_between_microgrids(tmp_path: Path) -> None:
    scenarios = [write(tmp_path, "north", "load"), write(tmp_path, "south")]
    command = ["study", "microgrids", *scenarios, "--hours", "2", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, command).exit_code == 0


@pytest.mark.slow
def test_hosting_names_the_events_that_it_leaves_out(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["hosting", write(tmp_path, "north", "outage", "load")])
    assert shown.exit_code == 0, shown.output
    assert "note: events that hosting capacity leaves out: outage (1)" in shown.output
