"""Laws of the devices, over random ratings, states and wishes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from physics_helpers import IEEE_1547_B

from grid_models.devices.battery import (
    Battery,
    interval_ratings,
    max_charge_kw,
    max_discharge_kw,
    retained_kwh,
    step,
)
from grid_models.devices.frequency import droop_frequency
from grid_models.devices.fuel_cell import STACKS
from grid_models.devices.fuel_cell_plant import (
    Plant,
    PlantState,
    capability,
    dispatch,
    hydrogen_kg_per_h,
    interval_capability,
)
from grid_models.devices.inverter import VDE_AR_N_4105, Inverter, reactive_power_kvar

PPM = 1_000_000
TINY = 1e-9


def measured(low: float, high: float) -> st.SearchStrategy[float]:
    """Quantities between bounds; not 5e-324 kg of hydrogen, which halves to nothing."""
    return st.floats(low, high, allow_subnormal=False)


shares = measured(0.0, 1.0)
hours = st.sampled_from([0.25, 0.5, 1.0])


@st.composite
def batteries(draw: st.DrawFn, *, whole_ppm: bool = False, self_discharge: bool = True) -> Battery:
    low, high = sorted((draw(shares), draw(shares)))
    in_ppm = st.integers(500_000, PPM).map(lambda ppm: ppm / PPM)
    efficiency = in_ppm if whole_ppm else measured(0.5, 1.0)
    lost = draw(measured(0.0, 0.3)) if self_discharge else 0.0
    capacity = draw(measured(0.0, 50.0))
    return Battery(capacity, draw(efficiency), draw(efficiency), draw(measured(0.01, 4.0)), low, high, lost)


def wish(battery: Battery, energy_kwh: float, signed_share: float, duration: float) -> float:
    """Power between full charge (-1) and full discharge (+1) that the battery can do."""
    if signed_share > 0:
        return signed_share * float(max_discharge_kw(battery, energy_kwh, duration))
    return signed_share * float(max_charge_kw(battery, energy_kwh, duration))


@given(batteries(), shares, st.lists(measured(-1.0, 1.0), min_size=1, max_size=20), hours)
def test_no_sequence_of_operations_creates_energy(
    battery: Battery, filling: float, wishes: list[float], duration: float
) -> None:
    energy = start = filling * battery.capacity_kwh
    charged = discharged = losses = 0.0
    for share in wishes:
        p_kw = wish(battery, energy, share, duration)
        after = step(battery, energy, p_kw, duration)
        assert after.losses_kwh >= -TINY
        energy = float(after.energy_kwh)
        charged += max(-p_kw, 0.0) * duration
        discharged += max(p_kw, 0.0) * duration
        losses += float(after.losses_kwh)
    assert discharged <= start + charged + TINY
    assert math.isclose(start + charged, energy + discharged + losses, rel_tol=1e-12, abs_tol=TINY)


@given(batteries(self_discharge=False), shares, st.lists(measured(-1.0, 1.0), max_size=20), hours)
@example(  # emptied to the last bit of a number, and less than nothing left
    Battery(13.0, charge_efficiency=1.0, discharge_efficiency=0.75, c_rate=1.0, soc_min=0.0, soc_max=5e-324),
    0.0,
    [-0.75, 1.0, 0.0],
    0.25,
)
def test_the_window_is_never_left(battery: Battery, filling: float, wishes: list[float], duration: float) -> None:
    energy = battery.floor_kwh + filling * (battery.ceiling_kwh - battery.floor_kwh)
    for share in wishes:
        energy = float(step(battery, energy, wish(battery, energy, share, duration), duration).energy_kwh)
        assert battery.floor_kwh - TINY <= energy <= battery.ceiling_kwh + TINY


@given(batteries(), shares, hours)
def test_at_or_below_the_lower_bound_it_never_discharges(battery: Battery, filling: float, duration: float) -> None:
    assert max_discharge_kw(battery, filling * battery.floor_kwh, duration) == 0.0


@given(batteries(), shares, hours)
def test_at_or_above_the_upper_bound_it_never_charges(battery: Battery, filling: float, duration: float) -> None:
    above = battery.ceiling_kwh + filling * (battery.capacity_kwh - battery.ceiling_kwh)
    energy = above / (float(retained_kwh(battery, 1.0, duration)))
    assert max_charge_kw(battery, energy, duration) * duration <= TINY


@given(batteries(), shares, measured(0.01, 1.0), hours)
def test_a_round_trip_returns_at_most_both_efficiencies(
    battery: Battery, filling: float, share: float, duration: float
) -> None:
    energy = battery.floor_kwh + filling * (battery.ceiling_kwh - battery.floor_kwh)
    p_kw = share * float(max_charge_kw(battery, energy, duration))
    full = float(step(battery, energy, -p_kw, duration).energy_kwh)
    gained = max(full - energy, 0.0)
    returned = gained * battery.discharge_efficiency
    both = battery.charge_efficiency * battery.discharge_efficiency
    assert returned <= p_kw * duration * both + TINY


@given(batteries(), st.sampled_from([1, 5, 10, 15, 30, 60]))
def test_the_rating_sheet_promises_no_more_than_the_battery_can_do(battery: Battery, minutes: int) -> None:
    sheet = interval_ratings(battery, minutes)
    power_wh = battery.rated_kw * minutes / 60 * 1000
    slack = 2e-6
    assert sheet.soc_min_wh >= battery.floor_kwh * 1000 - slack
    assert sheet.soc_max_wh <= battery.ceiling_kwh * 1000 + slack
    assert max(sheet.max_charge_wh, sheet.max_discharge_wh) <= power_wh + slack
    assert sheet.charge_ppm <= battery.charge_efficiency * PPM + slack
    assert sheet.discharge_ppm <= battery.discharge_efficiency * PPM + slack
    kept = 1.0 - sheet.self_discharge_ppm / PPM
    assert kept <= float(retained_kwh(battery, 1.0, minutes / 60)) + 1e-11


@given(batteries(whole_ppm=True, self_discharge=False), shares, measured(-1.0, 1.0))
def test_the_markets_integers_agree_with_the_physics_within_one_watt_hour(
    battery: Battery, filling: float, signed_share: float
) -> None:
    """The market's own formulas, written out: stored = ⌊charge · η⌋, drawn = ⌈discharge / η⌉."""
    sheet = interval_ratings(battery, 60)
    if sheet.soc_max_wh <= sheet.soc_min_wh:
        return
    energy_wh = sheet.soc_min_wh + int(filling * (sheet.soc_max_wh - sheet.soc_min_wh))
    if signed_share > 0:
        stock = energy_wh - sheet.soc_min_wh
        wh = int(signed_share * min(sheet.max_discharge_wh, stock * sheet.discharge_ppm // PPM))
        after_wh = energy_wh - -(-wh * PPM // sheet.discharge_ppm)
    else:
        room = sheet.soc_max_wh - energy_wh
        fits = ((room + 1) * PPM - 1) // sheet.charge_ppm if room > 0 else 0
        wh = -int(-signed_share * min(sheet.max_charge_wh, fits))
        after_wh = energy_wh + -wh * sheet.charge_ppm // PPM
    charged_kwh, discharged_kwh = max(-wh, 0) / 1000, max(wh, 0) / 1000
    physical_kwh = energy_wh / 1000 + charged_kwh * battery.charge_efficiency
    physical_kwh -= discharged_kwh / battery.discharge_efficiency
    assert -1.0 - 1e-6 <= after_wh - physical_kwh * 1000 <= 1e-6
    assert sheet.soc_min_wh <= after_wh <= sheet.soc_max_wh


plants = st.builds(
    Plant,
    stack=st.sampled_from(list(STACKS.values())),
    units=st.integers(1, 3),
    minimum_load=measured(0.0, 1.0),
    ramp_per_hour=measured(0.01, 100.0),
    start_hours=measured(0.0, 3.0),
)
"""Plants of every kind; tanks are drawn with the state."""


@given(plants, measured(0.0, 5.0), st.lists(measured(0.0, 1.3), min_size=1, max_size=24), hours)
def test_a_fuel_cell_keeps_its_range_its_ramp_and_its_tank(
    plant: Plant, hydrogen_kg: float, wishes: list[float], duration: float
) -> None:
    state, used = PlantState(hydrogen_kg), 0.0
    slack = 1e-9 * plant.nominal_kw
    for share in wishes:
        wanted = share * plant.nominal_kw
        can = capability(plant, state, duration)
        run = dispatch(plant, state, wanted, duration)
        after = run.state
        if run.delivered_kw:
            assert can.min_kw - slack <= run.delivered_kw <= can.max_kw + slack
            assert plant.minimum_kw - slack <= after.p_kw <= plant.nominal_kw + slack
            assert run.delivered_kw <= wanted + slack or not can.may_stop
            reach = max(plant.ramp_kw_per_h * duration, 0.0 if state.on else plant.minimum_kw)
            assert abs(after.p_kw - state.p_kw) <= reach + slack or after.p_kw <= plant.minimum_kw + slack
        else:
            assert not after.on
            assert run.fuel_kg == 0.0
        used += run.fuel_kg
        assert after.hydrogen_kg >= 0.0
        state = after
    assert math.isclose(hydrogen_kg, state.hydrogen_kg + used, abs_tol=1e-12)


@given(plants, measured(0.0, 5.0), shares, hours)
def test_a_fuel_cell_delivers_less_than_its_hydrogen_holds(
    plant: Plant, hydrogen_kg: float, load: float, duration: float
) -> None:
    state = PlantState(hydrogen_kg, on=True, p_kw=load * plant.nominal_kw)
    run = dispatch(plant, state, plant.nominal_kw, duration)
    assert run.delivered_kw * duration <= run.fuel_kg * 33.33
    if run.delivered_kw:
        burnt = float(hydrogen_kg_per_h(plant, run.state.p_kw)) * duration
        assert math.isclose(burnt, run.fuel_kg, rel_tol=1e-9)


@given(plants, measured(0.0, 5.0), st.booleans(), shares, st.sampled_from([1, 5, 10, 15, 30, 60]))
def test_every_whole_watt_hour_promised_can_be_delivered(
    plant: Plant, hydrogen_kg: float, on: bool, load: float, minutes: int
) -> None:
    state = PlantState(hydrogen_kg, on, load * plant.nominal_kw if on else 0.0)
    promise = interval_capability(plant, state, minutes)
    for wh in {promise.min_wh, promise.max_wh}:
        if wh:
            run = dispatch(plant, state, wh / 1000 * 60 / minutes, minutes / 60)
            assert math.isclose(run.delivered_kw * minutes / 60 * 1000, wh, rel_tol=1e-8)


rules = st.builds(
    Inverter,
    s_kva=measured(0.0, 100.0),
    rule=st.sampled_from(["none", "cos_phi", "q_v"]),
    cos_phi=measured(0.05, 1.0),
    underexcited=st.booleans(),
    characteristic=st.sampled_from([VDE_AR_N_4105, IEEE_1547_B]),
)


@given(rules, measured(-1.0, 1.0), measured(0.5, 1.5))
def test_an_inverter_never_exceeds_its_rating(inverter: Inverter, load: float, vm_pu: float) -> None:
    p_kw = load * inverter.s_kva
    q_kvar = float(reactive_power_kvar(inverter, p_kw, vm_pu))
    assert math.hypot(p_kw, q_kvar) <= inverter.s_kva * (1 + 1e-12) + 1e-12


@given(measured(-0.99, 0.99), measured(0.5, 1.5), measured(0.5, 1.5))
def test_higher_voltage_never_injects_more(load: float, one: float, other: float) -> None:
    inverter = Inverter(10.0, "q_v")
    low, high = sorted((one, other))
    assert reactive_power_kvar(inverter, 10 * load, high) <= reactive_power_kvar(inverter, 10 * load, low)


@given(
    st.lists(measured(-50.0, 50.0), min_size=1, max_size=5),
    st.lists(measured(0.5, 100.0), min_size=1, max_size=4),
)
def test_droop_shares_add_up_and_oppose_the_imbalance(imbalance: list[float], rated: list[float]) -> None:
    island = droop_frequency(imbalance, rated)
    np.testing.assert_allclose(island.share_kw.sum(axis=1), imbalance, rtol=1e-12, atol=1e-12)
    assert np.all((island.hz - 50.0) * np.array(imbalance) <= 0.0)
