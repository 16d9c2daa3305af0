"""A fuel cell from the user's own data sheet, in the community and plugged in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.case.devices import list_devices
from cosim.scenario.files import format_toml, parse_scenario
from grid_models.devices.fuel_cell import stack_voltage
from grid_models.devices.fuel_cell_plant import make_preset_plant
from grid_models.errors import GridError

NAMES = ("house_01", "house_02", "community")
CAPACITY_WH = np.array([10_000, 10_000, 30_000])
MINE: dict[str, Any] = {
    "eoc_v": 30.0,
    "v1_v": 28.0,
    "nominal_a": 40.0,
    "nominal_v": 20.0,
    "max_a": 70.0,
    "max_v": 17.0,
    "cells": 32,
    "nominal_efficiency": 0.45,
    "minimum_load": 0.25,
}


def scenario_of(**own: Any) -> Scenario:
    plug = {
        "kind": "register",
        "at": "2017-01-01T05:00:00Z",
        "participant": "house_02",
        "device": "fuel_cell",
    }
    return Scenario().with_changes(
        horizon={"hours": 24},
        houses={"n_houses": 2, "n_prosumers": 1},
        network={"n_branches": 1},
        community={"enabled": True, "fuel_cell": "own", "units": 3, "fuel_eur_per_kg": 0.5},
        own_stack=own,
        events=[{**plug, "preset": "own"}],
        engine={"verify_sample": 0},
    )


def test_own_stack_passes_through_its_points_wherever_it_is_named() -> None:
    community, plugged_in = list_devices(scenario_of(**MINE), NAMES, CAPACITY_WH)
    for device, units in ((community, 3), (plugged_in, 1)):
        plant = device.plant
        assert plant is not None
        assert (plant.units, plant.minimum_load) == (units, 0.25)
        for current, voltage in ((1.0, 28.0), (40.0, 20.0), (70.0, 17.0)):
            assert stack_voltage(plant.stack, current) == pytest.approx(voltage)
        assert plant.nominal_kw == pytest.approx(units * 0.8 * 0.9 * 0.95)


def test_defaults_of_the_own_stack_are_the_pem_6kw() -> None:
    plant, preset = list_devices(scenario_of(), NAMES, CAPACITY_WH)[1].plant, make_preset_plant("pem-6kw")
    assert plant is not None
    assert plant.nominal_kw == pytest.approx(preset.nominal_kw)
    assert (plant.ramp_per_hour, plant.start_hours) == (preset.ramp_per_hour, preset.start_hours)


def test_own_stack_runs_and_its_scenario_can_be_shown() -> None:
    scenario = scenario_of(**MINE)
    assert parse_scenario(format_toml(scenario), "text") == scenario
    cells = run(scenario).table("fuel_cells").to_pandas()
    assert cells.loc[cells["house"] == "community", "delivered_wh"].max() > 0
    assert cells["power_kw"].max() <= 3 * 0.8 * 0.9 * 0.95


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"max_v": 50.0}, "fuel cell 'own', datasheet points: expected a falling curve"),
        ({"nominal_efficiency": 0.9}, "fuel cell 'own', nominal_efficiency: expected 0 <= value <= 0.55"),
    ],
)
def test_data_sheet_that_cannot_be_is_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(GridError, match=message):
        build_case(scenario_of(**own))
