"""A second process begins and ends with the first run on a machine, which does without it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cosim import Scenario, run
from cosim.simulation import compile_ahead
from cosim.simulation.compile_ahead import compile_meanwhile, compile_once, is_compiled

ROOT = Path(__file__).parents[4]
SHORT = Scenario().with_changes(horizon={"hours": 2})
ASK = "from cosim.simulation.compile_ahead import is_compiled; print(*map(is_compiled, ('balanced', 'four_wire')))"


class Begun(list[subprocess.Popen[bytes]]):
    """Processes that were started; each sleeps for a minute."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        popen = subprocess.Popen
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        monkeypatch.setattr(subprocess, "Popen", lambda words, **more: self.append(popen(command, **more)) or self[-1])
        monkeypatch.setattr(compile_ahead, "is_compiled", lambda model: False)
        monkeypatch.setattr(compile_ahead, "count_usable_cores", lambda: 2)


def test_what_is_compiled_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch)
    monkeypatch.setattr(compile_ahead, "is_compiled", lambda model: model == "three_phase")
    with compile_meanwhile("three_phase"):
        pass
    assert begun == []


def test_one_core_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch)
    monkeypatch.setattr(compile_ahead, "count_usable_cores", lambda: 1)
    with compile_meanwhile("balanced"):
        pass
    assert begun == []


def test_a_process_that_is_not_done_ends_with_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch)
    with compile_meanwhile("balanced"):
        assert begun[0].poll() is None
    assert begun[0].poll() not in (None, 0)


def test_it_ends_with_a_run_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch)
    with pytest.raises(KeyboardInterrupt), compile_meanwhile("balanced"):
        raise KeyboardInterrupt
    assert begun[0].poll() not in (None, 0)


@pytest.mark.slow
def test_nothing_is_compiled_on_a_fresh_machine(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_each_model_of_the_network_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    of_phases = compile_ahead.solve_intervals, compile_ahead.solve_changes
    monkeypatch.setattr(compile_ahead, "_is_cached", lambda function: function not in of_phases)
    assert [is_compiled(model) for model in ("balanced", "three_phase", "four_wire")] == [True, False, False]


@pytest.mark.slow
def test_a_run_survives_a_second_process_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = run(SHORT, tmp_path / "undisturbed")
    monkeypatch.setattr(compile_ahead, "is_compiled", lambda model: False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    disturbed = run(SHORT, tmp_path / "disturbed")
    assert disturbed.summary["ledger"] == undisturbed.summary["ledger"]


def test_of_processes_that_begin_at_once_one_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads stand for them: the second waits for the first, and finds all done."""
    done: list[str] = []
    monkeypatch.setattr(compile_ahead, "solve_all", SimpleNamespace(stats=SimpleNamespace(cache_path=str(tmp_path))))
    monkeypatch.setattr(compile_ahead, "is_compiled", lambda model: bool(done))
    monkeypatch.setattr(subprocess, "run", lambda words, **_: (time.sleep(0.2), done.append(words[-1])))
    threads = [threading.Thread(target=compile_once.__wrapped__, args=("balanced",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == ["balanced"]
