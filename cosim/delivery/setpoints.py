"""From settled energies to what each device and each bus does: the one place where Wh become kW."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market.compiled import compiled
from market.exchanges import Rows

Kw = npt.NDArray[np.float64]


@compiled
def injection_wh(meters: Rows) -> npt.NDArray[np.int64]:
    """Energy that each house injects into the network, (K, N) from (K, N) meter rows, Wh; negative where it draws."""
    n_intervals, n = meters.shape
    wh = np.empty((n_intervals, n), np.int64)
    for k in range(n_intervals):
        for i in range(n):
            m = meters[k, i]
            generated = np.int64(m.pv_wh) - m.spilled_wh + m.fuel_cell_wh + m.discharge_wh
            wh[k, i] = generated - (np.int64(m.load_wh) - m.shed_wh) - m.charge_wh
    return wh


def mean_kw(energy_wh: npt.NDArray[np.int64], interval_minutes: int) -> Kw:
    """Mean power of an energy over an interval, kW.

    Examples
    --------
    >>> mean_kw(np.array([500]), 15).tolist()
    [2.0]
    """
    return np.asarray(energy_wh * (60.0 / interval_minutes / 1000.0), dtype=np.float64)


def injection_kw(meters: Rows, interval_minutes: int) -> Kw:
    """Mean active injection of each house, (K, N) kW, positive into the network."""
    return mean_kw(injection_wh(meters), interval_minutes)
