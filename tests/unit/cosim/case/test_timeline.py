"""Events: from the file to a timeline, with messages that help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim.case.case import build_case, build_market
from cosim.case.inputs import read_inputs
from cosim.errors import ScenarioError
from cosim.scenario.files import format_toml, parse_scenario
from cosim.scenario.model import Scenario
from grid_models.errors import GridError

BASE: dict[str, Any] = {
    "horizon": {"hours": 48, "start": "2017-06-20T00:00:00Z"},
    "houses": {"n_houses": 3, "n_prosumers": 2},
    "network": {"n_branches": 1},
}
OUT = {"kind": "outage", "start": "2017-06-20T06:00:00Z", "hours": 4, "grid": True}


def _with(*events: dict[str, Any], **changes: Any) -> Scenario:
    return Scenario().with_changes(**BASE, events=list(events), **changes)


def test_events_survive_being_shown() -> None:
    retire = {"kind": "retire", "at": "2017-06-21T00:00:00Z", "participant": "house_01", "device": "pv"}
    scenario = _with(OUT, {**OUT, "grid": False, "switches": ['a "b"'], "lines": ["x", "y"]}, retire)
    assert parse_scenario(format_toml(scenario), "text") == scenario


def test_timeline_marks_the_intervals_of_an_outage_and_of_a_request() -> None:
    request = {"kind": "register", "at": "2017-06-21T12:00:00Z", "participant": "house_02", "device": "pv"}
    timeline = build_market(_with(OUT, request)).timeline
    assert np.flatnonzero(timeline.open[:, 0]).tolist() == [6, 7, 8, 9]
    assert np.flatnonzero(timeline.has_event).tolist() == [6, 7, 8, 9, 36]
    assert [timeline.next_event(t) for t in (0, 7, 10, 37)] == [6, 7, 36, 48]


def test_outage_beyond_the_horizon_ends_with_it() -> None:
    timeline = build_market(_with({**OUT, "hours": 1000})).timeline
    assert timeline.open[6:].all()


def test_load_and_production_changes_are_in_the_profiles() -> None:
    plain, _ = read_inputs(_with())
    more = {
        "kind": "load",
        "start": "2017-06-20T10:00:00Z",
        "hours": 2,
        "participant": "house_01",
        "factor": 3,
    }
    none = {**more, "factor": 0, "quantity": "production", "participant": "house_03"}
    gone = {"kind": "retire", "at": "2017-06-20T15:00:00Z", "participant": "house_01", "device": "pv"}
    changed, _ = read_inputs(_with(more, none, gone))
    assert (changed.load_wh[10:12, 0] == 3 * plain.load_wh[10:12, 0]).all()
    assert (changed.load_wh[12:] == plain.load_wh[12:]).all()
    assert (changed.pv_wh[10:12, 2] == 0).all()
    assert (changed.pv_wh[15:, 0] == 0).all()
    assert (changed.pv_wh[:15, 0] == plain.pv_wh[:15, 0]).all()
    assert plain.pv_wh[15:, 0].any()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({**OUT, "start": "2016-01-01T00:00:00Z"}, "entry 1: expected the begin of a 60-minute interval"),
        ({**OUT, "start": "2017-06-20T06:30:00Z"}, "entry 1: expected the begin of a 60-minute interval"),
        ({**OUT, "hours": 0.25}, "entry 1, hours: expected whole 60-minute intervals, got 0.25 h"),
        (
            {"kind": "register", "at": "2017-06-20T06:00:00Z", "participant": "hous_02", "device": "pv"},
            "participant: expected one of house_01, house_02, house_03, got 'hous_02'",
        ),
        (
            {
                "kind": "retire",
                "at": "2017-06-20T06:00:00Z",
                "participant": "house_02",
                "device": "fuel_cell",
            },
            "expected 'house_02' to have a fuel cell",
        ),
    ],
)
def test_impossible_events_say_what_is_wrong(event: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build_market(_with(event))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[events]]\nkind = "outage"\nstart = 2017-01-01\nhours = 2\n', "grid = true, or names"),
        (
            '[[events]]\nkind = "outage"\nstart = 2017-01-01\nhours = -2\ngrid = true\n',
            "greater than 0, got -2",
        ),
        ('[[events]]\nkind = "storm"\n', "'outage', 'random_outages', 'register', 'retire', 'load'"),
        (
            '[[events]]\nkind = "outage"\nstart = 2017-01-01\nhours = 2\ngird = true\n',
            "did you mean 'grid'",
        ),
    ],
)
def test_mistakes_in_the_file_are_named(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse_scenario(text, "my.toml")


def test_unknown_switch_is_named_with_a_suggestion() -> None:
    scenario = _with({**OUT, "grid": False, "switches": ["branch 11"]})
    with pytest.raises(GridError, match="did you mean 'branch 1'"):
        build_case(scenario)
