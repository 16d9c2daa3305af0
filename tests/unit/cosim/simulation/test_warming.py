"""What only outages need is compiled beside a served run, once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cosim import Scenario, run
from cosim.simulation import warming


def test_the_day_that_is_run_has_an_outage_and_curtailment() -> None:
    outcomes = run(Scenario().with_changes(**warming.DAY)).summary["network"]["outcomes"]
    assert outcomes["curtailed"] > 0
    assert outcomes["islanded"] >= 3
    assert warming.is_compiled()


def test_what_is_compiled_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    monkeypatch.setattr(warming, "is_compiled", lambda: True)
    with warming.compile_meanwhile():
        pass
    assert started == []


def test_a_process_that_is_not_done_ends_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, popen = [], subprocess.Popen
    monkeypatch.setattr(warming, "is_compiled", lambda: False)
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: begun.append(popen(*words, **more)) or begun[0])
    with warming.compile_meanwhile():
        assert begun[0].poll() is None
    assert begun[0].poll() is not None
