"""Read profiles of a SimBench low-voltage grid, one participant per bus with a load; needs the extra `simbench`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd

from data.errors import DataError
from data.prices import make_constant_price
from data.profiles import Profiles
from data.series import Integers

QUARTER_HOUR_WH_PER_MW = 250_000.0


def simbench_profiles(code: str, *, price_eur_per_kwh: float) -> Profiles:
    """Load, its reactive power, and generation of every bus with a load, in quarter hours of 2016.

    Parameters
    ----------
    code
        SimBench code of a low-voltage grid, e.g. 1-LV-rural1--0-sw.
    price_eur_per_kwh
        Constant utility price; SimBench has none.

    Returns
    -------
    Profiles
        Participants have the names of their buses. All static generators at such a bus are summed into `pv_wh`;
        generators at other buses are left out and counted in the provenance. SimBench's times are taken as UTC.

    Raises
    ------
    DataError
        If the package `simbench` is not installed or does not know the code.

    Notes
    -----
    Meinecke et al. (2020), "SimBench - A benchmark dataset of electric power systems", doi:10.3390/en13123290.
    """
    simbench = _import_simbench()
    try:
        net = simbench.get_simbench_net(code)
    except (ValueError, KeyError) as reason:
        raise DataError(f"simbench code: expected one like 1-LV-rural1--0-sw, got '{code}'; correct it") from reason
    power_mw = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    buses = list(dict.fromkeys(net.load["bus"]))
    load_wh, load_varh = (_sum_per_bus_wh(power_mw["load", column], net.load, buses) for column in ("p_mw", "q_mvar"))
    start = pd.to_datetime(net.profiles["load"]["time"].iloc[0], format="%d.%m.%Y %H:%M")
    elsewhere = int((~net.sgen["bus"].isin(buses)).sum())
    return Profiles(
        start=start.to_datetime64(),
        interval_minutes=15,
        participants=tuple(str(net.bus["name"].at[bus]) for bus in buses),
        load_wh=load_wh,
        pv_wh=_sum_per_bus_wh(power_mw["sgen", "p_mw"], net.sgen, buses),
        price_ueur_per_kwh=make_constant_price(price_eur_per_kwh, load_wh.shape[0], "simbench profiles"),
        provenance={"source": "simbench", "code": code, "generators_left_out": elsewhere},
        load_varh=np.where(load_wh > 0, load_varh, 0),
    )


def _import_simbench() -> Any:
    try:
        return importlib.import_module("simbench")
    except ModuleNotFoundError as reason:
        raise DataError(
            "simbench profiles: expected the package simbench (about 380 MB), found none; "
            "install it with: python -m pip install 'gridsettle[simbench]'"
        ) from reason


def _sum_per_bus_wh(power_mw: pd.DataFrame, elements: pd.DataFrame, buses: list[int]) -> Integers:
    """Energies, Wh or varh, of quarter hours summed over the elements at each bus, (T, buses)."""
    at_bus = elements["bus"].reindex(power_mw.columns).to_numpy()[:, None] == np.array(buses)[None, :]
    energy_wh = np.rint(power_mw.to_numpy() @ at_bus * QUARTER_HOUR_WH_PER_MW)
    return np.asarray(energy_wh, dtype=np.int64)
