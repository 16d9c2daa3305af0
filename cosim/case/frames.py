"""Profiles and houses given to `run` as DataFrames, in the layouts of the files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cosim.case.houses import check_size, read_rows, with_rows
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from data.files import make_table
from data.prices import PriceSource
from data.profiles import Profiles
from data.tables import profiles_from_frame

PROFILES_FILE = "profiles.parquet"
"""File of a run directory with its profiles, if it is not made again from the scenario."""


def take_frames(
    scenario: Scenario, profiles: pd.DataFrame | None, houses: pd.DataFrame | None
) -> tuple[Scenario, Profiles | None]:
    """The scenario with what is given as DataFrames, and the profiles; None where none are given.

    The scenario names the file that a run writes the profiles into, so that it can be run again from the directory.

    Parameters
    ----------
    scenario
        It names no other profiles and no other houses.
    profiles
        In a layout of `data.tables`; the horizon and length of intervals are those of the scenario.
    houses
        Columns as the keys of `[[participants]]`.

    Raises
    ------
    ScenarioError, data.errors.DataError
        If a frame cannot be used, or the scenario names a file for the same.
    """
    if houses is not None:
        _check_alone(scenario, "houses.table", scenario.houses.table or scenario.participants, "houses")
        table = make_table(houses, "houses")
        check_size(scenario, table)
        scenario = with_rows(scenario, read_rows(table)[0])
    if profiles is None:
        return scenario, None
    _check_alone(scenario, "profiles.file", scenario.profiles.file, "profiles")
    section = scenario.profiles
    scenario = scenario.with_changes("profiles", profiles={"source": "table", "file": Path(PROFILES_FILE)})
    price = PriceSource(0.0 if scenario.tariff.bands else section.price_eur_per_kwh)
    minutes = scenario.horizon.interval_minutes
    return scenario, profiles_from_frame(profiles, "profiles", minutes, section.timezone, price)


def _check_alone(scenario: Scenario, key: str, there: object, what: str) -> None:
    if there:
        raise ScenarioError(
            f"scenario '{scenario.name}', {key}: expected none where {what} are given as a DataFrame, got some; leave "
            "one of them out"
        )
