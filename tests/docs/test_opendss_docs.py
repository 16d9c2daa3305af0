"""docs/how-to/opendss.md does what it says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from doc_blocks import blocks
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/opendss.md"


@pytest.mark.slow
def test_opendss_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("opendssdirect")
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(PAGE):
        if block.is_python:
            exec(compile(block.text, PAGE, "exec"), space)
        for words in block.commands if block.is_shell else []:
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (words, done.output)
    assert "monitor.m - it records" in capsys.readouterr().out
    voltage = pd.read_csv("solved/voltage.csv").set_index(["bus", "conductor"]).vm_v
    assert voltage["end", "n"] > 0.9
    participants = pd.read_csv("feeder/participants.csv").set_index("participant").phase
    assert participants.to_dict() == {"load.h1": "a", "load.h2": "b", "load.h3": "abc"}
    assert Path("run/report.html").exists()
    shapes = pd.read_parquet("feeder/profiles.parquet")
    assert len(shapes) == 3 * 24
