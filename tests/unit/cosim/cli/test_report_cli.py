"""The commands report and compare: what they write, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.report.comparison import compare_runs, write_comparison
from cosim.results.result import Result
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.validation.hosting import find_hosting

SMALL = Scenario().with_changes(
    horizon={"hours": 24, "start": "2017-06-01T00:00:00Z"}, houses={"n_houses": 4, "n_prosumers": 2}
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run(SMALL, folder / "poor")
    run(SMALL.with_changes(houses={"production_ratio": 1.5}, market={"feed_in": True}), folder / "rich")
    return folder


@pytest.mark.slow
def test_report_writes_a_page_and_a_table(runs: Path) -> None:
    ended = CliRunner().invoke(app, ["report", str(runs / "poor")])
    assert ended.exit_code == 0, ended.output
    assert (runs / "poor" / "report.html").stat().st_size > 1_000_000
    assert len(pd.read_csv(runs / "poor" / "branch_summary.csv")) > 4
    assert "report.html" in ended.output


@pytest.mark.slow
def test_hosting_capacity_is_an_option_of_the_report(runs: Path) -> None:
    ended = CliRunner().invoke(app, ["report", str(runs / "rich"), "--hosting", "--quiet"])
    assert ended.exit_code == 0, ended.output
    page = (runs / "rich" / "report.html").read_text(encoding="utf-8")
    capacity = find_hosting(Result.load(runs / "rich").scenario)
    written = pd.read_csv(runs / "rich" / "hosting.csv")
    assert list(written["largest_kw"]) == pytest.approx(list(capacity.houses["largest_kw"]))
    assert f'data-key="hosting_scaling" data-value="{capacity.scaling}"' in page
    assert capacity.bound_by in page
    for file in ("report.html", "hosting.csv"):
        (runs / "rich" / file).unlink()


def test_no_chromium_is_said_before_anything_is_written(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(runs))
    ended = CliRunner().invoke(app, ["report", str(runs / "rich"), "--pdf"])
    assert ended.exit_code == 2
    assert "expected a Chromium" in ended.output
    assert not (runs / "rich" / "report.html").exists()


def test_report_of_no_run_is_bad_input(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert ended.exit_code == 2
    assert "expected a finished run" in ended.output


def test_compare_sets_runs_side_by_side(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "side"
    ended = CliRunner().invoke(app, ["compare", str(runs / "poor"), str(runs / "rich"), "--out", str(out), "--json"])
    assert ended.exit_code == 0, ended.output
    rows = {row["quantity"]: row for row in json.loads(ended.stdout)}
    houses = {name: pd.read_parquet(runs / name / "houses.parquet") for name in ("poor", "rich")}
    for name, frame in houses.items():
        assert rows["exported by houses"][name] == pytest.approx(frame["exported_wh"].sum() / 1000)
    more = rows["exported by houses"]["rich"] - rows["exported by houses"]["poor"]
    assert more > 0
    assert rows["exported by houses"]["rich minus poor"] == pytest.approx(more)
    for name in ("poor", "rich"):
        loading = pd.read_parquet(runs / name / "branch_loading.parquet")
        assert rows["highest loading"][name] == loading["loading_percent"].max()
    table = pd.read_csv(out / "comparison.csv").set_index("quantity")
    assert table.loc["exported by houses", "rich minus poor"] == pytest.approx(more)
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert page.count("Plotly.newPlot(") >= 2


def test_compare_prints_a_table(runs: Path, tmp_path: Path) -> None:
    given = ["compare", str(runs / "poor"), str(runs / "rich"), "--out", str(tmp_path)]
    ended = CliRunner().invoke(app, given, env={"COLUMNS": "160"})
    assert ended.exit_code == 0
    assert "load asked for" in ended.output
    assert "Δ rich" in ended.output


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["poor"], "two or more"),
        (["poor", "poor"], "each run once"),
        (["poor", "none"], "expected a finished run"),
    ],
)
def test_compare_refuses(runs: Path, tmp_path: Path, given: list[str], expected: str) -> None:
    ended = CliRunner().invoke(app, ["compare", *(str(runs / name) for name in given), "--out", str(tmp_path / "x")])
    assert ended.exit_code == 2
    assert expected in ended.output
    assert not (tmp_path / "x").exists()


def test_runs_of_different_length_are_not_compared_silently(runs: Path, tmp_path: Path) -> None:
    run(SMALL.with_changes(horizon={"hours": 6}), tmp_path / "short")
    written = write_comparison(compare_runs([runs / "poor", tmp_path / "short"]), tmp_path / "side")[1]
    assert "The runs differ in length (poor 24 h, short 6 h)" in written.read_text(encoding="utf-8")
    alike = write_comparison(compare_runs([runs / "poor", runs / "rich"]), tmp_path / "alike")[1]
    assert "differ in length" not in alike.read_text(encoding="utf-8")
