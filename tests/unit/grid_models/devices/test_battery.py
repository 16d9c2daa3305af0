"""Batteries: limits, losses, the rating sheet of an interval, and wear."""

from __future__ import annotations

import math

import numpy as np
import pytest
from physics_helpers import ideal_battery

from grid_models.devices.battery import (
    Battery,
    IntervalRatings,
    interval_ratings,
    max_charge_kw,
    max_discharge_kw,
    retained_kwh,
    step,
)
from grid_models.devices.battery_wear import Wear, capacity_fade, equivalent_full_cycles, wear_cost_eur


def test_the_default_is_a_home_battery() -> None:
    battery = Battery(10.0)
    assert (battery.rated_kw, battery.floor_kwh, battery.ceiling_kwh) == (5.0, 1.0, 9.0)


def test_a_round_trip_costs_both_efficiencies() -> None:
    battery = Battery(10.0)
    full = step(battery, 1.0, -4.0, 1.0)
    empty = step(battery, full.energy_kwh, 4.0 * 0.95 * 0.95, 1.0)
    assert full.energy_kwh == pytest.approx(4.8)
    assert empty.energy_kwh == pytest.approx(1.0)
    assert full.losses_kwh + empty.losses_kwh == pytest.approx(4.0 * (1 - 0.95**2))


def test_the_ideal_battery_loses_nothing_and_knows_no_power_limit() -> None:
    ideal = ideal_battery(8.0)
    assert max_charge_kw(ideal, 0.0, 0.25) == 32.0
    assert max_discharge_kw(ideal, 8.0, 0.25) == 32.0
    assert step(ideal, 0.0, -32.0, 0.25) == (8.0, 0.0)


def test_limits_are_the_smaller_of_power_and_room() -> None:
    battery = Battery(10.0)
    np.testing.assert_allclose(max_charge_kw(battery, np.array([1.0, 8.05, 9.0]), 1.0), [5.0, 1.0, 0.0])
    np.testing.assert_allclose(max_discharge_kw(battery, np.array([9.0, 2.0, 1.0]), 1.0), [5.0, 0.95, 0.0])


def test_a_short_interval_allows_more_power_from_little_energy() -> None:
    assert max_discharge_kw(Battery(10.0), 1.5, 0.25) == pytest.approx(1.9)


def test_self_discharge_is_the_stated_share_in_a_month_however_it_is_cut() -> None:
    battery = Battery(10.0, self_discharge_per_month=0.03)
    assert retained_kwh(battery, 5.0, 720.0) == pytest.approx(4.85)
    energy = 5.0
    for _ in range(720):
        energy = float(step(battery, energy, 0.0, 1.0).energy_kwh)
    assert energy == pytest.approx(4.85)


def test_self_discharge_below_the_window_stops_discharging_not_charging() -> None:
    battery = Battery(10.0, self_discharge_per_month=0.03)
    assert max_discharge_kw(battery, 1.0, 1.0) == 0.0
    assert max_charge_kw(battery, 0.5, 1.0) == 5.0


def test_no_battery_can_do_nothing() -> None:
    none = Battery(0.0)
    assert max_charge_kw(none, 0.0, 1.0) == 0.0
    assert max_discharge_kw(none, 0.0, 1.0) == 0.0
    assert ideal_battery(0.0).rated_kw == 0.0
    assert interval_ratings(none, 60)[:4] == (0, 0, 0, 0)


def test_rating_sheet_of_the_ideal_battery_is_the_reference_studys() -> None:
    assert interval_ratings(ideal_battery(12.345), 60) == IntervalRatings(
        0, 12_345, 12_345, 12_345, 1_000_000, 1_000_000, 0
    )


@pytest.mark.parametrize(("minutes", "power_wh"), [(15, 1_250), (30, 2_500), (60, 5_000)])
def test_rating_sheet_has_energy_per_interval(minutes: int, power_wh: int) -> None:
    sheet = interval_ratings(Battery(10.0), minutes)
    assert (sheet.max_charge_wh, sheet.max_discharge_wh) == (power_wh, power_wh)


def test_rating_sheet_rounds_to_the_weaker_side() -> None:
    sheet = interval_ratings(Battery(10.0007, soc_min=0.1, soc_max=0.9, c_rate=1 / 3), 60)
    assert sheet[:4] == (1001, 9000, 3333, 3333)
    sheet = interval_ratings(Battery(10.0, charge_efficiency=0.9000009, self_discharge_per_month=0.02), 60)
    assert sheet.charge_ppm == 900_000
    assert sheet.self_discharge_ppm == 29
    assert 28 < 1e6 * (1 - 0.98 ** (1 / 720)) < 29


def test_rating_sheet_of_a_decimal_share_is_not_off_by_one() -> None:
    for thousandths in range(1, 1001):
        share = thousandths / 1000
        assert interval_ratings(Battery(1.0, share, share), 60).charge_ppm == thousandths * 1000
        assert interval_ratings(Battery(1.0, soc_min=share, soc_max=share), 60)[:2] == (
            thousandths,
            thousandths,
        )


def test_one_full_cycle_is_the_capacity_in_and_out_again() -> None:
    battery = Battery(10.0)
    assert equivalent_full_cycles(battery, 10.0 / 0.95, 9.5) == pytest.approx(1.0)
    assert equivalent_full_cycles(Battery(0.0), np.array([0.0]), np.array([0.0])).tolist() == [0.0]


def test_wear_follows_the_root_of_age_and_of_cycles() -> None:
    battery = Battery(10.0)
    assert capacity_fade(battery, 40_000.0, 0.0) == pytest.approx(2 * capacity_fade(battery, 10_000.0, 0.0))
    assert capacity_fade(battery, 0.0, 400.0) == pytest.approx(2 * capacity_fade(battery, 0.0, 100.0))
    assert capacity_fade(battery, 0.0, 0.0) == 0.0


def test_calendar_wear_is_the_sources_equation() -> None:
    seconds = 3600.0 * 8760.0
    cold = 1.2571e-5 * 0.60225 * math.sqrt(seconds)
    warm = cold * math.exp(-17_126.0 / 8.314462618 * (1 / 313.15 - 1 / 298.15))
    assert capacity_fade(Battery(1.0), 8760.0, 0.0) == pytest.approx(cold)
    assert capacity_fade(Battery(1.0), 8760.0, 0.0, temperature_c=40.0) == pytest.approx(warm)
    full = 1.2571e-5 * (2.8575 * 0.125 + 0.60225) * math.sqrt(seconds)
    assert capacity_fade(Battery(1.0), 8760.0, 0.0, mean_soc=1.0) == pytest.approx(full)


def test_cyclic_wear_is_the_sources_equation_at_window_and_rating() -> None:
    expected = (0.0630 * 0.5 + 0.0971) * (4.0253 * 0.2**3 + 1.0923) * math.sqrt(900.0) / 100.0
    assert capacity_fade(Battery(1.0), 0.0, 900.0) == pytest.approx(expected)


def test_wear_of_a_whole_life_costs_a_new_battery() -> None:
    assert wear_cost_eur(Battery(7.0), 0.3, 400.0, wear=Wear(end_of_life=0.7)) == pytest.approx(2800.0)
