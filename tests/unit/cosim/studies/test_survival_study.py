"""The survival study: starts over the year, curves that follow from the table, a command that writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.case.state import NetworkState
from cosim.cli.app import app
from cosim.curtailment.feasible import Outcome
from cosim.errors import ScenarioError
from cosim.interval.fold import run_intervals
from cosim.scenario.files import load_scenario
from cosim.studies.outage_failures import Failures
from cosim.studies.outage_lanes import PRIORITIES
from cosim.studies.outages import BASE, PLUGGED_IN
from cosim.studies.survival import (
    COMPARED,
    HOURLY,
    Outset,
    follow_undisturbed,
    list_starts,
    list_survival_notes,
    list_survival_tasks,
    measure_survival,
    open_for,
    with_grid,
)
from cosim.studies.survival_curves import format_markdown, make_curves, wilson_interval
from grid_models.devices.reliability import Units
from market.state import State

SMALL = """name = "small"
[horizon]
start = 2017-01-02T00:00:00Z
hours = 24
[houses]
n_houses = 5
n_prosumers = 2
[community]
enabled = true
battery_kwh = 4.0
[[events]]
kind = "outage"
start = 2017-01-02T05:00:00Z
hours = 3
grid = true
"""


@given(hours=st.integers(1, 9000), data=st.data())
def test_one_outage_begins_in_every_span_of_hours(hours: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, hours))
    found = list_starts(n, hours)
    assert all(k * hours // n <= begins < (k + 1) * hours // n for k, begins in enumerate(found))
    assert found == sorted(set(found))
    assert found[-1] < hours


def test_outages_of_a_year_begin_at_all_times_of_the_day() -> None:
    for n in (73, 100, 365):
        quarters = np.bincount(np.array(list_starts(n)) % 24 // 6)
        assert (np.abs(quarters / n - 0.25) < 0.06).all()
    assert list_starts(8760) == list(range(8760))


@given(share=st.floats(0.0, 1.0), n=st.integers(1, 500))
def test_interval_holds_the_share_and_is_a_point_for_all(share: float, n: int) -> None:
    low, high = wilson_interval(np.array(share), np.array(n), np.array(500))
    assert 0.0 <= low <= share <= high <= 1.0
    assert n < 500 or low == high == share
    wider = wilson_interval(np.array(share), np.array(max(n // 2, 1)), np.array(500))
    assert wider[0] <= low + 1e-12
    assert wider[1] >= high - 1e-12


def made_rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    index = [(name, begins, hour) for name in ("b", "a") for begins in range(6) for hour in (1, 2, 3, 4)]
    rows = pd.DataFrame(index, columns=["variant", "begins", "hour"])
    for name in PRIORITIES:
        rows[f"not_served_{name}_wh"] = rng.integers(0, 3, len(rows)) * 500
    rows["critical_short_wh"] = np.minimum(rng.integers(0, 2, len(rows)) * 100, rows["not_served_high_wh"])
    return rows


def test_curves_fall_with_the_length_and_are_those_of_single_outages() -> None:
    rows = made_rows()
    curves = make_curves(rows)
    assert curves["variant"].drop_duplicates().tolist() == ["b", "a"]
    for name, of_variant in curves.groupby("variant"):
        chosen = rows[rows["variant"] == name]
        for key in ("critical", "all"):
            assert (np.diff(of_variant[key]) <= 0).all()
        assert (of_variant["all"] <= of_variant["critical"]).all()
        for hours, row in of_variant.set_index("hours").iterrows():
            first = chosen[chosen["hour"] <= hours].groupby("begins").sum(numeric_only=True)
            lost = first[[f"not_served_{one}_wh" for one in PRIORITIES]].sum(axis=1) / 1000.0
            assert row["critical"] == (first["critical_short_wh"] == 0).mean()
            assert row["all"] == (lost == 0).mean()
            assert row["not_served_kwh"] == pytest.approx(lost.mean())
            assert row["not_served_p90_kwh"] == pytest.approx(lost.quantile(0.9))
            assert row["not_served_high_kwh"] == pytest.approx(first["not_served_high_wh"].mean() / 1000.0)


def test_table_shows_the_lengths_that_there_are() -> None:
    assert [line.split("|")[2].strip() for line in format_markdown(make_curves(made_rows())).splitlines()[2:4]] == [
        "1",
        "3",
    ]


def test_variants_are_those_named_and_the_second_fuel_cell_is_that_of_the_scenario() -> None:
    tasks = list_survival_tasks(load_scenario("outage"), 400, 72, 8760)
    assert tuple(dict.fromkeys(task.labels["variant"] for task in tasks)) == tuple(x for x in COMPARED if x != HOURLY)
    of = {task.labels["variant"]: task.scenario for task in tasks}
    assert [event.kind for event in of[BASE].events] == ["outage"]
    plugged = of[PLUGGED_IN].events[0]
    assert (plugged.participant, plugged.preset, plugged.at) == ("house_03", "pem-6kw", of[BASE].horizon.start)  # type: ignore[union-attr]
    assert of[BASE].horizon.hours == 8832
    assert "outage (2), register (2), retire (1)" in list_survival_notes(load_scenario("outage"))[0]


def test_keys_that_only_outages_need_are_kept() -> None:
    scenario = load_scenario("outage").with_changes(
        battery={"inverter_cos_phi": 0.8}, community={"critical_share": 0.4}
    )
    for task in list_survival_tasks(scenario, 4, 24, 240):
        assert task.scenario.battery.inverter_cos_phi == 0.8
        assert task.scenario.community.critical_share == 0.4
        assert all(event.kind != "outage" for event in with_grid(task.scenario).events)
        assert with_grid(task.scenario).horizon.hours == 264


def test_more_outages_than_hours_are_refused() -> None:
    with pytest.raises(ScenarioError, match="--starts: expected at most one outage an hour, 10, got 11; ask for fewer"):
        list_survival_tasks(Scenario(), 11, 24, 10)


def test_charge_of_batteries_that_nobody_has_is_refused() -> None:
    without = {"battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}}
    with pytest.raises(ScenarioError, match="--charge: expected batteries in scenario 'default', got none"):
        list_survival_tasks(Scenario().with_changes(**without), 2, 24, 48, outset=Outset(charge=0.5))
    failing = Failures(batteries=Units(availability=0.5))
    with pytest.raises(
        ScenarioError, match="--battery-availability and --battery-hours: expected batteries in scenario"
    ):
        list_survival_tasks(Scenario().with_changes(**without), 2, 24, 48, failures=failing)


def flatten(state: State, network: NetworkState) -> list[Any]:
    of_state = [*state._replace(lots=None, ratings=None), *state.lots, *state.ratings]  # type: ignore[arg-type]
    values = [*of_state, *network._replace(period=None), *network.period]  # type: ignore[arg-type]
    return [value.tolist() for value in values if value is not None]


@pytest.mark.slow
def test_states_before_hours_are_those_of_a_run_that_stops_there() -> None:
    """Hours curtailed by tight wires and a fuel cell that joins and leaves are among them."""
    device = {"participant": "house_01", "device": "fuel_cell"}
    scenario = Scenario().with_changes(
        horizon={"start": "2017-06-20T00:00:00Z", "hours": 72},
        houses={"n_houses": 5, "n_prosumers": 2},
        limits={"max_loading_percent": 1.5},
        events=[
            {"kind": "register", "at": "2017-06-20T09:00:00Z", **device},
            {"kind": "retire", "at": "2017-06-21T03:00:00Z", **device},
        ],
    )
    case, starts = build_case(scenario), (0, 1, 2, 8, 9, 10, 11, 25, 27, 28, 60, 61)
    curtailed = 0
    for begins, found in zip(starts, follow_undisturbed(case, starts), strict=True):
        state, network = case.opening, case.opening_network
        for chunk in run_intervals(case, state, 0, network, begins):
            state, network = chunk.window.state, chunk.network
            curtailed += int((chunk.outcome != Outcome.CLEAN).sum())
        assert flatten(*found) == flatten(state, network)
    assert curtailed > 0


@pytest.mark.slow
def test_what_an_outage_does_not_serve_is_what_a_run_with_it_does_not() -> None:
    scenario = Scenario().with_changes(
        horizon={"start": "2017-01-02T00:00:00Z", "hours": 48},
        houses={"n_houses": 5, "n_prosumers": 2},
        community={"enabled": True, "battery_kwh": 4.0},
        events=[],
    )
    alone = scenario.with_changes(events=[open_for(scenario, 48)])
    found = pd.DataFrame(measure_survival(alone, starts=(3, 17), longest=9))
    for begins in (3, 17):
        at = f"2017-01-02T{begins:02}:00:00Z"
        result = run(scenario.with_changes(events=[{"kind": "outage", "start": at, "hours": 9, "grid": True}]))
        parts = result.table("outage_intervals").to_pandas()
        parts = parts[(parts["supply"] != "grid") & ~parts["grid_ready"]]
        of_one = found[found["begins"] == begins]
        lost = of_one[[f"not_served_{name}_wh" for name in PRIORITIES]].sum(axis=1)
        assert lost.tolist() == (parts["load_wh"] - parts["served_wh"]).tolist()
        assert of_one["critical_short_wh"].tolist() == (parts["critical_wh"] - parts["critical_served_wh"]).tolist()
        assert lost.sum() > 0


@pytest.mark.slow
def test_command_writes_hours_curves_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL)
    options = ["--starts", "3", "--longest", "6", "--hours", "48", "--out", "found", "--workers", "1"]
    options += ["--charge", "0.3", "--tank", "0.5", "--cell-start", "0.5"]
    result = CliRunner().invoke(app, ["study", "survival", "small.toml", *options])
    assert result.exit_code == 0, result.output
    assert "events that the survival study leaves out: outage (1)" in result.output
    rows, curves = pd.read_csv("found/survival_hours.csv"), pd.read_csv("found/survival.csv")
    assert len(rows) == 4 * 3 * 6
    assert curves.groupby("variant")["hours"].max().tolist() == [6, 6, 6, 6]
    assert (curves["critical_failing"] <= curves["critical"] + 1e-12).all()
    assert "critical load served, devices may fail" in result.output
    assert "Survival without the grid" in Path("found/survival.html").read_text(encoding="utf-8")


def test_too_many_outages_end_with_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL)
    result = CliRunner().invoke(app, ["study", "survival", "small.toml", "--starts", "9", "--hours", "8"])
    assert result.exit_code == 2
    assert "--starts: expected at most one outage an hour, 8, got 9" in result.output
    assert not Path("runs").exists()
