"""Reactive power of the loads: it follows the load that is served, interval by interval, in whole var."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder
from market.exchanges import Rows
from market.storage import Wh

PPM = 1_000_000
IN_PROFILES = -(2**31)
"""Written on a ledger in place of Q/P where the profiles say what loads draw."""


@dataclass(frozen=True, eq=False)
class LoadReactive:
    """Reactive power that loads draw along with their active power; positive where they draw it (inductive).

    Attributes
    ----------
    tan_phi_ppm
        Q/P of each participant's load in millionths, (N,).
    varh_per_wh
        Q/P of each interval, (T, N), as the profiles have it, and as above where they have no load; None where the
        profiles do not say it.
    interval_minutes
        Length of an interval.
    """

    tan_phi_ppm: Wh
    varh_per_wh: npt.NDArray[np.float64] | None
    interval_minutes: int

    def drawn_var(self, served_wh: Wh, interval: int | Wh) -> Wh:
        """Mean reactive power that loads draw, in whole var, in the shape of `served_wh`, (…, N).

        Parameters
        ----------
        served_wh
            Energy of the loads that is served.
        interval
            Number of the interval of the profiles, one for all or one of each house, (…, N).

        Examples
        --------
        >>> LoadReactive(np.array([328_684]), None, 30).drawn_var(np.array([[500], [0]]), 0).tolist()
        [[329], [0]]
        """
        if self.varh_per_wh is None:
            ratio = self.tan_phi_ppm / PPM
        else:
            ratio = self.varh_per_wh[interval, np.arange(self.tan_phi_ppm.size)]
        return np.rint(served_wh * (60.0 / self.interval_minutes) * ratio).astype(np.int64)

    def metered_var(self, meters: Rows) -> Wh:
        """`drawn_var` of metered intervals, (…, N) meter rows."""
        served_wh = meters["load_wh"].astype(np.int64) - meters["shed_wh"]
        return self.drawn_var(served_wh, meters["interval"].astype(np.int64))

    def tan_phi(self, interval: int) -> npt.NDArray[np.float64]:
        """Q/P of each participant's load in an interval, (N,)."""
        return self.tan_phi_ppm / PPM if self.varh_per_wh is None else self.varh_per_wh[interval]


def find_tan_phi_ppm(feeder: Feeder) -> Wh:
    """Q/P of each participant's load in millionths, (N,); 0 where nothing is known of it."""
    if feeder.load_tan_phi is None:
        return np.zeros(feeder.bus.size, np.int64)
    return np.rint(np.nan_to_num(feeder.load_tan_phi) * PPM).astype(np.int64)


def make_load_reactive(feeder: Feeder, profiles: Profiles) -> LoadReactive | None:
    """Reactive power of the loads of profiles on a feeder, None where there is none.

    Parameters
    ----------
    feeder
        Network, with the power factor of each participant's load.
    profiles
        Loads, and perhaps their reactive energies, which come first.
    """
    tan_phi_ppm, minutes = find_tan_phi_ppm(feeder), profiles.interval_minutes
    if profiles.load_varh is None:
        return LoadReactive(tan_phi_ppm, None, minutes) if tan_phi_ppm.any() else None
    loaded = profiles.load_wh > 0
    of_profiles = profiles.load_varh / np.where(loaded, profiles.load_wh, 1)
    return LoadReactive(tan_phi_ppm, np.where(loaded, of_profiles, tan_phi_ppm / PPM), minutes)
