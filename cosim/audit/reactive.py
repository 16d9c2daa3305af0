"""Reactive power of the loads, as a ledger records it: the power factor of every house, held against its meters.

Where the profiles have the reactive power, a ledger states no power factor. Then meters alone say what loads drew, and
only the run made again from its profiles says whether that is true.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cosim.delivery.reactive import IN_PROFILES, PPM, LoadReactive
from market.exchanges import Rows

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def find_foreign(meters: Rows, tan_phi_ppm: npt.NDArray[np.int64], interval_minutes: int) -> Mask:
    """Houses whose metered reactive power is not that of their load; none where the profiles have it, (…, N).

    Parameters
    ----------
    meters
        (…, N) meter rows of houses without inverters under control.
    tan_phi_ppm
        (N,) as the first block records it.
    interval_minutes
        Length of an interval.
    """
    drawn = LoadReactive(tan_phi_ppm, None, interval_minutes).metered_var(meters)
    return np.asarray((tan_phi_ppm != IN_PROFILES) & (meters["q_var"] != -drawn))


def find_tan_phi(meters: Rows, tan_phi_ppm: npt.NDArray[np.int64], interval_minutes: int) -> Floats:
    """Q/P of every load in metered intervals, (…, N); NaN where nothing says it: none of the load was served.

    Where the profiles have the reactive power it is what the meters say. Parameters as in `find_foreign`.
    """
    served_w = (meters["load_wh"].astype(np.int64) - meters["shed_wh"]) * (60.0 / interval_minutes)
    unknown = (served_w == 0) & (meters["load_wh"] > 0)
    of_meters = np.where(unknown, np.nan, -meters["q_var"] / np.where(served_w > 0, served_w, 1.0))
    return np.where(tan_phi_ppm == IN_PROFILES, of_meters, tan_phi_ppm / PPM)


def read_load_reactive(meters: Rows, tan_phi_ppm: npt.NDArray[np.int64], interval_minutes: int) -> LoadReactive | None:
    """Reactive power of the loads of one metered interval, (N,) meter rows; None where there is none.

    It holds in this interval only.
    """
    if not (tan_phi_ppm == IN_PROFILES).any():
        return LoadReactive(tan_phi_ppm, None, interval_minutes) if tan_phi_ppm.any() else None
    tan_phi = np.nan_to_num(find_tan_phi(meters, tan_phi_ppm, interval_minutes))
    t = int(meters["interval"][0])
    return LoadReactive(np.zeros_like(tan_phi_ppm), np.broadcast_to(tan_phi, (t + 1, tan_phi.size)), interval_minutes)
