"""The page on own copies does what it says: its commands, on a short run, with the ports of this test."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from doc_blocks import blocks
from ledger_world import world, written
from log_world import served_folder, witness
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.scenario.files import parse_scenario
from market.ledger.follow.node import KEY_FILE
from market.ledger.format.quorum import parse_witnesses

PAGE = "docs/how-to/own-copy.md"
NOT_HERE = "gridsettle run --out run --quiet"
STAYS = ("--serve", "8001")


@pytest.mark.slow
def test_the_commands_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("run"), world(4, 24, seed=6))
    commands = [line for block in blocks(PAGE) if block.is_shell for line in block.text.splitlines()]
    assert commands.pop(0) == NOT_HERE
    assert len(commands) == 10

    def invoke(command: str, url: str = "http://127.0.0.1:9") -> None:
        words = [word for word in shlex.split(command.replace("http://127.0.0.1:8000", url))[1:] if word not in STAYS]
        once = ["--once"] if words[1] == "follow" and "--once" not in words else []
        result = CliRunner().invoke(app, [*words, *once])
        assert result.exit_code == ("collect" in words), (command, result.output)
        if words[1] == "publish":
            key = result.output.split()[-1]
            Path("operator.vkey").write_text(key)

    publish, *rest = commands
    invoke(publish)
    with served_folder(Path("www")) as url:
        for command in rest:
            if "collect" in command:
                command += f" --witness {own_key()}"
            if "her-copy" in command:
                CliRunner().invoke(app, ["ledger", "follow", url, "--out", "her-copy", "--once"])
            invoke(command, url)
    assert Path("my-copy", KEY_FILE).read_text().strip() == Path("operator.vkey").read_text()


def own_key() -> str:
    """File of a witness's verifier key; nobody answers for it here."""
    Path("w.vkey").write_text(witness(1, Path()).verifier_key().text())
    return "w.vkey"


def test_the_witnesses_of_the_page_are_some() -> None:
    (text,) = (block.text for block in blocks(PAGE) if block.language == "toml")
    ledger = parse_scenario(text, PAGE).ledger
    assert ledger.quorum is not None
    assert parse_witnesses(ledger.witnesses, ledger.quorum).needed == 2
