"""docs/how-to/network-charges.md: its commands are run, and its bill and its figures are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_blocks import blocks, text_of
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/network-charges.md"


@pytest.mark.slow
def test_the_bill_and_the_study_are_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wires.toml").write_text(next(b.text for b in blocks(PAGE) if b.language == "toml"), encoding="utf-8")
    said = ""
    for words in (words for block in blocks(PAGE) if block.is_shell for words in block.commands):
        extra = ["--workers", "1"] if words[1] == "study" else []
        done = CliRunner().invoke(app, [*words[1:], *extra])
        assert done.exit_code == 0, (words, done.output)
        said += done.stdout
    assert Path("house_24.csv").read_text() == next(b.text for b in blocks(PAGE) if b.language == "text")
    assert "<h1" in Path("house_24.html").read_text()
    table = [line for line in text_of(PAGE).splitlines() if line.startswith("| ") and line.count("|") == 10]
    assert len(table) == 9
    assert [line for line in table if line not in said] == []
