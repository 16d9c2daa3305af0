"""Magnitudes in one compiled pass against the same in a few lines of numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grid_models.phases.magnitudes import read_loadings, read_voltages
from grid_models.phases.readout import _take, conductor_percent, phase_to_neutral
from grid_models.phases.sequence import voltage_unbalance_percent

NODE = np.array([[0, 1, 2], [3, 4, 5], [6, 7, -1], [-1, -1, -1]])
TERMINAL = np.array([[[0, 1, 2, 3], [4, 5, 6, 7]], [[8, 9, 10, -1], [11, 12, -1, -1]], [[-1] * 4, [-1] * 4]])


class _Readout:
    node, neutral, terminal = NODE, np.array([8, -1, 8, -1]), TERMINAL
    percent_per_a = np.array([[1.0, 0.5], [2.0, 3.0], [1.0, 1.0]])


def _draw(n: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 100.0, (5, n)) + 1j * rng.normal(0.0, 100.0, (5, n))
    values[3] = np.nan  # an interval without a solution
    return values


def test_voltages_and_unbalance() -> None:
    v, base_v = _draw(9), np.array([230.0, 240.0, 250.0, 260.0])
    vm, vuf = np.zeros((5, 4, 3)), np.zeros((5, 4))
    read_voltages(v, NODE, _Readout.neutral, base_v, vm, vuf)
    of_bus = phase_to_neutral(_Readout, v)  # type: ignore[arg-type]
    expected = np.where(NODE < 0, np.nan, np.abs(of_bus) / base_v[:, None])
    assert vm == pytest.approx(expected, rel=1e-12, nan_ok=True)
    unbalance = np.where(NODE[:, 0] < 0, np.nan, voltage_unbalance_percent(of_bus))
    assert vuf == pytest.approx(unbalance, rel=1e-9, nan_ok=True)
    assert np.isnan(vm[3]).all()
    assert not np.isnan(vm[0, :2]).any()


def test_loadings_at_the_larger_end_and_what_comes_back() -> None:
    current = _draw(13, seed=1)
    percent = np.zeros((5, 3, 4))
    read_loadings(current, TERMINAL, _Readout.percent_per_a, percent)
    expected = np.abs(conductor_percent(_Readout, current)).max(axis=2)  # type: ignore[arg-type]
    assert percent[:, :2] == pytest.approx(expected[:, :2], rel=1e-12, nan_ok=True)
    assert not percent[:, 2].any()  # no current can flow there
    assert np.isnan(percent[3, :2, 0]).all()
    back = _take(current, TERMINAL[1, 0, :3]).sum(axis=-1)
    assert percent[0, 1, 3] >= 2.0 * abs(back[0]) - 1e-9
