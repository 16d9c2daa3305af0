"""Extremes of an unbalanced run: the right phase of the right element, wherever in the table it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.results.columns import name_columns
from cosim.results.labels import NETWORK, name_place
from cosim.results.summary import EXTREMES, ONLY_FOUR_WIRES, ONLY_UNBALANCED, find_extremes

TIMES = pd.date_range("2017-06-10", periods=2, freq="h", tz="UTC")
ZERO = {"bus": ["near", "far"] * 2, "time": TIMES[[0, 0, 1, 1]]}


def tables(**changed: list[float | None]) -> dict[str, pa.Table]:
    """Two buses, a line and a transformer in two intervals; columns can be set."""
    voltage = {**ZERO, **{f"vm_{phase}_pu": [1.0] * 4 for phase in "abc"}, "vuf_percent": [0.5] * 4}
    loading: dict[str, Any] = {"element": ["line", "trafo"] * 2, "time": TIMES[[0, 0, 1, 1]]}
    loading |= {f"loading_{phase}_percent": [10.0] * 4 for phase in "abc"} | {"loading_n_percent": [9.0, None] * 2}
    found = {"bus_voltage": voltage, "branch_loading": loading}
    for name, values in changed.items():
        next(columns for columns in found.values() if name in columns)[name] = values
    floats = {name: pa.float64() for columns in found.values() for name in columns if name.endswith(("pu", "percent"))}
    return {
        name: pa.table({key: pa.array(values, floats.get(key)) for key, values in columns.items()})
        for name, columns in found.items()
    }


def read_from(found: dict[str, pa.Table], at: int) -> Callable[[str, Sequence[str]], Iterator[pa.Table]]:
    """Parts of the tables, cut before row `at`."""
    return lambda name, columns: iter([found[name].select(columns)[:at], found[name].select(columns)[at:]])


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4])
def test_extremes_name_phase_place_and_time_whatever_the_parts(at: int) -> None:
    given_tables = tables(
        vm_b_pu=[1.0, 1.07, 1.0, 1.0],
        vm_c_pu=[1.0, 1.0, 1.0, 0.93],
        vuf_percent=[0.1, 0.2, 1.3, 0.2],
        loading_b_percent=[20.0, 40.0, 20.0, 20.0],
        loading_n_percent=[55.0, None, 8.0, None],
    )
    found = find_extremes(read_from(given_tables, at), unbalanced=True)
    times = [time.isoformat() for time in TIMES]
    assert found == {
        "lowest_voltage": {"vm_pu": 0.93, "bus": "far", "phase": "c", "time": times[1]},
        "highest_voltage": {"vm_pu": 1.07, "bus": "far", "phase": "b", "time": times[0]},
        "largest_unbalance": {"vuf_percent": 1.3, "bus": "near", "time": times[1]},
        "highest_neutral_loading": {"loading_percent": 55.0, "element": "line", "time": times[0]},
        "highest_loading": {"loading_percent": 55.0, "element": "line", "phase": "n", "time": times[0]},
    }
    assert list(found) == [key for key in EXTREMES if key not in ONLY_FOUR_WIRES]
    assert list(EXTREMES) == list(NETWORK)
    assert name_place(found["highest_loading"]) == "line, neutral"


@given(st.integers(0, 3), st.sampled_from("abc"), st.floats(1.001, 2.0))
def test_raising_one_phase_of_one_bus_makes_it_the_highest(row: int, phase: str, value: float) -> None:
    values: list[float | None] = [1.0] * 4
    values[row] = value
    found = find_extremes(read_from(tables(**{f"vm_{phase}_pu": values}), 2), unbalanced=True)["highest_voltage"]
    assert (found["vm_pu"], found["bus"], found["phase"]) == (value, ZERO["bus"][row], phase)


def test_where_nothing_is_supplied_there_are_no_extremes() -> None:
    dark: list[float | None] = [None] * 4
    columns = [*name_columns("vm_pu", "abc").values(), *name_columns("loading_percent", "abcn").values(), "vuf_percent"]
    assert find_extremes(read_from(tables(**dict.fromkeys(columns, dark)), 2), unbalanced=True) == {}


def test_a_balanced_run_has_neither_phases_nor_unbalance() -> None:
    found = {
        "bus_voltage": pa.table({**ZERO, "vm_pu": [1.0, 1.1, 0.9, 1.0]}),
        "branch_loading": pa.table({"element": ["line"], "loading_percent": [3.0], "time": TIMES[:1]}),
    }
    extremes = find_extremes(read_from(found, 1))
    assert set(extremes) == set(EXTREMES) - set(ONLY_UNBALANCED)
    assert all("phase" not in found for found in extremes.values())


def test_four_wires_have_the_highest_voltage_of_a_neutral_too() -> None:
    found = tables()
    found["bus_voltage"] = found["bus_voltage"].append_column("neutral_v", pa.array([0.0, 3.5, None, 1.0]))
    highest = find_extremes(read_from(found, 2), unbalanced=True, four_wires=True)["highest_neutral_voltage"]
    assert highest == {"neutral_v": 3.5, "bus": "far", "time": TIMES[0].isoformat()}
