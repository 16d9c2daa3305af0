"""Threads change no bit of a batch, and small networks have none."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from grid_models.feeder.generated import make_radial_feeder
from grid_models.powerflow import batch
from grid_models.powerflow.batch import solve_batch, split_evenly
from grid_models.powerflow.engine import MAX_ITERATIONS, TOLERANCE_PU, PowerFlow
from grid_models.powerflow.kernel import LANES


@pytest.fixture(scope="module")
def engine() -> PowerFlow:
    return PowerFlow(make_radial_feeder(["a", "b", "c", "d"], rng=np.random.default_rng(0)))


@pytest.mark.parametrize(("n_intervals", "n_threads"), [(2 * LANES, 2), (3 * LANES + 1, 2), (5 * LANES - 1, 3), (7, 2)])
def test_threads_change_no_bit(
    engine: PowerFlow, n_intervals: int, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.network is not None
    p_kw = np.random.default_rng(n_intervals).normal(0.0, 4.0, (n_intervals, 4))
    p_kw[n_intervals // 2] = -1e6  # one without a solution
    asked = engine.network, p_kw, 0.2 * p_kw, TOLERANCE_PU, MAX_ITERATIONS
    monkeypatch.setattr(batch, "LARGE", 0)
    alone, shared = (solve_batch(*asked, n_threads=n) for n in (1, n_threads))
    assert alone.iterations.tolist().count(0) == 1
    for column, same in zip(alone, shared, strict=True):
        assert column.dtype == same.dtype
        assert column.tobytes() == same.tobytes()


@pytest.mark.parametrize(("large", "expected"), [(0, 2), (10**6, 1)])
def test_only_large_networks_have_threads(
    engine: PowerFlow, large: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, solve_all = list[str](), batch.solve_all
    monkeypatch.setattr(
        batch, "solve_all", lambda *asked: seen.append(threading.current_thread().name) or solve_all(*asked)
    )
    monkeypatch.setattr(batch, "LARGE", large)
    zero = np.zeros((2 * LANES, 4))
    assert engine.network is not None
    solve_batch(engine.network, zero, zero, TOLERANCE_PU, MAX_ITERATIONS, n_threads=2)
    assert len(seen) == expected
    assert (threading.current_thread().name in seen) == (expected == 1)


@pytest.mark.parametrize("n_intervals", [1, LANES, 2 * LANES + 5, 1000])
@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_parts_cover_all_intervals_in_order(n_intervals: int, n_parts: int) -> None:
    parts = split_evenly(n_intervals, n_parts)
    assert [k for first, stop in parts for k in range(first, stop)] == list(range(n_intervals))
    assert len(parts) <= n_parts
    assert all((stop - first) % LANES == 0 for first, stop in parts[:-1])
