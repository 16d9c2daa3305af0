"""The first screen of the report says what the tables say: tiles, binding elements, worst hours, fairness."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from test_report_page import STRESSED, Numbers

from cosim.cli import terminal
from cosim.report.figures.feeder_map import find_first_lines
from cosim.report.figures.topology import join_buses, list_pairs
from cosim.report.page import write_report
from cosim.report.tables.worst_hours import name_losers
from cosim.results.result import Result
from cosim.simulation.simulate import run


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    path = tmp_path_factory.mktemp("first") / "stressed"
    found = run(STRESSED.with_changes(horizon={"timezone": "Europe/Madrid"}), path)
    write_report(found)
    return found


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    assert result.directory is not None
    return (result.directory / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def numbers(page: str) -> Numbers:
    return Numbers(page)


@pytest.mark.slow
def test_tiles_are_those_of_the_tables(result: Result, numbers: Numbers) -> None:
    cut = pd.read_csv(f"{result.directory}/curtailment.csv")
    cut = cut[cut["curtailed_wh"] > 0]
    exchanges = result.exchanges
    kinds = ["p2p", "share_use", "share_store", "lot_sale", "grid_export", "grid_import"]
    cleared = exchanges["cleared_wh"][exchanges["kind"].isin(kinds)].sum()
    assert numbers.facts["curtailed_hours"] == cut["time"].nunique() > 0
    assert numbers.facts["cut_kwh"] == pytest.approx(cut["curtailed_wh"].sum() / 1000)
    assert numbers.facts["cut_percent"] == pytest.approx(100 * cut["curtailed_wh"].sum() / cleared)
    assert numbers.facts["rated_kva"] == pytest.approx(1000 * result.net.trafo["sn_mva"].sum())
    power = result.intervals["p_grid_kw"]
    assert numbers.facts["largest_import"] == power.max()
    assert numbers.facts["largest_export"] == -power.min()


def test_tiles_say_when(result: Result, page: str) -> None:
    at = result.intervals["p_grid_kw"].idxmax()
    local = at.tz_convert("Europe/Madrid")
    assert f"largest import from the grid, {at:%Y-%m-%d %H:%M} UTC ({local:%H:%M} CEST)" in page


def test_the_line_is_the_same_on_screen_and_page_and_adds_up(
    result: Result, page: str, numbers: Numbers, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.show_summary(result)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("curtailed in "))
    assert f'<span id="why">{html.escape(line)}</span>' in page
    total, *parts = (float(hours) for hours in re.findall(r"([\d.]+) h", line))
    assert total == sum(parts) == numbers.facts["curtailed_hours"]
    rows = [row for row in numbers.tables["binding"] if row]
    assert sum(row[1] for row in rows) == total
    assert sum(row[3] for row in rows) == pytest.approx(numbers.facts["cut_kwh"])
    assert all(f"{row[0]} {row[1]:g} h" in line for row in rows[:6])


def test_worst_hours_are_those_with_most_energy_cut(result: Result, numbers: Numbers) -> None:
    table = pd.read_csv(f"{result.directory}/worst_hours.csv")
    cut = pd.read_csv(f"{result.directory}/curtailment.csv")
    sums = cut[cut["curtailed_wh"] > 0].groupby("time")["curtailed_wh"].sum() / 1000
    ordered = table.set_index(pd.DatetimeIndex(table["time"]))["curtailed_kwh"]
    assert list(ordered) == sorted(ordered, reverse=True)
    np.testing.assert_allclose(ordered.reindex(pd.DatetimeIndex(sums.index)), sums)
    violations = pd.read_csv(f"{result.directory}/violations.csv")
    for row in table.dropna(subset=["cleared"]).to_dict(orient="records"):
        at = violations[pd.DatetimeIndex(violations["time"]) == pd.Timestamp(row["time"])]
        assert (np.isclose(at["value"], row["cleared"]) & (at["limit"] == row["limit"])).any()
    assert table["cleared"].notna().sum() > len(table) / 2
    shown = [row for row in numbers.tables["worst_hours"] if row]
    np.testing.assert_allclose([row[6] for row in shown], table["curtailed_kwh"].head(len(shown)))


def test_losers_are_sellers_and_buyers_from_the_grid() -> None:
    frame = pd.DataFrame(
        {
            "time": ["t"] * 5,
            "kind": ["grid_export", "grid_import", "p2p", "p2p", "p2p"],
            "seller": ["a", "grid", "b", "d", "e"],
            "buyer": ["grid", "c", "a", "a", "a"],
            "curtailed_wh": [1000, 4000, 3000, 500, 100],
            "reason": ["overvoltage"] * 5,
        }
    )
    assert name_losers(frame).to_dict() == {"t": "c 4.0, b 3.0, a 1.0 and 2 more"}


def test_fairness_is_that_of_the_houses(result: Result, numbers: Numbers) -> None:
    houses = result.table("curtailed_by_house").to_pandas()
    x = houses["delivered_kwh"] / houses["cleared_kwh"]
    assert numbers.facts["jain_index"] == pytest.approx(x.sum() ** 2 / (len(x) * (x**2).sum()))
    rows = [row for row in numbers.tables["fairness"] if row]
    by_house = houses.set_index("house")
    for house, cleared, delivered, cut, percent in rows:
        assert [cleared, delivered] == pytest.approx(list(by_house.loc[house, ["cleared_kwh", "delivered_kwh"]]))
        assert percent == pytest.approx(100 * cut / cleared)
        assert cut == pytest.approx(cleared - delivered)
    assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)
    assert sum(row[3] for row in rows) == pytest.approx(numbers.facts["curtailed"])


def test_nothing_of_the_page_is_missing_on_paper() -> None:
    style = (Path(__file__).parents[4] / "cosim/report/report.css").read_text(encoding="utf-8")
    hidden = re.findall(r"([^{}]+)\{[^{}]*display: none[^{}]*\}", style.split("@media print")[1])
    assert [name.strip() for part in hidden for name in part.split(",")][-2:] == ["nav", ".modebar-container"]


def make_fork() -> object:
    net = pp.create_empty_network()
    pp.create_buses(net, 5, 0.4)
    pp.create_transformer(net, 0, 1, "0.25 MVA 20/0.4 kV")
    for a, b in ((1, 2), (2, 3), (1, 4)):
        pp.create_line_from_parameters(net, a, b, 0.1, 0.6, 0.08, 0, 0.14)
    return net


def test_voltages_are_joined_along_branches_in_service_only() -> None:
    net = make_fork()
    net.line.loc[2, "in_service"] = False
    pairs = list_pairs(net, list("mabcd"))
    assert pairs == [("a", "b"), ("b", "c"), ("m", "a")]
    place = pd.Series({"a": 0.0, "b": 0.1, "c": 0.2})
    trace = join_buses(place, [1.0, 0.99, 0.98], pairs, "black", "minimum")
    np.testing.assert_allclose(trace["x"], [0.0, 0.1, np.nan, 0.1, 0.2, np.nan])
    np.testing.assert_allclose(trace["y"], [1.0, 0.99, np.nan, 0.99, 0.98, np.nan], rtol=1e-6)


def test_a_branch_is_named_at_its_first_line() -> None:
    ends = pd.DataFrame({"a": [1, 2, 1, 0], "b": [2, 3, 4, 1]})
    assert find_first_lines(ends, np.array([False, False, False, True])) == [0, 2]
