"""Power of panels at the inverter's AC terminals: a share of the nameplate, or PVWatts; never above the inverter."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from grid_models.arrays import Numeric
from grid_models.errors import GridError
from grid_models.ranges import check_range

MAX_CAPACITY_FACTOR = 1.5
"""Cold panels under a sky with bright clouds pass their rating, never by half; more is a figure in per cent."""


def panels(nameplate_w: Numeric, capacity_factor: Numeric, inverter_w: Numeric | None = None) -> Numeric:
    """Panels that follow a capacity factor: `nameplate · factor`, clipped by the inverter (the reference study).

    Parameters
    ----------
    nameplate_w
        Rated power of the panels, W.
    capacity_factor
        Power over nameplate, 0 … 1.5.
    inverter_w
        Rated AC power; no clipping if left out. All three broadcast.

    Returns
    -------
    float or array
        AC power, W, >= 0.

    Raises
    ------
    GridError
        If a number is negative, or the factor looks like per cent.

    Examples
    --------
    >>> float(panels(5000.0, 0.9, inverter_w=4200.0))
    4200.0
    """
    check_range("pv, nameplate_w", nameplate_w, 0, below=True, remedy="give the rated power in W")
    check_range(
        "pv, capacity_factor",
        capacity_factor,
        0,
        MAX_CAPACITY_FACTOR,
        remedy="give a share of nameplate, not per cent",
    )
    return _clipped(np.asarray(nameplate_w) * capacity_factor, inverter_w)


def pvwatts_dc(
    irradiance_w_per_m2: Numeric, cell_temperature_c: Numeric, nameplate_w: Numeric, gamma_per_k: float
) -> Numeric:
    """DC power of panels, `I/1000 · P_nameplate (1 + γ (T - 25 °C))`.

    A. P. Dobos 2014, "PVWatts Version 5 Manual", NREL/TP-6A20-62641; computed by `pvlib.pvsystem.pvwatts_dc`.

    Parameters
    ----------
    irradiance_w_per_m2
        Effective irradiance in the plane of the panels.
    cell_temperature_c
        Cell temperature, °C.
    nameplate_w
        Rated DC power at 1000 W/m² and 25 °C.
    gamma_per_k
        Temperature coefficient of power, such as -0.003.

    Raises
    ------
    GridError
        If pvlib is not installed, or irradiance or nameplate is negative.
    """
    check_range(
        "pv, irradiance_w_per_m2", irradiance_w_per_m2, 0, below=True, remedy="give W/m² in the plane"
    )
    check_range("pv, nameplate_w", nameplate_w, 0, below=True, remedy="give the rated power in W")
    power: Numeric = _pvlib().pvsystem.pvwatts_dc(
        irradiance_w_per_m2, cell_temperature_c, nameplate_w, gamma_per_k
    )
    return power


def pvwatts_ac(dc_w: Numeric, inverter_dc_w: Numeric, efficiency: float = 0.96) -> Numeric:
    """AC power of an inverter whose efficiency depends on its load, clipped at `efficiency · inverter_dc_w`.

    Same manual; computed by `pvlib.inverter.pvwatts`.

    Parameters
    ----------
    dc_w
        DC power, W.
    inverter_dc_w
        DC power that saturates the inverter, W.
    efficiency
        At nominal load.

    Raises
    ------
    GridError
        If pvlib is not installed, or a number is outside its range.
    """
    check_range(
        "pv, inverter_dc_w", inverter_dc_w, 0, above=True, below=True, remedy="give the DC limit in W"
    )
    check_range("pv, inverter efficiency", efficiency, 0, 1, above=True, remedy="give a share, not per cent")
    power: Numeric = _pvlib().inverter.pvwatts(dc_w, inverter_dc_w, efficiency)
    return power


def pvwatts(
    irradiance_w_per_m2: Numeric,
    cell_temperature_c: Numeric,
    nameplate_w: Numeric,
    *,
    gamma_per_k: float = -0.0035,
    inverter_w: Numeric | None = None,
    efficiency: float = 0.96,
) -> Numeric:
    """AC power of panels and inverter: `pvwatts_dc`, then `pvwatts_ac`.

    Parameters
    ----------
    irradiance_w_per_m2, cell_temperature_c, nameplate_w, gamma_per_k
        See `pvwatts_dc`.
    inverter_w
        Rated AC power; an inverter as large as the panels' DC rating if left out.
    efficiency
        Of the inverter at nominal load.

    Raises
    ------
    GridError
        If pvlib is not installed, or a number is outside its range.
    """
    dc_w = pvwatts_dc(irradiance_w_per_m2, cell_temperature_c, nameplate_w, gamma_per_k)
    inverter_dc_w = nameplate_w if inverter_w is None else inverter_w / efficiency
    return pvwatts_ac(dc_w, inverter_dc_w, efficiency)


def _clipped(power_w: Numeric, inverter_w: Numeric | None) -> Numeric:
    if inverter_w is None:
        return power_w
    check_range("pv, inverter_w", inverter_w, 0, below=True, remedy="give the rated AC power in W")
    clipped: Numeric = np.minimum(power_w, inverter_w)
    return clipped


def _pvlib() -> ModuleType:
    """pvlib, imported where it is needed: it is an extra, and slow to load."""
    try:
        import pvlib
    except ImportError as reason:
        raise GridError(
            "pv, model 'pvwatts': expected the package pvlib, found none; "
            "install it with: python -m pip install 'gridsettle[pv]', or use the model 'panels'"
        ) from reason
    module: ModuleType = pvlib
    return module
