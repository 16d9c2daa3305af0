"""Settlement periods of a run: intervals summed to what a law asks for, and the months they are billed in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from cosim.errors import ScenarioError
from market.exchanges import Ints


def sum_periods(energies_wh: Ints, start: int, interval_minutes: int, period_minutes: int) -> Ints:
    """Energies of settlement periods, (P, N), from those of intervals, (T, N).

    Raises
    ------
    ScenarioError
        If intervals are longer than periods or do not fill them, or the run begins or ends within one.

    Examples
    --------
    >>> sum_periods(np.array([[1], [2], [3], [4]]), 0, 30, 60).tolist()
    [[3], [7]]
    """
    if period_minutes % interval_minutes:
        raise ScenarioError(
            f"interval_minutes: expected a run whose intervals fill periods of {period_minutes} minutes, got intervals "
            f"of {interval_minutes}; run it again with an interval_minutes that divides {period_minutes}"
        )
    many = period_minutes // interval_minutes
    if start % (60 * period_minutes) or energies_wh.shape[0] % many:
        raise ScenarioError(
            f"horizon: expected a run of whole periods of {period_minutes} minutes, got one that begins "
            f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} UTC and has {energies_wh.shape[0]:,} intervals of "
            f"{interval_minutes} minutes; choose another start or length"
        )
    sums: Ints = energies_wh.reshape(-1, many, energies_wh.shape[1]).sum(axis=1)
    return sums


def list_months(start: int, n_periods: int, period_minutes: int, zone: str) -> Ints:
    """Billing month of each period by the clock of a zone, (P,), such as 201703.

    Examples
    --------
    >>> list_months(1488319200, 3, 60, "Europe/Madrid").tolist()
    [201702, 201703, 201703]
    """
    clock = ZoneInfo(zone)
    moments = (datetime.fromtimestamp(start + 60 * period_minutes * k, clock) for k in range(n_periods))
    return np.array([moment.year * 100 + moment.month for moment in moments], np.int64)
