"""Phases of wall boxes: by their power, or by the table of participants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phase_world import PHASES, make_street

from cosim import Scenario, ScenarioError, run
from cosim.case.case import build_case
from grid_models.feeder.connection import ABC


def with_phases(folder: Path, words: list[str], **ev: object) -> Scenario:
    """The street in winter, every house with a car; `words` are the cells of phase_ev."""
    scenario = make_street(folder, 30, ev={"n_cars": 6, **ev}, horizon={"start": "2017-01-10T00:00:00Z", "hours": 30})
    file = folder / "houses.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{head},phase_ev", *(f"{row},{word}" for row, word in zip(rows, words, strict=True))]))
    return scenario


def test_a_wall_box_of_one_phase_is_at_its_house_and_one_of_three_at_all(tmp_path: Path) -> None:
    street = {"horizon": {"start": "2017-01-10T00:00:00Z", "hours": 24}}
    one = build_case(make_street(tmp_path / "one", ev={"n_cars": 4, "charger_kw": 7.4}, **street)).feeder.connections
    three = build_case(make_street(tmp_path / "three", ev={"n_cars": 4}, **street))
    assert one is not None
    assert one.ev is None
    connections = three.feeder.connections
    assert connections is not None
    cars = three.fleet.flexible.house
    assert (connections.wall_box[cars] == ABC).all()
    others = np.setdiff1d(np.arange(6), cars)
    np.testing.assert_array_equal(connections.wall_box[others], connections.load[others])


def test_a_table_says_the_phase_of_a_wall_box(tmp_path: Path) -> None:
    scenario = with_phases(tmp_path, ["c", "", "L1", "b", "", "c"], charger_kw=3.7)
    connections = build_case(scenario).feeder.connections
    assert connections is not None
    load = [word.split(",")[0] for word in PHASES.values()]
    assert load == ["a", "b", "c", "a", "a", "b"]
    assert connections.wall_box.tolist() == [3, 2, 1, 2, 1, 3]
    result = run(scenario)
    assert result.table("phases").to_pandas()["phase_ev"].tolist() == ["c", "b", "a", "b", "a", "c"]


@pytest.mark.slow
def test_a_car_loads_the_phase_of_its_wall_box_and_no_other(tmp_path: Path) -> None:
    """All boxes from phase a to phase b: in an hour in which cars are charged, a is higher and b lower by it."""
    at_a, at_b = (
        run(with_phases(tmp_path / word, [word] * 6, charger_kw=3.7).with_changes(limits={"max_vm_pu": 1.1}))
        for word in "ab"
    )
    charged = at_a.ev.groupby(level=0)["given_wh"].sum()
    busy = charged.idxmax()
    assert charged[busy] > 3000
    low = [result.bus_voltage.loc[busy][["vm_a_pu", "vm_b_pu"]].min() for result in (at_a, at_b)]
    assert low[0]["vm_a_pu"] < low[1]["vm_a_pu"] - 0.005
    assert low[1]["vm_b_pu"] < low[0]["vm_b_pu"] - 0.005
    quiet = charged.index[charged == 0][0]
    same = [result.bus_voltage.loc[quiet]["vm_a_pu"].to_numpy() for result in (at_a, at_b)]
    np.testing.assert_allclose(*same, atol=1e-9)


@pytest.mark.parametrize(
    ("word", "kw", "message"),
    [
        ("a", 11.0, "column 'phase_ev', participant 'house_01': expected abc of a wall box of 11 kW, got a"),
        ("abc", 7.4, "column 'phase_ev', participant 'house_01': expected a, b or c of a wall box of 7.4 kW, got abc"),
        ("d", 7.4, "column 'phase_ev', row 2: expected a phase"),
    ],
)
def test_a_phase_that_does_not_fit_is_refused(word: str, kw: float, message: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        build_case(with_phases(tmp_path, [word, "", "", "", "", ""], charger_kw=kw))
    assert message in str(caught.value)
