"""Code and commands in README and how-tos do what they say."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim.cli import app

ROOT = Path(__file__).parents[3]


def blocks(file: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), flags=re.DOTALL)


def test_python_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks("README.md", "python"):
        exec(compile(block, "README.md", "exec"), {})
    assert "bus" in capsys.readouterr().out


def test_own_network_page_is_a_case_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    participants, profiles = blocks("docs/how-to/own-network.md", "")[:2]
    Path("participants.csv").write_text(participants)
    Path("profiles.csv").write_text(profiles)
    Path("mine.toml").write_text(blocks("docs/how-to/own-network.md", "toml")[0])
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("house a", "house b"):
        pp.create_line(net, low, pp.create_bus(net, 0.4, name=name), 0.1, "NAYY 4x50 SE")
    pp.to_json(net, "feeder.json")
    for arguments in (["scenario", "check", "mine.toml"], ["run", "mine.toml"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output


def test_private_ledger_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/how-to/private-ledger.md"
    monkeypatch.chdir(tmp_path)
    Path("private.toml").write_text(blocks(page, "toml")[0])
    commands = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert len(commands) == 12
    for command in commands:
        name, *arguments = shlex.split(command, comments=True)
        assert name == "gridsettle"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == command.endswith("# exit code 1"), (command, result.output)
    assert (
        json.loads(CliRunner().invoke(app, ["ledger", "show", "run", "--json"]).output.splitlines()[1])[
            "record"
        ]
        == "access"
    )


def test_tour_shows_what_its_script_computes(tmp_path: Path) -> None:
    written = tmp_path / "tour.md"
    runpy.run_path(str(ROOT / "docs/examples/tour_of_one_hour.py"))["write"](written)
    assert written.read_text(encoding="utf-8") == (ROOT / "docs/tour.md").read_text(encoding="utf-8")
