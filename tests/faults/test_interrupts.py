"""Ctrl-C at any moment: exit code 130 and one message, and a run goes on to the head of an undisturbed one.

command ── imports ── inputs ── compiling ── intervals ── tables ── report
    SIGINT anywhere; it must never be raised inside a compiled function's wrapper, which does not survive it
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest

from cosim import Scenario, run
from cosim.scenario.files import format_toml

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from cosim.cli.entry import main; main()")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")]

LOOP = """
import os, random, signal, sys, threading
from cosim import Scenario
from cosim.case.case import build_case
from cosim.interrupts.stop import stop_between_lines
from cosim.interval.optimistic import settle_optimistically, try_window

signal.signal(signal.SIGINT, signal.default_int_handler)
case = build_case(Scenario().with_changes(horizon={"hours": 24}))
try_window(case, case.opening, 0, 4)
random.seed(1)
for _ in range(300):
    try:
        with stop_between_lines():
            threading.Timer(random.uniform(0.0, 0.004), os.kill, (os.getpid(), signal.SIGINT)).start()
            while True:
                settle_optimistically(case, case.opening, 0, 1)
                try_window(case, case.opening, 0, 2)
    except KeyboardInterrupt:
        pass
print("alive")
"""


def test_compiled_functions_survive_300_interrupts() -> None:
    """Python's own handler ends this loop by signal 11, or by a SystemError, within the first few."""
    done = subprocess.run([sys.executable, "-c", LOOP], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-500:]


class Interrupted:
    """A command that was interrupted: its exit code and what it said on standard error."""

    def __init__(self, *arguments: str, folder: Path, after: str | None, seconds: float, group: bool = False) -> None:
        """Interrupt it so many seconds after a line with the word `after`, or after its begin."""
        log = folder / "stderr.txt"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.DEVNULL,
                stderr=file,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
                start_new_session=True,
            )
        end = time.monotonic() + 300
        while after and after not in log.read_text() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT) if group else process.send_signal(signal.SIGINT)
        self.code = process.wait(120)
        self.said = log.read_text()

    def expect_one_message(self) -> None:
        assert self.code == 130, self.said
        assert len(re.findall("^gridsettle: stopped", self.said, flags=re.M)) == 1, self.said
        assert "Traceback" not in self.said
        assert "Error" not in self.said


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with trades of a few days, and a scenario of half a year."""
    folder = tmp_path_factory.mktemp("interrupted")
    net = pn.create_cigre_network_lv()
    pp.to_json(net, str(folder / "net.json"))
    names = net.load["name"].tolist()
    rows = [
        f"2017-06-{day:02d}T{hour:02d}:00Z,{names[k]},{names[k + 1]},{1 + k},0.2"
        for day in range(1, 29)
        for hour in range(24)
        for k in range(6)
    ]
    (folder / "trades.csv").write_text("\n".join(["time,seller,buyer,energy_kwh,price_eur_per_kwh", *rows]))
    (folder / "half.toml").write_text('name = "half"\n[horizon]\nhours = 4000\n[limits]\nmax_vm_pu = 1.02\n')
    return folder


MOMENTS = {
    "run, importing": (("run", "half.toml"), None, 0.25),
    "run, reading inputs": (("-v", "run", "half.toml"), "inputs:", 0.0),
    "run, on its way": (("run", "half.toml"), " of 4,000", 0.3),
    "run, writing the report": (("-v", "run", "half.toml"), "summary.json", 0.1),
    "validate": (("-v", "validate", "--net", "net.json", "--trades", "trades.csv"), None, 4.0),
    "hosting": (("-v", "hosting", "half.toml"), "network", 0.3),
    "study": (("study", "storage", "--seeds", "3", "--hours", "500", "--workers", "2"), None, 5.0),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_command_says_one_thing_and_ends(name: str, files: Path, tmp_path: Path) -> None:
    for file in files.iterdir():
        (tmp_path / file.name).symlink_to(file)
    arguments, after, seconds = MOMENTS[name]
    stopped = Interrupted(*arguments, folder=tmp_path, after=after, seconds=seconds, group=name == "study")
    if name == "validate" and stopped.code == 0:
        pytest.skip("it was done before")
    stopped.expect_one_message()
    assert not list(tmp_path.rglob("*.partial"))


def go_on(directory: Path, scenario: Scenario) -> str:
    """Head of a run that is gone on with, or begun where the interrupt came before its ledger."""
    result = run(scenario, directory, resume=(directory / "ledger.sqlite").exists())
    return str(result.summary["ledger"]["hash"])


def test_interrupts_at_random_moments(tmp_path: Path) -> None:
    """A month: 130 and the message each time, and the same head when gone on with."""
    scenario = Scenario.load("stressed").with_changes(horizon={"hours": 720})
    text, expected = format_toml(scenario), go_on(tmp_path / "whole", scenario)
    n_interrupts = 4 if os.environ.get("CI") else 16
    rng, heads, n, length = np.random.default_rng(7), list[str](), 0, 20.0
    while len(heads) < n_interrupts:
        n += 1
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "month.toml").write_text(text)
        begin = time.monotonic()
        stopped = Interrupted(
            *("run", "month.toml", "--out", "run", "--no-report"),
            folder=folder,
            after=None,
            seconds=float(rng.uniform(0.2, length)),
        )
        if stopped.code == 0:
            length = min(length, time.monotonic() - begin)
            continue  # it was done before
        stopped.expect_one_message()
        heads.append(go_on(folder / "run", scenario))
    assert heads == [expected] * n_interrupts
