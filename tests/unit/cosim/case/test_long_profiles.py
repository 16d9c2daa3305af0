"""Long profiles are not copied for nothing: a year of 25 houses by the minute is 100 MB a copy."""

from __future__ import annotations

import numpy as np

from cosim import Scenario
from cosim.case.case import build_market
from cosim.case.state import ADMITTED, ASKING
from cosim.case.timeline import with_changes
from data.profiles import Profiles

DAY = Scenario().with_changes(
    horizon={"hours": 24, "start": "2017-06-20T00:00:00Z"}, houses={"n_houses": 3, "n_prosumers": 2}
)
PANELS = {"kind": "register", "at": "2017-06-20T05:00:00Z", "participant": "house_02", "device": "pv", "pv_kwp": 3.0}
MORE = {"kind": "load", "start": "2017-06-20T05:00:00Z", "hours": 1, "participant": "house_02", "factor": 2.0}


def test_inputs_of_the_same_devices_are_made_once_and_of_others_anew() -> None:
    fleet = build_market(DAY.with_changes(events=[PANELS])).fleet
    waiting, there = (np.full(1, standing, np.int8) for standing in (ASKING, ADMITTED))
    without = fleet.make_inputs(waiting)
    assert fleet.make_inputs(waiting.copy()) is without
    assert fleet.make_inputs(there).pv_wh[:, 1].sum() > without.pv_wh[:, 1].sum()
    again = fleet.make_inputs(waiting)
    np.testing.assert_array_equal(again.pv_wh, without.pv_wh)


def test_profiles_that_no_event_changes_are_the_same_object() -> None:
    profiles = build_market(DAY).profiles
    assert with_changes(profiles, DAY.with_changes(events=[PANELS])) is profiles
    changed = with_changes(profiles, DAY.with_changes(events=[MORE]))
    assert changed.load_wh[5, 1] == 2 * profiles.load_wh[5, 1]


def test_shorter_intervals_are_taken_as_they_are_made() -> None:
    load = np.arange(48).reshape(24, 2)
    profiles = Profiles(np.datetime64("2017-01-01"), 60, ("a", "b"), load, load, load[:, 0], {}).resample(1)
    owner = profiles.load_wh.base
    assert isinstance(owner, np.ndarray)
    assert (owner.shape, owner.flags.writeable, profiles.load_wh.flags.writeable) == ((24, 60, 2), False, False)
