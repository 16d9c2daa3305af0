"""docs/how-to/audit-a-ledger.md: its commands are run, its outputs are what they print."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import lies
import pytest
from dishonest import Books, put_together, take_apart
from doc_blocks import blocks, written_in
from typer.testing import CliRunner

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.cli.app import app

pytestmark = pytest.mark.slow  # whole ledgers, signed again

PAGE = "docs/how-to/audit-a-ledger.md"
LIED: dict[str, Callable[[Books, Case], None]] = {
    "dear": lies.tripled_for_one,
    "cut": lies.innocent_cut,
    "moved": lies.load_to_a_neighbour,
    "short": lies.last_intervals_dropped,
}


def printed_by(command: list[str]) -> str:
    result = CliRunner().invoke(app, command[1:])
    assert result.exit_code in (0, 1), result.output
    return result.stdout


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "day.toml").write_text(written_in(PAGE, "toml")[0])
    return tmp_path


def test_commands_print_what_the_page_shows(day: Path) -> None:
    """A text block follows the commands whose output it is; one that begins with $ holds its own commands."""
    case = build_case(Scenario.load(day / "day.toml"))
    said = ""
    for block in blocks(PAGE):
        if block.is_shell:
            said = "".join(printed_by(command) for command in block.commands)
        elif block.language == "text" and not block.text.startswith("$ "):
            assert block.text == said
        elif block.language == "text":
            for part in block.text.split("$ ")[1:]:
                command, _, shown = part.partition("\n")
                words = shlex.split(command)
                if not (day / words[3]).exists():
                    books = take_apart(day / "day")
                    LIED[words[3]](books, case)
                    put_together(books, day / "day", day / words[3])
                assert printed_by(words).startswith(shown)
