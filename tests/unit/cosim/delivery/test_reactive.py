"""Reactive power of loads: in whole var, of what is served, from power factors or from the profiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosim.delivery.reactive import LoadReactive, make_load_reactive
from data.profiles import Profiles
from grid_models.feeder.generated import make_radial_feeder
from market.exchanges import METER

NAMES = ("a", "b", "c")
FEEDER = replace(
    make_radial_feeder(NAMES, n_branches=1, rng=np.random.default_rng(0)),
    load_tan_phi=np.array([0.5, -0.25, np.nan]),
)
LOAD = np.array([[1000, 2000, 3000], [0, 400, 10]])


def make_profiles(load_varh: np.ndarray | None = None) -> Profiles:
    return Profiles(
        np.datetime64("2017-01-01T00:00:00"), 15, NAMES, LOAD, 0 * LOAD, np.zeros(2, np.int64), {}, load_varh
    )


def test_reactive_power_is_that_of_the_power_factor_and_nothing_where_none_is_known() -> None:
    reactive = make_load_reactive(FEEDER, make_profiles())
    assert reactive is not None
    assert reactive.drawn_var(LOAD, 0).tolist() == [[2000, -2000, 0], [0, -400, 0]]
    assert reactive.tan_phi(1).tolist() == [0.5, -0.25, 0.0]


def test_meters_count_what_is_served_only() -> None:
    reactive = make_load_reactive(FEEDER, make_profiles())
    assert reactive is not None
    meters = np.zeros((1, 3), METER)
    meters["load_wh"], meters["shed_wh"] = 1000, [[400, 1000, 0]]
    assert reactive.metered_var(meters).tolist() == [[1200, 0, 0]]


def test_profiles_come_first_and_raised_load_draws_in_proportion() -> None:
    """Twice the load of an interval draws twice its reactive power; where there is no load, its power factor counts."""
    reactive = make_load_reactive(FEEDER, make_profiles(np.array([[100, -300, 7], [0, 100, 0]])))
    assert reactive is not None
    assert reactive.drawn_var(LOAD, np.array([[0], [1]])).tolist() == [[400, -1200, 28], [0, 400, 0]]
    assert reactive.drawn_var(2 * LOAD[:1], 0).tolist() == [[800, -2400, 56]]
    assert reactive.drawn_var(np.array([100, 0, 0]), 1).tolist() == [200, 0, 0]


@pytest.mark.parametrize("interval_minutes", [1, 5, 10, 15, 30, 60])
def test_a_whole_year_of_profiles_is_drawn_to_the_var(interval_minutes: int) -> None:
    """The naive twin: one house and interval at a time."""
    rng = np.random.default_rng(1)
    load, varh = rng.integers(1, 5000, (50, 3)), rng.integers(-3000, 3000, (50, 3))
    ratio = varh / load
    served = (load * rng.random((50, 3))).astype(np.int64)
    reactive = LoadReactive(np.zeros(3, np.int64), ratio, interval_minutes)
    found = reactive.drawn_var(served, np.arange(50)[:, None])
    for t in range(50):
        for k in range(3):
            drawn = served[t, k] * 60 / interval_minutes * varh[t, k] / load[t, k]
            assert abs(found[t, k] - drawn) <= 0.5 + 1e-6


def test_with_power_factor_1_there_is_none_to_compute() -> None:
    assert make_load_reactive(replace(FEEDER, load_tan_phi=np.zeros(3)), make_profiles()) is None
    assert make_load_reactive(replace(FEEDER, load_tan_phi=None), make_profiles()) is None
