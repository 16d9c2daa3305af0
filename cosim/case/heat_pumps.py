"""Heat pumps of a scenario: the heat that their houses take, and their coefficient of performance, hour by hour."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.errors import ScenarioError
from cosim.scenario.houses_of_today import HeatPumpSection
from cosim.scenario.model import Scenario
from data.heat_demand import DAYS_OF_MEAN, heat_shape
from data.profiles import Profiles
from data.series import round_within_hours
from data.temperature_table import Temperatures, read_temperatures
from data.weather import draw_temperature_c
from grid_models.arrays import Floats
from grid_models.devices.flexible import PPM
from grid_models.devices.heat_pump import quadratic_cop

HEATS, WEATHER = 8, 9
"""Numbers of the random streams of the houses' heat and of the weather."""
HPLIB_GROUPS = {"air": 1, "ground": 2}
"""Groups of hplib's generic heat pumps: outdoor air and brine to water, with a regulated compressor."""
FLOW_TO_RETURN_K = 5.0
RATED_AT_C = {"air": (-7, 52), "ground": (0, 55)}
"""Source and flow temperature at which a generic heat pump of hplib is rated."""

Series = npt.NDArray[np.int32]
Times = npt.NDArray[np.datetime64]


class HeatPumps(NamedTuple):
    """H heat pumps in T intervals: heat that their houses take, Wh, and heat per energy in millionths, (T, H) each."""

    demand_wh: Series
    gain_ppm: Series


def read_own_temperatures(scenario: Scenario) -> Temperatures | None:
    """The user's table of temperatures; None where there are no heat pumps, or temperatures are drawn.

    Raises
    ------
    data.errors.DataError
        If the table cannot be used.
    """
    path, section = scenario.heat_pump.temperature_file, scenario.profiles
    if path is None or scenario.heat_pump.n_heat_pumps == 0:
        return None
    return read_temperatures(path, section.timezone, section.day_first)


def make_heat_pumps(scenario: Scenario, profiles: Profiles, n: int, own: Temperatures | None = None) -> HeatPumps:
    """Heat demand and coefficients of performance of n heat pumps.

    Heat follows the temperatures of whole years, so that it does not depend on where the run begins: those of the
    user's table as far as it goes, drawn ones beyond.

    Parameters
    ----------
    scenario
        Kind of the heat pumps.
    profiles
        Times.
    n
        Number of heat pumps.
    own
        The user's table; None: temperatures are drawn.

    Raises
    ------
    ScenarioError
        If hplib is asked for and not installed.
    data.errors.DataError
        If the table does not cover the run.
    """
    section, n_intervals = scenario.heat_pump, profiles.n_intervals
    if n == 0:
        return HeatPumps(*(np.zeros((n_intervals, 0), np.int32) for _ in range(2)))

    def temperature_c(times: Times) -> Floats:
        drawn = draw_temperature_c(times, _draw_seed(scenario, WEATHER))
        return drawn if own is None else own.over(drawn, times)

    outdoors = temperature_c(profiles.time) if own is None else own.at(profiles.time)
    days_before = 0 if own is None else DAYS_OF_MEAN - 1  # a year that is drawn is like the one before
    shape = heat_shape(profiles.time, profiles.interval_minutes, temperature_c, days_before)
    spread = np.random.default_rng([scenario.seed, HEATS]).uniform(-section.heat_spread, section.heat_spread, n)
    wanted_wh = shape[:, None] * section.heat_kwh_per_year * 1000.0 * (1.0 + spread)
    demand = round_within_hours(wanted_wh, profiles.time, profiles.interval_minutes).astype(np.int32)
    gain = np.rint(find_cop(section, outdoors) * PPM).astype(np.int32)
    return HeatPumps(demand, np.tile(gain[:, None], (1, n)))


def _draw_seed(scenario: Scenario, stream: int) -> int:
    return int(np.random.default_rng([scenario.seed, stream]).integers(2**31))


def find_cop(section: HeatPumpSection, outdoors_c: Floats) -> Floats:
    """Coefficient of performance at some temperatures outdoors, (T,).

    Raises
    ------
    ScenarioError
        If hplib is asked for and not installed.
    """
    source_c = outdoors_c if section.source == "air" else np.full_like(outdoors_c, section.ground_c)
    if section.cop == "quadratic":
        return quadratic_cop(section.flow_c - source_c, section.source)
    return _cop_of_hplib(section, source_c, outdoors_c)


def _cop_of_hplib(section: HeatPumpSection, source_c: Floats, outdoors_c: Floats) -> Floats:
    """Coefficient of performance of hplib's generic heat pump; at least 1, as by its heating rod."""
    try:
        hplib = import_module("hplib.hplib")
    except ImportError as reason:
        raise ScenarioError(
            'heat_pump.cop = "hplib": expected the library hplib, found none; install it with '
            'pip install "gridsettle[heat]", or take cop = "quadratic"'
        ) from reason
    rated_in, rated_out = RATED_AT_C[section.source]
    heat_w = round(
        section.power_kw * 1000.0 * float(quadratic_cop(np.array([float(rated_out - rated_in)]), section.source)[0])
    )
    parameters = hplib.get_parameters("Generic", HPLIB_GROUPS[section.source], rated_in, rated_out, heat_w)
    return_c = np.full_like(source_c, section.flow_c - FLOW_TO_RETURN_K)
    found = hplib.HeatPump(parameters).simulate(source_c, return_c, outdoors_c)
    return np.clip(np.nan_to_num(np.asarray(found["COP"], dtype=np.float64), nan=1.0), 1.0, 8.0)
