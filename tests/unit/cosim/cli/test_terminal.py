"""What commands show on a terminal, a pseudo-terminal of their own, and through encodings that lack some of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")

ROOT = str(Path(__file__).parents[4])

COMMANDS = {
    "run": (["run", "short.toml", "--no-report"], "24 of 24 intervals"),
    "study": (["study", "storage", "--hours", "2", "--seeds", "1", "--workers", "1"], "runs"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_its_progress_on_a_terminal(name: str, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text('name = "short"\n[horizon]\nhours = 24\n', encoding="utf-8")
    arguments, expected = COMMANDS[name]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from cosim.cli.app import main; main()", *arguments],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "PYTHONPATH": ROOT},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = _everything(ours)
    assert process.wait() == 0, shown
    assert expected in shown
    assert "Traceback" not in shown


def _everything(terminal: int) -> str:
    """What a process writes to the terminal until it ends, without control sequences."""
    read = b""
    try:
        while part := os.read(terminal, 65536):
            read += part
    except OSError:  # how Linux says that nobody holds the other end any more
        pass
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read.decode("utf-8", "replace"))


@pytest.mark.parametrize("arguments", [["run", "--help"], ["scenario", "show", "default"]])
def test_what_an_encoding_lacks_is_shown_as_a_question_mark(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from cosim.cli.app import main; main()", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": ROOT},
        capture_output=True,
        check=True,
    )
    assert b"?" in done.stdout
    assert not done.stderr
