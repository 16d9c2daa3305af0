"""Temperature outdoors of an average German year, drawn from a seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Celsius = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

NORMALS_C = (0.9, 1.5, 4.6, 9.0, 13.1, 16.4, 18.3, 18.0, 13.9, 9.4, 4.8, 1.8)
"""Mean temperature of Germany's months, 1991-2020 (DWD, Climate Data Center, regional averages)."""
DAY_SPREAD_K, DAY_MEMORY = 3.6, 0.75
"""Standard deviation of a day's mean around the normal, and its correlation with the day before."""
SWING_K, WARMEST_HOUR = (2.0, 5.5), 14.0
"""Half the daily swing in midwinter and in midsummer, and the hour of the day (UTC) at which it is warmest."""
LOWEST_C, HIGHEST_C = -19.0, 39.0
"""Range of the drawn temperatures; within the range of the standard load profiles of heat."""
_SECONDS_A_DAY = 86_400


def draw_temperature_c(times: Times, seed: int) -> Celsius:
    """Temperature at some times, (T,) °C: monthly normals, a spread from day to day, and a daily swing.

    Parameters
    ----------
    times
        (T,) in UTC.
    seed
        What days are drawn from; each year has a stream of its own, so that a time has one temperature, whatever is
        asked for beside it.
    """
    seconds = times.astype("datetime64[s]")
    hour = (seconds.astype(np.int64) % _SECONDS_A_DAY) / 3600.0
    year = _share_of_year(seconds)
    summer = 0.5 - 0.5 * np.cos(2.0 * np.pi * year)
    swing = SWING_K[0] + (SWING_K[1] - SWING_K[0]) * summer
    of_day = swing * np.cos(2.0 * np.pi * (hour - WARMEST_HOUR) / 24.0)
    return np.clip(_normal_c(year) + _find_departure(seconds, seed) + of_day, LOWEST_C, HIGHEST_C)


def _find_departure(times: Times, seed: int) -> Celsius:
    """Departure of the mean of each time's day from the normal."""
    found, years = np.zeros(times.size), times.astype("datetime64[Y]")
    for year in np.unique(years):
        chosen = years == year
        day = (times[chosen].astype("datetime64[D]") - year.astype("datetime64[D]")).astype(np.int64)
        stream = np.random.default_rng([seed, int(year.astype(np.int64)) + 1970])
        found[chosen] = _draw_days(stream)[day]
    return found


def _draw_days(rng: np.random.Generator) -> Celsius:
    """Departures of the means of a year's days from the normal, each correlated with the day before."""
    shocks = rng.normal(0.0, DAY_SPREAD_K * np.sqrt(1.0 - DAY_MEMORY**2), 366)
    departure, last = np.empty(shocks.size), 0.0
    for k, shock in enumerate(shocks.tolist()):
        last = DAY_MEMORY * last + shock
        departure[k] = last
    return departure


def _share_of_year(times: Times) -> Celsius:
    begin = times.astype("datetime64[Y]")
    return np.asarray((times - begin) / ((begin + 1) - begin.astype("datetime64[s]")), dtype=np.float64)


def _normal_c(share_of_year: Celsius) -> Celsius:
    """Normals between the middles of the months, linear."""
    middle = (np.arange(-1, 13) + 0.5) / 12.0
    around = np.array([NORMALS_C[-1], *NORMALS_C, NORMALS_C[0]])
    return np.asarray(np.interp(share_of_year, middle, around), dtype=np.float64)
