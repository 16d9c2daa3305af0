"""Hours by binding element: every curtailed hour counts once, under the element that cut most of its energy."""

from __future__ import annotations

import pandapower as pp
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.results.binding import NAMED, describe_curtailed, find_binding, measure_curtailed, sum_binding

HOURS = pd.date_range("2017-06-01", periods=4, freq="h", tz="UTC")
SUMS = pa.table(
    {"kind": ["grid_import", "grid_export", "loss"], "cleared_wh": [6000, 2000, 99], "delivered_wh": [0, 0, 0]}
)


def make_net() -> object:
    net = pp.create_empty_network()
    pp.create_buses(net, 2, 0.4, name=["busbar", "bus house_17"])
    pp.create_line_from_parameters(net, 0, 1, 0.1, 0.6, 0.08, 0, 0.14, name="main 2.1", type="cs")
    pp.create_transformer(net, 0, 1, "0.25 MVA 20/0.4 kV", name="transformer")
    return net


def make_curtailment(rows: list[tuple[int, str, int, str, int]]) -> pd.DataFrame:
    columns = ["time", "reason", "element", "phase", "curtailed_wh"]
    frame = pd.DataFrame([(HOURS[t], *rest) for t, *rest in rows], columns=columns)
    return frame.assign(time=pd.DatetimeIndex(frame["time"], tz="UTC"), kind="grid_import")


def test_an_hour_counts_for_the_element_that_cut_most() -> None:
    rows = [
        (0, "trafo_overload", 0, "", 500),
        (0, "overvoltage", 1, "a", 300),
        (0, "overvoltage", 1, "a", 300),
        (1, "line_overload", 0, "b", 1),
        (2, "line_overload", 0, "b", 7),
        (3, "dark", 1, "", 9999),
        (3, "makes_up", -1, "", -5),
    ]
    found = find_binding(make_curtailment(rows), make_net())
    assert list(found["binding"]) == ["voltage house_17 phase a", "cable main 2.1 phase b", "cable main 2.1 phase b"]
    assert list(found["curtailed_wh"]) == [1100, 1, 7]
    table = sum_binding(found, 0.25)
    assert table.to_dict(orient="list") == {
        "binding": ["cable main 2.1 phase b", "voltage house_17 phase a"],
        "hours": [0.5, 0.25],
        "curtailed_kwh": [0.008, 1.1],
    }


def test_what_is_put_off_is_told_apart() -> None:
    rows = [(0, "trafo_overload", 0, "", 500), (0, "trafo_overload", 0, "", -400), (1, "dark", 0, "", -90)]
    frame = make_curtailment(rows).assign(kind=["grid_import", "shift", "shift"])
    found = measure_curtailed(frame, SUMS, make_net(), 1.0)
    assert (found["cut_kwh"], found["put_off_kwh"]) == (0.5, 0.4)
    assert "put_off_kwh" not in measure_curtailed(frame[:1], SUMS, make_net(), 1.0)


REASONS = [("trafo_overload", 0), ("line_overload", 0), ("overvoltage", 1), ("undervoltage", 0), ("not_solved", -1)]
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(REASONS), st.sampled_from(["", "a", "n"]), st.integers(0, 900))
)


@pytest.mark.slow
@settings(max_examples=40)
@given(ROWS)
def test_hours_and_energy_add_up(drawn: list[tuple[int, tuple[str, int], str, int]]) -> None:
    frame = make_curtailment([(t, reason, element, phase, wh) for t, (reason, element), phase, wh in drawn])
    found = measure_curtailed(frame, SUMS, make_net(), 0.5)
    assert found["hours"] == 0.5 * len({t for t, *_, wh in drawn if wh})
    assert found["hours"] == sum(row["hours"] for row in found["by_element"])
    assert found["cut_kwh"] == pytest.approx(sum(wh for *_, wh in drawn) / 1000)
    assert found["cut_percent"] == pytest.approx(100 * found["cut_kwh"] / 8.0)


def test_the_line_names_the_first_and_counts_the_rest() -> None:
    rows = [{"binding": f"line {k}", "hours": 10.0 - k} for k in range(NAMED + 2)]
    line = describe_curtailed(sum(row["hours"] for row in rows), rows, 100.0)
    assert line.startswith("curtailed in 52 h: line 0 10 h, line 1 9 h, ")
    assert line.endswith(f"line {NAMED - 1} {10 - NAMED + 1} h, 2 more elements 7 h")
