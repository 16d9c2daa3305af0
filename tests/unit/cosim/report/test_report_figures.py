"""Figures show what they are given: true extremes, balanced flows, places that do not collide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pyarrow as pa
import pytest
from figures import check_figure
from hypothesis import given
from hypothesis import strategies as st

from cosim.report.figures.feeder_map import choose_hours, choose_worst, draw_feeder_map
from cosim.report.figures.market import BackgroundFlows, draw_sankey, list_energy_links, list_money_links
from cosim.report.figures.network import (
    draw_before_and_after,
    draw_grid_power,
    draw_hour_by_day,
    draw_loading_duration,
    draw_voltage_over_distance,
)
from cosim.report.figures.sampling import choose_curve_points
from cosim.report.figures.topology import distance_km, find_places, lay_out_tree
from cosim.report.sections.findings import judge_run
from cosim.report.tables.before_and_after import summarise_by_element, with_settled
from cosim.report.tables.branches import find_participants_behind, losses_kw, reverse_flow_hours
from cosim.report.tables.run_tables import read_layout, read_values

TIMES = pd.date_range("2017-01-01", periods=2000, freq="h", tz="UTC")


def small_net() -> Any:
    r"""Draw a feeder.

    grid ~ trafo ~ bar --1 km-- a --2 km-- b
                    \--0.5 km-- c
    """
    net = pp.create_empty_network()
    high, bar, a, b, c = (
        pp.create_bus(net, kv, name=name) for kv, name in zip((20, 0.4, 0.4, 0.4, 0.4), "hgabc", strict=True)
    )
    pp.create_ext_grid(net, high)
    pp.create_transformer(net, high, bar, "0.25 MVA 20/0.4 kV", name="t")
    for start, end, km in ((bar, a, 1.0), (a, b, 2.0), (bar, c, 0.5)):
        pp.create_line(net, start, end, km, "NAYY 4x150 SE", name=f"{start}-{end}")
    for bus, name in ((a, "ann"), (b, "bob"), (c, "cyd")):
        pp.create_load(net, bus, 0.0, name=name)
    return net


def loadings(values: np.ndarray) -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples([("line", "x"), ("trafo", "t")])
    return pd.DataFrame(values, index=TIMES[: len(values)], columns=columns)


@given(st.integers(1, 50_000), st.integers(2, 500))
def test_a_thinned_curve_keeps_its_ends_and_its_order(n: int, points: int) -> None:
    picked = choose_curve_points(n, points)
    assert picked[0] == 0
    assert picked[-1] == n - 1
    assert picked.size <= max(points, 1)
    assert (np.diff(picked) > 0).all()


def test_duration_curves_start_at_the_true_maximum() -> None:
    values = np.random.default_rng(1).uniform(0, 120, (2000, 2))
    values[3, 0] = np.nan
    frame = loadings(values)
    figure = check_figure(draw_loading_duration(frame, 1.0, frame.max(axis=1), 80.0, 100.0))
    for trace, expected in zip(figure.data, (frame.max(axis=1), frame["line", "x"], frame["trafo", "t"]), strict=True):
        assert trace.y[0] == pytest.approx(expected.max(), abs=1e-3)
        assert trace.x[0] == 1.0
        assert len(trace.y) <= 300
    assert figure.layout.yaxis.title.text == "loading, %"


def test_voltages_over_distance_are_quantiles_of_each_bus() -> None:
    vm = pd.DataFrame({"near": [1.0, 1.02, np.nan], "far": [0.9, 1.1, 1.0], "dark": [np.nan] * 3})
    distance = pd.Series({"near": 0.1, "far": 0.5, "dark": 0.7})
    figure = check_figure(draw_voltage_over_distance(vm, distance, 0.9, 1.1))
    drawn = {trace.name: dict(zip(trace.text, trace.y, strict=True)) for trace in figure.data}
    assert drawn["minimum"] == pytest.approx({"near": 1.0, "far": 0.9}, abs=1e-5)
    assert drawn["median"] == pytest.approx({"near": 1.01, "far": 1.0}, abs=1e-5)
    assert drawn["maximum"] == pytest.approx({"near": 1.02, "far": 1.1}, abs=1e-5)


def test_a_heat_map_has_the_extreme_of_each_hour() -> None:
    quarters = pd.Series(np.arange(96.0 * 2), index=pd.date_range("2017-01-01", periods=192, freq="15min", tz="UTC"))
    highest = check_figure(draw_hour_by_day(quarters, "%", 2))
    lowest = check_figure(draw_hour_by_day(quarters, "pu", 2, lowest=True))
    assert highest.data[0].z[5][1] == 96 + 4 * 5 + 3
    assert lowest.data[0].z[5][1] == 96 + 4 * 5


def test_reverse_flow_is_shaded_below_zero_only() -> None:
    p = pd.Series(np.linspace(5, -5, 2000), index=TIMES)
    figure = check_figure(draw_grid_power(p, 1.0))
    shaded = next(trace for trace in figure.data if trace.name == "reverse flow")
    assert max(shaded.y) == 0.0
    assert min(shaded.y) == -5.0


amounts = st.floats(0, 1e6)


@given(st.tuples(*[amounts] * 8))
def test_energy_in_equals_energy_out_at_every_node(values: tuple[float, ...]) -> None:
    own, p2p, shared, exported, imported, spilled, discharge, losses = values
    traded = min(p2p, own)
    kwh = {"pv": own + traded + shared + exported + spilled, "spilled": spilled, "fuel_cell": 0.0}
    kwh |= {"discharge": discharge, "p2p": traded, "lot_sale": 0.0, "shared": shared, "exported": exported}
    kwh |= {"imported": imported, "losses": losses, "charge": 0.0, "shed": 0.0}
    kwh["load"] = own + discharge + traded + shared + imported
    links = list_energy_links(kwh)
    for node in ("houses' own energy", "houses' demand", "traded P2P", "shared"):
        into = sum(value for _, sink, value in links if sink == node)
        out_of = sum(value for source, _, value in links if source == node)
        assert into == pytest.approx(out_of, rel=1e-9, abs=1e-6)


@given(st.tuples(*[amounts] * 8))
def test_background_enters_and_leaves_every_node_too(values: tuple[float, ...]) -> None:
    own, exported, imported, from_grid, from_houses, kept, to_houses, to_grid = values
    kwh = dict.fromkeys(("spilled", "fuel_cell", "discharge", "p2p", "lot_sale", "shared", "charge", "shed"), 0.0)
    kwh |= {"pv": own + exported + from_houses, "exported": exported, "imported": imported, "losses": 0.0}
    kwh["load"] = own + imported + to_houses
    links = list_energy_links(kwh, 0.0, BackgroundFlows(from_grid, from_houses, kept, to_houses, to_grid))
    sums = {node: sum(v for _, sink, v in links if sink == node) for _, node, _ in links}
    out_of = {node: sum(v for source, _, v in links if source == node) for node, _, _ in links}
    for node in ("houses' own energy", "houses' demand"):
        assert sums[node] == pytest.approx(out_of[node], rel=1e-9, abs=1e-6)
    assert sums["background load"] == pytest.approx(from_grid + from_houses + kept)
    assert out_of["background generation"] == pytest.approx(kept + to_houses + to_grid)
    assert sums["to the grid"] == pytest.approx(exported + to_grid)


def test_money_in_equals_money_out_and_fees_go_to_the_contract() -> None:
    exchanges = pd.DataFrame(
        {
            "kind": ["p2p", "share_use", "lot_sale", "grid_import", "grid_export", "loss", "spill"],
            "seller": ["ann", "ann", "ann", "grid", "ann", "grid", "ann"],
            "buyer": ["bob", "bob", "bob", "bob", "grid", "operator", ""],
            "amount_neur": [10_000_000_000, 3_000_000_000, 2_000_000_000, 7_000_000_000, 10**9, 10**9, 0],
            "fee_neur": [10**9, 0, 0, 0, 0, 0, 0],
        }
    )
    links = list_money_links(exchanges)
    assert ("P2P trades", "contract's fees", 1.0) in links
    assert ("contract pays", "sharing", 3.0) in links
    assert ("grid energy", "utility earns", 7.0) in links
    for what in ("P2P trades", "sharing", "grid energy", "feed-in", "network losses"):
        into = sum(value for _, sink, value in links if sink == what)
        assert into == sum(value for source, _, value in links if source == what)
    assert check_figure(draw_sankey(links, "EUR")).data[0].valuesuffix == " EUR"


def test_distances_follow_the_lines() -> None:
    distance = distance_km(small_net(), list("hgabc"))
    assert distance.to_dict() == {"h": 0.0, "g": 0.0, "a": 1.0, "b": 3.0, "c": 0.5}


def test_a_bus_that_no_line_reaches_has_no_distance_but_a_place() -> None:
    net = small_net()
    net.line.loc[1, "in_service"] = False
    assert np.isnan(distance_km(net, list("hgabc"))["b"])
    assert len(lay_out_tree(net).drop_duplicates()) >= len(net.bus) - 1  # both ends of the transformer may meet


def test_geodata_counts_only_if_every_bus_has_it() -> None:
    net = small_net()
    net.bus["geo"] = [f'{{"type": "Point", "coordinates": [{k}, {2 * k}]}}' for k in range(5)]
    assert find_places(net)[1]
    assert find_places(net)[0]["y"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    net.bus.loc[2, "geo"] = None
    assert not find_places(net)[1]


def test_lines_know_who_is_behind_them() -> None:
    behind = find_participants_behind(small_net(), ["ann", "bob", "cyd"])
    assert behind is not None
    assert behind.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_nobody_is_behind_a_line_of_a_ring() -> None:
    net = small_net()
    pp.create_line(net, 3, 4, 1.0, "NAYY 4x150 SE")
    assert find_participants_behind(net, ["ann", "bob", "cyd"]) is None


def test_reverse_flow_hours_count_intervals_with_their_length() -> None:
    injection = pd.DataFrame({"ann": [1.0, -3.0, 0.0], "bob": [1.0, 1.0, -1.0], "cyd": [-5.0, 0.0, 0.0]})
    hours = reverse_flow_hours(small_net(), 0.5, injection, pd.Series([3.0, -1.0, -2.0]))
    assert hours.tolist() == [0.5, 1.0, 0.0, 1.0]


def test_losses_are_those_of_pandapower() -> None:
    net = small_net()
    net.load["p_mw"] = [0.02, 0.03, 0.04]
    pp.runpp(net, tolerance_mva=1e-9)
    loading = np.concatenate([net.res_line.loading_percent, net.res_trafo.loading_percent])[None]
    lost = losses_kw(net, {"": pd.DataFrame(loading)})
    np.testing.assert_allclose(lost[:3], net.res_line.pl_mw * 1e3, rtol=1e-3)
    np.testing.assert_allclose(lost[3], net.res_trafo.pl_mw.iloc[0] * 1e3, rtol=0.02)


def test_chosen_hours_are_the_extremes_and_appear_once() -> None:
    values = np.full((4, 2), 10.0)
    values[2, 1] = 90.0
    vm = pd.DataFrame({"a": [1.0, 1.05, 1.0, 1.0], "b": [1.0, 1.0, 1.0, 0.93]}, index=TIMES[:4])
    p = pd.Series([5.0, 1.0, -7.0, 2.0], index=TIMES[:4])
    hours = choose_hours(loadings(values), vm, vm, p, pd.Series(dtype=float))
    assert hours == {
        "highest loading, largest export": TIMES[2],
        "highest voltage": TIMES[1],
        "lowest voltage": TIMES[3],
        "largest import": TIMES[0],
    }


def test_the_map_puts_every_branch_into_its_class() -> None:
    frame = loadings(np.array([[85.0, 30.0], [10.0, np.nan]]))
    where = pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.0, 0.0, 1.0]})
    ends = pd.DataFrame({"a": [1, 0], "b": [2, 1]})
    vm = pd.DataFrame(np.full((2, 3), 1.0), index=TIMES[:2], columns=list("abc"))
    hours = {"first": TIMES[0], "second": TIMES[1]}
    loading, voltage = (choose_worst({"": values}, TIMES[:2]) for values in (frame, vm))
    figure = check_figure(draw_feeder_map(where, ends, loading, voltage, hours, to_scale=True))
    shown = {trace.name: trace for trace in figure.data if trace.visible}
    assert list(shown["80–100 %"].text[:1]) == ["x: 85.0 %"]
    assert list(shown["20–50 %"].text[:1]) == ["t: 30.0 %"]
    _, second, chosen = figure.layout.sliders[0].steps[1].args
    drawn = {figure.data[k].name: figure.data[k] for k, visible in zip(chosen, second, strict=True) if visible}
    assert list(drawn["without supply"].text[:1]) == ["t: no supply"]
    assert figure.data[0].name == "without supply", "what is dark lies beneath the branches that carry current"
    names = ["names of ends", "names of branches"]
    assert [trace.name for trace in figure.data if trace.legendrank] == ["without supply"] * len(hours) + names
    assert [figure.data[k].name for k in range(len(figure.data)) if k not in chosen] == names, "the slider leaves them"
    assert set(shown["names of ends"].text) == {"<br>a", "c"}
    assert list(shown["names of branches"].text) == ["<b>x</b>"]


def test_before_and_after_pairs_each_violation_with_its_settled_value() -> None:
    net = small_net()
    violations = pd.DataFrame(
        {
            "time": [TIMES[0], TIMES[0], TIMES[1]],
            "element_type": ["bus", "trafo", "bus"],
            "element": [3, 0, 3],
            "name": ["b", "t", "b"],
            "quantity": ["vm_pu", "loading_percent", "vm_pu"],
            "value": [1.12, 130.0, 1.11],
            "limit": [1.1, 100.0, 1.1],
        }
    )
    vm = pd.DataFrame(np.array([[1, 1, 1, 1.09, 1.0], [np.nan] * 5]), index=TIMES[:2])
    loading = pd.DataFrame(np.array([[1.0, 2.0, 3.0, 99.0], [np.nan] * 4]), index=TIMES[:2])
    paired = with_settled(violations, {("vm_pu", ""): vm, ("loading_percent", ""): loading}, net)
    assert paired["settled"].tolist()[:2] == [1.09, 99.0]
    table = summarise_by_element(paired, 1.0).set_index("element")
    assert table.loc["b", ["hours_cleared", "hours_settled", "hours_off"]].tolist() == [2.0, 0, 1.0]
    assert table.loc["t", "then_settled"] == 99.0
    figure = check_figure(draw_before_and_after(paired))
    assert [trace.name for trace in figure.data] == ["as cleared", "as settled"] * 2


@pytest.mark.parametrize(
    ("counts", "beyond", "level"),
    [
        ({"clean": 5, "curtailed": 0, "shed": 0, "de_energised": 0}, 0, "good"),
        ({"clean": 4, "curtailed": 1, "shed": 0, "de_energised": 0}, 0, "warn"),
        ({"clean": 4, "curtailed": 0, "shed": 1, "de_energised": 0}, 0, "bad"),
        ({"clean": 4, "curtailed": 0, "shed": 0, "de_energised": 1}, 0, "bad"),
        ({"clean": 5, "curtailed": 0, "shed": 0, "de_energised": 0}, 1, "bad"),
    ],
)
def test_the_verdict_names_the_worst(counts: dict[str, int], beyond: int, level: str) -> None:
    assert judge_run(counts, beyond).level == level


def test_the_verdict_tells_outages_from_curtailment() -> None:
    counts = {"clean": 4, "curtailed": 0, "islanded": 2, "shed": 0, "de_energised": 0}
    assert judge_run(counts, 0, {"energy_not_served_kwh": 3.25})[:2] == ("bad", "Load was shed in outages.")
    assert "2 of 6 intervals" in judge_run(counts, 0, {"energy_not_served_kwh": 3.25}).text
    assert "3.2 kWh" in judge_run(counts, 0, {"energy_not_served_kwh": 3.25}).text
    assert judge_run(counts, 0).level == "warn"
    assert "In 1 others" in judge_run({**counts, "curtailed": 1}, 0).text


@pytest.mark.parametrize(("missing", "heat"), [(21.5, 0.0), (0.0, 49.1), (0.0, 0.0)])
def test_no_loss_of_load_is_not_said_where_a_car_or_a_house_went_short(missing: float, heat: float) -> None:
    counts = {"clean": 4, "curtailed": 0, "islanded": 2, "shed": 0, "de_energised": 0}
    of_devices = {"put_off_kwh": 60.0, "missing_in_cars_kwh": missing, "missed_heat_kwh": heat}
    judged = judge_run(counts, 0, {"energy_not_served_kwh": 0.0, **of_devices})
    assert (judged.headline == "Outages without loss of load.") == (judged.level == "warn") == (missing + heat == 0.0)
    assert f"did not take 60.0 kWh without the grid; because of it {missing:.1f} kWh" in judged.text
    assert f"missed {heat:.1f} kWh of heat" in judged.text
    assert judge_run({**counts, "shed": 1}, 0, of_devices).text.endswith("of heat.")  # whatever else is worse


def test_a_table_with_a_missing_row_is_refused() -> None:
    table = pa.table({"time": TIMES[[0, 0, 1]], "bus": ["a", "b", "a"], "vm_pu": [1.0, 1.0, 1.0]})
    with pytest.raises(ValueError, match="expected the same elements in every interval"):
        read_layout(lambda name, columns: iter([table.select(columns)]), "bus_voltage", ("bus",))


def test_a_table_cut_within_an_interval_is_read_all_the_same() -> None:
    table = pa.table({"time": TIMES[[0, 0, 1, 1]], "bus": ["a", "b"] * 2, "vm_pu": [1.0, 2.0, 3.0, 4.0]})
    for cut in (1, 3):

        def read_parts(name: str, columns: Any, cut: int = cut) -> Iterator[pa.Table]:
            return iter([table.slice(0, cut).select(columns), table.slice(cut).select(columns)])

        layout = read_layout(read_parts, "bus_voltage", ("bus",))
        assert layout.times.tolist() == TIMES[:2].tolist()
        frame = read_values(read_parts, "bus_voltage", "vm_pu", layout)
        assert frame.to_dict("list") == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
