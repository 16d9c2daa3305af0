"""The utility price of every interval where the scenario has a tariff by time of use; exact, in µEUR/kWh."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from cosim.scenario.tariff import TariffBand
from data.profiles import Profiles
from data.tariffs import DAYS, Band, find_bands, make_hours, price_by_bands
from market.exchanges import UEUR_PER_EUR

LAYOUT = struct.Struct("<qIBH")
"""A band on the ledger: price, µEUR/kWh; bits of hours, days and months."""


def make_bands(scenario: Scenario) -> list[Band]:
    """Bands of the scenario's tariff in integers; none without a tariff."""
    return [make_band(band) for band in scenario.tariff.bands]


def make_band(band: TariffBand) -> Band:
    """A band in integers."""
    return Band(
        round(band.price_eur_per_kwh * UEUR_PER_EUR),
        make_hours(band.from_hour, band.to_hour),
        sum(1 << k for k, day in enumerate(DAYS) if day in band.days or not band.days),
        sum(1 << (month - 1) for month in range(1, 13) if month in band.months or not band.months),
    )


def with_tariff(scenario: Scenario, profiles: Profiles) -> Profiles:
    """Profiles with the price of the scenario's tariff in every interval; as they are without one.

    Raises
    ------
    ScenarioError
        If the scenario names a constant price too.
    data.errors.DataError
        If no band holds in an interval.
    """
    bands = make_bands(scenario)
    if not bands:
        return profiles
    if scenario.profiles.price_eur_per_kwh is not None:
        raise ScenarioError(
            f"scenario '{scenario.name}', profiles.price_eur_per_kwh: expected none beside tariff.bands, got "
            f"{scenario.profiles.price_eur_per_kwh:g}; leave one of them out"
        )
    return replace(profiles, price_ueur_per_kwh=price_by_bands(profiles.time, bands, scenario.tariff.timezone))


def find_tariff_prices(scenario: Scenario, time: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64] | None:
    """Price of intervals that begin at some times, (T,) µEUR/kWh; None without a tariff."""
    bands = make_bands(scenario)
    return price_by_bands(time, bands, scenario.tariff.timezone) if bands else None


def list_tariff_facts(scenario: Scenario) -> dict[str, bytes | str]:
    """Parameters by which the price of every interval can be computed; none without a tariff."""
    bands = make_bands(scenario)
    zone: dict[str, bytes | str] = {"tariff_zone": scenario.tariff.timezone} if bands else {}
    return zone | {f"tariff.{k}": LAYOUT.pack(*band) for k, band in enumerate(bands)}


def summarise_tariff(scenario: Scenario, profiles: Profiles) -> dict[str, Any]:
    """Price and number of intervals of each band, JSON-ready."""
    found = find_bands(profiles.time, make_bands(scenario), scenario.tariff.timezone)
    bands = [
        {"price_eur_per_kwh": band.price_eur_per_kwh, "intervals": int((found == k).sum())}
        for k, band in enumerate(scenario.tariff.bands)
    ]
    return {"timezone": scenario.tariff.timezone, "bands": bands}
