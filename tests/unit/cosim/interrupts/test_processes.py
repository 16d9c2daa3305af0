"""Processes of a pool end with the one that started them, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import os, time
from cosim.interrupts.processes import open_pool

def work(path):
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(600)

if __name__ == "__main__":
    with open_pool(1) as pool:
        pool.submit(work, "worker").result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_ends_with_the_command_that_started_it(how: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    parent = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    written = tmp_path / "worker"
    wait_until(lambda: written.exists() and written.read_text().endswith("\n"))
    parent.send_signal(how)
    parent.wait()
    worker = int(written.read_text())
    try:
        wait_until(lambda: not is_running(worker))
    finally:
        if is_running(worker):
            os.kill(worker, signal.SIGKILL)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(process: int) -> bool:
    """Whether a process is there; one that has ended and that nobody has asked for is not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
