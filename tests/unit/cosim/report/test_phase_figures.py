"""Figures and tables of an unbalanced run: every number is of the phase or conductor that it is said to be of."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pyarrow as pa
import pytest
from figures import check_figure
from phase_streets import make_street

from cosim.report.comparison import choose_digits, compare_models, find_highest_loading
from cosim.report.figures.feeder_map import choose_worst, draw_feeder_map
from cosim.report.figures.network import JUDGED, draw_before_and_after
from cosim.report.figures.phases import draw_phases_over_distance, draw_unbalance_duration
from cosim.report.palette import CONDUCTOR_COLORS
from cosim.report.sections.market import name_elements, name_reasons
from cosim.report.sections.unbalance import describe_finding
from cosim.report.tables.before_and_after import SCALES, summarise_by_element, with_settled
from cosim.report.tables.branches import losses_kw, summarise_conductors
from cosim.report.tables.houses import find_connected, list_phases_in_use
from grid_models.powerflow.limits import Limits

TIMES = pd.date_range("2017-06-10", periods=3, freq="h", tz="UTC")
LIMITS = Limits(np.full(2, 0.9), np.full(2, 1.1), np.zeros(0), np.zeros(0))


def frame(values: list[list[float]], columns: Any = ("near", "far")) -> pd.DataFrame:
    return pd.DataFrame(values, index=TIMES[: len(values)], columns=columns)


def test_each_panel_has_the_range_of_its_own_phase() -> None:
    voltages = {
        "a": frame([[1.0, 0.95], [1.01, 0.97], [1.02, 0.99]]),
        "b": frame([[1.0, 1.05], [1.03, 1.09], [1.04, 1.07]]),
        "c": frame([[np.nan, 1.0], [np.nan, 1.0], [np.nan, 1.0]]),
    }
    figure = check_figure(draw_phases_over_distance(voltages, pd.Series({"near": 0.1, "far": 0.5}), 0.9, 1.1))
    assert [trace.name for trace in figure.data] == ["phase a", "phase b", "phase c"]
    assert [trace.xaxis for trace in figure.data] == ["x", "x2", "x3"]
    assert [trace.marker.color for trace in figure.data] == [CONDUCTOR_COLORS[phase] for phase in "abc"]
    a, b, c = figure.data
    np.testing.assert_allclose(b.y, [1.03, 1.07], atol=1e-5)
    np.testing.assert_allclose(b.customdata, [[1.0, 1.04], [1.05, 1.09]], atol=1e-5)
    np.testing.assert_allclose(a.y - a.error_y.arrayminus, [1.0, 0.95], atol=1e-5)
    np.testing.assert_allclose(a.y + a.error_y.array, [1.02, 0.99], atol=1e-5)
    assert list(c.text) == ["far"], "a phase without supply is left out"


def test_the_three_phases_and_the_neutral_have_colours_of_their_own() -> None:
    assert len({*CONDUCTOR_COLORS.values()}) == len(CONDUCTOR_COLORS) == 4


def test_duration_curves_start_at_the_largest_and_show_their_limit() -> None:
    largest = pd.Series([0.5, 1.25, np.nan], index=TIMES)
    highest = {c: pd.Series([k, 10.0 + k, 20.0 + k], index=TIMES) for k, c in enumerate("abcn")}
    figure = check_figure(draw_unbalance_duration(largest, highest, 0.5, 2.0, 100.0))
    curves = {trace.name: trace for trace in figure.data}
    assert curves["largest of all buses"].y.tolist() == [1.25, 0.5]
    assert curves["largest of all buses"].x.tolist() == [0.5, 1.0]
    assert curves["neutral"].y.tolist() == [23.0, 13.0, 3.0]
    assert curves["phase b"].y[0] == 21.0
    assert [shape.y0 for shape in figure.layout.shapes] == [2.0, 100.0]


def test_the_map_shows_the_phase_closest_to_a_limit_and_the_most_loaded_conductor() -> None:
    voltages = {
        "a": frame([[1.0, 0.92]]),
        "b": frame([[1.09, 1.07]]),
        "c": frame([[1.0, np.nan]]),
    }
    worst = choose_worst(voltages, TIMES[:1], LIMITS)
    assert worst.values.to_numpy().tolist() == [[1.09, 0.92]]
    assert worst.conductor.tolist() == [["b", "a"]]
    branch = pd.MultiIndex.from_tuples([("line", "x")])
    loading = choose_worst({c: frame([[10.0 * k]], branch) for k, c in enumerate("abcn")}, TIMES[:1])
    places = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 0.0]})
    ends = pd.DataFrame({"a": [0], "b": [1]})
    figure = check_figure(draw_feeder_map(places, ends, loading, worst, {"first": TIMES[0]}, to_scale=True))
    texts = [text for trace in figure.data if trace.text is not None for text in trace.text]
    assert "x: 30.0 %, neutral" in texts
    assert "near: 1.0900 pu, phase b" in texts
    assert "far: 0.9200 pu, phase a" in texts


def violations(net: Any) -> pd.DataFrame:
    bus, line = net.bus.index[net.bus.name == "pole 2"][0], net.line.index[0]
    rows = [
        (TIMES[0], "bus", bus, "pole 2", "vm_pu", 1.08, 1.05, "b"),
        (TIMES[1], "bus", bus, "pole 2", "vm_pu", 1.07, 1.05, "b"),
        (TIMES[1], "bus", bus, "pole 2", "vm_pu", 0.89, 0.9, "c"),
        (TIMES[1], "bus", bus, "pole 2", "vuf_percent", 2.5, 2.0, ""),
        (TIMES[1], "line", line, "cable 1", "loading_percent", 130.0, 100.0, "n"),
    ]
    columns = ["time", "element_type", "element", "name", "quantity", "value", "limit", "phase"]
    return pd.DataFrame(rows, columns=columns)


def test_before_and_after_pairs_a_phase_with_the_same_phase() -> None:
    net = make_street(2)
    buses, branches = len(net.bus), len(net.line) + len(net.trafo)
    settled = {("vm_pu", phase): frame([[1.0 + k / 100] * buses] * 3, None) for k, phase in enumerate("abc")}
    settled |= {("loading_percent", c): frame([[10.0 * k] * branches] * 3, None) for k, c in enumerate("abcn")}
    settled["vuf_percent", ""] = frame([[1.5] * buses] * 3, None)
    paired = with_settled(violations(net), settled, net)
    assert paired["settled"].tolist() == [1.01, 1.01, 1.02, 1.5, 30.0]
    table = summarise_by_element(paired, 1.0)
    assert [describe_finding(row) for row in table.to_dict(orient="records")] == [
        "overvoltage in phase b at bus pole 2",
        "unbalance (VUF) at bus pole 2",
        "undervoltage in phase c at bus pole 2",
        "overload of the neutral of line cable 1",
    ]
    assert table["hours_cleared"].tolist() == [2.0, 1.0, 1.0, 1.0]
    assert table["unit"].tolist() == ["pu", "%", "pu", "%"]
    figure = check_figure(draw_before_and_after(paired))
    assert [trace.name for trace in figure.data] == ["as cleared", "as settled"] * 3
    assert figure.data[0].text[0] == "pole 2, phase b"


@pytest.mark.parametrize(("settled", "still"), [(5.009, 0.0), (5.02, 1.0)])
def test_the_voltage_of_a_neutral_is_in_volts(settled: float, still: float) -> None:
    net = make_street(2)
    bus = net.bus.index[net.bus.name == "pole 2"][0]
    found = violations(net).head(1).assign(quantity="neutral_v", value=7.0, limit=5.0, phase="", element=bus)
    paired = with_settled(found, {("neutral_v", ""): frame([[settled] * len(net.bus)] * 3, None)}, net)
    table = summarise_by_element(paired, 1.0)
    assert table["unit"].tolist() == ["V"]
    assert table["hours_settled"].tolist() == [still], "beyond by more than 0.01 V counts"


def test_everything_that_is_drawn_has_a_unit() -> None:
    assert {name: title.rpartition(", ")[2] for name, title in JUDGED} == {
        name: unit for name, (unit, _) in SCALES.items()
    }


def test_reasons_and_elements_of_curtailment_name_their_phase() -> None:
    net = make_street(2)
    bus = net.bus.index[net.bus.name == "pole 2"][0]
    rows = [
        ("overvoltage", bus, "b", "pole 2, phase b", "overvoltage, phase b"),
        ("line_overload", 0, "n", "cable 1, neutral", "line_overload, neutral"),
        ("unbalance", bus, "", "pole 2, unbalance", "unbalance"),
        ("neutral_voltage", bus, "", "pole 2, neutral to earth", "neutral_voltage"),
        ("not_solved", -4, "", "not solved", "not_solved"),
    ]
    cut = pd.DataFrame(rows, columns=["reason", "element", "phase", "where", "why"])
    assert name_elements(cut, net).tolist() == list(cut["where"])
    assert name_reasons(cut) == list(cut["why"])
    assert name_reasons(cut.drop(columns="phase")) == list(cut["reason"])


def test_the_most_loaded_conductor_of_a_branch_is_named() -> None:
    loadings = {
        "a": frame([[10.0, 5.0], [30.0, np.nan]]),
        "b": frame([[12.0, 6.0], [11.0, np.nan]]),
        "c": frame([[1.0, 7.0], [1.0, np.nan]]),
        "n": frame([[29.0, np.nan], [28.0, np.nan]]),
    }
    columns = summarise_conductors(loadings)
    assert columns["max_conductor"].tolist() == ["a", "c"]
    assert columns["max_loading_a_percent"].tolist() == [30.0, 5.0]
    assert columns["max_loading_n_percent"][0] == 29.0
    assert np.isnan(columns["max_loading_n_percent"][1])
    assert summarise_conductors({"a": frame([[np.nan, 1.0]])})["max_conductor"].tolist() == ["", "a"]


def test_losses_of_unbalanced_lines_are_those_of_pandapower() -> None:
    net = make_street(3)
    net.sn_mva = 1e-3
    for name, powers in (("pole 1", (6, 0, 1)), ("pole 2", (0, -9, 0)), ("pole 3", (2, 3, 5))):
        p = dict(zip(("p_a_mw", "p_b_mw", "p_c_mw"), (kw / 1000 for kw in powers), strict=True))
        pp.create_asymmetric_load(net, net.bus.index[net.bus.name == name][0], **p, type="wye")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandapower's own deprecations are not under test
        pp.runpp_3ph(net, numba=False)
    lines = net.res_line_3ph
    ka = {c: np.maximum(lines[f"i_{c}_from_ka"], lines[f"i_{c}_to_ka"]) for c in "abcn"}
    rated = (net.line.max_i_ka * net.line.df * net.line.parallel).to_numpy()
    loadings = {c: np.concatenate([100 * ka[c] / rated, [0.0 if c != "n" else np.nan]])[None] for c in "abcn"}
    lost = losses_kw(net, {c: pd.DataFrame(values) for c, values in loadings.items()})
    per_line = sum(lines[f"p_{phase}_{end}_mw"] for phase in "abc" for end in ("from", "to")) * 1e3
    np.testing.assert_allclose(lost[: len(lines)], per_line, rtol=2e-3)
    assert lost[-1] == pytest.approx(net.trafo.pfe_kw.iloc[0])


def test_a_house_is_on_the_phases_of_the_devices_that_it_uses() -> None:
    phases = pd.DataFrame(
        {"phase": ["a", "b"], "phase_pv": ["b", "abc"], "phase_battery": ["c", "c"], "phase_fuel_cell": ["abc", "abc"]}
    )
    kwh = {"load_kwh": [3.0, 2.0], "pv_kwh": [5.0, 0.0], "charge_kwh": [0.0, 0.0], "discharge_kwh": [0.0, 1.0]}
    used = list_phases_in_use(phases, {name: np.array(v) for name, v in {**kwh, "fuel_cell_kwh": [0.0, 0.0]}.items()})
    assert used == {
        "phase": ["a", "b"],
        "phase_pv": ["b", ""],
        "phase_battery": ["", "c"],
        "phase_fuel_cell": ["", ""],
    }
    assert find_connected(used, "abc").T.tolist() == [[True, True, False], [False, True, True]]


def test_a_comparison_says_which_runs_take_phases_as_balanced() -> None:
    index = pd.MultiIndex.from_tuples(
        [("network", "largest voltage unbalance", "%"), ("network", "highest loading", "%")],
        names=["group", "quantity", "unit"],
    )
    runs = pd.DataFrame({"phases": [1.234, 50.0], "plain": [np.nan, 20.0]}, index=index)
    (said,) = compare_models(runs)
    assert "balanced in plain:" in said
    assert compare_models(runs[["phases"]]) == compare_models(runs.iloc[1:]) == ()
    assert choose_digits("largest voltage unbalance", "%", [1.234]) == 2
    withheld = "energy that was carried less there"
    assert choose_digits(withheld, "kWh", [0.0, 0.026, 0.026]) == 3  # not 0.0 kWh beside hours that are not 0
    assert choose_digits(withheld, "kWh", [0.0, 1.026, 1.026]) == 1


def test_hours_of_high_loading_count_every_conductor_once() -> None:
    """The neutral counts; a transformer has none; an interval cut into two parts is one interval."""
    columns = {f"loading_{c}_percent": [10.0, 20.0, 30.0, 40.0] for c in "abc"}
    whole = pa.table({"time": TIMES[[0, 0, 1, 1]], **columns, "loading_n_percent": pa.array([90.0, None, 5.0, None])})

    def parts(name: str, wanted: tuple[str, ...]) -> Any:
        assert name == "branch_loading"
        return iter([whole.slice(0, 3).select(wanted), whole.slice(3).select(wanted)])

    scenario = SimpleNamespace(network=SimpleNamespace(model="three_phase"))
    result: Any = SimpleNamespace(scenario=scenario, parts=parts)
    assert find_highest_loading(result).to_pylist() == [90.0, 40.0]
