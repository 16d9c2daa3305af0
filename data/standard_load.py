"""The BDEW standard load profile H0 of households, in its smoothed ("dynamic") form, for any hours of local time.

demandlib computes one reference year; its typical days and its seasonal factor are then looked up for every hour.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
from demandlib.bdew import ElecSlp

from data.series import Hourly

REFERENCE_YEAR = 2016  # a leap year: has the factor of a 366th day
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
    reference = _reference_year()
    index = pd.DatetimeIndex(reference.index)
    typical = np.zeros((3, 3, 24))
    keys = (_season(index), _day_type(index), index.hour.to_numpy())
    np.add.at(typical, keys, reference["h0"].to_numpy())
    count = np.zeros_like(typical)
    np.add.at(count, keys, 1.0)
    typical *= index.size / count
    seasonal = (reference["h0_dyn"] / reference["h0"]).groupby(index.dayofyear).mean().to_numpy()
    shape = typical[_season(local_time), _day_type(local_time), local_time.hour.to_numpy()]
    return np.asarray(shape * seasonal[local_time.dayofyear.to_numpy() - 1])


def _reference_year() -> pd.DataFrame:
    """Columns h0 and h0_dyn of quarter hours, each summing to 1."""
    with warnings.catch_warnings():  # demandlib turns every warning of the process into an error
        frame: pd.DataFrame = ElecSlp(REFERENCE_YEAR).get_profiles("h0", "h0_dyn")
    return frame


def _season(time: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    day = time.month.to_numpy() * 100 + time.day.to_numpy()
    summer = (day >= 515) & (day <= 914)
    winter = (day >= 1101) | (day <= 320)
    return np.where(summer, SUMMER, np.where(winter, WINTER, TRANSITION))


def _day_type(time: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    weekday = time.dayofweek.to_numpy()
    return np.where(weekday == 5, SATURDAY, np.where(weekday == 6, SUNDAY, WORKDAY))
