"""What only outages need is compiled beside a served run, once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.delivery.window import settle_window
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
    with warming.compile_meanwhile(Scenario()):
        pass
    assert started == []


def test_a_process_that_is_not_done_ends_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, popen = [], subprocess.Popen
    monkeypatch.setattr(warming, "is_compiled", lambda: False)
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: begun.append(popen(*words, **more)) or begun[0])
    with warming.compile_meanwhile(Scenario()):
        assert begun[0].poll() is None
    assert begun[0].poll() is not None


@pytest.mark.slow
@pytest.mark.parametrize("model", ["balanced", "three_phase"])
def test_what_is_needed_last_is_compiled_first(model: str) -> None:
    """It runs through in every model, and begins without a window of intervals: that is the run's own task."""
    day = Scenario().with_changes(**{**warming.DAY, "events": ()}).with_changes(network={"model": model})
    before = len(settle_window.stats.cache_hits) + len(settle_window.stats.cache_misses)
    warming.compile_last_first(build_case(day))
    assert len(settle_window.stats.cache_hits) + len(settle_window.stats.cache_misses) == before
