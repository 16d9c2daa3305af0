"""Series: hourly solar generation, load and price of a country, before they are scaled to houses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.errors import DataError

Integers = npt.NDArray[np.int64]
Hourly = npt.NDArray[np.float64]

ZONE = "Europe/Madrid"
CARRIED_BELOW_MINUTES = 15
"""Intervals shorter than this hold so little energy that what rounding takes from one is given to the next."""


def round_within_hours(wh: Hourly, times: npt.NDArray[np.datetime64], interval_minutes: int) -> Integers:
    """Whole Wh of intervals whose power is that of their hour; short ones sum to the hour's energy, rounded.

    Parameters
    ----------
    wh
        Energies, Wh, (T, …), the same for all intervals of an hour.
    times
        Begins of the intervals, (T,).
    interval_minutes
        Their length; from 15 minutes on each is rounded by itself.

    Examples
    --------
    >>> minutes = np.datetime64("2017-01-01T00:00") + np.arange(60).astype("timedelta64[m]")
    >>> int(round_within_hours(np.full(60, 0.4), minutes, 1).sum())
    24
    """
    if interval_minutes >= CARRIED_BELOW_MINUTES:
        return np.rint(wh).astype(np.int64)
    done = (times - times.astype("datetime64[h]")) / np.timedelta64(interval_minutes, "m")
    before = done.reshape(-1, *[1] * (wh.ndim - 1))
    return np.asarray(np.rint(wh * (before + 1.0)) - np.rint(wh * before), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Three hourly series over T hours, without gaps; the arrays are read-only.

    Attributes
    ----------
    start
        Begin of the first hour, UTC, `datetime64[s]`.
    solar_cf
        Solar generation over its largest value S / max S, or a capacity factor; (T,), 0 … 1.
    load_shape
        Load over its long-run mean, (T,), not negative.
    price_eur_per_mwh
        Market price, (T,), EUR/MWh, not negative.
    provenance
        Where they come from, and how many values were filled in.
    zone
        Time zone of the country.

    Raises
    ------
    DataError
        If the series differ in length or a value is out of range or not finite.
    """

    start: np.datetime64
    solar_cf: Hourly
    load_shape: Hourly
    price_eur_per_mwh: Hourly
    provenance: Mapping[str, str | int | float]
    zone: str = ZONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self.start.astype("datetime64[s]"))
        object.__setattr__(self, "provenance", dict(self.provenance))
        n_hours = np.size(self.solar_cf)
        for name, largest in (("solar_cf", 1.0), ("load_shape", np.inf), ("price_eur_per_mwh", np.inf)):
            object.__setattr__(self, name, _check_values(getattr(self, name), name, n_hours, largest))

    @property
    def n_hours(self) -> int:
        """Number of hours T."""
        return int(self.solar_cf.size)

    @property
    def time(self) -> pd.DatetimeIndex:
        """Begin of every hour, UTC."""
        return list_hours(self.start, self.n_hours)

    @property
    def local_time(self) -> pd.DatetimeIndex:
        """Begin of every hour on the local clock."""
        return self.time.tz_convert(self.zone)


def list_hours(start: np.datetime64, n_hours: int) -> pd.DatetimeIndex:
    """List the begin of `n_hours` hours, in UTC.

    Examples
    --------
    >>> list_hours(np.datetime64("2017-03-26T00:00"), 2).tz_convert("Europe/Madrid").hour.tolist()
    [1, 3]
    """
    return pd.date_range(pd.Timestamp(start).tz_localize("UTC"), periods=n_hours, freq="h")


def _check_values(values: Hourly, name: str, n_hours: int, largest: float) -> Hourly:
    array = np.array(values, dtype=np.float64)
    if array.shape != (n_hours,) or n_hours == 0:
        raise DataError(f"series, {name}: expected shape ({n_hours},) of at least one hour, got {array.shape}")
    wrong = ~(np.isfinite(array) & (array >= 0.0) & (array <= largest))
    if wrong.any():
        hour = int(np.argmax(wrong))
        raise DataError(
            f"series, {name}, hour {hour}: expected a finite number from 0 to {largest}, got {array[hour]}; "
            "correct the value"
        )
    array.setflags(write=False)
    return array
