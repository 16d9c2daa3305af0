"""What the second process compiles is what a run needs, and a run does without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cosim import Scenario, run
from cosim.simulation import compile_ahead

pytestmark = pytest.mark.slow  # compiles everything anew

ROOT = Path(__file__).parents[4]
SHORT = Scenario().with_changes(horizon={"hours": 2})

SIGNATURES = """
from cosim import Scenario, run
from cosim.simulation.compile_ahead import compile_power_flow
from grid_models.powerflow import verdicts
from grid_models.powerflow.readout import solve_all
from market.ledger.crypto.sha256 import _hash_all
functions = solve_all, _hash_all, verdicts._judge_compiled
compile_power_flow()
print(*(len(function.signatures) for function in functions))
run(Scenario().with_changes(horizon={"hours": 2}), "run")
print(*(len(function.signatures) for function in functions))
"""


def test_a_run_needs_no_other_signature_than_the_one_compiled_ahead(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNATURES],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1"] * 6


def test_nothing_is_compiled_on_a_fresh_machine(tmp_path: Path) -> None:
    asked = "from cosim.simulation.compile_ahead import is_compiled; print(is_compiled())"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_survives_a_second_process_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = run(SHORT, tmp_path / "undisturbed")
    monkeypatch.setattr(compile_ahead, "is_compiled", lambda: False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    disturbed = run(SHORT, tmp_path / "disturbed")
    assert disturbed.summary["ledger"] == undisturbed.summary["ledger"]
