"""Spain-like hourly series of any length from bundled statistics: no download, no file of the user's.

The statistics are of the ENTSO-E/REE figures for Spain 2015-2018: solar capacity factor and price by month and local
hour, their day-to-day variation, and the weekday's influence on the price.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import lfilter

from data.household_load import standard_household_load
from data.series import Hourly, Series, hours_from, local_clock

SOLAR_MEAN, PRICE_MEAN_EUR_PER_MWH = 0.252, 56.5
SOLAR_DAILY_STD, SOLAR_DAILY_LAG1 = 0.46, 0.55
PRICE_DAILY_STD, PRICE_DAILY_LAG1 = 0.19, 0.81
PRICE_HOURLY_STD_EUR_PER_MWH, PRICE_HOURLY_LAG1 = 11.4, 0.978
WEEKDAY_PRICE_FACTOR = np.array([1.027, 1.041, 1.036, 1.039, 1.034, 0.945, 0.879])
LOWEST_PRICE_EUR_PER_MWH = 2.0


def month_hour_statistics() -> pd.DataFrame:
    """Bundled statistics, indexed by (month 1-12, local hour 0-23)."""
    text = resources.files("data.bundled").joinpath("spain_2015_2018_month_hour.csv")
    with text.open(encoding="utf-8") as file:
        return pd.read_csv(file).set_index(["month", "hour"]).sort_index()


def autoregressive(n: int, lag1: float, rng: np.random.Generator) -> Hourly:
    """AR(1) of unit variance with lag-1 correlation `lag1`, shape (n,)."""
    shocks = rng.standard_normal(n) * np.sqrt(1.0 - lag1**2)
    shocks[0] /= np.sqrt(1.0 - lag1**2)
    return np.asarray(lfilter([1.0], [1.0, -lag1], shocks))


def synthetic_series(start: np.datetime64, n_hours: int, rng: np.random.Generator) -> Series:
    """Series whose month-hour means, daily variation and correlations are those of Spain 2015-2018.

    Parameters
    ----------
    start
        Begin of the first hour, UTC.
    n_hours
        Number of hours T.
    rng
        Source of randomness; solar and price draw from children of it, so that neither disturbs the other.

    Returns
    -------
    Series
        Solar as a capacity factor in 0 … 1, load as the standard household profile with mean 1, price in EUR/MWh.
    """
    index = hours_from(start, n_hours)
    local = local_clock(index)
    table = month_hour_statistics()
    cell = (local.month.to_numpy() - 1) * 24 + local.hour.to_numpy()
    days, day = np.unique(local.normalize().asi8, return_inverse=True)
    solar_rng, price_rng = rng.spawn(2)
    solar = _solar(table, cell, day, days.size, solar_rng)
    price = _price(table, cell, day, days.size, local.dayofweek.to_numpy(), price_rng)
    load = standard_household_load(index)
    provenance = {"source": "synthetic", "statistics": "Spain 2015-2018, month x local hour", "filled": 0}
    return Series(np.datetime64(start, "s"), solar, load, price, provenance)


def _solar(
    table: pd.DataFrame,
    cell: npt.NDArray[np.int64],
    day: npt.NDArray[np.int64],
    n_days: int,
    rng: np.random.Generator,
) -> Hourly:
    """Month-hour mean times a factor of the day, never above 1.

    The day's factor is bounded at three deviations and at 0.05, then rescaled to mean 1, so that the mean stays.
    """
    factor = np.clip(1.0 + SOLAR_DAILY_STD * autoregressive(n_days, SOLAR_DAILY_LAG1, rng), 0.05, 2.38)
    mean = table["solar_cf_mean"].to_numpy()[cell]
    return np.minimum(mean * (factor / _clipped_mean(SOLAR_DAILY_STD, 0.05, 2.38))[day], 1.0)


def _price(
    table: pd.DataFrame,
    cell: npt.NDArray[np.int64],
    day: npt.NDArray[np.int64],
    n_days: int,
    weekday: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Hourly:
    """Month-hour mean times day and weekday factors plus an hourly residual, never below 2 EUR/MWh.

    The hourly residual is as persistent as published (lag-1 0.978), so it already moves whole days; the daily
    factor adds what is missing to the published deviation of daily means.
    """
    mean = table["price_eur_mwh_mean"].to_numpy()[cell]
    residual = PRICE_HOURLY_STD_EUR_PER_MWH * autoregressive(cell.size, PRICE_HOURLY_LAG1, rng)
    from_residual = PRICE_HOURLY_STD_EUR_PER_MWH / PRICE_MEAN_EUR_PER_MWH * _daily_share(PRICE_HOURLY_LAG1)
    missing = np.sqrt(max(PRICE_DAILY_STD**2 - from_residual**2, 0.0))
    factor = 1.0 + missing * autoregressive(n_days, PRICE_DAILY_LAG1, rng)
    price = mean * factor[day] * WEEKDAY_PRICE_FACTOR[weekday] + residual
    return np.maximum(price, LOWEST_PRICE_EUR_PER_MWH)


def _daily_share(lag1: float) -> float:
    """Deviation of 24-hour means of an AR(1), relative to that of its hours."""
    k = np.arange(1, 24)
    return float(np.sqrt((24 + 2 * np.sum((24 - k) * lag1**k)) / 24**2))


def _clipped_mean(std: float, low: float, high: float) -> float:
    """Mean of a normal variable with mean 1 and deviation `std`, clipped to low … high."""
    grid = np.linspace(-8, 8, 4001)
    weight = np.exp(-0.5 * grid**2)
    return float(np.sum(np.clip(1.0 + std * grid, low, high) * weight) / np.sum(weight))
