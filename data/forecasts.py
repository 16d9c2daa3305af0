"""Forecasts of profiles by a stated rule, and how far off a forecast was; energies are whole Wh."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.errors import DataError
from data.profiles import Profiles
from data.series import Integers

Floats = npt.NDArray[np.float64]

RULES_DAYS = {"persistence": 1, "last-week": 7}
"""Days before an interval that each rule takes it from: 24 hours each, whatever local clocks did between."""


class Errors(NamedTuple):
    """How far forecasts were off, kWh an interval.

    Attributes
    ----------
    mae_kwh, rmse_kwh
        Mean of the absolute errors, and root of the mean of their squares.
    bias_kwh
        Mean of forecast less actual: above 0 where too much was forecast.
    """

    mae_kwh: Floats
    rmse_kwh: Floats
    bias_kwh: Floats


def make_forecast(profiles: Profiles, rule: str) -> Profiles:
    """Forecast of profiles from themselves, for each interval that has one so far before it.

    Load, generation and reactive energy are those of the same interval a day or a week before. Prices are those of the
    interval itself: they are known the day before.

    Raises
    ------
    DataError
        If there is no such rule, or no interval has one so far before it.

    Examples
    --------
    >>> energy = np.arange(26)[:, None]
    >>> profiles = Profiles(np.datetime64("2017-01-01"), 60, ("a",), energy, 0 * energy, energy[:, 0], {})
    >>> forecast = make_forecast(profiles, "persistence")
    >>> str(forecast.start), forecast.load_wh.ravel().tolist(), forecast.price_ueur_per_kwh.tolist()
    ('2017-01-02T00:00:00', [0, 1], [24, 25])
    """
    if rule not in RULES_DAYS:
        raise DataError(f"rule: expected {' or '.join(RULES_DAYS)}, got '{rule}'; choose one of them")
    back = RULES_DAYS[rule] * 24 * 60 // profiles.interval_minutes
    if profiles.n_intervals <= back:
        raise DataError(
            f"profiles: expected more than {back} intervals, which {rule} looks back, got {profiles.n_intervals}; "
            "supply longer profiles"
        )
    later, earlier = profiles.window(back, profiles.n_intervals), profiles.window(0, profiles.n_intervals - back)
    return replace(
        later,
        load_wh=earlier.load_wh,
        pv_wh=earlier.pv_wh,
        load_varh=earlier.load_varh,
        provenance={"source": "forecast", "rule": rule},
    )


def measure_errors(forecast_wh: Integers, actual_wh: Integers) -> Errors:
    """Errors of forecasts over T intervals, (T, N) Wh each, for each of the N columns.

    Examples
    --------
    >>> measure_errors(np.array([[1000], [0]]), np.array([[0], [0]])).rmse_kwh.round(4)
    array([0.7071])
    """
    off = (forecast_wh - actual_wh) / 1000.0
    return Errors(np.abs(off).mean(axis=0), np.sqrt((off**2).mean(axis=0)), off.mean(axis=0))
