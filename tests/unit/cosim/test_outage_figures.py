"""Figures of an outage show what the table says: stacks that balance, gaps in the dark, shares by priority."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cosim import Result, Scenario, run
from cosim.report.outage_figures import (
    charge_and_hydrogen,
    frequency,
    outage_figures,
    outages,
    served_by_priority,
    supply,
)

EVENTS: list[dict[str, Any]] = [
    {"kind": "outage", "start": "2017-06-20T18:00:00Z", "hours": 12, "grid": True},
    {"kind": "outage", "start": "2017-06-20T20:00:00Z", "hours": 6, "switches": ["branch 2"]},
    {"kind": "register", "at": "2017-06-20T21:00:00Z", "participant": "house_03", "device": "fuel_cell"},
    {"kind": "outage", "start": "2017-06-22T03:00:00Z", "hours": 2, "grid": True},
]


@pytest.fixture(scope="module")
def result() -> Result:
    """Two outages; in the first, branch 2 is cut off for six hours: nobody holds it, it is dark."""
    scenario = Scenario().with_changes(
        horizon={"hours": 72, "start": "2017-06-20T00:00:00Z"},
        houses={"n_houses": 8, "n_prosumers": 4},
        network={"n_branches": 2},
        battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        community={"enabled": True, "fuel_cell": "pem-1.26kw"},
        events=EVENTS,
        engine={"verify_sample": 0},
    )
    return run(scenario)


@pytest.fixture(scope="module")
def parts(result: Result) -> pd.DataFrame:
    frame: pd.DataFrame = result.table("outage_intervals").to_pandas()
    return frame


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def test_each_outage_is_a_frame_of_its_own(parts: pd.DataFrame) -> None:
    first, second = outages(parts, 1.0)
    assert (len(first.index.unique()), len(second.index.unique())) == (13, 3)
    assert "grid" not in set(first["supply"])


def test_bars_stack_to_the_load_plus_what_is_stored_and_lost(parts: pd.DataFrame) -> None:
    first, _ = outages(parts, 1.0)
    figure = supply(first, 1.0)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    stacked = np.sum([np.asarray(bar.y, dtype=float) for bar in bars], axis=0)
    load = np.asarray(traces(figure)["load asked for"].y, dtype=float)[:-1]
    assert stacked == pytest.approx(load, abs=0.02)
    assert float(np.sum(traces(figure)["not served"].y)) > 0.0


def test_dark_part_has_no_frequency_and_the_lit_one_has(parts: pd.DataFrame) -> None:
    first, _ = outages(parts, 1.0)
    figure = frequency(first, 1.0)
    dark = first[first["supply"] == "dark"]
    assert len(dark) == 6
    values = np.concatenate([np.asarray(trace.y, dtype=float) for trace in figure.data])
    assert np.isnan(values).sum() >= 6
    assert np.nanmin(values) > 49.5


def test_legend_tells_the_share_of_the_whole_outage(parts: pd.DataFrame) -> None:
    first, _ = outages(parts, 1.0)
    names = [trace.name for trace in served_by_priority(first, 1.0).data]
    critical = 100.0 * first["critical_served_wh"].sum() / first["critical_wh"].sum()
    assert names[0] == f"critical load, {critical:.1f} % over all"


def test_charge_is_at_the_ends_of_the_intervals(parts: pd.DataFrame) -> None:
    _, second = outages(parts, 1.0)
    figure = charge_and_hydrogen(second, 1.0)
    assert list(pd.DatetimeIndex(figure.data[0].x)) == [t + pd.Timedelta(hours=1) for t in second.index]
    assert list(figure.data[0].y) == pytest.approx((100.0 * second["soc"]).round(3).tolist())


def test_every_outage_has_its_four_figures_and_the_device_is_marked(
    result: Result, parts: pd.DataFrame
) -> None:
    found = outage_figures(parts, result.table("registrations").to_pandas(), 1.0)
    keys = [f"outage-{n}-{key}" for n in (1, 2) for key in ("supply", "charge", "frequency", "served")]
    assert [figure.key for figure in found] == keys
    words = [note.text for note in found[0].figure.layout.annotations]
    assert "house_03 plugged-in fuel cell: refused" in words  # its branch is dark
    assert not any("house_03" in note.text for note in found[4].figure.layout.annotations)
    assert "2017-06-20 18:00 UTC, 13 h" in found[0].caption


def test_run_without_outage_has_no_figures() -> None:
    empty = pd.DataFrame({"time": pd.to_datetime([], utc=True), "supply": [], "part": []})
    assert outage_figures(empty, pd.DataFrame({"time": [], "device": [], "answer": []}), 1.0) == []
