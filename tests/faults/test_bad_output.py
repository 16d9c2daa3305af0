"""Nowhere to write to: exit code 2, one message that names the place, and the file in the way is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.cli.app import app
from cosim.scenario.files import format_toml

SHORT = Scenario().with_changes(horizon={"hours": 2})

INTO_A_FOLDER = {
    "run": ["run", "rural", "--until", "2017-01-01T02:00", "--out", "OUT"],
    "study": ["study", "storage", "--hours", "2", "--seeds", "1", "--workers", "1", "--out", "OUT"],
    "compare": ["compare", "one", "two", "--out", "OUT"],
    "scenario new": ["scenario", "new", "OUT"],  # makes a file, but never in place of another
    "ledger export": ["ledger", "export", "one", "OUT"],
    "ledger init": ["ledger", "init", "OUT"],
}
INTO_A_FILE = {
    "hosting": ["hosting", "short.toml", "--intervals", "1", "--out", "OUT"],
    "ledger export, lines": ["ledger", "export", "one", "OUT.jsonl"],
    "ledger prove": ["ledger", "prove", "one", "1", "0", "--out", "OUT"],
}
BELOW = ("a-file/in-it", "a-file/in-it/below")
CASES = {
    f"{name} {place}": [part.replace("OUT", place) for part in command]
    for commands, places in ((INTO_A_FOLDER, ("a-file", *BELOW)), (INTO_A_FILE, BELOW))
    for name, command in commands.items()
    for place in places
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_file_in_the_way_is_told_and_kept(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("precious", encoding="utf-8")
    Path("short.toml").write_text(format_toml(SHORT), encoding="utf-8")
    for name in {"one", "two"} & set(CASES[case]):
        run(SHORT, name)
    before = sorted(tmp_path.iterdir())
    done = CliRunner().invoke(app, CASES[case])
    assert done.exit_code == 2, done.output
    told = [line for line in done.stderr.splitlines() if line.startswith("gridsettle: ")]
    assert len(told) == 1
    assert "a-file" in told[0]
    assert "expected" in told[0]
    assert Path("a-file").read_text(encoding="utf-8") == "precious"
    assert sorted(tmp_path.iterdir()) == before


TO_A_FILE = {
    "hosting": ["hosting", "short.toml", "--intervals", "1", "--out", "OUT"],
    "ledger prove": ["ledger", "prove", "one", "1", "0", "--out", "OUT"],
}


@pytest.mark.parametrize("place", ["/", ".", "..", "folder"])
@pytest.mark.parametrize("command", TO_A_FILE)
def test_a_folder_in_place_of_a_file_is_told(
    command: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("short.toml").write_text(format_toml(SHORT), encoding="utf-8")
    if "one" in TO_A_FILE[command]:
        run(SHORT, "one")
    done = CliRunner().invoke(app, [part.replace("OUT", place) for part in TO_A_FILE[command]])
    assert done.exit_code == 2, done.output
    assert "expected a file to write, got a folder; add a file name" in done.stderr


def test_input_that_cannot_be_used_leaves_no_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text('[network]\nsource = "file"\nfile = "none.json"\nparticipants = "none.csv"\n')
    done = CliRunner().invoke(app, ["run", "bad.toml", "--out", "new"])
    assert done.exit_code == 2, done.output
    assert not Path("new").exists()
