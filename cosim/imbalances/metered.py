"""What meters say of load and generation, in place of what a run committed to; batteries and contracts stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cosim.errors import ScenarioError
from data.errors import DataError
from data.files import read_table
from data.prices import PRICE_UNITS, PriceSource
from data.profiles import Profiles
from data.tables import profiles_from_table
from market.exchanges import Rows


def read_energies(path: Path, interval_minutes: int | None, timezone: str, day_first: bool | None) -> Profiles:
    """Profiles of a table with prices or without, which are 0 then.

    Raises
    ------
    data.errors.DataError
        If the table cannot be used.
    """
    table = read_table(path)
    has_price = any(str(name) in PRICE_UNITS for name in table.frame.columns)
    return profiles_from_table(table, interval_minutes, timezone, PriceSource(None if has_price else 0.0), day_first)


def fit_to_run(metered: Profiles, committed: Profiles, where: str) -> Profiles:
    """Meters of the houses and intervals of a run, in their order.

    Raises
    ------
    ScenarioError
        If a house or an interval of the run is missing, a house is none of the run's, or there is reactive energy.
    """
    if metered.load_varh is not None:
        raise ScenarioError(f"{where}: expected load and generation alone, got reactive energy; leave its column out")
    if others := sorted(set(metered.participants) ^ set(committed.participants)):
        raise ScenarioError(
            f"{where}: expected the {committed.n_participants} houses of the run, got '{others[0]}' in one of both "
            "alone; correct the names"
        )
    step = np.timedelta64(60 * committed.interval_minutes, "s")
    first = int((committed.start - metered.start) // step)
    if (committed.start - metered.start) % step or first < 0 or first + committed.n_intervals > metered.n_intervals:
        raise ScenarioError(
            f"{where}: expected all intervals of the run, {committed.time[0]} to {committed.time[-1]} UTC, got "
            f"{metered.time[0]} to {metered.time[-1]}; supply the others"
        )
    try:
        return metered.window(first, first + committed.n_intervals).select(committed.participants)
    except DataError as reason:
        raise ScenarioError(f"{where}: {reason}") from reason


def with_metered(meters: Rows, metered: Profiles) -> Rows:
    """Meter rows of a run, (T, N), with load and generation as metered.

    What batteries and fuel cells do stands as committed. So does curtailment: panels stay reduced by as much, and load
    stays shed by as much, as far as there is any.
    """
    real = meters.copy()
    of_panels = np.minimum(meters["spilled_wh"], meters["pv_wh"])
    of_others = meters["spilled_wh"] - of_panels
    real["load_wh"], real["pv_wh"] = metered.load_wh, metered.pv_wh
    real["spilled_wh"] = np.minimum(of_panels, metered.pv_wh) + of_others
    real["shed_wh"] = np.minimum(meters["shed_wh"], metered.load_wh)
    return real
