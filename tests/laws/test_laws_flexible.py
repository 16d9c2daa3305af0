"""Laws of cars and heat pumps: what they hold follows to the Wh from what they were given, whatever is cut."""

from __future__ import annotations

import numpy as np
import pytest
from devices_world import N, T, make_devices_market, settle_with_cuts
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import build_market
from cosim.curtailment.decision_variables import FORGO, POSTPONE, TRADE
from cosim.curtailment.priority import VALUE_OF_LOST_LOAD
from cosim.delivery.flexible import UNLIMITED_WH, FlexibleDevices, find_device_imbalance, follow_devices
from cosim.delivery.window import InputSeries, settle_window
from cosim.interval.optimistic import settle_optimistically
from market.exchanges import CAR, FLEXIBLE, HEAT_PUMP


def check_devices(before: np.ndarray, rows: np.ndarray, devices: FlexibleDevices, t: int) -> None:
    """The laws of one interval, from the rows alone: (D,) each."""
    wide = {name: rows[name].astype(np.int64) for name in FLEXIBLE.names}
    held, is_car = before["held_wh"].astype(np.int64), devices.kind == CAR
    stored = wide["given_wh"] * devices.gain_ppm[t] // 1_000_000
    np.testing.assert_array_equal(wide["held_wh"], held - devices.used_wh[t] + wide["made_up_wh"] + stored)
    assert (wide["held_wh"] <= held + stored + wide["made_up_wh"]).all()  # never more than it had plus what it got
    assert (wide["held_wh"] >= 0).all()
    assert (wide["held_wh"] <= devices.capacity_wh).all()
    assert (wide["given_wh"] <= wide["wanted_wh"]).all()
    assert (wide["wanted_wh"] <= wide["most_wh"]).all()
    assert (wide["least_wh"] <= wide["wanted_wh"]).all()
    assert (wide["most_wh"] <= devices.power_wh).all()
    away = is_car & (devices.leaves[t] == 0)
    assert not wide["given_wh"][away].any()
    # Nothing is made up for that was there: a car is charged elsewhere, a house is cold, only where all is used up.
    made_up = wide["made_up_wh"] > 0
    assert not (np.where(is_car, held, held + stored) >= devices.used_wh[t])[made_up].any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_content_follows_from_what_was_given_in_every_interval(seed: int) -> None:
    supply, state, rules, _ = make_devices_market(seed)
    window = settle_window(supply, 0, T, state, rules)
    assert window.unbalanced.tolist() == [-1, -1]
    before = state.flexible
    for t in range(T):
        check_devices(before, window.devices[t], supply.devices, t)
        asked = np.zeros(N, np.int64)
        np.add.at(asked, window.devices[t]["house"], window.devices[t]["given_wh"])
        np.testing.assert_array_equal(window.meters[t]["load_wh"], supply.load_wh[t] + asked)
        before = window.devices[t]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_what_the_wires_cut_waits_and_is_conserved(seed: int) -> None:
    """A random part of what a house imports is not served: its devices wait first, then load is shed."""
    supply, state, rules, rng = make_devices_market(seed)
    for t in range(T):
        window, orders, unserved = settle_with_cuts(supply, t, state, rules, rng)
        assert window.unbalanced.tolist() == [-1, -1]
        done, meters = window.devices[0], window.meters[0]
        check_devices(state.flexible, done, supply.devices, t)
        waits = np.zeros(N, np.int64)
        np.add.at(waits, done["house"], done["wanted_wh"] - done["given_wh"])
        np.testing.assert_array_equal(waits, np.minimum(unserved, orders.flexible_wh))
        np.testing.assert_array_equal(meters["shed_wh"], unserved - waits)
        state = window.state


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, T - 1))
def test_the_length_of_a_window_changes_nothing(seed: int, cut: int) -> None:
    supply, state, rules, _ = make_devices_market(seed)
    whole = settle_window(supply, 0, T, state, rules)
    early = settle_window(InputSeries(*(x[:cut] for x in supply[:4]), devices=supply.devices), 0, cut, state, rules)
    late_supply = InputSeries(*(x[cut:] for x in supply[:4]), devices=supply.devices)
    late = settle_window(late_supply, cut, T - cut, early.state, rules)
    assert np.concatenate([early.devices, late.devices]).tobytes() == whole.devices.tobytes()
    assert np.concatenate([early.meters, late.meters]).tobytes() == whole.meters.tobytes()


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), first=st.integers(0, T - 1))
def test_devices_followed_by_themselves_take_what_they_take_in_the_market(seed: int, first: int) -> None:
    """No market and no other house: their own inputs say it, also where the network cut some of it."""
    supply, state, rules, rng = make_devices_market(seed)
    surplus = supply.pv_wh + supply.fuel_cell_wh - supply.load_wh
    settled = settle_window(supply, 0, T, state, rules).devices
    opening = state.flexible if first == 0 else settled[first - 1]
    unlimited = np.full((T, opening.size), UNLIMITED_WH, np.int64)
    followed = follow_devices(supply.devices, opening, first, surplus[first:], unlimited[first:])
    _check_same_devices(followed, settled[first:])
    cut = []
    for t in range(T):
        window, _, _ = settle_with_cuts(supply, t, state, rules, rng)
        cut.append(window.devices[0])
        state = window.state
    had = np.stack(cut)
    limit = np.where(had["given_wh"] < had["wanted_wh"], had["given_wh"], UNLIMITED_WH)
    _check_same_devices(follow_devices(supply.devices, make_devices_market(seed)[1].flexible, 0, surplus, limit), had)


def _check_same_devices(followed: np.ndarray, had: np.ndarray) -> None:
    for name in set(FLEXIBLE.names) - {"seq"}:
        np.testing.assert_array_equal(followed[name], had[name], name)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_every_wh_that_is_added_or_lost_is_found(seed: int) -> None:
    supply, state, rules, rng = make_devices_market(seed)
    t = int(rng.integers(T))
    window = settle_window(supply, 0, t + 1, state, rules)
    asked = state.flexible if t == 0 else window.devices[t - 1]
    right = window.devices[t]
    assert find_device_imbalance(asked, right, window.meters[t]) == -1
    for name in ("held_wh", "stored_wh", "used_wh", "made_up_wh", "given_wh"):
        j = int(rng.integers(right.size))
        for change in (1, -1):
            wrong = right.copy()
            wrong[name][j] += change
            arrives = int(wrong["given_wh"][j]) * int(wrong["gain_ppm"][j]) // 1_000_000
            if name == "given_wh" and arrives == right["stored_wh"][j] and change < 0:
                continue  # so little that as much arrives: its meter tells
            assert find_device_imbalance(asked, wrong, window.meters[t]) == right["house"][j], (name, change)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), strategy=st.integers(0, 3))
def test_a_car_that_nobody_cuts_leaves_as_it_wants_if_it_can(seed: int, strategy: int) -> None:
    supply, state, rules, _ = make_devices_market(seed)
    devices = supply.devices._replace(strategy=np.full(supply.devices.kind.size, strategy))
    window = settle_window(supply._replace(devices=devices), 0, T, state, rules)
    for j in np.flatnonzero(devices.kind == CAR):
        for t in np.flatnonzero(window.devices["stays"][:, j] == 1):
            begin = t
            while begin > 0 and devices.leaves[begin - 1, j] == devices.leaves[t, j]:
                begin -= 1
            gain = int(devices.gain_ppm[t, j])
            could = (int(t) - int(begin) + 1) * (int(devices.power_wh[j]) * gain // 1_000_000)
            opening = state.flexible if begin == 0 else window.devices[begin - 1]
            held = max(int(opening["held_wh"][j]) - int(devices.used_wh[begin, j]), 0)
            missing = max(int(devices.target_wh[j]) - held - could, 0)
            assert abs(int(window.devices["unserved_wh"][t, j]) - missing) <= 1 + t - begin


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_annual_energies_are_in_published_ranges(seed: int) -> None:
    """2,000-3,000 kWh a car and 3,000-6,000 kWh a heat pump, on the average of some; none far from them."""
    scenario = Scenario().with_changes(seed=seed, ev={"n_cars": 20}, heat_pump={"n_heat_pumps": 10})
    market = build_market(scenario)
    window = settle_optimistically(market, market.opening, 0, market.n_intervals)
    kwh, kind = window.devices["given_wh"].sum(axis=0) / 1000.0, market.fleet.flexible.kind
    cars, pumps = kwh[kind == CAR], kwh[kind == HEAT_PUMP]
    assert 2000.0 <= cars.mean() <= 3000.0
    assert 3000.0 <= pumps.mean() <= 6000.0
    assert cars.min() > 1500.0
    assert cars.max() < 4000.0
    assert pumps.min() > 3000.0
    assert pumps.max() < 6000.0
    # Without a network a car goes short only where a long trip is followed by a short stay.
    assert window.devices["unserved_wh"].sum() < 0.01 * window.devices["given_wh"][:, kind == CAR].sum()
    assert window.devices["made_up_wh"][:, kind == HEAT_PUMP].sum() < 0.001 * window.devices["used_wh"].sum()


def test_what_can_wait_costs_less_than_what_is_lost() -> None:
    assert 1.5 * POSTPONE < 0.1 < TRADE < FORGO < min(VALUE_OF_LOST_LOAD.values())
