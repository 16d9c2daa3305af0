"""A tariff by time of use: bands of hours, days of the week and months on a local clock, each with its price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError
from data.series import Integers

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NO_BAND = -1


class Band(NamedTuple):
    """A price and when it holds: in these hours of these days of these months, all of them at once.

    Attributes
    ----------
    price_ueur_per_kwh
        The price.
    hours, days, months
        Bits: hour 0 … 23 of the clock, day 0 (Monday) … 6, month 0 (January) … 11.
    """

    price_ueur_per_kwh: int
    hours: int
    days: int
    months: int


def make_hours(begin: int, end: int) -> int:
    """Bits of the hours from `begin` to before `end`, over midnight if `end` is not later.

    Examples
    --------
    >>> [hour for hour in range(24) if make_hours(22, 2) >> hour & 1], make_hours(0, 24) == 2**24 - 1
    ([0, 1, 22, 23], True)
    """
    n = (end - begin) % 24 or 24
    return sum(1 << (begin + k) % 24 for k in range(n))


def find_bands(time: npt.NDArray[np.datetime64], bands: Sequence[Band], timezone: str) -> Integers:
    """Number of the first band that holds at some times, (T,); `NO_BAND` where none does.

    Parameters
    ----------
    time
        (T,) in UTC; the begin of an interval decides.
    bands
        In order: the first that fits counts.
    timezone
        Clock of the hours, days and months.

    Examples
    --------
    >>> night = Band(100_000, make_hours(22, 6), 127, 4095)
    >>> times = np.array(["2017-06-01T19:00", "2017-06-01T20:00"], "datetime64[s]")
    >>> find_bands(times, [night], "Europe/Berlin").tolist()
    [-1, 0]
    """
    local = pd.DatetimeIndex(time.astype("datetime64[s]")).tz_localize("UTC").tz_convert(timezone)
    hour, day, month = local.hour.to_numpy(), local.dayofweek.to_numpy(), local.month.to_numpy() - 1
    found = np.full(time.size, NO_BAND, np.int64)
    for k, band in reversed(list(enumerate(bands))):
        holds = (band.hours >> hour & 1) & (band.days >> day & 1) & (band.months >> month & 1)
        found[holds.astype(bool)] = k
    return found


def price_by_bands(
    time: npt.NDArray[np.datetime64], bands: Sequence[Band], timezone: str, key: str = "tariff.bands"
) -> Integers:
    """Price of intervals that begin at some times, (T,) µEUR/kWh; `key` is what messages call the bands.

    Raises
    ------
    DataError
        If no band holds at one of them.
    """
    found = find_bands(time, bands, timezone)
    if (found == NO_BAND).any():
        at = time[int(np.argmax(found == NO_BAND))].astype("datetime64[s]")
        raise DataError(
            f"{key}: expected a band for every interval, got none at {at} UTC (clock of {timezone}); add a last "
            "band without hours, days and months, which holds at all other times"
        )
    return np.array([band.price_ueur_per_kwh for band in bands], np.int64)[found]
