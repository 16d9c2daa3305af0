"""AC power of PV panels by PVWatts; never above the inverter's rating."""

from __future__ import annotations

from types import ModuleType

from grid_models.arrays import Numeric
from grid_models.errors import GridError
from grid_models.ranges import check_range


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
        If pvlib is not installed, or a number is none or outside its range.
    """
    check_range("pv, irradiance_w_per_m2", irradiance_w_per_m2, 0, 2000, remedy="give W/m² in the plane")
    check_range("pv, cell_temperature_c", cell_temperature_c, -90, 150, remedy="give °C, not K or °F")
    check_range("pv, nameplate_w", nameplate_w, 0, below=True, remedy="give the rated power in W")
    check_range("pv, gamma_per_k", gamma_per_k, -0.02, 0.02, remedy="give a share per K, such as -0.0035")
    power: Numeric = import_pvlib().pvsystem.pvwatts_dc(
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
        At nominal load, share.

    Raises
    ------
    GridError
        If pvlib is not installed, or a number is outside its range.
    """
    check_range("pv, inverter_dc_w", inverter_dc_w, 0, above=True, below=True, remedy="give the DC limit in W")
    check_range("pv, inverter efficiency", efficiency, 0, 1, above=True, remedy="give a share, not per cent")
    power: Numeric = import_pvlib().inverter.pvwatts(dc_w, inverter_dc_w, efficiency)
    return power


def pvwatts(
    irradiance_w_per_m2: Numeric,
    cell_temperature_c: Numeric,
    nameplate_w: Numeric,
    *,
    gamma_per_k: float = -0.0035,
    inverter_w: Numeric | None = None,
    efficiency: float = 0.96,
    losses: float | None = None,
) -> Numeric:
    """AC power of panels and inverter: `pvwatts_dc`, less the losses of the system, then `pvwatts_ac`.

    That is what `pvlib.modelchain.ModelChain.with_pvwatts` computes of irradiance and temperature of the cells.

    Parameters
    ----------
    irradiance_w_per_m2, cell_temperature_c, nameplate_w, gamma_per_k
        See `pvwatts_dc`.
    inverter_w
        Rated AC power; an inverter as large as the panels' DC rating if left out.
    efficiency
        Of the inverter at nominal load.
    losses
        Of the whole system (soiling, shading, wiring, …), a share of the DC power; the 14.08 % of
        `pvlib.pvsystem.pvwatts_losses` (eq. 10 of the manual) if left out.

    Raises
    ------
    GridError
        If pvlib is not installed, or a number is none or outside its range.
    """
    lost = import_pvlib().pvsystem.pvwatts_losses() / 100.0 if losses is None else losses
    check_range("pv, losses", lost, 0, 1, remedy="give a share, not per cent")
    dc_w = pvwatts_dc(irradiance_w_per_m2, cell_temperature_c, nameplate_w, gamma_per_k) * (1.0 - lost)
    inverter_dc_w = nameplate_w if inverter_w is None else inverter_w / efficiency
    return pvwatts_ac(dc_w, inverter_dc_w, efficiency)


def import_pvlib() -> ModuleType:
    """Import pvlib only where it is needed: it is an optional extra, and slow to load.

    Raises
    ------
    GridError
        If it is not installed.
    """
    try:
        import pvlib
    except ImportError as reason:
        raise GridError(
            "pv, model 'pvwatts': expected the package pvlib, found none; "
            "install it with: python -m pip install 'gridsettle[pv]'"
        ) from reason
    module: ModuleType = pvlib
    return module
