"""docs/how-to/portfolio-report.md: its commands end as it says, and its table lists the columns that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_blocks import ROOT, commands
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.portfolio.mends import BY_NO_SHIFT, BY_SHIFT, MEND_COLUMNS, NOT_NEEDED, NOT_TOLD

PAGE = "docs/how-to/portfolio-report.md"


@pytest.mark.slow
def test_commands_do_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    for words in commands(PAGE):
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (words, result.output)
        said.append(result.output)
    assert sum("this is the head of feeder 'feeder-000001'" in text for text in said) == 2
    assert sum("pin one with --portfolio-key" in text for text in said) == 1
    assert "runs/feeder-000001/report.html" in Path("streets/report.html").read_text(encoding="utf-8")
    assert Path("streets/portfolio.csv").read_text(encoding="utf-8").count("\n") == 4


def test_columns_of_mends_are_those_of_the_table() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert set(re.findall(r"`(mend_\w+)`", text)) == {name for name, _, _ in MEND_COLUMNS}
    for word in (NOT_NEEDED, BY_SHIFT, BY_NO_SHIFT, NOT_TOLD):
        assert f"`{word}`" in text
