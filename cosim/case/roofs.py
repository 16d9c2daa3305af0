"""Panels under the weather: every roof with its own tilt and azimuth, where `pv.source = "pvwatts"`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from cosim.case.checks import check_given
from cosim.case.community import COMMUNITY
from cosim.case.houses import list_rows
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.columns import make_notes
from data.profiles import Profiles
from data.series import round_within_hours
from data.weather_table import Weather, read_weather
from grid_models.devices.roof import Sky, roof_share
from market.storage import Wh

FOLLOWS_WEATHER = "pvwatts"
WEATHER_MINUTES = 60


def with_roofs(scenario: Scenario, profiles: Profiles, drawn_kwp: Mapping[str, float]) -> Profiles:
    """Profiles in which the weather makes the generation of every roof; as they are where it does not.

    Parameters
    ----------
    scenario
        Where the houses are, their weather, and their table.
    profiles
        Of the horizon, with the community.
    drawn_kwp
        Panels that were drawn, kWp by house; those of the table count instead.

    Raises
    ------
    ScenarioError, data.errors.DataError, grid_models.errors.GridError
        If the place or the weather is missing or cannot be used, a house has a generation of its own beside, or pvlib
        is not installed.
    """
    if scenario.pv.source != FOLLOWS_WEATHER:
        return profiles
    kwp = _list_kwp(scenario, profiles, drawn_kwp)
    hours = np.unique(profiles.time.astype("datetime64[h]"))
    clock = scenario.profiles.timezone, scenario.profiles.day_first
    weather = read_weather(check_given(scenario, "pv", "weather_file"), hours, *clock)
    pv_wh = _generate_wh(scenario, profiles, kwp, weather)
    notes = filter(None, [str(profiles.provenance.get("notes", "")), weather.note])
    known = {**profiles.provenance, **make_notes(*notes)}
    resolution = max(profiles.resolution_minutes, WEATHER_MINUTES)
    return replace(profiles, pv_wh=pv_wh, provenance=known, resolution_minutes=resolution)


def _list_kwp(scenario: Scenario, profiles: Profiles, drawn_kwp: Mapping[str, float]) -> dict[int, float]:
    """Panels of the participants that follow the weather; those of a table of profiles follow it where kWp are said."""
    found = {k: drawn_kwp[name] for k, name in enumerate(profiles.participants) if name in drawn_kwp}
    for k, row in enumerate(list_rows(scenario, profiles.participants)):
        if row is None or row.pv_kwp is None:
            continue
        if not drawn_kwp and row.participant != COMMUNITY and profiles.pv_wh[:, k].any():
            raise ScenarioError(
                f"table of participants, '{row.participant}', pv_kwp: expected none where the profiles have its "
                f"generation, got {row.pv_kwp:g} kWp; leave one out"
            )
        found[k] = row.pv_kwp
    if scenario.community.enabled:
        found[profiles.participants.index(COMMUNITY)] = scenario.community.pv_kwp
    return found


def _generate_wh(scenario: Scenario, profiles: Profiles, kwp: Mapping[int, float], weather: Weather) -> Wh:
    latitude, longitude = (check_given(scenario, "pv", key) for key in ("latitude_deg", "longitude_deg"))
    middle = np.asarray(weather.time.astype("datetime64[s]") + np.timedelta64(1800, "s"), dtype="datetime64[s]")
    sky = Sky(middle, weather.ghi, weather.dni, weather.dhi, weather.temp_air, weather.wind_speed)
    hour = np.searchsorted(weather.time, profiles.time.astype("datetime64[h]"))

    @cache
    def find_share(tilt_deg: float, azimuth_deg: float) -> npt.NDArray[np.float64]:
        return roof_share(sky, latitude, longitude, tilt_deg, azimuth_deg)

    rows, pv_wh = list_rows(scenario, profiles.participants), profiles.pv_wh.copy()
    for k, peak in kwp.items():
        row = rows[k]
        tilt = scenario.pv.tilt_deg if row is None or row.pv_tilt_deg is None else row.pv_tilt_deg
        azimuth = scenario.pv.azimuth_deg if row is None or row.pv_azimuth_deg is None else row.pv_azimuth_deg
        wh = find_share(tilt, azimuth)[hour] * peak * 1000.0 * profiles.interval_minutes / 60.0
        pv_wh[:, k] = round_within_hours(wh, profiles.time, profiles.interval_minutes)
    return pv_wh
