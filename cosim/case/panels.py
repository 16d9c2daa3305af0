"""Panels that the table of participants gives to houses, under the sun of the profiles or of a table of weather."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cosim.case.community import scale_panels_wh, sun_shape
from cosim.case.houses import list_rows
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.profiles import Profiles


def with_own_panels(scenario: Scenario, profiles: Profiles, sun: npt.NDArray[np.float64] | None = None) -> Profiles:
    """Profiles in which houses of the table have the panels that it says, as all others have.

    Parameters
    ----------
    scenario
        Its rows say kWp; panels that follow the weather are made later, see `cosim.case.roofs`.
    profiles
        Load and generation of the houses.
    sun
        (T,) share of their peak power that panels generate, 0 … 1. None: that of all panels of the profiles, which
        then are those of other houses.

    Raises
    ------
    ScenarioError
        If a house has a generation of its own beside, or there is no sun.
    """
    kwp = {
        k: row.pv_kwp
        for k, row in enumerate(list_rows(scenario, profiles.participants))
        if row and row.pv_kwp is not None
    }
    if not kwp or scenario.pv.source == "pvwatts":
        return profiles
    drawn = sun is not None
    shape = sun_shape(profiles.pv_wh) if sun is None else sun
    pv_wh = profiles.pv_wh.copy()
    for k, peak in kwp.items():
        where = f"table of participants, '{profiles.participants[k]}', pv_kwp"
        if not drawn and pv_wh[:, k].any():
            raise ScenarioError(
                f"{where}: expected none where the profiles have its generation, got {peak:g} kWp; leave one out"
            )
        if peak > 0 and not shape.any():
            raise ScenarioError(
                f"{where}: expected a sun to follow, that of other houses' panels in the profiles, got none; add a "
                'column pv to the profiles, or choose pv.source = "pvwatts" with pv.weather_file'
            )
        pv_wh[:, k] = scale_panels_wh(peak, shape, profiles.interval_minutes)
    return replace(profiles, pv_wh=pv_wh)
