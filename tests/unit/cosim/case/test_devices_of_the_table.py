"""Cars and heat pumps of the table of participants: yes has one, no has none, an empty cell may be drawn."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError
from cosim.case.case import build_market
from cosim.case.flexible import draw_houses
from cosim.case.houses import with_houses
from cosim.cli.app import app
from cosim.scenario.files import format_toml, parse_scenario
from data.households import name_houses
from market.exchanges import CAR, HEAT_PUMP

NAMES = name_houses(6)
SMALL = Scenario().with_changes(
    horizon={"start": "2017-01-10T00:00:00Z", "hours": 24}, houses={"n_houses": 6, "n_prosumers": 3}
)
KEYS = {"ev": "n_cars", "heat_pump": "n_heat_pumps"}


def say(words: list[bool | None], section: str = "ev", **changes: object) -> Scenario:
    """A scenario with a row for every house, and one word in each."""
    rows = [{"participant": name, section: word} for name, word in zip(NAMES, words, strict=True)]
    return SMALL.with_changes(participants=rows, **changes)


def with_table(folder: Path, text: str, **changes: object) -> Scenario:
    (folder / "houses.csv").write_text(text)
    return SMALL.with_changes(houses={"table": folder / "houses.csv"}, **changes)


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.sampled_from([True, False, None]), min_size=6, max_size=6),
    n=st.integers(0, 7),
    section=st.sampled_from(sorted(KEYS)),
    seed=st.integers(0, 1000),
)
def test_yes_has_one_no_has_none_and_the_rest_is_drawn(
    words: list[bool | None], n: int, section: str, seed: int
) -> None:
    scenario = say(words, section, seed=seed, **{section: {KEYS[section]: n}})
    n_yes, n_open = words.count(True), words.count(None)
    if n and not n_yes <= n <= n_yes + n_open:
        with pytest.raises(ScenarioError, match=rf"{section}\.{KEYS[section]}: expected at (least|most)") as caught:
            draw_houses(with_houses(scenario)[0], NAMES, section)
        assert "\n" not in str(caught.value)
        return
    found = with_houses(scenario)[0]
    houses = draw_houses(found, NAMES, section)
    assert getattr(getattr(found, section), KEYS[section]) == houses.size == max(n, n_yes)
    assert {k for k, word in enumerate(words) if word} <= set(houses.tolist())
    assert not {k for k, word in enumerate(words) if word is False} & set(houses.tolist())
    again = parse_scenario(format_toml(found), "scenario.toml")
    assert draw_houses(with_houses(again)[0], NAMES, section).tolist() == houses.tolist()


def test_a_table_without_a_word_draws_the_houses_that_are_drawn_without_it() -> None:
    for n, seed in ((1, 1), (3, 1), (5, 8)):
        changes = {"seed": seed, "ev": {"n_cars": n}}
        plain = draw_houses(SMALL.with_changes(**changes), NAMES, "ev")
        assert draw_houses(say([None] * 6, **changes), NAMES, "ev").tolist() == plain.tolist()


def test_every_house_without_a_word_may_be_drawn() -> None:
    words = [True, None, None, False, None, None]
    found = {tuple(draw_houses(say(words, seed=seed, ev={"n_cars": 3}), NAMES, "ev").tolist()) for seed in range(200)}
    assert found == {(0, *pair) for pair in combinations([1, 2, 4, 5], 2)}


def test_cars_that_the_table_leaves_open_are_in_the_run(tmp_path: Path) -> None:
    table = "participant,ev,heat_pump\nhouse_02,yes,\nhouse_05,no,no\nhouse_01,,yes\n"
    case = build_market(with_table(tmp_path, table, ev={"n_cars": 5}, heat_pump={"n_heat_pumps": 2}))
    cars, pumps = (case.fleet.flexible.house[case.fleet.flexible.kind == kind] for kind in (CAR, HEAT_PUMP))
    assert cars.tolist() == [0, 1, 2, 3, 5]
    assert pumps.size == 2
    assert 0 in pumps
    assert 4 not in pumps


SETTINGS = {
    "ev": {"charger_kw": 22.0, "strategy": "price", "target": 0.8},
    "heat_pump": {"strategy": "surplus", "source": "ground", "ground_c": 8.0},
}


@pytest.mark.parametrize("section", SETTINGS)
def test_the_kind_of_what_the_table_has_is_set_without_a_number(section: str, tmp_path: Path) -> None:
    changes = {section: SETTINGS[section]}
    by_table = build_market(with_table(tmp_path, f"participant,{section}\nhouse_02,yes\nhouse_03,no\n", **changes))
    rows = [{"participant": "house_02", section: True}]
    by_rows = build_market(SMALL.with_changes(participants=rows, **changes))
    counted = build_market(SMALL.with_changes(participants=rows, **{section: {**SETTINGS[section], KEYS[section]: 1}}))
    for case in (by_table, by_rows, counted):
        assert case.fleet.flexible.house.tolist() == [1]
    np.testing.assert_array_equal(by_table.fleet.flexible.used_wh, counted.fleet.flexible.used_wh)
    np.testing.assert_array_equal(by_table.fleet.flexible.power_wh, counted.fleet.flexible.power_wh)


@pytest.mark.parametrize("section", SETTINGS)
def test_the_kind_of_what_nobody_has_is_refused(section: str, tmp_path: Path) -> None:
    """A table that says no only, or nothing, has none: the message names both ways to have one."""
    for word in ("no", ""):
        scenario = with_table(tmp_path, f"participant,battery_kwh,{section}\nhouse_02,5,{word}\n")
        with pytest.raises(ScenarioError, match=rf"{section}\.{KEYS[section]} above 0, or yes in column '{section}'"):
            build_market(scenario.with_changes(**{section: SETTINGS[section]}))


def test_the_phase_of_a_wall_box_needs_a_car_that_there_may_be(tmp_path: Path) -> None:
    table = "participant,ev,phase_ev\nhouse_01,yes,\nhouse_02,,b\n"
    three = {"network": {"model": "three_phase"}}
    assert build_market(with_table(tmp_path, table, ev={"n_cars": 2, "charger_kw": 3.7}, **three))
    with pytest.raises(ScenarioError, match="'house_02', phase_ev: expected none without a car"):
        build_market(with_table(tmp_path, table, ev={"n_cars": 1, "charger_kw": 3.7}, **three))


WRONG = {
    "fewer than say yes": (
        "house_01,yes\nhouse_02,yes\n",
        "n_cars = 1",
        "ev.n_cars: expected at least 2, as many as say yes in column 'ev'",
    ),
    "more than do not say no": (
        "house_01,no\nhouse_02,no\n",
        "n_cars = 5",
        "expected at most one for each of 4 houses of which the table of participants does not say no",
    ),
    "a setting for nobody": ("house_01,no\n", "charger_kw = 22.0", "or yes in column 'ev' of the table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_number_that_differs_ends_with_code_2_and_nothing_written(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, key, message = WRONG[case]
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text(f"participant,ev\n{rows}")
    Path("s.toml").write_text(f'[houses]\nn_houses = 6\nn_prosumers = 3\ntable = "houses.csv"\n[ev]\n{key}\n')
    done = CliRunner().invoke(app, ["run", "s.toml", "--out", "out"], env={"COLUMNS": "400"})
    assert done.exit_code == 2
    assert message in done.output
    assert not Path("out").exists()


def test_a_private_ledger_says_where_its_cars_come_from(tmp_path: Path) -> None:
    keys = {"private": True, "operator_key": "operator.pem", "member_keys": "keys"}
    rows = [{"participant": "house_01", "ev": True}]
    remedies = {
        "write no in column 'ev' of the table of participants and set heat_pump.n_heat_pumps to 0": {
            "participants": rows
        },
        "set ev.n_cars and heat_pump.n_heat_pumps to 0": {"ev": {"n_cars": 1}},
        "write no in column 'ev' of the table of participants and set ev.n_cars and heat_pump.n_heat_pumps to 0": {
            "participants": rows,
            "ev": {"n_cars": 2},
        },
        "write no in column 'ev' and 'heat_pump' of the table of participants, or set private": {
            "participants": [{**rows[0], "heat_pump": True}]
        },
    }
    for remedy, changes in remedies.items():
        with pytest.raises(ScenarioError) as caught:
            build_market(SMALL.with_changes(ledger=keys, **changes))
        assert remedy in str(caught.value)
