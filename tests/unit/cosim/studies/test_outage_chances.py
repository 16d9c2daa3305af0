"""Devices that fail in outages: when, how likely, and that one unit gives what the Markov chain gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim import Scenario
from cosim.case.case import Case, build_case
from cosim.case.state import RETIRED
from cosim.errors import ScenarioError
from cosim.studies.outage_chances import find_chances
from cosim.studies.outage_failures import (
    Failures,
    break_devices,
    chance_by_interval,
    draw_broken,
    list_batteries,
    list_working_cells,
    make_failures,
    never,
)
from cosim.studies.outage_lanes import OutageLanes, Start
from cosim.studies.survival import Outset, follow_undisturbed, open_for, with_charge, with_grid, with_tanks
from grid_models.devices.reliability import Source, Units, survival_chance
from market.state import hosted_wh

HOURS = 12
CELL = Units(1, availability=0.9, start_chance=0.8, mean_hours_to_failure=10.0)
BASE: dict[str, Any] = {
    "horizon": {"hours": 48, "start": "2017-01-02T00:00:00Z"},
    "houses": {"n_houses": 3, "n_prosumers": 1},
    "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
    "community": {"enabled": True, "battery_kwh": 0.0, "fuel_cell": "pem-6kw"},
    "engine": {"verify_sample": 0},
}
SECOND = {"kind": "register", "at": "2017-01-02T00:00:00Z", "participant": "house_03", "device": "fuel_cell"}
units = st.builds(Units, st.just(1), st.floats(0, 1), st.floats(0, 1), st.floats(1, 100))


@given(units=units, n=st.integers(1, 30), hours=st.sampled_from([1.0, 0.25]))
def test_intervals_of_failure_are_those_of_the_chain(units: Units, n: int, hours: float) -> None:
    chance = chance_by_interval(units, n, hours)
    assert (chance >= -1e-15).all()
    assert chance.sum() == pytest.approx(1.0)
    chain = survival_chance(np.ones((1, n)), [Source(units, 1.0)], hours=hours)
    assert 1.0 - np.cumsum(chance)[:n] == pytest.approx(chain.low[0], abs=1e-12)


def open_outage(**changes: Any) -> tuple[Case, OutageLanes, Start]:
    """An outage that begins in the tenth hour."""
    scenario = Scenario().with_changes(**{**BASE, **changes})
    alone = scenario.with_changes(events=[*changes.get("events", []), open_for(scenario, 48)])
    without = build_case(alone)
    ((state, network),) = follow_undisturbed(build_case(with_grid(alone)), (9,))
    return without, OutageLanes(without), Start(state, network, 9)


def test_devices_that_fail_are_gone_and_others_stay() -> None:
    case = build_case(Scenario().with_changes(**{**BASE, "battery": {}, "horizon": {"hours": 2}}))
    state, network = case.opening, case.opening_network
    (cell,), batteries = list_working_cells(case, network), list_batteries(state)
    assert batteries.size > 0
    broken = never(case)
    broken.device[cell], broken.battery[batteries[0]] = 3, 5
    after = [break_devices(state, network, broken, k) for k in (2, 3, 5)]
    assert after[0] == (state, network)
    assert after[1][1].standing[cell] == RETIRED
    assert (after[1][0].ratings.max_discharge_wh == state.ratings.max_discharge_wh).all()
    assert after[2][0].ratings.max_discharge_wh[batteries].tolist() == [
        0,
        *state.ratings.max_discharge_wh[batteries[1:]],
    ]
    assert (after[2][0].own_wh == state.own_wh).all()  # what it holds is not lost
    dead = draw_broken(case, Failures(Units(availability=0.0)), state, network, 4, np.random.default_rng(1))
    assert dead.device[cell] == 0
    assert (dead.battery == never(case).battery).all()
    filled = with_charge(state, 1.0)
    assert (filled.own_wh + hosted_wh(state.lots, filled.own_wh.size) == state.ratings.soc_max_wh).all()
    assert (with_charge(state, 0.0).own_wh == state.ratings.soc_min_wh).all()
    assert with_charge(state, None) is state
    halved = with_tanks(case, 0.5).fleet.fuel_cells[int(cell)].plant
    assert halved.tank_kg == 0.5 * case.fleet.fuel_cells[int(cell)].plant.tank_kg
    assert with_tanks(case, Outset().tank) is case


def test_draws_without_anything_that_fails_are_refused() -> None:
    assert make_failures(Units(), Units(), None) is None
    found = make_failures(Units(), Units(mean_hours_to_failure=9.0), None)
    assert found is not None
    assert found.draws == 1
    with pytest.raises(ScenarioError, match="--draws: expected devices that can fail, got 3 draws"):
        make_failures(Units(), Units(), 3)


@pytest.mark.slow
def test_one_fuel_cell_is_as_likely_to_serve_as_the_markov_chain_says() -> None:
    case, lanes, start = open_outage()
    plan, rows = lanes.try_plans(start, HOURS)
    assert rows[:, 0].sum() == 0  # it alone carries critical load
    chances, drawn = find_chances(case, lanes, start, rows[:, 0], plan, Failures(CELL))
    load = np.array([[critical / 1000.0 for critical in 0.3 * case.inputs.load_wh[9 : 9 + HOURS].sum(axis=1)]])
    chain = survival_chance(load, [Source(CELL, 5.0)])
    assert not drawn
    assert chances == pytest.approx(chain.low[0], abs=1e-12)
    never_fails, _ = find_chances(case, lanes, start, rows[:, 0], plan, Failures())
    assert never_fails.tolist() == [1.0] * HOURS


@pytest.mark.slow
def test_drawn_failures_of_two_fuel_cells_are_near_the_chain() -> None:
    """One of two is enough, so that the chance is that of one source of two units."""
    case, lanes, start = open_outage(events=[SECOND])
    plan, rows = lanes.try_plans(start, HOURS)
    assert rows[:, 0].sum() == 0
    draws = 300
    chances, drawn = find_chances(case, lanes, start, rows[:, 0], plan, Failures(CELL, draws=draws))
    two = Units(2, CELL.availability, CELL.start_chance, CELL.mean_hours_to_failure)
    load = 0.3 * case.inputs.load_wh[9 : 9 + HOURS].sum(axis=1)[None] / 1000.0
    exact = survival_chance(load, [Source(two, 5.0)]).low[0]
    assert drawn
    assert (np.abs(chances - exact) < 4.0 * np.sqrt(exact * (1.0 - exact) / draws)).all()
    again, _ = find_chances(case, lanes, start, rows[:, 0], plan, Failures(CELL, draws=draws))
    assert (chances == again).all()


@pytest.mark.slow
def test_chance_with_batteries_is_the_sum_over_every_interval_of_failure() -> None:
    community = {**BASE["community"], "battery_kwh": 6.0, "tank_kg": 0.2}
    case, lanes, start = open_outage(battery={}, houses={"n_houses": 6, "n_prosumers": 3}, community=community)
    plan, rows = lanes.try_plans(start, HOURS)
    found, _ = find_chances(case, lanes, start, rows[:, 0], plan, Failures(CELL))
    chance, expected = chance_by_interval(CELL, HOURS, 1.0), np.zeros(HOURS)
    for k in range(HOURS + 1):
        broken = never(case)
        broken.device[list_working_cells(case, start.network)[0]] = k
        expected += chance[k] * (np.cumsum(lanes.follow_plan(start, HOURS, plan, broken)[:, 0]) == 0)
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0.0 < found[-1] < found[0] or rows[:, 0].any()
