"""A whole run survives kills: resumed, it ends with the head and the tables of an undisturbed one.

run ──┬── group: parts, blocks, checkpoint ── group … ── join tables ── inputs, summary
      └─ SIGKILL at a random moment, or before the n-th file operation; then --resume, killed again, …
"""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim import Result, Scenario
from cosim.results.result import TABLES
from cosim.scenario.files import format_toml
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path

ROOT = Path(__file__).parents[2]
EVENTS = [
    {"kind": "outage", "start": "2017-06-03T10:00:00Z", "hours": 4, "grid": True},
    {
        "kind": "register",
        "at": "2017-06-05T12:00:00Z",
        "participant": "house_01",
        "device": "fuel_cell",
        "fuel_eur_per_kg": 1.0,
    },
]
SMALL = Scenario().with_changes(
    horizon={"hours": 240, "start": "2017-06-01T00:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 2},
    network={"n_branches": 1},
    market={"feed_in": True},
    limits={"max_vm_pu": 1.004},
    engine={"verify_sample": 2, "window": 8},
    events=EVENTS,
)

ZYGOTE = """
import functools, json, os, signal, sys, time
from pathlib import Path
import cosim.simulation.simulate as simulate
from cosim.scenario.files import load_scenario
from market.ledger.store.store import Store

simulate.GROUP = 16
scenario = load_scenario(sys.argv[1])
simulate.run(scenario, sys.argv[2])

def stop_before(n):
    seen = 0
    def count(event, arguments):
        nonlocal seen
        if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"):
            seen += directory.name in str(arguments[0])
            if seen == n:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)

def heights():
    if not (directory / "ledger.sqlite").exists():
        return 0
    with Store.open_to_read(directory) as store:
        return store.size()

def wait(pid, after):
    end, seen = time.monotonic() + after, 0
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status, seen
        time.sleep(0.005)
        seen = heights()
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1], seen

print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    directory = Path(asked["directory"])
    pid = os.fork()
    if pid == 0:
        if asked["operation"]:
            stop_before(asked["operation"])
        if asked["before"]:
            setattr(simulate, asked["before"], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        simulate.run(scenario, directory, resume=(directory / "ledger.sqlite").exists())
        os._exit(0)
    status, seen = wait(pid, asked["after"])
    print(json.dumps({"killed": os.WIFSIGNALED(status), "failed": os.WIFEXITED(status) and status != 0,
                      "seen": seen}), flush=True)
"""


class Warm:
    """A process that has imported and compiled everything, and runs the scenario in children that can be killed."""

    def __init__(self, scenario: Path, undisturbed: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE, str(scenario), str(undisturbed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, directory: Path, *, after: float = 600.0, operation: int = 0, before: str = "") -> dict[str, Any]:
        """Run or resume in a child, killed after some seconds, before the n-th operation on its files or a step."""
        assert self._process.stdin is not None
        asked = {"directory": str(directory), "after": after, "operation": operation, "before": before}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._answer())
        assert not answer["failed"], "the run ended with an error; see stderr"
        return answer

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    (folder / "small.toml").write_text(format_toml(SMALL))
    return folder


@pytest.fixture(scope="module")
def warm(folder: Path) -> Iterator[Warm]:
    process = Warm(folder / "small.toml", folder / "undisturbed")
    yield process
    process.close()


def expect_nothing_lost(directory: Path, seen: int) -> None:
    """Whatever stands there is a sound ledger with every height that was seen or acknowledged by a checkpoint."""
    if not (directory / "ledger.sqlite").exists():
        assert seen == 0
        assert not checkpoint_path(directory).exists()
        return
    kept = checkpoint_path(directory)
    report = verify_ledger(directory, checkpoint=kept.read_text() if kept.exists() else None)
    assert report.ok, report.reason
    assert report.n_blocks >= seen, "a block that could be read before the kill is lost"


def expect_same_results(directory: Path, undisturbed: Path) -> None:
    """Same summary with the same head, and the same tables."""
    found, expected = Result.load(directory), Result.load(undisturbed)
    assert found.summary == expected.summary
    for name in (*TABLES, "outage_intervals", "registrations", "curtailment"):
        assert found.table(name).equals(expected.table(name)), name


def expect_same(directory: Path, undisturbed: Path) -> None:
    """Same results, and nothing left behind."""
    expect_same_results(directory, undisturbed)
    assert not [path.name for path in directory.iterdir() if path.name.startswith(".parts")]


def kill_until(kills: int, directory: Path, kill: Callable[[Path], dict[str, Any]]) -> list[Path]:
    """Run, kill and resume until there were so many kills; a new directory where a run comes to its end."""
    directories = [directory]
    while kills:
        answer = kill(directories[-1])
        kills -= answer["killed"]
        expect_nothing_lost(directories[-1], answer["seen"])
        if not answer["killed"]:
            directories.append(directory.with_name(f"{directory.name}-{len(directories)}"))
    return directories


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments(seed: int, warm: Warm, folder: Path) -> None:
    """Killed five times wherever it was: 25 kills over the seeds."""
    rng = np.random.default_rng(seed)
    killed = kill_until(5, folder / f"moments-{seed}", lambda at: warm.run(at, after=float(rng.uniform(0.02, 1.2))))
    for directory in killed:
        warm.run(directory)
        expect_same(directory, folder / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_while_it_writes(seed: int, warm: Warm, folder: Path) -> None:
    """Killed five times right before an operation on its files: 25 kills over the seeds."""
    rng = np.random.default_rng(100 + seed)
    killed = kill_until(5, folder / f"writes-{seed}", lambda at: warm.run(at, operation=int(rng.integers(1, 180))))
    for directory in killed:
        warm.run(directory)
        expect_same(directory, folder / "undisturbed")


@pytest.mark.slow
def test_killed_at_every_step_of_its_end(warm: Warm, folder: Path) -> None:
    """All blocks are there, the results are not: killed before every 13th operation that is left, until none is."""
    ending = folder / "ending"
    assert warm.run(ending, before="join_parts")["killed"]
    killed_behind_it = 0
    for operation in itertools.count(2, 13):
        directory = shutil.copytree(ending, folder / f"ending-{operation}")
        shutil.copy(checkpoint_path(ending), checkpoint_path(directory))
        answer = warm.run(directory, operation=operation)
        expect_nothing_lost(directory, SMALL.horizon.n_intervals)
        finished = (directory / "summary.json").exists()
        assert finished or answer["killed"]
        if finished:  # only parts are removed behind it
            expect_same_results(directory, folder / "undisturbed")
            killed_behind_it += answer["killed"]
        warm.run(directory)
        expect_same(directory, folder / "undisturbed")
        if not answer["killed"]:
            break
    assert operation > 20
    assert killed_behind_it > 0


def commanded(*arguments: str, kilobytes: int = 0) -> subprocess.Popen[str]:
    """The command, perhaps with a limit that no file of its may grow beyond, which fails writes as a full disk does."""
    command = [sys.executable, "-m", "cosim.cli.app", "run", *arguments, "--quiet", "--no-report"]
    limit = (kilobytes * 1024, kilobytes * 1024)
    return subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stderr=subprocess.PIPE,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)) if kilobytes else None,
    )


@pytest.mark.slow
def test_the_command_killed_and_resumed(folder: Path, warm: Warm) -> None:
    """The true command line, killed when its ledger has some blocks, and at the very beginning; then `--resume`."""
    scenario, directory = str(folder / "small.toml"), folder / "command"
    for least in (0, 1):
        process = commanded(
            scenario,
            "--out",
            str(directory),
            *(["--resume"] if (directory / "ledger.sqlite").exists() else []),
        )
        while process.poll() is None and not (directory / "ledger.sqlite" if least else directory).exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        expect_nothing_lost(directory, least)
    process = commanded(scenario, "--out", str(directory), "--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    expect_same(directory, folder / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [10, 40, 90, 150])
def test_a_run_on_a_full_disk(kilobytes: int, warm: Warm, folder: Path) -> None:
    """Whatever file does not fit: one clear message, a sound ledger, and the run goes on where there is room."""
    scenario, directory = str(folder / "small.toml"), folder / f"full-{kilobytes}"
    process = commanded(scenario, "--out", str(directory), kilobytes=kilobytes)
    _, errors = process.communicate()
    assert process.returncode == 2, errors
    assert errors.startswith("gridsettle: ")
    assert "Traceback" not in errors
    assert "expected" in errors
    expect_nothing_lost(directory, 0)
    warm.run(directory)
    expect_same(directory, folder / "undisturbed")
