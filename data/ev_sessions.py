"""When cars are at home and what they use: drawn from published statistics of the use of cars.

Sources: Mobilität in Deutschland 2017 (infas, DLR, IVT and infas 360 for the BMVI): on an average day four of ten cars
are not moved, and a car stands for 23 hours and a quarter; cars leave in the morning and most of those that commute are
back between 15 and 19 o'clock, at weekends they leave later. Kraftfahrt-Bundesamt, Verkehr in Kilometern 2017: 13,257
km a year and car. Distances of a day are lognormal (Plötz, Jakobsson and Sprei 2017, On the distribution of individual
daily driving distances, Transportation Research Part B 101, 213-227).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]

ZONE = "Europe/Berlin"
"""Clock by which cars leave and come back."""
USED_ON = (0.66, 0.66, 0.66, 0.66, 0.66, 0.58, 0.46)
"""Share of cars that are moved on a day, Monday to Sunday; six of ten on the average."""
KM_A_YEAR, KM_SPREAD, KM_SIGMA = 13_257.0, 0.1, 0.9
"""Mean of all cars, how far the mean of a car may be from it as a share, and sigma of a day's lognormal distance."""
LEAVES = ((7.4, 1.1), (10.2, 1.8))
"""Mean and standard deviation of the hour of leaving, on workdays and at weekends."""
BACK = ((17.2, 1.8), (16.6, 2.6))
"""The same of the hour of coming back."""
EARLY_SHARE, EARLY_HOURS = 0.2, 4.0
"""Share of workdays on which a car is back earlier, and by how many hours: part-time work, school, errands."""
KM_PER_HOUR = 45.0
"""A car is away at least as long as it drives."""
_DAYS_BEHIND = 3
"""Days that are drawn behind the last interval, so that its stay has an end."""


class Sessions(NamedTuple):
    """Stays of C cars in T intervals.

    Attributes
    ----------
    leaves
        (T, C) number of the first interval behind the present stay; 0 while the car is away.
    used_wh
        (T, C) energy that the battery gave on the trips that end as the interval begins.
    """

    leaves: npt.NDArray[np.int32]
    used_wh: npt.NDArray[np.int32]


def draw_sessions(
    start: np.datetime64, n_intervals: int, interval_minutes: int, wh_per_km: Numbers, seed: int
) -> Sessions:
    """Sessions of cars, each with a random stream of its own: what one does tells nothing of another.

    Parameters
    ----------
    start
        Begin of the first interval, UTC.
    n_intervals, interval_minutes
        Number T and length of the intervals.
    wh_per_km
        What each car's battery gives for a kilometre, (C,).
    seed
        Of the random streams.
    """
    behind = _DAYS_BEHIND * 24 * 60 // interval_minutes
    step = np.timedelta64(60 * interval_minutes, "s")
    times = start.astype("datetime64[s]") + np.arange(n_intervals + behind) * step
    clock = pd.DatetimeIndex(times, tz="UTC").tz_convert(ZONE).tz_localize(None).to_numpy().astype("datetime64[s]")
    cars = [np.random.default_rng([seed, k]) for k in range(wh_per_km.size)]
    drawn = [_draw_car(clock, wh, rng) for wh, rng in zip(wh_per_km.tolist(), cars, strict=True)]
    leaves, used = (np.zeros((n_intervals, wh_per_km.size), np.int32) for _ in range(2))
    for k, one in enumerate(drawn):
        leaves[:, k], used[:, k] = one.leaves[:n_intervals], one.used_wh[:n_intervals]
    return Sessions(leaves, used)


def _draw_car(clock: Times, wh_per_km: float, rng: np.random.Generator) -> Sessions:
    """Sessions of one car on a local clock, (T,) each."""
    first = clock[0].astype("datetime64[D]")
    n_days = int((clock[-1].astype("datetime64[D]") - first) / np.timedelta64(1, "D")) + 1
    mean_km = KM_A_YEAR / 365.0 / float(np.mean(USED_ON)) * rng.uniform(1.0 - KM_SPREAD, 1.0 + KM_SPREAD)
    away, used, trip_wh = np.zeros(clock.size, bool), np.zeros(clock.size, np.int32), 0
    for day in range(n_days):
        leave, back, km = _draw_day((first + day).astype(object).weekday(), mean_km, rng)
        if km == 0.0:
            continue
        begin = (first + day).astype("datetime64[s]")
        i, k = np.searchsorted(clock, [begin + _seconds(leave), begin + _seconds(back)])
        i, k = int(i), int(max(k, i + 1))
        away[i:k] = True
        trip_wh += round(km * wh_per_km)
        if k < clock.size:
            used[k], trip_wh = min(used[k] + trip_wh, 2**31 - 1), 0
    used[away] = 0
    return Sessions(_find_ends(away), used)


def _draw_day(weekday: int, mean_km: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Hours of leaving and of coming back, and distance, km; distance 0 where the car is not moved."""
    numbers = rng.normal(size=3)
    chance = rng.uniform(size=2)
    if chance[0] >= USED_ON[weekday]:
        return 0.0, 0.0, 0.0
    kind = int(weekday >= 5)
    km = mean_km * float(np.exp(KM_SIGMA * numbers[2] - 0.5 * KM_SIGMA**2))
    leave = float(np.clip(LEAVES[kind][0] + LEAVES[kind][1] * numbers[0], 0.0, 20.0))
    back = BACK[kind][0] + BACK[kind][1] * numbers[1] - EARLY_HOURS * (kind == 0 and chance[1] < EARLY_SHARE)
    return leave, float(np.clip(max(back, leave + km / KM_PER_HOUR), 0.0, 23.9)), km


def _seconds(hours: float) -> np.timedelta64:
    return np.timedelta64(round(hours * 3600.0), "s")


def _find_ends(away: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """First interval behind each interval's stay, (T,); 0 while away, the number of intervals behind the last."""
    ends, end = np.zeros(away.size, np.int32), away.size
    for t in range(away.size - 1, -1, -1):
        if away[t]:
            end = t
        else:
            ends[t] = end
    return ends
