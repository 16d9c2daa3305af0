"""Thinning and rounding of what figures draw; numbers in tables and extremes are never taken from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

CURVE_POINTS = 300
SHORT_RUN, LONG_RUN = pd.Timedelta(days=14), pd.Timedelta(days=62)
STEPS = {"h": "hour", "D": "day", "W": "week"}
"""Steps of a time series, as pandas and as people call them."""


def make_duration_curve(values: npt.ArrayLike, hours: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Duration curve, thinned: for how many hours each of some levels was reached or exceeded, and the levels.

    Parameters
    ----------
    values
        (T,) mean values of intervals; missing ones are left out.
    hours
        Length of an interval, h.

    Examples
    --------
    >>> [axis.tolist() for axis in make_duration_curve([1.0, float("nan"), 3.0], 0.5)]
    [[0.5, 1.0], [3.0, 1.0]]
    """
    array = np.asarray(values, dtype=np.float64)
    falling = np.sort(array[~np.isnan(array)])[::-1]
    points = choose_curve_points(falling.size)
    return round_values((points + 1) * hours, 2), round_values(falling[points], 3)


def choose_curve_points(n: int, points: int = CURVE_POINTS) -> npt.NDArray[np.int64]:
    """Positions of a falling curve of `n` values to draw: the first, the last, and denser near both ends.

    Examples
    --------
    >>> choose_curve_points(5, 100).tolist()
    [0, 1, 2, 3, 4]
    >>> picked = choose_curve_points(8760)
    >>> (int(picked[0]), int(picked[-1]), picked.size <= 300)
    (0, 8759, True)
    """
    if n <= points:
        return np.arange(n, dtype=np.int64)
    share = np.linspace(0.0, 1.0, points)
    bent = (1.0 - np.cos(np.pi * share)) / 2.0
    return np.unique(np.rint(bent * (n - 1)).astype(np.int64))


def choose_period(times: pd.Index) -> tuple[str, str]:
    """Period to sum over, as pandas and as people call it: months of a long run, days of a short one."""
    return ("MS", "month") if times[-1] - times[0] > LONG_RUN else ("D", "day")


def choose_step(times: pd.Index, points: int = 1500) -> str:
    """Step of a time series with at most about `points` points: one of `STEPS`.

    Examples
    --------
    >>> [choose_step(pd.date_range("2017", periods=n, freq="h")) for n in (48, 8760)]
    ['h', 'D']
    """
    hours = (times[-1] - times[0]) / pd.Timedelta(hours=1)
    return next((step for step, length in (("h", 1), ("D", 24)) if hours / length <= points / 2), "W")


def round_values(values: Any, digits: int) -> Any:
    """Values rounded to what a figure can show, as 32-bit floats."""
    return np.round(np.asarray(values, dtype=np.float64), digits).astype(np.float32)


def make_day_ticks(times: pd.Index) -> dict[str, Any]:
    """Settings of an axis of days: in a short run every day has a tick, and hours have none."""
    short = times[-1] - times[0] <= SHORT_RUN
    return {"dtick": 86_400_000, "tickformat": "%Y-%m-%d"} if short else {}
