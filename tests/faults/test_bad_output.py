"""Nowhere to write to: exit code 2, one message that names the place, and the file in the way is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.cli import app

SHORT = Scenario().with_changes(horizon={"hours": 2})

COMMANDS = {
    "run": ["run", "default", "--until", "2017-01-01T02:00", "--out", "OUT"],
    "hosting": ["hosting", "--intervals", "1", "--out", "OUT"],
    "study": ["study", "storage", "--hours", "2", "--seeds", "1", "--workers", "1", "--out", "OUT"],
    "compare": ["compare", "one", "two", "--out", "OUT"],
    "scenario new": ["scenario", "new", "OUT"],
    "ledger export": ["ledger", "export", "one", "OUT"],
    "ledger export, lines": ["ledger", "export", "one", "OUT.jsonl"],
    "ledger prove": ["ledger", "prove", "one", "1", "0", "--out", "OUT"],
    "ledger init": ["ledger", "init", "OUT"],
}


@pytest.mark.parametrize("place", ["a-file", "a-file/in-it", "a-file/in-it/below"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_in_the_way_is_told_and_kept(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("precious", encoding="utf-8")
    if "one" in COMMANDS[name]:
        run(SHORT, "one")
    if "two" in COMMANDS[name]:
        run(SHORT, "two")
    before = sorted(tmp_path.iterdir())
    if place == "a-file" and name in ("hosting", "ledger prove", "ledger export, lines"):
        pytest.skip("they write files, and may put one in place of another")
    done = CliRunner().invoke(app, [part.replace("OUT", place) for part in COMMANDS[name]])
    assert done.exit_code == 2, done.output
    told = [line for line in done.stderr.splitlines() if line.startswith("gridsettle: ")]
    assert len(told) == 1
    assert "a-file" in told[0]
    assert "expected" in told[0]
    assert Path("a-file").read_text(encoding="utf-8") == "precious"
    assert sorted(tmp_path.iterdir()) == before
