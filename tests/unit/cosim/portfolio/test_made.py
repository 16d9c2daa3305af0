"""Portfolios for trying are the same each time, and a feeder does not depend on how many there are."""

from __future__ import annotations

import pytest

from cosim.errors import ScenarioError
from cosim.portfolio.made import CABLES, TRAFOS, generate_entries, load_simbench, name_entries
from cosim.portfolio.placement import count_in_proportion
from cosim.scenario.model import Scenario

BASE = Scenario()


def test_feeders_follow_from_the_seed_and_their_number_alone() -> None:
    assert generate_entries(3, 1, BASE) == generate_entries(5, 1, BASE)[:3]
    assert generate_entries(1, 1, BASE) != generate_entries(1, 2, BASE)
    drawn = [each.scenario for each in generate_entries(40, 1, BASE) if each.scenario is not None]
    assert len({each.seed for each in drawn}) == 40
    assert {(each.network.main_cable, each.network.service_cable) for each in drawn} == set(CABLES)
    assert {each.network.trafo_std_type for each in drawn} == set(TRAFOS)
    assert {each.network.n_branches for each in drawn} == {3, 4, 5}  # at most 12 of 25 houses each


def test_no_more_branches_than_houses() -> None:
    drawn = generate_entries(30, 1, BASE.with_changes(houses={"n_houses": 2, "n_prosumers": 1}))
    assert {each.scenario.network.n_branches for each in drawn if each.scenario} == {1, 2}


def test_named_nets_by_a_word() -> None:
    found = name_entries(["landnetz_kabel"], BASE)
    assert [each.name for each in found] == [
        "kerber_landnetz_kabel_1",
        "kerber_landnetz_kabel_2",
        "kerber_extreme_landnetz_kabel",
        "kerber_extreme_landnetz_kabel_trafo",
    ]
    assert all(each.houses_at_loads and each.scenario and each.scenario.network.name == each.name for each in found)
    assert [each.name for each in load_simbench(["1-LV-rural1--0-sw"] * 2, BASE)] == ["1-LV-rural1--0-sw"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: generate_entries(0, 1, BASE), "--generate: expected 1 to 50,000 feeders, got 0"),
        (lambda: generate_entries(10**9, 1, BASE), "--generate: expected 1 to 50,000 feeders, got 1,000,000,000"),
        (
            lambda: generate_entries(1, 1, BASE.with_changes(network={"source": "named", "name": "cigre_lv"})),
            "got named",
        ),
        (lambda: name_entries(["kerberr"], BASE), "--named: expected a part of the name of a net of pandapower"),
        (lambda: name_entries([""], BASE), "--named: expected a part"),
        (lambda: load_simbench(["rural"], BASE), "--simbench: expected a SimBench code"),
    ],
)
def test_what_cannot_be_made_is_refused(make: object, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()  # type: ignore[operator]


def test_kinds_of_houses_grow_with_their_number() -> None:
    base = BASE.with_changes(ev={"n_cars": 5})
    assert count_in_proportion(base, 100) == {"houses": {"n_houses": 100, "n_prosumers": 48}, "ev": {"n_cars": 20}}
    chance = BASE.with_changes(houses={"n_prosumers": "by_chance"})
    assert count_in_proportion(chance, 4) == {"houses": {"n_houses": 4}}
