"""A compiled function is one function, whoever calls it: Python, or another compiled one, also from the cache."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grid_models.compiled import compiled as compiled_float
from market.compiled import compiled, fill

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import twice
print(twice.around(5), twice.double(4), [len(d.stats.cache_hits) for d in (twice.double, twice.around)])
"""
MODULE = """
from market.compiled import compiled

@compiled
def double(x):
    return 2 * x

@compiled
def around(x):
    return double(x) + 1
"""


@compiled
def halve(x: int) -> int:
    """Half of it."""
    return x // 2


@compiled
def halve_first(x: list[int]) -> int:
    return halve(x[0])


@compiled_float
def over(x: float, y: float) -> float:
    return x / y


@compiled_float
def over_first(x: list[float]) -> float:
    return over(x[0], x[1])


def test_it_is_called_by_python_and_by_compiled_functions_in_any_order() -> None:
    assert halve_first(np.array([9])) == halve(9) == 4


def test_the_error_model_is_the_same_within() -> None:
    assert np.isinf(over(1.0, 0.0))
    assert np.isinf(over_first(np.array([1.0, 0.0])))


def test_it_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(halve))(7) == 3


@pytest.mark.slow
def test_the_cache_keeps_both_apart(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(MODULE)
    script = SCRIPT.format(folder=str(tmp_path))
    first, again = (_run(script) for _ in range(2))
    assert first == "11 8 [0, 0]"
    assert again == "11 8 [1, 1]"


def _run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def test_a_slice_is_filled() -> None:
    target = np.zeros(5, np.int64)
    fill(target[1:4], np.array([7, 8, 9]))
    assert target.tolist() == [0, 7, 8, 9, 0]
