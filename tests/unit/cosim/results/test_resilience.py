"""One definition of the hours without the grid: summary, table, report and outage study tell the same number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim import Result, Scenario, run
from cosim.report.sections.outage import make_outage_sections
from cosim.report.tables.run_tables import read_run
from cosim.studies.outages import measure_outage

OUT: dict[str, Any] = {"kind": "outage", "grid": True}


def scenario_of(*outages: tuple[str, float], minutes: int = 60) -> Scenario:
    return Scenario().with_changes(
        horizon={"hours": 12, "start": "2017-06-20T00:00:00Z", "interval_minutes": minutes},
        houses={"n_houses": 3, "n_prosumers": 2},
        network={"n_branches": 1},
        community={"enabled": True},
        engine={"verify_sample": 0},
        events=[{**OUT, "start": f"2017-06-20T{start}:00Z", "hours": hours} for start, hours in outages],
    )


def hours_shown(result: Result) -> dict[str, Any]:
    (section,) = make_outage_sections(read_run(result))
    table = next(table for table in section.tables if table.key == "resilience")
    return {str(row[0].text): row[2] for row in table.rows} | {fact.label: fact.cell for fact in section.facts}


@pytest.mark.parametrize(("hours", "minutes"), [(1, 60), (3, 60), (0.5, 30), (1.25, 15)])
def test_hours_without_the_grid_are_those_of_the_outage_everywhere(hours: float, minutes: int) -> None:
    scenario = scenario_of(("06:00", hours), minutes=minutes)
    result = run(scenario)
    summary, row = result.summary["resilience"], result.resilience.loc["1"]
    assert summary["hours_without_grid"] == row["hours_without_grid"] == hours
    assert summary["restoration_hours"] == row["restoration_hours"] == minutes / 60
    assert (row["end"] - row["begin"]).total_seconds() / 3600 == hours + minutes / 60
    assert (result.intervals.outcome == "islanded").sum() * minutes / 60 == hours + minutes / 60
    assert hours_shown(result)["without the grid"].value == hours
    assert measure_outage(scenario)["hours_without_grid"] == hours


@pytest.mark.slow
def test_where_the_grid_does_not_come_back_nobody_waits_beside_it() -> None:
    result = run(scenario_of(("02:00", 3), ("08:00", 12)))
    table = result.resilience
    assert table["hours_without_grid"].tolist() == [7.0, 3.0, 4.0]
    assert table["restoration_hours"].tolist()[:2] == [1.0, 1.0]
    assert np.isnan(table["restoration_hours"]["2"])
    assert result.summary["resilience"]["restoration_hours"] == 1.0
    note = "outage from 2017-06-20T08:00 UTC lasts beyond the end of the run: 4 of 12 hours are simulated"
    assert note in result.summary["notes"]


@pytest.mark.parametrize("hours", [4, 5])
def test_an_outage_that_the_run_ends_in_has_no_hours_of_restoration(hours: int) -> None:
    result = run(scenario_of(("08:00", hours)))
    assert result.summary["resilience"]["hours_without_grid"] == 4.0
    assert result.summary["resilience"]["restoration_hours"] is None
    assert hours_shown(result)["beside the returned grid, not joined yet"].text == "–"


def test_a_dark_network_is_joined_at_once() -> None:
    dark = scenario_of(("06:00", 2)).with_changes(
        community={"enabled": False}, battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0}
    )
    summary = run(dark).summary["resilience"]
    assert (summary["hours_without_grid"], summary["restoration_hours"]) == (2.0, 0.0)
