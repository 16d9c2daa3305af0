"""docs/how-to/portfolio.md: its commands run with little work, its table of an index is one, its Python prints."""

from __future__ import annotations

from pathlib import Path

import pandapower as pp
import pandapower.networks as pn
import pytest
from doc_blocks import blocks, code_blocks, written_in
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.portfolio.portfolio import Portfolio
from cosim.portfolio.row import SCHEMA

PAGE = "docs/how-to/portfolio.md"
LESS = {"1000": "2", "168": "24", "kerber_landnetz": "kerber_landnetz_kabel_1"}
SHORT = ["--hours", "24", "--keep", "worst 1"]


@pytest.mark.slow
def test_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("north", "south"):
        pp.to_json(pn.create_kerber_landnetz_kabel_1(), f"{name}.json")
    Path("feeders.csv").write_text(written_in(PAGE, "text")[0])
    for words in [words for block in code_blocks(PAGE) if block.is_shell for words in block.commands]:
        fewer = [LESS.get(word, word) for word in words[1:]]
        result = CliRunner().invoke(app, [*fewer, *(SHORT[2:] if "--hours" in fewer else SHORT)])
        assert result.exit_code == 0, (words, result.output)
    found = Portfolio.load("portfolio")
    assert found.table.schema.equals(SCHEMA, check_metadata=False)
    assert found.feeders.status.to_dict() == {"north 1": "run", "north 2": "run", "south": "run"}
    assert found.feeders.houses.tolist() == [8, 8, 8]
    assert (tmp_path / "drawn/runs").exists()
    assert len(list((tmp_path / "drawn/runs").glob("*/report.html"))) == 1


@pytest.mark.slow
def test_python_of_the_page_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (text,) = [block.text for block in blocks(PAGE) if block.is_python]
    exec(compile(text, PAGE, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "east" in printed
    assert "energy that the wires kept from exchanges and loads" in printed


def test_tables_of_the_page_name_columns_that_exist() -> None:
    text = (Path(__file__).parents[2] / PAGE).read_text()
    for name in ("cut_kwh", "highest_loading_percent"):
        assert name in text
        assert name in SCHEMA.names
