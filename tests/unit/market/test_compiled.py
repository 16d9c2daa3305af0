"""A compiled function is one function, whoever calls it: Python, or another compiled one, also from the cache."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

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


@pytest.mark.parametrize("decorate", [compiled, compiled_float])
def test_processes_that_compile_at_once_never_mix_up_their_code(
    decorate: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither sees what the other keeps, as if both had looked at the empty folder before: then each finds its own."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def third(x: Any) -> Any:
        return x / 3

    whole, broken = decorate(third), decorate(third)
    for one, x in ((whole, 7), (broken, 7.5)):
        with monkeypatch.context() as alone:
            alone.setattr(IndexDataCacheFile, "_load_index", lambda _: {})
            assert one(x) == x / 3
    later = decorate(third)
    assert (later(7), later(7.5)) == (7 / 3, 2.5)
    assert len(later.stats.cache_hits) == 2


def test_code_under_another_name_is_not_taken(tmp_path: Path) -> None:
    code = halve._cache._cache_file.__class__(str(tmp_path), "halve", "stamp")
    code.save("int64", "code of integers")
    (kept,) = tmp_path.iterdir()
    assert code.load("int64") == "code of integers"
    assert code.load("float64") is None
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-3], b"\x80\x04noise"):
        kept.write_bytes(damaged)
        assert code.load("int64") is None
    kept.write_bytes(whole)
    kept.rename(tmp_path / code._name("float64"))
    assert code.load("float64") is None


def _run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def test_a_slice_is_filled() -> None:
    target = np.zeros(5, np.int64)
    fill(target[1:4], np.array([7, 8, 9]))
    assert target.tolist() == [0, 7, 8, 9, 0]


@compiled
def fill_compiled(target: np.ndarray, values: np.ndarray) -> None:
    fill(target, values)


@pytest.mark.parametrize("length", [2, 4])
def test_arrays_of_other_lengths_are_never_written_past_their_end(length: int) -> None:
    target = np.zeros(5, np.int64)
    for called in (fill, fill_compiled):
        with pytest.raises(ValueError, match="one length"):
            called(target[1:4], np.ones(length, np.int64))
    assert not target.any()
