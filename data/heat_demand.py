"""Heat demand of houses by temperature: the standard load profile of heat of the BDEW, computed by demandlib."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from demandlib.bdew import HeatBuilding

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]

BUILDING_CLASS, WIND_CLASS = 11, 0
"""One-family houses of the mean of all ages (profile EFH), without wind."""
CLOCK_AHEAD = np.timedelta64(3600, "s")
"""The profile's days are those of Central European standard time."""


def heat_shape(times: Times, interval_minutes: int, find_temperature_c: Callable[[Times], Numbers]) -> Numbers:
    """Share of a year's heat, for space and water, that a house takes in each interval, (T,).

    Parameters
    ----------
    times
        Begins of the intervals, UTC.
    interval_minutes
        Their length.
    find_temperature_c
        Temperature outdoors at some times, °C.

    Notes
    -----
    BDEW/VKU/GEODE (2018), Abwicklung von Standardlastprofilen Gas: sigmoid function of the mean temperature of four
    days with factors of the hour. Sums to 1 over a calendar year.
    """
    clock = times.astype("datetime64[s]") + CLOCK_AHEAD
    years = np.unique(clock.astype("datetime64[Y]"))
    shares = [_shape_of_year(year, find_temperature_c) for year in years]
    begin = years[0].astype("datetime64[s]")
    hour = ((clock - begin) / np.timedelta64(3600, "s")).astype(np.int64)
    return np.asarray(np.concatenate(shares)[hour] * (interval_minutes / 60.0), dtype=np.float64)


def _shape_of_year(year: np.datetime64, find_temperature_c: Callable[[Times], Numbers]) -> Numbers:
    """Share of the year's heat in each of its hours."""
    first, stop = (year + k for k in (0, 1))
    hours: Times = np.arange(first.astype("datetime64[h]"), stop.astype("datetime64[h]")).astype("datetime64[s]")
    index = pd.DatetimeIndex(hours)
    temperature = pd.Series(find_temperature_c(hours - CLOCK_AHEAD), index=index)
    with warnings.catch_warnings():  # demandlib turns every warning of the process into an error
        building = HeatBuilding(
            index,
            temperature=temperature,
            shlp_type="EFH",
            building_class=BUILDING_CLASS,
            wind_class=WIND_CLASS,
            annual_heat_demand=1.0,
            ww_incl=True,
            name="EFH",
        )
        profile = building.get_bdew_profile().to_numpy()
    return np.asarray(profile / profile.sum(), dtype=np.float64)
