"""Devices against published numbers that went into none of the fits.

Sources
-------
[N09] S. Njoya Motapon, O. Tremblay, L.-A. Dessaint 2009, IEEE VPPC, doi:10.1109/VPPC.2009.5289692; the presets' points
      are those of the Fuel Cell Stack block of Simscape Electrical, which implements it.
[X13] Nedstack FCS 13-XXL (96 cells): 94 V open, 93.1 V at 1 A, 69 V at 120 A, 59 V at 230 A; 13.6 kW with 154 Nl/min.
      Curve: parameter file of a Simulink model by T. Kopka (2023); power and flow: as [X7].
[X7]  Nedstack FCS 7-XXL (48 of the same cells): 38.7, 36.6, 32.7, 31.0 V at 40, 80, 160, 200 A; 6.8 kW at 230 A with 77
      Nl/min. Curve: data sheet as quoted in the MathWorks example "Fuel Cell Characterization" (Datasheet_Calibration,
      2022), which does not name the stack; its 48 cells, 6.8 kW, 77 Nl/min of hydrogen and 366 of air do. Power and
      flow: J. L. Uphoff, ship model ZEPS, UpdateFuelCell.m.
[NEXA] Ballard Power Systems 2003, "Nexa Power Module User's Manual", MAN5100078: 26 V at 1200 W net, at most 18.5
      SLPM.
[H1000] Horizon H-1000 (48 cells): 28.8 V at 35 A, 13 l/min at full output (data sheet, as quoted in Ecosense, "Fuel
      Cell Training System", laboratory manual, p. 6).
[EFOY] SFC Energy 2022, "EFOY Hydrogen Fuel Cell 2.5 48V Technical Data": 2.5 kW DC with 0.06 kg per kWh.
[PVL] pvlib python's own documented examples.
"""

from __future__ import annotations

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
from grid_models.devices.fuel_cell_plant import hydrogen_kg_per_h, make_preset_plant
from grid_models.devices.pv import pvwatts_ac, pvwatts_dc

KG_PER_NORM_LITRE = 2.016e-3 / 22.414
KG_PER_LITRE_25C = 2.016e-3 / 24.465


@pytest.fixture(scope="module")
def xxl() -> Stack:
    """[X13] from its open-circuit voltage and three points, with the nominal efficiency stated there."""
    return fit_stack(94, 93.1, (120, 69), (230, 59), cells=96, nominal_efficiency=0.56, name="13-XXL")


@pytest.mark.parametrize(
    ("name", "tafel_v", "resistance_ohm", "exchange_a"),
    [("pem-6kw", 1.5609, 0.07833, 0.2920), ("sofc-3kw", 4.6875, 0.36404, 0.1824)],
)
def test_fitted_parameters(name: str, tafel_v: float, resistance_ohm: float, exchange_a: float) -> None:
    """[N09] gives the equations; the values are those of the presets' points put into them by hand."""
    stack = STACKS[name]
    assert stack.tafel_v == pytest.approx(tafel_v, abs=5e-5)
    assert stack.resistance_ohm == pytest.approx(resistance_ohm, abs=5e-6)
    assert stack.exchange_a == pytest.approx(exchange_a, abs=5e-5)


@pytest.mark.parametrize(("current_a", "voltage_v"), [(40, 38.7), (80, 36.6), (160, 32.7), (200, 31.0)])
def test_polarisation_between_the_fitted_points(xxl: Stack, current_a: float, voltage_v: float) -> None:
    """[X13] predicts [X7], half as many of the same cells, at four currents that the fit has not seen."""
    assert stack_voltage(xxl, current_a) / 2 == pytest.approx(voltage_v, rel=0.02)


def test_power_of_the_half_stack(xxl: Stack) -> None:
    """[X7] 6.8 kW and [X13] 13.6 kW at 230 A."""
    assert stack_voltage(xxl, 230.0) * 230.0 == pytest.approx(13_600, rel=0.005)


@pytest.mark.parametrize(
    ("cells", "current_a", "litres_per_minute", "kg_per_litre", "rel"),
    [
        pytest.param(48, 230.0, 77.0, KG_PER_NORM_LITRE, 0.002, id="X7"),
        pytest.param(96, 230.0, 154.0, KG_PER_NORM_LITRE, 0.002, id="X13"),
        pytest.param(48, 35.0, 13.0, KG_PER_LITRE_25C, 0.03, id="H1000"),
    ],
)
def test_hydrogen_that_reacts_is_the_published_flow(
    xxl: Stack, cells: int, current_a: float, litres_per_minute: float, kg_per_litre: float, rel: float
) -> None:
    """Faraday's law against data sheets, [H1000] read at 25 °C as nothing else is stated."""
    per_cell = hydrogen_reacted_kg_per_h(xxl, current_a) / xxl.cells
    assert per_cell * cells == pytest.approx(litres_per_minute * 60 * kg_per_litre, rel=rel)


def test_efficiency_at_full_load(xxl: Stack) -> None:
    """[X13] 13.6 kW from 154 Nl/min, all of which reacts, are 49.1 % of the lower heating value."""
    published = 13.6 / (154.0 * 60 * KG_PER_NORM_LITRE * LHV_KWH_PER_KG)
    assert published == pytest.approx(0.491, abs=5e-4)
    assert stack_efficiency(xxl, 230.0) / xxl.fuel_utilisation == pytest.approx(published, rel=0.005)


def test_hydrogen_of_a_similar_plant() -> None:
    """[EFOY] 0.06 kg per kWh of direct current, auxiliaries included; ours before its inverter."""
    plant = make_preset_plant("pem-6kw")
    per_kwh_dc = hydrogen_kg_per_h(plant, plant.nominal_kw) / plant.nominal_kw * plant.inverter_efficiency
    assert per_kwh_dc == pytest.approx(0.06, rel=0.02)


def test_the_small_preset_against_the_module_it_stands_for() -> None:
    """[NEXA] 26 V where it delivers 1200 W net, 46.2 A; the preset, of 42 cells, is 4.5 % below."""
    stack = STACKS["pem-1.26kw"]
    assert stack_voltage(stack, 1200 / 26) == pytest.approx(26.0, rel=0.05)


def test_the_small_preset_keeps_below_the_modules_largest_consumption() -> None:
    """[NEXA] at most 18.5 SLPM for 1200 W net of auxiliaries."""
    plant = make_preset_plant("pem-1.26kw")
    current = stack_current(plant.stack, 1200 / (1 - plant.auxiliary_share))
    supplied = hydrogen_supplied_kg_per_h(plant.stack, current)
    assert supplied / 60 / KG_PER_NORM_LITRE <= 18.5


@pytest.mark.parametrize(
    ("name", "utilisation"),
    [("pem-1.26kw", 0.9992), ("pem-6kw", 0.9956), ("pem-50kw", 0.9925), ("sofc-3kw", 0.7281)],
)
def test_utilisation_from_nominal_efficiency(name: str, utilisation: float) -> None:
    """[N09] `U_f = η Δh N / (z F V)` with Δh = 241.83 kJ/mol, worked out by hand for each preset."""
    assert STACKS[name].fuel_utilisation == pytest.approx(utilisation, abs=5e-5)


def test_pvwatts_examples() -> None:
    """[PVL]"""
    assert pvwatts_dc(900.0, 30.0, 100.0, -0.003) == pytest.approx(88.65, abs=1e-9)
    assert pvwatts_ac(90.0, 100.0, 0.95) == pytest.approx(85.58556604752516, abs=1e-9)
