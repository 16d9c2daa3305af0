"""A command says that it compiles when it does, once, and only then; it needs no folder to keep what is compiled."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import pytest

from cosim.cli.progress import EVERY_TIME, ONCE, tell_compiling
from cosim.simulation import compile_ahead
from grid_models.compiled import compiled as compiled_floats
from market.compiled import compiled

ROOT = Path(__file__).parents[4]


def fresh_module(folder: Path) -> ModuleType:
    """A module whose functions nobody has compiled yet."""
    path = folder / "halves.py"
    path.write_text("def half(x):\n    return x // 2\n\n\ndef twice(x):\n    return x * 2\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("halves", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_told_once_and_only_while_something_is_compiled(tmp_path: Path) -> None:
    told: list[str] = []
    module = fresh_module(tmp_path)
    half, twice = compiled(module.half), compiled(module.twice)
    with tell_compiling(told.append):
        assert not told
        assert (half(4), twice(4)) == (2, 8)
    assert told == [ONCE]
    with tell_compiling(told.append):
        half(6)
        compiled(module.half)(8)  # loaded from disk
    twice(1.5)
    assert told == [ONCE]


@pytest.mark.parametrize("decorator", [compiled, compiled_floats])
def test_functions_are_compiled_where_nothing_can_be_kept(
    decorator: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    assert callable(decorator)
    half = decorator(fresh_module(tmp_path).half)
    with tell_compiling(told.append):
        assert half(4) == 2
    assert told == [EVERY_TIME]
    for name in ("solve_all", "solve_linear", "make_orders"):
        monkeypatch.setattr(compile_ahead, name, half)
    assert compile_ahead.is_compiled("balanced")  # nothing to start a process for


@pytest.mark.slow
def test_a_command_says_it_on_a_fresh_machine_and_no_more_on_its_second_use(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [
        *(sys.executable, "-c", "from cosim.cli.app import main; main()"),
        *("hosting", "--intervals", "1", "--json"),
    ]
    said = [
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stderr.count(
            ONCE
        )
        for _ in range(2)
    ]
    assert said == [1, 0]
