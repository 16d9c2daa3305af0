"""Compiled fuel cells of outages against the model of the devices: energies to the Wh, states to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models.devices.fuel_cell import STACKS
from grid_models.devices.fuel_cell_lane import find_energies, list_cells, run_cell
from grid_models.devices.fuel_cell_plant import PlantState, dispatch, interval_capability, make_preset_plant


@given(
    name=st.sampled_from(sorted(STACKS)),
    units=st.integers(1, 3),
    minutes=st.sampled_from([15, 30, 60]),
    tank_kg=st.one_of(st.just(0.0), st.floats(1e-6, 12.0), st.floats(1e-6, 0.4)),
    shares=st.lists(st.floats(0.0, 1.2), min_size=1, max_size=5),
)
def test_compiled_fuel_cells_run_as_the_model_does(
    name: str, units: int, minutes: int, tank_kg: float, shares: list[float]
) -> None:
    plant = make_preset_plant(name, units=units, tank_kg=12.0)
    cells, hours = list_cells([make_preset_plant("pem-50kw"), plant]), minutes / 60.0
    state, row = PlantState(tank_kg), np.array([tank_kg, 0.0, 0.0, 0.0])
    for share in shares:
        can = interval_capability(plant, state, minutes)
        assert find_energies(cells, 1, row, hours) == can
        wanted = min(int(share * (can.max_wh or plant.nominal_kw * hours * 1000.0)), can.max_wh or 10**9)
        if 0 < wanted < can.min_wh:
            wanted = can.min_wh
        state = dispatch(plant, state, wanted / 1000.0 / hours, hours).state
        run_cell(cells, 1, row, wanted, hours)
        assert tuple(row) == pytest.approx(tuple(map(float, state)), rel=1e-12, abs=1e-12)
        row[:] = tuple(map(float, state))  # rounding does not add up
