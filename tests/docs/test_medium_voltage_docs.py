"""The page on medium voltage, medium-voltage.md: the net, the index and the commands of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doc_blocks import blocks, commands
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/medium-voltage.md"


@pytest.mark.slow
def test_the_page_is_a_case_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    index, scenario = (next(b.text for b in blocks(PAGE) if b.language == kind) for kind in ("text", "toml"))
    Path("feeders.csv").write_text(index)
    Path("sunny.toml").write_text(scenario)
    for block in blocks(PAGE):
        if block.is_python:
            exec(compile(block.text, PAGE, "exec"), {})
    said = []
    for words in commands(PAGE):
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output
        said.append(result.output)
    assert "3 feeders agree with the net to" in said[0]
    assert "what they asked for was shared among the feeders" in said[0]
    assert "all verdicts confirmed" in said[1]
    summary = json.loads(Path("runs/town/mv_summary.json").read_text())
    assert summary["broken_intervals"] == 0 < summary["shared_intervals"]
    assert summary["highest_vm"]["vm_pu"] <= 1.032
    assert {"heads", "mv.parquet", "portfolio.parquet"} <= {path.name for path in Path("runs/town").iterdir()}
