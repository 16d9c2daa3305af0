"""Load shapes of households and of a country for any hours of local time, by the BDEW standard load profiles.

demandlib computes one reference year; the typical day and the seasonal factor of every hour are taken from it.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
from demandlib.bdew import ElecSlp

from data.series import Hourly, Integers

REFERENCE_YEAR = 2016  # a leap year: it has a factor for day 366
SUMMER, TRANSITION, WINTER = 0, 1, 2
SATURDAY, SUNDAY, WORKDAY = 0, 1, 2


def household_load_shape(local_time: pd.DatetimeIndex) -> Hourly:
    """Load of an average household relative to its mean over a year.

    Parameters
    ----------
    local_time
        Begin of T hours on the local clock.

    Returns
    -------
    array
        (T,), mean 1 over a whole year to within 0.1 %.

    Notes
    -----
    Typical days of summer (15 May - 14 September), winter (1 November - 20 March) and the time between, each for
    workday, Saturday and Sunday, times the seasonal factor of the day. Public holidays count as what weekday they are.
    Source: VDEW (1999), "Repräsentative VDEW-Lastprofile", as implemented by demandlib.
    """
    reference = _make_reference_year()
    index = pd.DatetimeIndex(reference.index)
    seasonal = (reference["h0_dyn"] / reference["h0"]).groupby(index.dayofyear).mean().to_numpy()
    return np.asarray(_typical_days(reference["h0"], local_time) * seasonal[local_time.dayofyear.to_numpy() - 1])


HOUSEHOLD_SHARE, BUSINESS_SHARE = 0.2, 0.2
"""Shares of a country's load that follow the profiles H0 and G0; the rest is constant."""


def country_load_shape(local_time: pd.DatetimeIndex) -> Hourly:
    """Load of a country relative to its mean: households, business, and a constant part.

    Parameters
    ----------
    local_time
        Begin of T hours on the local clock.

    Returns
    -------
    array
        (T,), mean 1 over a whole year to within 0.1 %.

    Notes
    -----
    The shares are chosen so that the standard deviation comes out: 0.158, against 0.159 of Spain's load 2015-2018
    (28,697 MW with a standard deviation of 4,575 MW in "Hourly energy demand generation and weather", from ENTSO-E).
    """
    business = _typical_days(_make_reference_year()["g0"], local_time)
    constant = 1.0 - HOUSEHOLD_SHARE - BUSINESS_SHARE
    return np.asarray(HOUSEHOLD_SHARE * household_load_shape(local_time) + BUSINESS_SHARE * business + constant)


LOAD_SHAPES = {"household": household_load_shape, "country": country_load_shape}


def _typical_days(profile: pd.Series[float], local_time: pd.DatetimeIndex) -> Hourly:
    """For each hour, the mean of the reference year over that season, day type and hour of day; mean 1."""
    index = pd.DatetimeIndex(profile.index)
    typical = np.zeros((3, 3, 24))
    keys = (_season(index), _day_type(index), index.hour.to_numpy())
    np.add.at(typical, keys, profile.to_numpy())
    count = np.zeros_like(typical)
    np.add.at(count, keys, 1.0)
    typical *= index.size / count
    return np.asarray(typical[_season(local_time), _day_type(local_time), local_time.hour.to_numpy()])


@cache
def _make_reference_year() -> pd.DataFrame:
    """Columns h0, h0_dyn and g0 in quarter hours, each with sum 1; cached, since demandlib takes 0.1 s for them."""
    with warnings.catch_warnings():  # demandlib turns every warning of the process into an error
        frame: pd.DataFrame = ElecSlp(REFERENCE_YEAR).get_profiles("h0", "h0_dyn", "g0")
    return frame


def _season(time: pd.DatetimeIndex) -> Integers:
    day = time.month.to_numpy() * 100 + time.day.to_numpy()
    summer = (day >= 515) & (day <= 914)
    winter = (day >= 1101) | (day <= 320)
    return np.where(summer, SUMMER, np.where(winter, WINTER, TRANSITION))


def _day_type(time: pd.DatetimeIndex) -> Integers:
    weekday = time.dayofweek.to_numpy()
    return np.where(weekday == 5, SATURDAY, np.where(weekday == 6, SUNDAY, WORKDAY))
