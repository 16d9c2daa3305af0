"""Fuel cells: the curve and its inverse, hydrogen, and a plant that keeps its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from physics_helpers import LHV_KWH_PER_KG, stack_efficiency

from grid_models.devices.fuel_cell import (
    STACKS,
    Stack,
    fit_stack,
    hydrogen_reacted_kg_per_h,
    hydrogen_supplied_kg_per_h,
    stack_current,
    stack_voltage,
)
from grid_models.devices.fuel_cell_plant import (
    Plant,
    PlantState,
    capability,
    dispatch,
    hydrogen_kg_per_h,
    interval_capability,
    make_preset_plant,
    specific_cost_eur_per_kwh,
)

POINTS = {
    "pem-1.26kw": (42, 35, (52, 24.23), (100, 20), 0.46),
    "pem-6kw": (65, 63, (133.3, 45), (225, 37), 0.55),
    "pem-50kw": (900, 895, (80, 625), (280, 430), 0.55),
    "sofc-3kw": (141.34, 133, (30, 106.5), (33.2, 104.86), 0.52),
}

each_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS.keys())


@pytest.mark.parametrize("name", POINTS)
def test_presets_pass_through_their_datasheet_points(name: str) -> None:
    eoc, v1, nominal, maximum, efficiency = POINTS[name]
    stack = STACKS[name]
    currents = np.array([0.0, 1.0, nominal[0], maximum[0]])
    np.testing.assert_allclose(stack_voltage(stack, currents), [eoc, v1, nominal[1], maximum[1]], rtol=1e-12)
    assert stack_efficiency(stack, nominal[0]) == pytest.approx(efficiency, rel=1e-12)


@each_stack
def test_voltage_falls_from_open_circuit(stack: Stack) -> None:
    voltage = stack_voltage(stack, np.linspace(0.0, stack.max_a, 2001))
    assert voltage[0] == stack.eoc_v
    assert np.all(np.diff(voltage) <= 0.0)


@each_stack
def test_current_is_the_inverse_of_power_up_to_the_peak(stack: Stack) -> None:
    power = np.linspace(0.0, stack.peak_w, 500)
    current = stack_current(stack, power)
    np.testing.assert_allclose(stack_voltage(stack, current) * current, power, rtol=0, atol=1e-12 * stack.peak_w)
    assert np.all(np.diff(current) > 0.0)
    assert stack_current(stack, stack.nominal_w) == pytest.approx(stack.nominal_a, rel=1e-12)


@each_stack
def test_no_current_gives_more_than_the_peak(stack: Stack) -> None:
    around = stack.peak_a * np.linspace(0.2, 1.8, 4001)
    power = stack_voltage(stack, around) * around
    assert power.max() <= stack.peak_w
    assert power.max() == pytest.approx(stack.peak_w, rel=1e-6)
    assert stack.nominal_a < stack.peak_a


@each_stack
def test_faradays_law(stack: Stack) -> None:
    """A mole of hydrogen carries two faradays through each cell, whatever the current."""
    current, hours = np.array([1.0, 17.0, stack.max_a]), 3.0
    charge_c = current * hours * 3600.0 * stack.cells
    moles = charge_c / (2 * 96_485.33212)
    np.testing.assert_allclose(hydrogen_reacted_kg_per_h(stack, current) * hours, moles * 2.016e-3, rtol=1e-14)
    supplied = hydrogen_supplied_kg_per_h(stack, current)
    np.testing.assert_allclose(supplied * stack.fuel_utilisation, hydrogen_reacted_kg_per_h(stack, current))


@each_stack
def test_efficiency_is_power_over_fuel(stack: Stack) -> None:
    current = np.linspace(1.0, stack.max_a, 50)
    kw = stack_voltage(stack, current) * current / 1000.0
    fuel_kw = hydrogen_supplied_kg_per_h(stack, current) * LHV_KWH_PER_KG
    np.testing.assert_allclose(stack_efficiency(stack, current), kw / fuel_kw, rtol=1e-12)
    assert np.all(np.diff(stack_efficiency(stack, current)) < 0.0)


def test_lower_heating_value() -> None:
    assert pytest.approx(33.33, abs=0.02) == LHV_KWH_PER_KG


def test_an_own_stack_from_three_datasheet_points() -> None:
    stack = fit_stack(30.0, 28.0, (40.0, 20.0), (70.0, 17.0), cells=32, nominal_efficiency=0.45, name="mine")
    np.testing.assert_allclose(stack_voltage(stack, np.array([1.0, 40.0, 70.0])), [28.0, 20.0, 17.0])


def test_plant_power_is_net_of_auxiliaries_and_inverter() -> None:
    plant = make_preset_plant("pem-6kw")
    assert plant.nominal_kw == pytest.approx(5.9985 * 0.9 * 0.95)
    assert hydrogen_kg_per_h(plant, plant.nominal_kw) == pytest.approx(5.9985 / 0.55 / LHV_KWH_PER_KG)
    assert make_preset_plant("pem-6kw", units=3).nominal_kw == pytest.approx(3 * plant.nominal_kw)


def test_units_share_the_load_and_the_fuel() -> None:
    one, two = make_preset_plant("pem-6kw"), make_preset_plant("pem-6kw", units=2)
    assert hydrogen_kg_per_h(two, 6.0) == pytest.approx(2 * hydrogen_kg_per_h(one, 3.0))


def test_part_load_is_cheaper() -> None:
    plant = make_preset_plant("pem-50kw")
    power = plant.nominal_kw * np.linspace(0.1, 1.0, 10)
    specific = specific_cost_eur_per_kwh(plant, power)
    assert np.all(np.diff(specific) > 0.0)


def test_a_wish_within_range_is_delivered_exactly() -> None:
    plant = make_preset_plant("pem-6kw")
    run = dispatch(plant, PlantState(10.0, on=True, p_kw=2.0), 4.0, 1.0)
    assert run.delivered_kw == 4.0
    assert run.state.p_kw == 4.0
    assert run.fuel_kg == pytest.approx(hydrogen_kg_per_h(plant, 4.0))


def test_a_wish_above_nominal_is_cut() -> None:
    plant = make_preset_plant("pem-6kw")
    assert dispatch(plant, PlantState(10.0, on=True, p_kw=5.0), 9.0, 1.0).delivered_kw == plant.nominal_kw


def test_a_wish_below_the_minimum_switches_off() -> None:
    plant = make_preset_plant("pem-6kw")
    run = dispatch(plant, PlantState(10.0, on=True, p_kw=2.0), 0.5 * plant.minimum_kw, 1.0)
    assert run.delivered_kw == 0.0
    assert run.state == PlantState(10.0)


def test_a_slow_plant_that_may_not_stop_goes_down_its_ramp() -> None:
    sofc = make_preset_plant("sofc-3kw")
    state = PlantState(10.0, on=True, p_kw=sofc.nominal_kw)
    seen = []
    while state.on:
        run = dispatch(sofc, state, 0.0, 1.0)
        seen.append(run.delivered_kw / sofc.nominal_kw)
        state = run.state
    assert seen == pytest.approx([0.8, 0.6, 0.4, 0.3, 0.0])


def test_a_slow_plant_climbs_its_ramp_from_least_load() -> None:
    sofc = make_preset_plant("sofc-3kw")
    state, seen = PlantState(10.0, warm_hours=20.0), []
    for _ in range(6):
        run = dispatch(sofc, state, 99.0, 1.0)
        seen.append(run.delivered_kw / sofc.nominal_kw)
        state = run.state
    assert seen == pytest.approx([0.3, 0.5, 0.7, 0.9, 1.0, 1.0])


def test_starting_takes_its_time_and_giving_up_starts_over() -> None:
    sofc = make_preset_plant("sofc-3kw")
    state = PlantState(10.0)
    for hour in range(20):
        run = dispatch(sofc, state, 1.0, 1.0)
        state = run.state
        assert (run.delivered_kw, run.fuel_kg, state.on) == (0.0, 0.0, False)
        assert state.warm_hours == hour + 1
    assert dispatch(sofc, state, 1.0, 1.0).delivered_kw == sofc.minimum_kw
    assert dispatch(sofc, state, 0.0, 1.0).state.warm_hours == 0.0


def test_a_start_within_the_interval_costs_its_share_of_it() -> None:
    plant = make_preset_plant("pem-6kw")
    can = capability(plant, PlantState(10.0), 0.25)
    running = 0.25 - 2 / 60
    assert can.max_kw == pytest.approx(plant.nominal_kw * running / 0.25)
    run = dispatch(plant, PlantState(10.0), 9.0, 0.25)
    assert run.delivered_kw == can.max_kw
    assert run.state.p_kw == pytest.approx(plant.nominal_kw)
    assert run.fuel_kg == pytest.approx(float(hydrogen_kg_per_h(plant, plant.nominal_kw)) * running)


def test_the_last_hydrogen_limits_the_power() -> None:
    plant = make_preset_plant("pem-6kw")
    kg = float(hydrogen_kg_per_h(plant, 2.0))
    run = dispatch(plant, PlantState(kg, on=True, p_kw=3.0), 3.0, 1.0)
    assert run.delivered_kw == pytest.approx(2.0)
    assert run.state.hydrogen_kg == pytest.approx(0.0, abs=1e-12)
    assert run.state.hydrogen_kg >= 0.0


def test_an_empty_tank_trips_even_a_plant_that_may_not_stop() -> None:
    sofc = make_preset_plant("sofc-3kw")
    state = PlantState(0.01, on=True, p_kw=sofc.nominal_kw)
    assert capability(sofc, state, 1.0) == (0.0, 0.0, True)
    run = dispatch(sofc, state, sofc.nominal_kw, 1.0)
    assert (run.delivered_kw, run.state) == (0.0, PlantState(0.01))


def test_whole_watt_hours_are_within_what_the_plant_can_do() -> None:
    plant = make_preset_plant("pem-6kw")
    state = PlantState(10.0, on=True, p_kw=2.0)
    can, whole = capability(plant, state, 0.5), interval_capability(plant, state, 30)
    assert whole == (math.ceil(can.min_kw * 500), math.floor(can.max_kw * 500), True)
    assert interval_capability(plant, PlantState(0.0), 60) == (0, 0, True)


def test_a_plant_without_least_load_stands_still_when_nothing_is_wanted() -> None:
    plant = Plant(STACKS["pem-6kw"], minimum_load=0.0)
    assert not dispatch(plant, PlantState(1.0, on=True, p_kw=1.0), 0.0, 1.0).state.on
    assert dispatch(plant, PlantState(1.0, on=True, p_kw=1.0), 0.01, 1.0).delivered_kw == 0.01
