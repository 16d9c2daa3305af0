"""docs/how-to/meters.md: its command is run, and its account is what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doc_blocks import blocks, text_of, written_in
from typer.main import get_command
from typer.testing import CliRunner

from cosim.cli.app import app
from data.tables import read_profiles

PAGE = "docs/how-to/meters.md"


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ann.csv").write_text(written_in(PAGE, "text")[0])
    words = next(block.commands for block in blocks(PAGE) if block.is_shell)[0]
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, done.output
    assert "told by the order of the rows" in done.output
    assert Path("report.csv").read_text() == written_in(PAGE, "text")[1]
    profiles = read_profiles("profiles.csv", price_eur_per_kwh=0.2)
    assert profiles.load_wh.ravel().tolist() == [412, 306, 298, 301, 328, 355, 200]
    told = json.loads(CliRunner().invoke(app, [*words[1:], "--json"]).output)
    assert told["meters"][0]["written_wh"] == 2200
    for left_out in ("--timezone", "--stamp", "--fill"):
        at = words.index(left_out)
        asked = CliRunner().invoke(app, [*words[1:at], *words[at + 2 :]])
        assert asked.exit_code == 2
        assert left_out in asked.output
        assert asked.output.count("\n") == 1


def test_every_option_that_the_page_names_is_one() -> None:
    command = get_command(app).commands["profiles"].commands["import"]
    known = {name for each in command.params for name in each.opts}
    for option in ("--unit", "--kind", "--positive", "--span", "--duplicates", "--register-digits", "--leave-out"):
        assert option in known
        assert option in text_of(PAGE)


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "ann.csv"
    file.write_text(written_in(PAGE, "text")[0])
    for out in (file, tmp_path / "x.txt"):
        done = CliRunner().invoke(app, ["profiles", "import", str(file), "--out", str(out)])
        assert done.exit_code == 2
    assert file.read_text() == written_in(PAGE, "text")[0]
    assert [each.name for each in tmp_path.iterdir()] == ["ann.csv"]
