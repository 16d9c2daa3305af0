"""Make hourly series like those of Spain, of any length, from bundled statistics; nothing is downloaded.

The first hours do not depend on how many follow, and solar and price are drawn from separate generators.
"""

from __future__ import annotations

import math
from importlib import resources
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv, ndtr

from data.errors import DataError
from data.series import ZONE, Hourly, Integers, Series, list_hours
from data.standard_load import LOAD_SHAPES

WEEKDAY_PRICE_FACTOR = np.array([1.027, 1.041, 1.036, 1.039, 1.034, 0.945, 0.879])
FLOOR_EUR_PER_MWH = 2.0

# Fitted to daily statistics of the source; docs/decisions/0011-synthetic-series.md has the calculation.
SOLAR_SPREAD_OVER_STD = 2.8
SOLAR_QUANTILE_LAG1 = 0.56
PRICE_SLOW_SHARE, PRICE_SLOW_LAG1, PRICE_FAST_LAG1 = 0.88, 0.9945, 0.88


class Statistics(NamedTuple):
    """Bundled statistics of Spain 2015-2018 by month and local hour, each (288,), cell = (month − 1)·24 + hour."""

    solar_mean: Hourly
    solar_p10: Hourly
    solar_p90: Hourly
    price_mean_eur_per_mwh: Hourly
    price_std_eur_per_mwh: Hourly


def read_spain_statistics() -> Statistics:
    """Read the bundled table."""
    file = resources.files("data.bundled").joinpath("spain_2015_2018_month_hour.csv")
    with file.open(encoding="utf-8") as text:
        table = pd.read_csv(text).sort_values(["month", "hour"])
    names = ("solar_cf_mean", "solar_cf_p10", "solar_cf_p90", "price_eur_mwh_mean", "price_eur_mwh_std")
    return Statistics(*(table[name].to_numpy(dtype=np.float64) for name in names))


def make_synthetic_series(
    start: np.datetime64, n_hours: int, rng: np.random.Generator, load: str = "household"
) -> Series:
    """Make series that vary like those of Spain in 2015-2018 by month, local hour, weekday and from day to day.

    Parameters
    ----------
    start
        Begin of the first hour, UTC.
    n_hours
        Number of hours T, at least 1.
    rng
        Generator; solar and price are drawn from children of it.
    load
        Shape of the load: "household" or "country".

    Returns
    -------
    Series
        Solar as a capacity factor, load by the BDEW standard profiles, price not below 2 EUR/MWh.

    Raises
    ------
    DataError
        If `n_hours` is not positive, or `load` is neither.

    Notes
    -----
    Solar: each month and hour has a Beta distribution on 0 … 1 with the bundled mean and spread; all hours of a day are
    at the same quantile, which follows a Gaussian AR(1) from day to day. Price: bundled mean times weekday factor, plus
    bundled deviation times the sum of a slow and a fast AR(1).
    """
    if n_hours < 1:
        raise DataError(f"synthetic series, n_hours: expected at least 1, got {n_hours}; choose a longer horizon")
    if load not in LOAD_SHAPES:
        raise DataError(
            f"synthetic series, load: expected one of {', '.join(LOAD_SHAPES)}, got '{load}'; choose one of them"
        )
    solar_rng, price_rng = rng.spawn(2)
    statistics = read_spain_statistics()
    local = list_hours(start, n_hours).tz_convert(ZONE)
    cell = (local.month.to_numpy() - 1) * 24 + local.hour.to_numpy()
    provenance = {
        "source": "synthetic",
        "statistics": "Spain 2015-2018 by month and local hour",
        "load": load,
    }
    return Series(
        start,
        solar_capacity_factor(statistics, cell, _day_number(local), solar_rng),
        LOAD_SHAPES[load](local),
        market_price(statistics, cell, local.dayofweek.to_numpy(), price_rng),
        provenance,
    )


def solar_capacity_factor(
    statistics: Statistics, cell: npt.NDArray[np.int64], day: npt.NDArray[np.int64], rng: np.random.Generator
) -> Hourly:
    """Capacity factor of T hours, 0 … 1, given the month-hour cell (T,) and the number of the local day (T,)."""
    mean = statistics.solar_mean
    std = (statistics.solar_p90 - statistics.solar_p10) / SOLAR_SPREAD_OVER_STD
    concentration = mean * (1.0 - mean) / std**2 - 1.0
    quantile = ndtr(draw_autoregressive(int(day[-1]) + 1, SOLAR_QUANTILE_LAG1, rng))
    alpha, beta = mean * concentration, (1.0 - mean) * concentration
    return np.asarray(betaincinv(alpha[cell], beta[cell], quantile[day]), dtype=np.float64)


def market_price(
    statistics: Statistics, cell: Integers, weekday: npt.NDArray[np.integer], rng: np.random.Generator
) -> Hourly:
    """Price of T hours, EUR/MWh, given the month-hour cell (T,) and the weekday (T,), Monday = 0.

    The bundled standard deviation includes that between weekdays, which is subtracted before the residual is added.
    """
    slow_rng, fast_rng = rng.spawn(2)
    slow = draw_autoregressive(cell.size, PRICE_SLOW_LAG1, slow_rng)
    fast = draw_autoregressive(cell.size, PRICE_FAST_LAG1, fast_rng)
    residual = math.sqrt(PRICE_SLOW_SHARE) * slow + math.sqrt(1.0 - PRICE_SLOW_SHARE) * fast
    mean = statistics.price_mean_eur_per_mwh
    by_weekday = mean * WEEKDAY_PRICE_FACTOR.std()
    std = np.sqrt(statistics.price_std_eur_per_mwh**2 - by_weekday**2)
    price = mean[cell] * WEEKDAY_PRICE_FACTOR[weekday] + std[cell] * residual
    return np.asarray(np.maximum(price, FLOOR_EUR_PER_MWH))


def draw_autoregressive(n: int, lag1: float, rng: np.random.Generator) -> Hourly:
    """Draw a Gaussian AR(1) of mean 0, variance 1 and lag-1 correlation `lag1` (Yule 1927), (n,)."""
    shocks = rng.standard_normal(n)
    shocks[1:] *= math.sqrt(1.0 - lag1**2)
    steps = accumulate(shocks.tolist(), lambda last, shock: lag1 * last + shock)
    return np.fromiter(steps, dtype=np.float64, count=n)


def _day_number(local: pd.DatetimeIndex) -> Integers:
    """Number of the local calendar day of each hour, the first being 0."""
    dates = local.tz_localize(None).to_numpy().astype("datetime64[D]")
    return np.asarray((dates - dates[0]).astype(np.int64))
