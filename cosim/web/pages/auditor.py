"""Audits by the operator's button: the very command that anybody can run, in a process of its own, one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

LONGEST_S = 900
MOST_TEXT = 20_000
COMMANDS = {"verify": ("verify",), "audit": ("audit", "--sample", "48", "--so-far")}
"""What a button runs: `gridsettle ledger …` of the run directory."""


class Auditor:
    """Runs one audit at a time; a context manager that ends it.

    Parameters
    ----------
    directory
        Run directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self._lock = directory, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.command, self.answer = "", ""
        self.exit_code: int | None = None

    def __enter__(self) -> Auditor:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()

    @property
    def is_busy(self) -> bool:
        """Whether an audit is under way."""
        return self._process is not None

    def begin(self, what: str) -> bool:
        """Begin an audit, `verify` or `audit`; False if one is under way."""
        with self._lock:
            if self.is_busy:
                return False
            name, *options = COMMANDS[what]
            self.command = " ".join(["gridsettle ledger", name, str(self._directory), *options])
            self.answer, self.exit_code = "", None
            words = [sys.executable, "-m", "cosim.cli.entry", "ledger", name, str(self._directory), *options]
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            threading.Thread(target=self._wait, args=(self._process,), name="audit", daemon=True).start()
            return True

    def _wait(self, process: subprocess.Popen[str]) -> None:
        try:
            answer, _ = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            answer = f"The audit was ended after {LONGEST_S} s; run it on the command line."
        with self._lock:
            self.answer, self.exit_code, self._process = answer[-MOST_TEXT:].strip(), process.returncode, None
