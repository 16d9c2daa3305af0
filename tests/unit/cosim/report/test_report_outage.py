"""The outage section shows the run's tables: metrics by outage, islands, houses, devices, figures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figures import check_figure

from cosim import Result, Scenario, run
from cosim.report.elements import PageSection
from cosim.report.sections.outage import make_outage_sections
from cosim.report.tables.branches import find_participants_behind, injection_kw, summarise_branches
from cosim.report.tables.run_tables import RunTables, read_run

SCENARIO = Scenario().with_changes(
    horizon={"hours": 96, "start": "2017-01-10T00:00:00Z"},
    houses={"n_houses": 6, "n_prosumers": 3},
    network={"n_branches": 2},
    community={"enabled": True, "battery_kwh": 25.0, "fuel_cell": "pem-1.26kw", "tank_kg": 1.0},
    events=[
        {"kind": "outage", "start": "2017-01-10T16:00:00Z", "hours": 10, "grid": True},
        {"kind": "outage", "start": "2017-01-12T16:00:00Z", "hours": 6, "switches": ["branch 2"]},
        {
            "kind": "register",
            "at": "2017-01-10T20:00:00Z",
            "participant": "house_03",
            "device": "fuel_cell",
            "preset": "pem-1.26kw",
        },
    ],
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(SCENARIO, tmp_path_factory.mktemp("outage") / "run")


@pytest.fixture(scope="module")
def tables(result: Result) -> RunTables:
    return read_run(result)


@pytest.fixture(scope="module")
def section(tables: RunTables) -> PageSection:
    (found,) = make_outage_sections(tables)
    return found


@pytest.mark.slow
def test_a_transformer_that_an_outage_cuts_off_has_no_loading_and_no_losses(result: Result, tables: RunTables) -> None:
    """It is cut off as long as medium voltage is dark, and the wait of the island for the grid is part of that."""
    summary = summarise_branches(tables).set_index("element")
    assert summary["losses_kwh"].sum() == pytest.approx(result.energy_balance["losses_wh"].sum() / 1000, rel=0.002)
    loading = tables.loading_percent[("trafo", "transformer")]
    dark = tables.lowest_vm_pu["medium voltage"].isna()
    assert dark.sum() >= 10
    pd.testing.assert_series_equal(loading.isna(), dark, check_names=False)
    assert summary.loc["transformer", "mean_loading_percent"] == pytest.approx(loading[~dark].mean())
    assert summary.loc["transformer", "p95_loading_percent"] == pytest.approx(loading[~dark].quantile(0.95))


def test_in_an_island_nothing_flows_towards_the_grid(result: Result, tables: RunTables) -> None:
    """Without the hours of the outages the reverse flow of lines is the same."""
    with_grid = ~result.intervals["outcome"].eq("islanded").to_numpy()
    behind = find_participants_behind(tables.feeder.net, list(tables.feeder.participants))
    assert behind is not None
    flow = injection_kw(tables)[list(tables.feeder.participants)].to_numpy() @ behind.T
    summary = summarise_branches(tables).query("element_type == 'line'")
    branch_2 = summary["element"].str.startswith("main 2").to_numpy()
    expected = (flow[with_grid] > 0).sum(axis=0)
    assert (flow[~with_grid][:, branch_2] > 0).any()
    np.testing.assert_array_equal(summary["reverse_flow_hours"][branch_2], expected[branch_2])


def rows_of(section: PageSection, key: str) -> list[list[object]]:
    table = next(table for table in section.tables if table.key == key)
    return [[cell.text if cell.value is None else cell.value for cell in row] for row in table.rows]


def test_each_outage_is_measured_by_itself(result: Result) -> None:
    resilience = result.resilience
    assert list(resilience.index) == ["all", "1", "2"]
    assert resilience["hours_without_grid"]["all"] == resilience["hours_without_grid"][["1", "2"]].sum()
    not_served = resilience["energy_not_served_kwh"]
    assert not_served["all"] == pytest.approx(not_served[["1", "2"]].sum())
    assert resilience["begin"]["2"] == pd.Timestamp("2017-01-12T16:00:00Z")
    assert resilience["served_share"]["all"] == result.summary["resilience"]["served_share"]
    assert result.directory is not None
    written = pd.read_parquet(result.directory / "resilience.parquet").set_index("outage")
    pd.testing.assert_frame_equal(written, resilience, check_dtype=False)


def test_metrics_are_those_of_the_parts(section: PageSection, tables: RunTables) -> None:
    parts = tables.outage_intervals
    parts = parts[parts["supply"] != "grid"]
    shown = {row[0]: row[2] for row in rows_of(section, "resilience")}
    assert shown["energy not served"] == pytest.approx((parts["load_wh"] - parts["served_wh"]).sum() / 1000)
    assert shown["load served"] == pytest.approx(100 * parts["served_wh"].sum() / parts["load_wh"].sum())
    assert shown["lowest hydrogen"] == pytest.approx(parts["hydrogen_kg"].min())
    tile = next(fact for fact in section.facts if fact.key == "outage_served_share")
    assert tile.cell.value == shown["load served"]


def test_islands_and_their_formers_are_named(section: PageSection, tables: RunTables) -> None:
    rows = rows_of(section, "islands")
    parts = tables.outage_intervals[tables.outage_intervals["supply"] != "grid"]
    assert sum(float(str(row[4])) for row in rows) == len(parts)
    assert {row[2] for row in rows} == {former or "nobody" for former in parts["former"].fillna("")}
    assert {row[0] for row in rows} == {"1", "2"}


def test_houses_that_went_short_come_first(section: PageSection, tables: RunTables) -> None:
    rows = rows_of(section, "outage-houses")
    shares = [float(str(row[3])) for row in rows if row[3] != "–"]
    assert shares == sorted(shares)
    times = tables.outage_intervals.loc[tables.outage_intervals["supply"] != "grid", "time"]
    shed = tables.meter("shed_wh").loc[pd.DatetimeIndex(times.unique())]
    assert rows[0][2] == pytest.approx(shed[str(rows[0][0])].sum() / 1000)


def test_a_plugged_in_device_is_listed_with_its_answer(section: PageSection) -> None:
    (row,) = rows_of(section, "devices")
    assert row[0] == "2017-01-10 20:00"
    assert "house_03" in str(row[1])
    assert row[3] in ("admitted", "refused")


def test_supply_and_load_are_drawn_to_the_wh(section: PageSection, tables: RunTables) -> None:
    figures = {figure.key: check_figure(figure.figure) for figure in section.figures}
    assert list(figures) == ["outage-supply", "outage-priority", "outage-stores", "outage-frequency"]
    parts = tables.outage_intervals[tables.outage_intervals["supply"] != "grid"]
    drawn = [trace for trace in figures["outage-supply"].data if trace.name == "batteries"]
    assert len(drawn) == 2
    total = sum(float(np.sum(trace.y)) for trace in drawn)
    assert total == pytest.approx(parts["discharge_wh"].sum() / 1000, abs=0.05)
    by_priority = sum(float(np.sum(trace.y)) for trace in figures["outage-priority"].data)
    assert by_priority == pytest.approx(parts["load_wh"].sum() / 1000, abs=0.05)
    for figure in figures.values():
        axes = [axis.title.text for axis in figure.select_yaxes() if axis.title.text]
        assert axes
        assert all(re.search(r", (kW|%|kg|Hz)$", title) for title in axes), axes


def test_columns_that_a_table_lacks_are_not_drawn(tables: RunTables) -> None:
    from dataclasses import replace

    gone = ["frequency_hz", "soc", "hydrogen_kg", "fuel_cell_wh"]
    (found,) = make_outage_sections(replace(tables, outage_intervals=tables.outage_intervals.drop(columns=gone)))
    assert [figure.key for figure in found.figures] == ["outage-supply", "outage-priority"]


def test_two_outages_are_two_interruptions_however_far_apart() -> None:
    out = {"kind": "outage", "hours": 2, "grid": True}
    starts = ("2017-01-10T04:00:00Z", "2017-01-11T04:00:00Z")
    dark = run(
        SCENARIO.with_changes(
            horizon={"hours": 36},
            community={"enabled": False},
            battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
            events=[{**out, "start": start} for start in starts],
        )
    )
    assert dark.resilience["saifi"].tolist() == [2.0, 1.0, 1.0]
    assert dark.summary["resilience"]["saifi"] == 2.0
    assert dark.resilience["saidi_hours"].tolist() == [4.0, 2.0, 2.0]


def test_a_run_without_outages_has_no_section(tmp_path: Path) -> None:
    calm = run(SCENARIO.with_changes(events=[], horizon={"hours": 6}))
    assert make_outage_sections(read_run(calm)) == []
    assert calm.resilience.empty
