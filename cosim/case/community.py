"""The community: what the houses own together, one more participant with panels, a battery and perhaps a fuel cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cosim.scenario.sections import CommunitySection
from data.profiles import Profiles
from market.storage import Wh

COMMUNITY = "community"


def sun_shape(pv_wh: Wh) -> npt.NDArray[np.float64]:
    """Generation of all panels over its largest value, (T,); 0 where there are none."""
    total = pv_wh.sum(axis=1)
    return np.asarray(total / max(int(total.max(initial=0)), 1), dtype=np.float64)


def panels_wh(pv_kwp: float, profiles: Profiles) -> Wh:
    """Generation of panels of a peak power under the sun of the houses' panels, (T,)."""
    return scale_panels_wh(pv_kwp, sun_shape(profiles.pv_wh), profiles.interval_minutes)


def scale_panels_wh(
    pv_kwp: float | npt.NDArray[np.float64], shape: npt.NDArray[np.float64], interval_minutes: int
) -> Wh:
    """Energy of panels of a peak power, kW, that generate a share `shape` of it, to the nearest Wh."""
    return np.rint(shape * pv_kwp * 1000.0 * interval_minutes / 60.0).astype(np.int64)


def with_community(profiles: Profiles, capacity_wh: Wh, section: CommunitySection) -> tuple[Profiles, Wh]:
    """Profiles and battery capacities with the community as last participant, if there is one.

    Parameters
    ----------
    profiles, capacity_wh
        Of the N houses; capacities are (N,).
    section
        What the community owns.
    """
    if not section.enabled:
        return profiles, capacity_wh
    pv = panels_wh(section.pv_kwp, profiles)
    larger = replace(
        profiles,
        participants=(*profiles.participants, COMMUNITY),
        load_wh=np.column_stack([profiles.load_wh, np.zeros_like(pv)]),
        pv_wh=np.column_stack([profiles.pv_wh, pv]),
        load_varh=None if profiles.load_varh is None else np.column_stack([profiles.load_varh, np.zeros_like(pv)]),
    )
    return larger, np.append(capacity_wh, rate_community_wh(section))


def rate_community_wh(section: CommunitySection) -> int:
    """Capacity of the community's battery, Wh."""
    return round(section.battery_kwh * 1000)
