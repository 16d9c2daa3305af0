"""docs/how-to/own-houses.md does what it says, and names every column."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_blocks import blocks, text_of, written_in
from typer.testing import CliRunner

from cosim import Result, Scenario, rerun_ledger
from cosim.cli.app import app
from cosim.scenario.participants import ParticipantSection

PAGE = "docs/how-to/own-houses.md"


@pytest.mark.slow
def test_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text(written_in(PAGE, "text")[0])
    Path("mine.toml").write_text(written_in(PAGE, "toml")[0])
    for words in next(block.commands for block in blocks(PAGE) if block.is_shell):
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (words, done.output)
    summary = Result.load("mine").summary
    assert summary["contract_power"]["houses"] == 2
    Result.load("mine").report("mine.html")
    page = Path("mine.html").read_text(encoding="utf-8")
    assert "17 to 21 h; mon, tue, wed, thu, fri" in page
    assert "Houses that have contracted a power" in page
    assert sum(band["intervals"] for band in summary["tariff"]["bands"]) == 48


@pytest.mark.slow
def test_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(compile(next(block.text for block in blocks(PAGE) if block.is_python), PAGE, "exec"), names)
    assert Result.load("from_frames").summary["contract_power"]["houses_beyond"] == ["bob"]
    assert rerun_ledger("from_frames").ok


def test_page_names_every_column_and_its_weather_is_a_scenario(tmp_path: Path) -> None:
    text = text_of(PAGE)
    assert all(f"`{column}`" in text for column in ParticipantSection.model_fields)
    (tmp_path / "sun.toml").write_text(written_in(PAGE, "toml")[1])
    assert Scenario.load(tmp_path / "sun.toml").pv.tilt_deg == 35
