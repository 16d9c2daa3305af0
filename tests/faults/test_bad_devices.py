"""Device ratings and operations that cannot be: one message each, with where, expected, got and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from grid_models.devices.battery import Battery, interval_ratings, step
from grid_models.devices.battery_wear import Wear
from grid_models.devices.frequency import droop_frequency
from grid_models.devices.fuel_cell import STACKS, find_stack, fit_stack, stack_current
from grid_models.devices.fuel_cell_plant import Plant, PlantState, capability, dispatch, make_preset_plant
from grid_models.devices.inverter import Characteristic, Inverter
from grid_models.devices.pv import pvwatts, pvwatts_ac
from grid_models.errors import GridError

PEM = STACKS["pem-6kw"]


def points(
    eoc: float = 65.0,
    v1: float = 63.0,
    nominal: tuple[float, float] = (133.3, 45.0),
    maximum: tuple[float, float] = (225.0, 37.0),
    cells: int = 65,
    efficiency: float = 0.55,
) -> object:
    return fit_stack(eoc, v1, nominal, maximum, cells=cells, nominal_efficiency=efficiency, name="mine")


CASES: dict[str, tuple[Callable[[], object], str]] = {
    "battery capacity negative": (
        lambda: Battery(-1.0),
        "battery, capacity_kwh: expected 0 <= value < inf, got -1",
    ),
    "battery capacity NaN": (lambda: Battery(math.nan), "battery, capacity_kwh: .* got nan"),
    "battery capacity infinite": (lambda: Battery(math.inf), "battery, capacity_kwh: .* got inf"),
    "charge efficiency above 1": (
        lambda: Battery(5.0, charge_efficiency=1.05),
        "battery, charge_efficiency: expected 0 < value <= 1, got 1.05; give a share, not per cent",
    ),
    "discharge efficiency in per cent": (
        lambda: Battery(5.0, discharge_efficiency=95.0),
        "battery, discharge_efficiency: expected 0 < value <= 1, got 95; give a share, not per cent",
    ),
    "efficiency zero": (lambda: Battery(5.0, charge_efficiency=0.0), "charge_efficiency: .* got 0"),
    "c_rate zero": (
        lambda: Battery(5.0, c_rate=0.0),
        "battery, c_rate: expected 0 < value, got 0; give kW per kWh",
    ),
    "soc_min above 1": (
        lambda: Battery(5.0, soc_min=10.0),
        "battery, soc_min: expected 0 <= value <= 1, got 10",
    ),
    "soc_max below soc_min": (
        lambda: Battery(5.0, soc_min=0.5, soc_max=0.4),
        "battery, soc_max: expected 0.5 <= value <= 1, got 0.4; give a share of at least soc_min",
    ),
    "self-discharge of all": (
        lambda: Battery(5.0, self_discharge_per_month=1.0),
        "self_discharge_per_month: .* got 1",
    ),
    "end of life at full capacity": (lambda: Wear(end_of_life=1.0), "battery wear, end_of_life: .* got 1"),
    "interval of no length": (
        lambda: interval_ratings(Battery(5.0), 0),
        "battery, interval_minutes: .* got 0",
    ),
    "operation of no length": (
        lambda: step(Battery(5.0), 1.0, 0.0, 0.0),
        "battery, hours: expected 0 < value, got 0",
    ),
    "content above capacity": (lambda: step(Battery(5.0), 6.0, 0.0, 1.0), "battery, energy_kwh: .* got 6"),
    "discharging an empty battery": (
        lambda: step(Battery(5.0), 0.5, 1.0, 1.0),
        "battery, p_kw beyond max_discharge_kw: .* got 1; limit the power to max_discharge_kw",
    ),
    "charging a full battery": (
        lambda: step(Battery(5.0), np.array([2.0, 4.5]), np.array([-1.0, -1.0]), 1.0),
        "battery, p_kw beyond max_charge_kw: .* got 1; limit the power to max_charge_kw",
    ),
    "discharging above the rating": (
        lambda: step(Battery(5.0), 4.0, 2.6, 1.0),
        "beyond max_discharge_kw: .* got 0.1",
    ),
    "points that rise": (
        lambda: points(nominal=(133.3, 37.0), maximum=(225.0, 45.0)),
        "fuel cell 'mine', datasheet points: expected a falling curve, .* got 65 V, 63 V, 37 V at 133.3 A and "
        "45 V at 225 A; check the order of the points",
    ),
    "voltage at 1 A above open circuit": (
        lambda: points(v1=66.0),
        "datasheet points: expected a falling curve",
    ),
    "nominal current above maximum": (
        lambda: points(nominal=(230.0, 45.0)),
        "1 A < nominal < maximum current",
    ),
    "nominal current below 1 A": (lambda: points(nominal=(0.9, 60.0)), "1 A < nominal < maximum current"),
    "a point that is no number": (
        lambda: points(maximum=(225.0, math.nan)),
        "expected a falling curve, .* got .* nan V",
    ),
    "points that fall ever faster": (
        lambda: points(nominal=(133.3, 60.0)),
        "datasheet points: expected a curve that is steep at first .* got NA = .* both of which must be positive",
    ),
    "points that level off": (lambda: points(nominal=(133.3, 38.0)), "got NA = .* R = -"),
    "no cells": (lambda: points(cells=0), "fuel cell 'mine', cells: expected 1 <= value"),
    "stack efficiency above 1": (
        lambda: points(efficiency=1.2),
        "fuel cell 'mine', nominal_efficiency: expected 0 < value <= 1, got 1.2",
    ),
    "more efficient than its voltage": (
        lambda: points(efficiency=0.60),
        "nominal_efficiency: expected 0 <= value <= 0.552.*, got 0.6; no more fuel can react than is supplied",
    ),
    "nominal point beyond the power peak": (
        lambda: points(nominal=(133.3, 20.0), maximum=(225.0, 1.0), efficiency=0.2),
        "nominal current in A: expected 0 <= value <= .* the curve's power peaks before it",
    ),
    "unknown preset with a near one": (
        lambda: find_stack("pem-6kwh"),
        "fuel cell, preset: expected one of pem-1.26kw, .*, got 'pem-6kwh'; did you mean 'pem-6kw'?",
    ),
    "unknown plant preset": (
        lambda: make_preset_plant("diesel"),
        "preset: .* got 'diesel'; or give three datasheet points",
    ),
    "more power than the peak": (
        lambda: stack_current(PEM, np.array([1000.0, 9400.0])),
        "fuel cell 'pem-6kw', power in W: expected 0 <= value <= 9300.41, got 9400",
    ),
    "negative stack power": (lambda: stack_current(PEM, -1.0), "power in W: .* got -1"),
    "ramp zero": (
        lambda: Plant(PEM, ramp_per_hour=0.0),
        "fuel cell 'pem-6kw', ramp_per_hour: expected 0 < value, got 0; .* a plant that cannot change its power",
    ),
    "minimum above nominal": (
        lambda: Plant(PEM, minimum_load=1.1),
        "fuel cell 'pem-6kw', minimum_load: expected 0 <= value <= 1, got 1.1; give a share of nominal power",
    ),
    "auxiliaries take all": (
        lambda: Plant(PEM, auxiliary_share=1.0),
        "auxiliary_share: expected 0 <= value < 1, got 1",
    ),
    "inverter efficiency above 1": (
        lambda: Plant(PEM, inverter_efficiency=1.01),
        "inverter_efficiency: .* got 1.01",
    ),
    "tank negative": (lambda: Plant(PEM, tank_kg=-5.0), "tank_kg: expected 0 <= value < inf, got -5"),
    "no stacks": (lambda: Plant(PEM, units=0), "units: expected 1 <= value < inf, got 0"),
    "start before it began": (lambda: Plant(PEM, start_hours=-1.0), "start_hours: .* got -1"),
    "fuel price negative": (lambda: Plant(PEM, fuel_eur_per_kg=-1.0), "fuel_eur_per_kg: .* got -1"),
    "a fuel cell that takes power": (
        lambda: dispatch(make_preset_plant("pem-6kw"), PlantState(1.0), -1.0, 1.0),
        "fuel cell, wanted_kw: .* got -1; a fuel cell takes no power",
    ),
    "fuel cell interval of no length": (
        lambda: capability(make_preset_plant("pem-6kw"), PlantState(1.0), 0.0),
        "fuel cell, hours: expected 0 < value, got 0",
    ),
    "nameplate negative": (
        lambda: pvwatts(900.0, 25.0, np.array([1.0, -2.0])),
        "pv, nameplate_w: .* got -2",
    ),
    "cell temperature NaN": (lambda: pvwatts(900.0, math.nan, 4000.0), "pv, cell_temperature_c: .* got nan"),
    "cell temperature in kelvin": (
        lambda: pvwatts(900.0, np.array([298.0, 25.0]), 4000.0),
        "pv, cell_temperature_c: expected -90 <= value <= 150, got 298; give °C, not K or °F",
    ),
    "below absolute zero": (lambda: pvwatts(900.0, -300.0, 4000.0), "pv, cell_temperature_c: .* got -300"),
    "coefficient in per cent": (
        lambda: pvwatts(900.0, 25.0, 4000.0, gamma_per_k=-0.35),
        "pv, gamma_per_k: expected -0.02 <= value <= 0.02, got -0.35; give a share per K",
    ),
    "system losses in per cent": (
        lambda: pvwatts(900.0, 25.0, 4000.0, losses=14.08),
        "pv, losses: expected 0 <= value <= 1, got 14.08; give a share, not per cent",
    ),
    "irradiance NaN": (lambda: pvwatts(math.nan, 25.0, 4000.0), "pv, irradiance_w_per_m2: .* got nan"),
    "pv inverter efficiency above 1": (
        lambda: pvwatts_ac(100.0, 100.0, 96.0),
        "pv, inverter efficiency: expected 0 < value <= 1, got 96; give a share, not per cent",
    ),
    "inverter rating negative": (lambda: Inverter(-5.0), "inverter, s_kva: .* got -5"),
    "power factor above 1": (
        lambda: Inverter(5.0, cos_phi=1.1),
        "inverter, cos_phi: expected 0 < value <= 1, got 1.1",
    ),
    "unknown rule": (
        lambda: Inverter(5.0, rule="qv"),  # type: ignore[arg-type]
        "inverter, rule: expected one of none, cos_phi, q_v, got 'qv'",
    ),
    "characteristic of one point": (lambda: Characteristic((1.0,), (0.0,)), "expected two or more points"),
    "characteristic of unequal lists": (
        lambda: Characteristic((0.9, 1.1), (0.4, 0.0, -0.4)),
        r"inverter, Q\(V\) characteristic: .* got 2 voltages and 3 values",
    ),
    "characteristic unsorted": (lambda: Characteristic((1.1, 0.9), (0.4, -0.4)), "expected rising voltages"),
    "characteristic that destabilises": (
        lambda: Characteristic((0.9, 1.1), (-0.4, 0.4)),
        "expected values that do not rise with voltage, .* absorption is negative",
    ),
    "characteristic in volts": (
        lambda: Characteristic((207.0, 253.0), (0.4, -0.4)),
        "vm_pu: .* got 207; give voltages in pu",
    ),
    "frequency without source": (
        lambda: droop_frequency([1.0], []),
        "expected at least one source with droop, got none",
    ),
    "frequency with a source that is off": (
        lambda: droop_frequency([1.0], [5.0, 0.0]),
        "frequency, rated_kw: .* got 0",
    ),
    "droop in per cent": (
        lambda: droop_frequency([1.0], [5.0], droop=2.0),
        "frequency, droop: .* got 2; give a share",
    ),
    "band upside down": (
        lambda: droop_frequency([1.0], [5.0], band_hz=(50.5, 49.5)),
        "frequency, band_hz: expected lowest",
    ),
}


@pytest.mark.parametrize(("attempt", "message"), CASES.values(), ids=CASES.keys())
def test_a_device_that_cannot_be_is_refused(attempt: Callable[[], object], message: str) -> None:
    with pytest.raises(GridError, match=message):
        attempt()
