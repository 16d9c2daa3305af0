"""docs/how-to/check-a-network.md does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_blocks import blocks, written_in
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/check-a-network.md"


@pytest.mark.slow
def test_check_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = ""
    for block in blocks(PAGE):
        if block.is_python:
            exec(compile(block.text, PAGE, "exec"), {"__name__": "__main__"})
        for words in block.commands if block.is_shell else []:
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == (1 if "check" in words and "street.json" in words else 0), done.output
            told += done.output
    assert written_in(PAGE, "text")[0] in told
    assert Path("map.svg").stat().st_size > 1000
