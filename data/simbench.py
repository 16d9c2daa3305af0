"""Read a SimBench grid and its profiles, one participant per bus that has any; needs the extra `simbench`."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.columns import Numbers
from data.errors import DataError
from data.prices import make_constant_price
from data.profiles import Profiles
from data.series import Integers

QUARTER_HOUR_WH_PER_MW = 250_000.0
SIGNS = {"load": 1.0, "sgen": -1.0, "storage": 1.0}
"""Tables whose rows have profiles, and the sign of what they draw."""


class SimBench(NamedTuple):
    """A SimBench grid.

    Attributes
    ----------
    net
        pandapower net as the package has it, with its tables of profiles.
    buses
        Index of each participant's bus, in the order of the profiles.
    profiles
        A year of quarter hours, one participant per bus with a load, a generator or a storage.
    """

    net: Any
    buses: tuple[int, ...]
    profiles: Profiles


def simbench_profiles(code: str, *, price_eur_per_kwh: float) -> Profiles:
    """Load, its reactive power, and generation of every bus, in quarter hours of 2016; see `read_simbench`."""
    return read_simbench(code, price_eur_per_kwh=price_eur_per_kwh).profiles


def read_simbench(code: str, *, price_eur_per_kwh: float) -> SimBench:
    """A SimBench grid with the profiles of all its loads, generators and storages.

    Parameters
    ----------
    code
        SimBench code of a low-voltage grid, e.g. 1-LV-rural1--0-sw.
    price_eur_per_kwh
        Constant utility price; SimBench has none.

    Returns
    -------
    SimBench
        Participants have the names of their buses, in the order of the buses' first rows. What loads draw and storages
        charge at a bus is its `load_wh`, what generators feed and storages discharge its `pv_wh`. SimBench's times are
        taken as UTC.

    Raises
    ------
    DataError
        If the package `simbench` is not installed or does not know the code, two buses have one name, or the grid has
        what profiles of participants cannot stand for: power plants that hold a voltage, or reactive power beside that
        of loads.

    Notes
    -----
    Meinecke et al. (2020), "SimBench - A benchmark dataset of electric power systems", doi:10.3390/en13123290.
    """
    simbench = _import_simbench()
    try:
        net = simbench.get_simbench_net(code)
    except (ValueError, KeyError) as reason:
        raise DataError(f"simbench code: expected one like 1-LV-rural1--0-sw, got '{code}'; correct it") from reason
    _check_elements(net, code)
    power_mw = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    tables = [table for table in SIGNS if len(_in_service(net, table))]
    buses = list(dict.fromkeys(int(bus) for table in tables for bus in _in_service(net, table)["bus"]))
    if not buses:
        raise DataError(f"simbench code '{code}': expected a grid with loads, got none; choose another")
    p_mw = {table: SIGNS[table] * power_mw[table, "p_mw"] for table in tables}
    drawn = [_sum_per_bus_wh(p_mw[table].clip(lower=0.0), net[table], buses) for table in tables]
    fed = [_sum_per_bus_wh(-p_mw[table].clip(upper=0.0), net[table], buses) for table in tables]
    load_wh, pv_wh = _round(np.sum(drawn, axis=0)), _round(np.sum(fed, axis=0))
    load_varh = _round(_sum_per_bus_wh(power_mw["load", "q_mvar"], net["load"], buses))
    start = pd.to_datetime(net.profiles["load"]["time"].iloc[0], format="%d.%m.%Y %H:%M")
    profiles = Profiles(
        start=start.to_datetime64(),
        interval_minutes=15,
        participants=tuple(str(net.bus["name"].at[bus]) for bus in buses),
        load_wh=load_wh,
        pv_wh=pv_wh,
        price_ueur_per_kwh=make_constant_price(price_eur_per_kwh, load_varh.shape[0], "simbench profiles"),
        provenance={"source": "simbench", "code": code},
        load_varh=np.where(load_wh > 0, load_varh, 0),
    )
    return SimBench(net, tuple(buses), profiles)


def _import_simbench() -> Any:
    try:
        return importlib.import_module("simbench")
    except ModuleNotFoundError as reason:
        raise DataError(
            "simbench profiles: expected the package simbench (about 380 MB), found none; "
            "install it with: python -m pip install 'gridsettle[simbench]'"
        ) from reason


def _in_service(net: Any, table: str) -> pd.DataFrame:
    frame: pd.DataFrame = net[table]
    return frame[frame["in_service"].astype(bool)]


def _check_elements(net: Any, code: str) -> None:
    """Raise DataError at what profiles of participants cannot stand for."""
    where = f"simbench code '{code}'"
    if len(plants := _in_service(net, "gen")):
        raise DataError(
            f"{where}: expected a grid without power plants that hold a voltage, got gen {plants.index[0]}; choose a "
            "low-voltage grid"
        )
    for table in ("sgen", "storage"):
        frame = _in_service(net, table)
        if (frame["q_mvar"] != 0.0).any():
            raise DataError(
                f"{where}: expected generators and storages without reactive power, got {table} "
                f"{frame.index[frame['q_mvar'] != 0.0][0]} with some; choose another grid"
            )


def _sum_per_bus_wh(power_mw: pd.DataFrame, elements: pd.DataFrame, buses: list[int]) -> Numbers:
    """Energies, Wh or varh, of quarter hours summed over the elements in service at each bus, (T, buses)."""
    rows = elements.loc[power_mw.columns]
    share = (rows["scaling"] * rows["in_service"]).to_numpy(np.float64)[:, None]
    at_bus = (rows["bus"].to_numpy()[:, None] == np.array(buses)[None, :]) * share
    return np.asarray(power_mw.to_numpy(np.float64) @ at_bus * QUARTER_HOUR_WH_PER_MW)


def _round(energy: Numbers) -> Integers:
    return np.asarray(np.rint(energy), dtype=np.int64)
