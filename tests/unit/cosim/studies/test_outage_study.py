"""The outage study: the same outages for every variant, means that follow from the table; the how-to's case runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.scenario.files import load_scenario
from cosim.studies.outages import (
    VARIANTS,
    average_outages,
    draw_outage,
    format_markdown,
    list_outage_tasks,
    measure_outage,
)
from market.ledger.check.verify import verify_ledger

ROOT = Path(__file__).parents[4]


def test_every_variant_meets_the_same_outages() -> None:
    tasks = list_outage_tasks(load_scenario("outage"), 2)
    assert len(tasks) == 2 * len(VARIANTS)
    for seed in (1, 2):
        begins = {task.scenario.events[0].start for task in tasks if task.labels["seed"] == seed}  # type: ignore[union-attr]
        assert len(begins) == 1
    assert len({task.labels["begins"] for task in tasks}) == 2


def test_mean_length_of_outages_is_as_said() -> None:
    hours = [draw_outage(np.random.default_rng(seed)).hours for seed in range(2000)]
    assert 11.0 < np.mean(hours) < 14.0
    assert min(hours) >= 1


def test_means_are_by_variant_in_the_order_of_the_list() -> None:
    table = pd.DataFrame(
        {
            "variant": ["b", "a", "b"],
            "energy_not_served_kwh": [1.0, 5.0, 3.0],
            "served_share": 1.0,
            "critical_served_share": 1.0,
            "survival_hours": [2.0, 3.0, 4.0],
            "hours_without_grid": [4.0, 3.0, 4.0],
            "saidi_hours": 0.0,
            "per_year": 2.0,
        }
    )
    means = average_outages(table)
    assert means["variant"].tolist() == ["b", "a"]
    assert means["energy_not_served_kwh"].tolist() == [2.0, 5.0]
    assert means["survived_share"].tolist() == [0.5, 1.0]
    assert means["kwh_per_year"].tolist() == [4.0, 10.0]


@pytest.mark.slow
def test_plugged_in_fuel_cell_serves_more_in_a_random_outage() -> None:
    tasks = {task.labels["variant"]: task for task in list_outage_tasks(load_scenario("outage"), 1)}
    found = {name: measure_outage(tasks[name].scenario) for name in ("base", "one more fuel cell plugged in")}
    assert found["one more fuel cell plugged in"]["served_share"] >= found["base"]["served_share"]


@pytest.mark.slow
def test_case_of_the_how_to_runs_into_two_islands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/how-to/outage.md").read_text(encoding="utf-8")
    text = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)[0]
    Path("mine.toml").write_text(text)
    result = CliRunner().invoke(app, ["run", "mine.toml", "--out", "run"])
    assert result.exit_code == 0, result.output
    parts = pd.read_parquet("run/outage_intervals.parquet")
    assert set(parts["supply"]) == {"island", "grid"}
    assert parts.groupby("time")["part"].max().max() == 1
    assert (parts.loc[parts["supply"] == "island", "imported_wh"] == 0).all()
    assert pd.read_csv("run/registrations.csv")["answer"].tolist() == ["admitted", "admitted"]
    assert {"saidi_hours", "served_share"} <= set(pd.read_parquet("run/resilience.parquet"))
    assert verify_ledger(Path("run")).ok


def test_survival_counts_hours_without_the_grid_only() -> None:
    """Four hours that are all survived are four, though the island waits a fifth beside the grid."""
    scenario = load_scenario("outage").with_changes(
        horizon={"start": "2017-07-18T00:00:00Z", "hours": 24},
        events=[{"kind": "outage", "start": "2017-07-18T12:00:00Z", "hours": 4, "grid": True}],
    )
    found = measure_outage(scenario)
    assert found["critical_served_share"] == 1.0
    assert found["restoration_hours"] == 1.0
    assert found["survival_hours"] == found["hours_without_grid"] == 4.0


def test_outages_that_take_the_grid_from_nobody_have_no_means() -> None:
    """A line of a ring: there is no energy not served to average, and the table says so without a nan."""
    table = pd.DataFrame(
        {"variant": ["a", "a"], "hours_without_grid": [0.0, 0.0], "survival_hours": [0.0, 0.0], "per_year": [2.0, 2.0]}
    )
    means = average_outages(table)
    assert means["energy_not_served_kwh"].isna().all()
    assert means["survived_share"].tolist() == [1.0]
    assert "nan" not in format_markdown(means)
    assert "| – |" in format_markdown(means)
