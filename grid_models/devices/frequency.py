"""Steady-state frequency of an island by the droop of its grid-forming devices.

With `f = f0 (1 - R ΔP_k / P_n,k)` for every source k, `Δf = -ΔP / Σ (P_n,k / (R_k f0))` and source k takes
`ΔP_k ∝ P_n,k / R_k` (primary control; P. Kundur 1994, "Power System Stability and Control", 11.1.1). The power flow of
an island is balanced already; the frequency that this balance settles at is computed afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grid_models.arrays import Floats, Mask
from grid_models.errors import GridError
from grid_models.ranges import check_range

NOMINAL_HZ = 50.0
DROOP = 0.02
BAND_HZ = (49.5, 50.5)


class Frequency(NamedTuple):
    """Frequency of an island in T intervals.

    Attributes
    ----------
    hz
        (T,) settled frequency.
    in_band
        (T,) whether it lies within the band.
    share_kw
        (T, K) part of the imbalance that each source takes; rows sum to it.
    """

    hz: Floats
    in_band: Mask
    share_kw: Floats


def droop_frequency(
    imbalance_kw: npt.ArrayLike,
    rated_kw: npt.ArrayLike,
    *,
    droop: npt.ArrayLike = DROOP,
    nominal_hz: float = NOMINAL_HZ,
    band_hz: tuple[float, float] = BAND_HZ,
) -> Frequency:
    """Settled frequency of an island, and the share of each of its grid-forming sources.

    Parameters
    ----------
    imbalance_kw
        Load above scheduled generation, (T,) or a number; a surplus is negative and raises the frequency.
    rated_kw
        Rated power P_n of each source with droop, (K,).
    droop
        R of each, relative change of frequency over relative change of power; a number or (K,).
    nominal_hz
        f0.
    band_hz
        Lowest and highest admissible frequency.

    Raises
    ------
    GridError
        If there is no source, a rating or droop is not positive, or the band is upside down.

    Examples
    --------
    >>> island = droop_frequency([2.0, -30.0], [5.0, 15.0])
    >>> island.hz.round(3).tolist(), island.in_band.tolist(), island.share_kw[0].tolist()
    ([49.9, 51.5], [True, False], [0.5, 1.5])
    """
    rated = np.atleast_1d(np.asarray(rated_kw, dtype=np.float64))
    if rated.size == 0:
        raise GridError(
            "frequency, rated_kw: expected at least one source with droop, got none; "
            "an island without a grid-forming device is dark and has no frequency"
        )
    check_range("frequency, rated_kw", rated, 0, above=True, below=True, remedy="leave out sources that are off")
    slope = np.broadcast_to(np.asarray(droop, dtype=np.float64), rated.shape)
    check_range("frequency, droop", slope, 0, 1, above=True, remedy="give a share such as 0.02")
    if not band_hz[0] < nominal_hz < band_hz[1]:
        raise GridError(
            f"frequency, band_hz: expected lowest < {nominal_hz:g} Hz < highest, got {band_hz}; give (lowest, highest)"
        )
    stiffness = rated / (slope * nominal_hz)  # kW/Hz
    imbalance = np.atleast_1d(np.asarray(imbalance_kw, dtype=np.float64))
    hz = nominal_hz - imbalance / stiffness.sum()
    share = imbalance[:, None] * (stiffness / stiffness.sum())
    return Frequency(hz, (hz >= band_hz[0]) & (hz <= band_hz[1]), share)
