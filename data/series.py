"""Series: hourly solar generation, load and price of a country, before anything is scaled to houses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

Hourly = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Hourly series over T hours.

    Attributes
    ----------
    start
        Begin of the first hour, UTC, `datetime64[s]`.
    solar
        Solar generation relative to any fixed unit (a capacity factor, or MW), (T,), not negative.
    load
        Load relative to any fixed unit, (T,), positive.
    price_eur_per_mwh
        Market price, (T,), EUR/MWh.
    provenance
        Where it comes from, and how many values were filled in.
    """

    start: np.datetime64
    solar: Hourly
    load: Hourly
    price_eur_per_mwh: Hourly
    provenance: Mapping[str, str | int | float]


def hours_from(start: np.datetime64, n_hours: int) -> pd.DatetimeIndex:
    """UTC index of `n_hours` hours."""
    return pd.date_range(pd.Timestamp(start, tz="UTC"), periods=n_hours, freq="h")


def local_clock(index: pd.DatetimeIndex, zone: str = "Europe/Madrid") -> pd.DatetimeIndex:
    """The same hours on the local clock."""
    return index.tz_convert(ZoneInfo(zone))
