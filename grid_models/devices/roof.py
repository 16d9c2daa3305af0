"""What the weather does to panels on a roof: irradiance in their plane and temperature of their cells, by pvlib."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grid_models.arrays import Floats
from grid_models.devices.pv import import_pvlib, pvwatts


class Sky(NamedTuple):
    """Weather of H intervals, (H,) each: times in their middle, UTC; irradiance, W/m²; °C; m/s."""

    middle: npt.NDArray[np.datetime64]
    ghi: Floats
    dni: Floats
    dhi: Floats
    temp_air: Floats
    wind_speed: Floats


def roof_share(sky: Sky, latitude_deg: float, longitude_deg: float, tilt_deg: float, azimuth_deg: float) -> Floats:
    """AC power of panels on a roof over their peak power, (H,).

    Position of the sun in the middle of the interval; sky diffuse by Perez et al. (1990); reflection by the physical
    model of De Soto et al. (2006); temperature of cells by King et al. (2004) for panels close to a roof; then
    `pvwatts` with its losses of 14.08 %.

    Parameters
    ----------
    sky
        The weather.
    latitude_deg, longitude_deg
        Where the roof is, degrees north and east.
    tilt_deg, azimuth_deg
        0: flat; 90: east, 180: south, 270: west.

    Raises
    ------
    GridError
        If pvlib is not installed.
    """
    pvlib = import_pvlib()
    times = pd.DatetimeIndex(sky.middle.astype("datetime64[s]")).tz_localize("UTC")
    sun = pvlib.solarposition.get_solarposition(times, latitude_deg, longitude_deg, temperature=sky.temp_air)
    zenith, azimuth = sun["apparent_zenith"].to_numpy(), sun["azimuth"].to_numpy()
    airmass = np.asarray(pvlib.atmosphere.get_relative_airmass(zenith, model="kastenyoung1989"))
    extra = np.asarray(pvlib.irradiance.get_extra_radiation(times))
    beam = np.where(zenith < 90.0, sky.dni, 0.0)
    plane = pvlib.irradiance.get_total_irradiance(
        tilt_deg, azimuth_deg, zenith, azimuth, beam, sky.ghi, sky.dhi, dni_extra=extra, airmass=airmass, model="perez"
    )
    incidence = pvlib.irradiance.aoi(tilt_deg, azimuth_deg, zenith, azimuth)
    direct, diffuse = (np.nan_to_num(np.asarray(plane[name])) for name in ("poa_direct", "poa_diffuse"))
    direct, diffuse = np.maximum(direct, 0.0), np.maximum(diffuse, 0.0)
    effective = direct * np.nan_to_num(np.asarray(pvlib.iam.physical(incidence))) + diffuse
    mounting = pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["close_mount_glass_glass"]
    cell_c = pvlib.temperature.sapm_cell(direct + diffuse, sky.temp_air, sky.wind_speed, **mounting)
    return np.asarray(pvwatts(np.clip(effective, 0.0, 2000.0), cell_c, 1.0), dtype=np.float64)
