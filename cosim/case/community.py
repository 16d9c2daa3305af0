"""The community: one more participant with panels and a battery, and the fuel cells of whoever has one.

While the grid is there, a fuel cell is firm generation: it runs where the utility price covers its fuel, up to what
the others lack.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cosim.errors import ScenarioError
from cosim.scenario.model import CommunitySection
from data.profiles import Profiles
from market.storage import Wh

COMMUNITY = "community"


def sun(pv_wh: Wh) -> npt.NDArray[np.float64]:
    """Generation of all panels over its largest value, (T,); 0 where there are none."""
    total = pv_wh.sum(axis=1)
    return np.asarray(total / max(int(total.max(initial=0)), 1), dtype=np.float64)


def panels_wh(pv_kwp: float, shape: npt.NDArray[np.float64], interval_minutes: int) -> Wh:
    """Generation of further panels under the houses' sun, (T,)."""
    return np.rint(shape * pv_kwp * 1000.0 * interval_minutes / 60.0).astype(np.int64)


def with_community(profiles: Profiles, capacity_wh: Wh, section: CommunitySection) -> tuple[Profiles, Wh]:
    """Profiles and battery capacities with the community as last participant, if there is one.

    Its panels see the sun of the houses' panels.

    Raises
    ------
    ScenarioError
        If a participant of that name is there already.
    """
    if not section.enabled:
        return profiles, capacity_wh
    if COMMUNITY in profiles.participants:
        raise ScenarioError(
            f"profiles: expected no participant '{COMMUNITY}' where community.enabled = true, got one; rename it"
        )
    pv = panels_wh(section.pv_kwp, sun(profiles.pv_wh), profiles.interval_minutes)
    larger = replace(
        profiles,
        participants=(*profiles.participants, COMMUNITY),
        load_wh=np.column_stack([profiles.load_wh, np.zeros_like(pv)]),
        pv_wh=np.column_stack([profiles.pv_wh, pv]),
    )
    return larger, np.append(capacity_wh, round(section.battery_kwh * 1000))
