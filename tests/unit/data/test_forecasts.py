"""Forecasts by the same interval of a day or a week before, and their errors."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import DataError
from data.forecasts import make_forecast, measure_errors
from data.profiles import Profiles


def make_profiles(n: int, minutes: int) -> Profiles:
    energy = np.arange(2 * n).reshape(n, 2)
    start = np.datetime64("2017-03-25T00:00")
    return Profiles(start, minutes, ("a", "b"), energy, energy + 1, np.arange(n), {}, load_varh=-energy)


@pytest.mark.parametrize(("rule", "hours"), [("persistence", 24), ("last-week", 168)])
def test_each_interval_is_that_of_a_day_or_a_week_before(rule: str, hours: int) -> None:
    actual = make_profiles(2 * hours + 3, 30)
    forecast = make_forecast(actual, rule)
    assert forecast.n_intervals == 3
    for k, time in enumerate(forecast.time):
        before = int(np.flatnonzero(actual.time == time - np.timedelta64(hours, "h"))[0])
        assert (forecast.load_wh[k] == actual.load_wh[before]).all()
        assert (forecast.pv_wh[k] == actual.pv_wh[before]).all()
        assert forecast.load_varh is not None
        assert (forecast.load_varh[k] == -actual.load_wh[before]).all()
        assert forecast.price_ueur_per_kwh[k] == before + 2 * hours


def test_what_cannot_be_forecast_is_said() -> None:
    with pytest.raises(DataError, match="more than 24 intervals, which persistence looks back, got 24"):
        make_forecast(make_profiles(24, 60), "persistence")
    with pytest.raises(DataError, match="expected persistence or last-week, got 'luck'"):
        make_forecast(make_profiles(24, 60), "luck")


def test_errors_are_those_worked_by_hand() -> None:
    found = measure_errors(np.array([[3000, 0], [0, 0]]), np.array([[0, 0], [4000, 0]]))
    assert found.mae_kwh.tolist() == [3.5, 0.0]
    assert found.rmse_kwh.tolist() == [12.5**0.5, 0.0]
    assert found.bias_kwh.tolist() == [-0.5, 0.0]
