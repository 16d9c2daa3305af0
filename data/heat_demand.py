"""Heat demand of houses by temperature: the standard load profile of heat of the BDEW, computed by demandlib."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from demandlib.bdew import HeatBuilding

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]

BUILDING_CLASS, WIND_CLASS = 11, 0
"""One-family houses of the mean of all ages (profile EFH), without wind."""
DAYS_OF_MEAN = 4
"""A day's heat follows the mean temperature of so many days: its own and those before."""
CLOCK_AHEAD = np.timedelta64(3600, "s")
"""The profile's days are those of Central European standard time."""
COLDEST_C, WARMEST_C = -20.0, 39.0
"""Ends of the mean temperatures that the profile has factors for; days beyond are taken for days at these."""


class _House(HeatBuilding):  # type: ignore[misc]  # demandlib has no types
    """A building whose profile goes on beyond the temperatures that it is published for."""

    def weighted_temperature(self, how: str = "geometric_series") -> Any:
        return super().weighted_temperature(how).clip(COLDEST_C, WARMEST_C)


def heat_shape(
    times: Times, interval_minutes: int, find_temperature_c: Callable[[Times], Numbers], days_before: int = 0
) -> Numbers:
    """Share of a year's heat, for space and water, that a house takes in each interval, (T,).

    Parameters
    ----------
    times
        Begins of the intervals, UTC.
    interval_minutes
        Their length.
    find_temperature_c
        Temperature outdoors at some times, °C.
    days_before
        Days before each year that are asked for, `DAYS_OF_MEAN` - 1 for all that count. With 0 the last days of the
        same year stand for them, as if every year were like it.

    Notes
    -----
    BDEW/VKU/GEODE (2018), Abwicklung von Standardlastprofilen Gas: sigmoid function of the mean temperature of four
    days with factors of the hour. Sums to 1 over a calendar year.
    """
    clock = times.astype("datetime64[s]") + CLOCK_AHEAD
    years = np.unique(clock.astype("datetime64[Y]"))
    shares = [_shape_of_year(year, find_temperature_c, days_before) for year in years]
    begin = years[0].astype("datetime64[s]")
    hour = ((clock - begin) / np.timedelta64(3600, "s")).astype(np.int64)
    return np.asarray(np.concatenate(shares)[hour] * (interval_minutes / 60.0), dtype=np.float64)


def _shape_of_year(year: np.datetime64, find_temperature_c: Callable[[Times], Numbers], days_before: int) -> Numbers:
    """Share of the year's heat in each of its hours."""
    first, stop = (year + k for k in (0, 1))
    n_before = 24 * days_before
    begin = first.astype("datetime64[h]") - n_before
    hours: Times = np.arange(begin, stop.astype("datetime64[h]")).astype("datetime64[s]")
    index = pd.DatetimeIndex(hours)
    temperature = pd.Series(find_temperature_c(hours - CLOCK_AHEAD), index=index)
    with warnings.catch_warnings():  # demandlib turns every warning of the process into an error
        building = _House(
            index,
            temperature=temperature,
            shlp_type="EFH",
            building_class=BUILDING_CLASS,
            wind_class=WIND_CLASS,
            annual_heat_demand=1.0,
            ww_incl=True,
            name="EFH",
        )
        profile = building.get_bdew_profile().to_numpy()[n_before:]
    return np.asarray(profile / profile.sum(), dtype=np.float64)
