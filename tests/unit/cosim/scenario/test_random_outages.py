"""Random outages: the rate and the lengths that are asked for, the same for the same seed, part of a run like any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim import Scenario, run
from cosim.case.case import build_market
from cosim.errors import ScenarioError
from cosim.scenario.events import RandomOutagesEvent
from cosim.scenario.files import format_toml, parse_scenario
from cosim.scenario.random_outages import draw_length_hours, list_outages
from cosim.studies.outages import find_model, list_outage_tasks

RANDOM: dict[str, Any] = {"kind": "random_outages", "per_year": 20.0, "mean_hours": 5.0}


def scenario_of(*events: dict[str, Any], **changes: Any) -> Scenario:
    return Scenario().with_changes(**changes, events=list(events))


def model_with(**keys: Any) -> RandomOutagesEvent:
    return RandomOutagesEvent.model_validate({**RANDOM, **keys})


def test_rate_and_mean_length_are_as_asked_over_many_years() -> None:
    century = scenario_of(RANDOM, horizon={"hours": 876_000})
    outages = [outage for _, outage in list_outages(century)]
    hours = np.array([outage.hours for outage in outages])
    with_grid = 876_000 - hours.sum()
    assert len(outages) / (with_grid / 8760) == pytest.approx(20.0, rel=0.05)
    assert hours.mean() == pytest.approx(5.0 + 0.5, rel=0.1)  # rounded up to whole hours
    starts = np.array([outage.start.timestamp() for outage in outages]) / 3600
    assert (np.diff(starts) > hours[:-1]).all()


@pytest.mark.parametrize(("lengths", "mean"), [("exponential", 5.0), ("lognormal", 5.0), ("fixed", 5.0)])
def test_every_distribution_has_the_mean_that_is_asked_for(lengths: str, mean: float) -> None:
    rng = np.random.default_rng(3)
    model = model_with(lengths=lengths, longest_hours=8760.0, spread=0.8)
    drawn = [draw_length_hours(model, rng) for _ in range(20_000)]
    assert np.mean(drawn) == pytest.approx(mean, rel=0.03)
    shorter = model_with(lengths=lengths, longest_hours=4.0)
    assert max(draw_length_hours(shorter, rng) for _ in range(1000)) <= 4.0


def test_same_seed_same_outages_other_seed_others() -> None:
    year = scenario_of(RANDOM)
    assert list_outages(year) == list_outages(scenario_of(RANDOM))
    assert list_outages(year) != list_outages(scenario_of(RANDOM, seed=2))
    both = [number for number, _ in list_outages(scenario_of(RANDOM, RANDOM))]
    assert set(both) == {0, 1}
    first, second = ([o for n, o in list_outages(scenario_of(RANDOM, RANDOM)) if n == k] for k in (0, 1))
    assert first != second


def test_random_outages_stand_beside_those_with_times_and_open_what_they_name() -> None:
    timed = {"kind": "outage", "start": "2017-01-02T00:00:00Z", "hours": 3, "grid": True}
    scenario = scenario_of(timed, {**RANDOM, "grid": False, "switches": ["branch 1"]}, horizon={"hours": 4000})
    timeline = build_market(scenario).timeline
    assert timeline.open[24:27, 0].all()
    assert len(timeline.outages) > 3
    assert all(outage.switches == ("branch 1",) for outage in timeline.outages[1:])
    assert (timeline.open.sum(axis=0)[1:-1] == [outage.hours for outage in timeline.outages[1:-1]]).all()


@pytest.mark.slow
def test_run_through_random_outages_is_repeatable_and_counts_them() -> None:
    scenario = scenario_of(
        {**RANDOM, "per_year": 150.0},
        horizon={"hours": 480, "start": "2017-03-01T00:00:00Z"},
        houses={"n_houses": 5, "n_prosumers": 3},
        network={"n_branches": 1},
        community={"enabled": True},
        engine={"verify_sample": 0},
    )
    one, two = run(scenario).summary["resilience"], run(scenario).summary["resilience"]
    assert one == two
    expected = sum(outage.hours for _, outage in list_outages(scenario))
    assert one["hours_without_grid"] >= expected > 0
    assert 0.0 < one["served_share"] <= 1.0


def test_study_draws_from_the_scenario_s_random_outages() -> None:
    scenario = scenario_of({**RANDOM, "lengths": "fixed", "mean_hours": 7.0})
    assert find_model(scenario).per_year == 20.0
    tasks = list_outage_tasks(scenario, 2)
    assert {task.labels["hours"] for task in tasks} == {7}
    assert {task.labels["per_year"] for task in tasks} == {20.0}
    assert find_model(Scenario()).mean_hours == 12.0


def test_random_outages_survive_being_shown_and_mistakes_are_named() -> None:
    scenario = scenario_of(RANDOM)
    assert parse_scenario(format_toml(scenario), "text") == scenario
    text = '[[events]]\nkind = "random_outages"\nper_yaer = 3\n'
    with pytest.raises(ScenarioError, match="did you mean 'per_year'"):
        parse_scenario(text, "my.toml")
    with pytest.raises(ScenarioError, match="greater than 0, got -1"):
        parse_scenario('[[events]]\nkind = "random_outages"\nmean_hours = -1\n', "my.toml")
