"""What another simulator gives: read back as it was kept, refused where it is not what a run keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim.case.given import (
    COLUMNS,
    GIVEN_FILE,
    GivenInputs,
    GivenRow,
    append_to_file,
    begin_file,
    read_given,
)
from cosim.delivery.reactive import LoadReactive
from cosim.delivery.window import InputSeries
from cosim.errors import ScenarioError
from data.profiles import Profiles

LOAD = np.arange(8).reshape(4, 2) * 100
HEADER = ",".join(COLUMNS) + "\n"


def make_profiles(**changed: Any) -> Profiles:
    price = np.array([10, 20, 30, 40])
    known = {"load_wh": LOAD, "pv_wh": 2 * LOAD, "price_ueur_per_kwh": price, "provenance": {}, **changed}
    return Profiles(np.datetime64("2024-01-01", "s"), 60, ("a", "b"), **known)


def make_row(**changed: Any) -> GivenRow:
    row = GivenRow(np.array([1, 2]), np.array([3, 4]), np.zeros(2, np.int64), 5)
    return row._replace(**changed)


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    begin_file(tmp_path)
    rows = {1: make_row(), 3: make_row(load_wh=np.array([7, 8]), price_ueur_per_kwh=9)}
    for t, row in rows.items():
        append_to_file(tmp_path, t, row)
    found = read_given(tmp_path, make_profiles())
    assert found is not None
    assert found.rows.keys() == rows.keys()
    assert all(np.array_equal(a, b) for t in rows for a, b in zip(found.rows[t], rows[t], strict=True))


def test_nothing_is_given_where_it_is_as_in_the_profiles() -> None:
    given = GivenInputs(make_profiles())
    assert not given.add(2, given.profile(2))
    series = InputSeries(LOAD, 2 * LOAD, 0 * LOAD, np.array([10, 20, 30, 40]))
    assert given.series(series) is series


def test_the_series_has_what_is_given_and_the_panels_of_others_beside_it() -> None:
    given, price = GivenInputs(make_profiles()), np.array([10, 20, 30, 40])
    plugged = InputSeries(LOAD, 2 * LOAD + 50, 0 * LOAD, price)
    given.add(1, make_row())
    first = given.series(plugged)
    given.add(2, make_row(price_ueur_per_kwh=6))
    again = given.series(plugged)
    anew = GivenInputs(make_profiles())
    anew.add(1, make_row())
    anew.add(2, make_row(price_ueur_per_kwh=6))
    for one in (first, again, anew.series(plugged)):
        assert one.load_wh[[0, 1, 2, 3]].tolist() == [[0, 100], [1, 2], [1, 2], [600, 700]]
        assert one.pv_wh.tolist() == [[50, 250], [53, 54], [53, 54], [1250, 1450]]
        assert one.utility_ueur_per_kwh.tolist() == [10, 5, 6, 40]
    assert (plugged.load_wh is LOAD, LOAD[1].tolist(), price.tolist()) == (True, [200, 300], [10, 20, 30, 40])


def test_panels_that_left_generate_nothing_whatever_is_given() -> None:
    given = GivenInputs(make_profiles())
    given.add(1, make_row())
    with pytest.raises(ScenarioError, match="panels that are still there"):
        given.series(InputSeries(LOAD, 0 * LOAD, 0 * LOAD, np.zeros(4, np.int64)))


def test_reactive_energy_becomes_its_ratio_to_the_load() -> None:
    given = GivenInputs(make_profiles(load_varh=LOAD // 2))
    loads = LoadReactive(np.array([200_000, 0]), np.full((4, 2), 0.5), 60)
    assert given.reactive(loads) is loads
    given.add(1, make_row(load_wh=np.array([0, 200]), load_varh=np.array([0, -50])))
    found = given.reactive(loads)
    assert found is not None
    assert found.varh_per_wh is not None
    assert found.varh_per_wh.tolist() == [[0.5, 0.5], [0.2, -0.25], [0.5, 0.5], [0.5, 0.5]]
    assert given.reactive(LoadReactive(np.array([1, 2]), None, 60)) is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"load_wh": np.array([1, -1])}, "interval 0, load of b: expected 0 to 2147483647 Wh, got -1"),
        ({"pv_wh": np.array([2**31, 1])}, "pv of a: expected 0 to"),
        ({"load_varh": np.array([-(2**31), 1])}, "varh of a: expected -2147483647 to"),
        ({"load_wh": np.array([0, 1]), "load_varh": np.array([1, 0])}, "varh of a: expected 0 where the load is 0"),
        ({"price_ueur_per_kwh": -1}, "price: expected 0 to 10000000 µEUR/kWh, got -1"),
    ],
)
def test_a_value_that_profiles_could_not_have_is_refused(changed: dict[str, Any], message: str) -> None:
    given = GivenInputs(make_profiles())
    with pytest.raises(ScenarioError, match=message):
        given.add(0, make_row(**changed))
    assert given.rows == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected whole numbers"),
        ("a,b\n1,2\n", "expected whole numbers|expected the columns"),
        (HEADER + "1,0,x,0,0,5\n", "expected whole numbers"),
        (HEADER + "1,0,1,,0,5\n1,1,1,1,0,5\n", "without gaps"),
        (HEADER + "1,0,1,1,0,5\n", "a line for each of 2 houses, got 1 lines"),
        (HEADER + "1,1,1,1,0,5\n1,0,1,1,0,5\n", "intervals in order"),
        (HEADER + "2,0,1,1,0,5\n2,1,1,1,0,5\n1,0,1,1,0,5\n1,1,1,1,0,5\n", "intervals in order"),
        (HEADER + "4,0,1,1,0,5\n4,1,1,1,0,5\n", "intervals in order"),
        (HEADER + "1,0,1,1,0,5\n1,1,1,1,0,6\n", "one price"),
        (HEADER + "1,0,200,400,0,20\n1,1,300,600,0,20\n", "differ from the profiles, got interval 1"),
        (HEADER + "1,0,-5,400,0,20\n1,1,300,600,0,20\n", "load of a: expected 0 to"),
        (HEADER + "1,0,1,1,0,5\n" * 60, "expected at most 648 bytes"),
    ],
)
def test_another_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / GIVEN_FILE).write_text(text, encoding="ascii")
    with pytest.raises(ScenarioError, match=message):
        read_given(tmp_path, make_profiles())


def test_a_link_is_no_file_and_no_file_is_no_coupled_run(tmp_path: Path) -> None:
    assert read_given(tmp_path, make_profiles()) is None
    (tmp_path / GIVEN_FILE).symlink_to("/dev/zero")
    with pytest.raises(ScenarioError, match="got a link"):
        read_given(tmp_path, make_profiles())
