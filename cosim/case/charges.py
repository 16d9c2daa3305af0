"""What the use of the network costs in every interval: section `[charges]` in integers, on its own calendar.

A power or standing part of a month is spread over its days, and each day's share falls due in the day's first interval:
floor(price · d / D) - floor(price · (d-1) / D) on day d of D. So a whole month is charged exactly, and a run that
begins or ends within one is charged for its days.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandapower.topology as top
import pandas as pd
from networkx import connected_components  # type: ignore[import-untyped]

from cosim.case.tariff import make_band
from cosim.errors import ScenarioError
from cosim.scenario.charges import ChargesSection
from cosim.scenario.model import Scenario
from data.tariffs import price_by_bands
from grid_models.feeder.feeder import Feeder
from market.charges import Terms
from market.exchanges import NEUR_PER_EUR, UEUR_PER_EUR, Ints, LossRule

PPM = 1_000_000
_RULES = {"operator": LossRule.OPERATOR, "pro_rata": LossRule.PRO_RATA}


def make_terms(scenario: Scenario, time: npt.NDArray[np.datetime64], interval_minutes: int) -> Terms | None:
    """Terms of all intervals of a run; None where nothing is charged.

    Parameters
    ----------
    scenario
        Its section `[charges]`.
    time
        Begin of each interval in UTC, (T,).
    interval_minutes
        Length of each.

    Raises
    ------
    data.errors.DataError
        If no band holds in an interval.
    """
    section = scenario.charges
    if not section.is_on:
        return None
    time = time.astype("datetime64[s]")
    grid = find_energy_prices(section, time)
    local = grid * round(section.local_share * PPM) // PPM
    days, begins, ends = find_days(time, section.timezone)
    power = share_of_month(round(section.power_eur_per_kw_month * UEUR_PER_EUR), days)
    standing = share_of_month(round(section.standing_eur_per_month * NEUR_PER_EUR), days)
    standing += round(section.standing_eur_per_day * NEUR_PER_EUR)
    due = begins.astype(np.int64)
    return Terms(grid, local, power * due, standing * due, ends, _RULES[section.losses], interval_minutes)


def find_energy_prices(section: ChargesSection, time: npt.NDArray[np.datetime64]) -> Ints:
    """Energy part for energy from the grid in intervals that begin at some times, (T,) µEUR/kWh.

    Raises
    ------
    data.errors.DataError
        If no band holds in an interval.
    """
    if not section.bands:
        return np.full(time.size, round(section.energy_eur_per_kwh * UEUR_PER_EUR), np.int64)
    bands = [make_band(band) for band in section.bands]
    return price_by_bands(time, bands, section.timezone, "charges.bands")


def find_days(
    time: npt.NDArray[np.datetime64], timezone: str
) -> tuple[pd.DatetimeIndex, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Local time of intervals, whether each is the first of its day, and whether it is the last of its month, (T,).

    The first and the last interval of all are both.

    Examples
    --------
    >>> times = np.datetime64("2017-05-31T21:00", "s") + 3600 * np.arange(3)
    >>> [column.tolist() for column in find_days(times, "Europe/Vienna")[1:]]
    [[True, True, False], [True, False, True]]
    """
    local = pd.DatetimeIndex(time).tz_localize("UTC").tz_convert(timezone).tz_localize(None)
    day, month = (local.to_numpy().astype(f"datetime64[{unit}]") for unit in "DM")
    begins, ends = np.ones(time.size, np.bool_), np.ones(time.size, np.bool_)
    begins[1:], ends[:-1] = day[1:] != day[:-1], month[1:] != month[:-1]
    return local, begins, ends


def share_of_month(price: int, days: pd.DatetimeIndex) -> Ints:
    """What of a month's price falls to each of some days, (T,); whole months are exact.

    Examples
    --------
    >>> june = pd.date_range("2017-06-01", "2017-06-30")
    >>> share_of_month(100, june)[:4].tolist(), int(share_of_month(100, june).sum())
    ([3, 3, 4, 3], 100)
    """
    day, length = days.day.to_numpy().astype(np.int64), days.days_in_month.to_numpy().astype(np.int64)
    return np.asarray(price * day // length - price * (day - 1) // length)


def check_charges(scenario: Scenario) -> None:
    """Check that charges can be recorded, and that the energy part is said once.

    Raises
    ------
    ScenarioError
        If they cannot, or it is said twice.
    """
    section, where = scenario.charges, f"scenario '{scenario.name}', "
    if section.is_on and scenario.ledger.private:
        raise ScenarioError(
            f"{where}charges: expected none beside ledger.private = true, since a private ledger cannot show that they "
            "follow from the meters; leave out one of them"
        )
    if section.bands and section.energy_eur_per_kwh:
        raise ScenarioError(
            f"{where}charges.energy_eur_per_kwh: expected none beside charges.bands, got "
            f"{section.energy_eur_per_kwh:g}; leave one of them out"
        )


def check_no_charges(scenario: Scenario, what: str) -> None:
    """Raise ScenarioError where the use of the network is charged for, in something that knows no network charges."""
    if scenario.charges.is_on:
        raise ScenarioError(
            f"scenario '{scenario.name}', charges: expected none for {what}, which knows no network charges, got some; "
            "leave the section out"
        )


def check_areas(scenario: Scenario, feeder: Feeder) -> None:
    """Check that all houses are below one transformer, where energy that stays there has a price of its own.

    Raises
    ------
    ScenarioError
        If they are not.
    """
    if not scenario.charges.is_on or scenario.charges.local_share == 1.0:
        return
    area = find_areas(feeder.net)
    at = [area.get(int(bus), -1) for bus in feeder.bus]
    for (house, mine), (other, its) in pairwise(zip(feeder.participants, at, strict=True)):
        if mine != its:
            raise ScenarioError(
                f"scenario '{scenario.name}', charges.local_share: expected all houses below one transformer, got "
                f"'{house}' and '{other}' with a transformer or an open switch between them; leave it out, or run each "
                "low-voltage network by itself"
            )


def find_areas(net: Any) -> dict[int, int]:
    """Number of the part of the network that each bus is in, where transformers are left out."""
    graph = top.create_nxgraph(net, include_trafos=False, include_trafo3ws=False)
    return {int(bus): k for k, buses in enumerate(connected_components(graph)) for bus in buses}
