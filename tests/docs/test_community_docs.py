"""docs/how-to/community-by-law.md: its commands print what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_blocks import blocks
from typer.testing import CliRunner

from cosim.cli.app import app

PAGE = "docs/how-to/community-by-law.md"


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the commands of the page print, one after the other, in a folder that is left as the current one."""
    monkeypatch.chdir(tmp_path)
    street, terms = (
        next(b for b in blocks(PAGE) if b.language == "toml"),
        next(b for b in blocks(PAGE) if "law =" in b.text),
    )
    Path("street.toml").write_text(street.text, encoding="utf-8")
    Path("terms.toml").write_text(terms.text, encoding="utf-8")
    said = []
    for block in blocks(PAGE):
        for words in block.commands if block.is_shell else []:
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (words, done.output)
            said.append(done.stdout)
    return said


@pytest.mark.slow
def test_the_page_settles_checks_and_shares_as_it_shows(settled: list[str]) -> None:
    _, first, second = [block.text.strip() for block in blocks(PAGE) if block.language == "text"]
    assert len(settled) == 4
    assert settled[1].startswith(first)
    assert settled[2].startswith("settled: ok")
    assert settled[3].strip() == second
    shapley = CliRunner().invoke(app, ["community", "share", "run", "--terms", "terms.toml"])
    assert "Not in the core: house_02, house_03 would have 0.05 EUR more alone." in shapley.stdout


@pytest.mark.slow
def test_what_was_changed_or_cannot_be_settled_is_said(settled: list[str]) -> None:
    path = Path("settled/balances.csv")
    path.write_text(path.read_text().replace("-9908000000", "-9908000001"))
    changed = CliRunner().invoke(app, ["community", "check", "settled", "run"])
    assert changed.exit_code == 1
    assert "NOT WHAT THE LEDGER GIVES" in changed.stdout
    assert "balances.csv" in changed.stdout
    wrong = Path("terms.toml").read_text().replace("house_04 = 0.4", "house_04 = 0.39")
    Path("wrong.toml").write_text(wrong)
    refused = CliRunner().invoke(app, ["community", "settle", "run", "--terms", "wrong.toml", "--out", "again"])
    assert refused.exit_code == 2
    assert "coefficients that sum to exactly 1, got 0.99" in refused.output
    assert not Path("again").exists()
