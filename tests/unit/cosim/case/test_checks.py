"""Checks before a run: `scenario check` and `run` refuse the same scenarios with the same message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim.case.case import build_case
from cosim.case.checks import check_outages
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.scenario.files import parse_scenario

BASE = "[horizon]\nstart = 2017-06-20\nhours = 6\n[houses]\nn_houses = 3\nn_prosumers = 2\n"


def event(**keys: object) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(["[[events]]", *lines, ""])


REFUSED = {
    "no file": (
        '[profiles]\nsource = "table"\n',
        'profiles.file: expected a file for profiles.source = "table"',
    ),
    "no net": (
        '[network]\nsource = "named"\n',
        "network.name: expected the name of a pandapower net, got none",
    ),
    "priority of nobody": (
        '[curtailment.priority]\nhouse_9 = "high"\n',
        "curtailment.priority: expected names",
    ),
    "unknown line": (
        event(kind="outage", start="2017-06-20T01:00:00Z", hours=1, lines=["mian"]),
        "network, line 'mian': expected an index or name of the net",
    ),
    "unknown switch of random outages": (
        event(kind="random_outages", grid=False, switches=["branch 11"]),
        "network, switch 'branch 11': expected an index or name of the net",
    ),
    "no battery yet": (
        event(kind="retire", at="2017-06-20T00:00:00Z", participant="house_01", device="battery"),
        "events, entry 1, at: expected a time after the first interval",
    ),
    "characteristic that rises": (
        '[pv]\ncontrol = "q_v"\nq_v_vm_pu = [0.9, 1.1]\nq_v_q_pu = [-0.3, 0.3]\n',
        "pv.q_v_vm_pu, pv.q_v_q_pu: inverter, Q(V) characteristic, q_pu",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_check_and_run_refuse_the_same(name: str, tmp_path: Path) -> None:
    text, expected = REFUSED[name]
    file = tmp_path / "s.toml"
    file.write_text(BASE + text)
    check = CliRunner().invoke(app, ["scenario", "check", str(file)])
    run = CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path / "out"), "--quiet"])
    assert (check.exit_code, run.exit_code) == (2, 2), check.output + run.output
    assert expected in check.stderr
    assert check.stderr == run.stderr


@pytest.mark.parametrize(
    ("table", "flag", "key", "name", "state"),
    [
        ("switch", "closed", "switches", "branch 1", "open"),
        ("line", "in_service", "lines", "main 1.1", "out of service"),
    ],
)
def test_an_outage_of_what_is_open_already_is_refused(table: str, flag: str, key: str, name: str, state: str) -> None:
    text = BASE + event(kind="outage", start="2017-06-20T01:00:00Z", hours=1, **{key: [name]})
    scenario = parse_scenario(text, "test")
    feeder = build_case(scenario).feeder
    feeder.net[table].loc[feeder.net[table].name == name, flag] = False
    with pytest.raises(ScenarioError, match=f"events, entry 1, {key}: .* got '{name}', which is {state} in the net"):
        check_outages(scenario, feeder)
