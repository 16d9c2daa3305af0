"""Runs in intervals of 1, 5 and 10 minutes: tables, ledger, audit, report, and what they say of EN 50160."""

from __future__ import annotations

from typing import Any

import naive_en50160 as naive
import numpy as np
import pandas as pd
import pytest

from cosim import Result, Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.errors import ScenarioError
from market.ledger.check.verify import verify_ledger

TEN_MINUTES = {"kind": "outage", "start": "2017-06-20T12:10:00Z", "hours": 0.1667, "grid": True}
EVENTS = [
    TEN_MINUTES,
    {"kind": "register", "at": "2017-06-20T12:40:00Z", "participant": "house_03", "device": "fuel_cell"},
    {"kind": "load", "start": "2017-06-20T12:50:00Z", "hours": 1 / 6, "participant": "house_02", "factor": 2.0},
]
HOUR = Scenario().with_changes(
    horizon={"hours": 1, "start": "2017-06-20T12:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 4, "production_ratio": 2.0},
    network={"n_branches": 1},
    market={"feed_in": True},
    limits={"max_vm_pu": 1.004},
    community={"enabled": True, "battery_kwh": 6.0, "fuel_cell": "none"},
    ev={"n_cars": 2},
    heat_pump={"n_heat_pumps": 2},
    engine={"verify_sample": 3},
    events=EVENTS,
)


@pytest.fixture(
    scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 5, pytest.param(10, marks=pytest.mark.slow)]
)
def minutes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def result(minutes: int, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("minutes") / "run"
    return run(HOUR.with_changes(horizon={"interval_minutes": minutes}), folder)


def test_tables_have_a_row_each_interval(result: Result, minutes: int) -> None:
    expected = pd.date_range("2017-06-20T12:00Z", periods=60 // minutes, freq=f"{minutes}min")
    assert result.intervals.index.equals(expected.as_unit("ms"))
    for name in ("houses", "bus_voltage", "branch_loading", "energy_balance", "ev", "heat_pumps"):
        assert pd.DatetimeIndex(result.table(name)["time"].to_pandas().unique()).equals(expected.as_unit("ms")), name
    assert not result.energy_balance["residual_wh"].any()
    assert set(result.intervals["outcome"]) >= {"islanded"}


def test_an_outage_of_ten_minutes_is_ten_minutes_long(result: Result, minutes: int) -> None:
    rows = result.table("outage_intervals").to_pandas()
    apart = rows.loc[rows["supply"] != "grid", "time"].unique()
    assert len(apart) >= 10 // minutes
    assert apart[0] == pd.Timestamp("2017-06-20T12:10Z")
    found = result.table("en50160").to_pandas()
    means = pd.DatetimeIndex(apart).floor("10min").unique()
    assert (found["off"] + found["islanded"]).eq(len(means)).all()
    assert set(found["voltage"]) == {"cannot be shown at this resolution"}  # the houses are drawn by the hour


def test_ledger_audit_and_rerun_agree(result: Result) -> None:
    assert result.directory is not None
    assert verify_ledger(result.directory).ok
    assert audit_ledger(result.directory).findings == ()
    again = rerun_ledger(result.directory)
    assert (again.ok, again.differences, again.findings) == (True, (), ())


def test_the_report_is_of_minutes(result: Result, minutes: int) -> None:
    page = result.report().read_text(encoding="utf-8")
    assert f"{60 // minutes} intervals of {minutes} minute{'s' * (minutes > 1)} ·" in page
    assert "cannot be shown at this resolution (profiles of 60 minutes," in page
    assert "does not demonstrate compliance" not in page
    assert page.count("series of hours spread evenly over intervals of") == 2  # beside the statement, and at the end


def test_lengths_that_are_no_whole_intervals_are_refused() -> None:
    ten = HOUR.with_changes(horizon={"interval_minutes": 10})
    with pytest.raises(ScenarioError, match="hours: expected whole 10-minute intervals, got 0\\.167 h"):
        run(ten.with_changes(events=[TEN_MINUTES | {"hours": 0.167}]))
    with pytest.raises(ScenarioError, match="expected whole 10-minute intervals, got 0\\.25"):
        ten.with_changes(horizon={"hours": 0.25})
    with pytest.raises(ScenarioError, match="interval_minutes"):
        ten.with_changes(horizon={"interval_minutes": 20})


SMALL: dict[str, Any] = {
    "profiles": {"source": "table", "price_eur_per_kwh": 0.1},
    "network": {"n_branches": 1, "model": "three_phase"},
    "community": {"enabled": False},
    "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
    "engine": {"verify_sample": 0},
    "limits": {"min_vm_pu": 0.7, "max_loading_percent": 500.0, "max_vuf_percent": 50.0},
}


def draw_by_ten_minutes() -> pd.DataFrame:
    """Eight days of two houses that draw 4 kW on average, each ten minutes by itself."""
    times = pd.date_range("2017-01-02T00:00Z", periods=8 * 144, freq="10min")
    kw = np.random.default_rng(5).gamma(4.0, 1.0, (times.size, 2))
    return pd.DataFrame({"time": times, "a.load_kw": kw[:, 0], "b.load_kw": kw[:, 1]})


@pytest.mark.parametrize("spacing_m", [40.0, pytest.param(1200.0, marks=pytest.mark.slow)])
def test_a_week_by_ten_minutes_says_what_the_naive_twin_says(spacing_m: float) -> None:
    horizon = {"start": "2017-01-02T00:00:00Z", "hours": 168 + 24, "interval_minutes": 10}
    scenario = Scenario.model_validate(SMALL | {"horizon": horizon}).with_changes(network={"spacing_m": spacing_m})
    found = run(scenario, profiles=draw_by_ten_minutes())
    table = found.table("en50160").to_pandas().set_index(["bus", "week"])
    words = set()
    for bus, rows in found.bus_voltage.groupby("bus", observed=True):
        if (bus, 1) not in table.index:
            continue
        phases, vuf = rows[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy().tolist(), rows["vuf_percent"].tolist()
        means = naive.name_means(phases, vuf, [False] * len(rows), 10, 0)
        for week, expected in ((1, means[:1008]), (2, means[1008:])):
            said = naive.judge_week(expected, 10)
            assert tuple(table.loc[(bus, week), ["voltage", "unbalance"]]) == said
            words |= {said[0]} if week == 1 else set()
    assert found.summary["en50160"]["voltage"]["word"] == ("kept" if spacing_m == 40.0 else "not kept")
    assert ("not kept" in words) == (spacing_m == 1200.0)


@pytest.mark.slow
def test_one_minute_and_ten_minutes_agree_where_power_is_constant_within_the_hour() -> None:
    of = {m: run(HOUR.with_changes(horizon={"interval_minutes": m}, events=[], ev={"n_cars": 0})) for m in (1, 10)}
    lowest = [found.table("en50160").to_pandas()["lowest_vm_pu"].to_numpy() for found in of.values()]
    np.testing.assert_allclose(*lowest, atol=2e-3)
