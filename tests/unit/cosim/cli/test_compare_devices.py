"""The command compare of runs with cars and heat pumps: on screen, as CSV and as a page; and what it says of phases."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.results.labels import CARS, CARS_LEFT_SHORT, HEAT_PUMPS, OUTAGE_DEVICES, PUT_OFF_KWH
from cosim.results.result import Result
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run

pytestmark = pytest.mark.slow  # four written runs

STREET = Scenario().with_changes(
    horizon={"hours": 10, "start": "2017-01-16T16:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 2},
    network={"n_branches": 1},
    ev={"n_cars": 4, "charger_kw": 7.4},
    heat_pump={"n_heat_pumps": 2},
    engine={"verify_sample": 0},
)
OUTAGE = {"kind": "outage", "grid": True, "start": "2017-01-16T18:00:00Z", "hours": 5}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run(STREET, folder / "street")
    run(STREET.with_changes(events=[OUTAGE], limits={"min_vm_pu": 0.97}), folder / "outage")
    run(STREET.with_changes(network={"model": "three_phase"}), folder / "phases")
    bare = STREET.with_changes(ev={"n_cars": 0, "charger_kw": 11.0}, heat_pump={"n_heat_pumps": 0})
    run(bare, folder / "bare")
    return folder


def list_expected(result: Result) -> dict[str, float]:
    """Rows of a run with devices, from its tables."""
    cars, pumps = result.ev, result.heat_pumps
    rows = {
        CARS["charged"]: cars["given_wh"].sum() / 1000.0,
        CARS["shifted"]: (cars["wanted_wh"] - cars["given_wh"]).sum() / 1000.0,
        CARS["not_served"]: cars["unserved_wh"].sum() / 1000.0,
        CARS_LEFT_SHORT: (cars["unserved_wh"] > 0).sum(),
        HEAT_PUMPS["consumed"]: pumps["given_wh"].sum() / 1000.0,
        HEAT_PUMPS["shifted"]: (pumps["wanted_wh"] - pumps["given_wh"]).sum() / 1000.0,
        HEAT_PUMPS["shortfall"]: pumps["shortfall_wh"].sum() / 1000.0,
    }
    if len(result.resilience):
        rows |= {label: result.resilience.loc["all", key] for key, label in OUTAGE_DEVICES.items()}
    return rows


def test_cars_and_heat_pumps_are_compared(runs: Path, tmp_path: Path) -> None:
    chosen = [runs / "street", runs / "outage", runs / "bare"]
    ended = CliRunner().invoke(app, ["compare", *map(str, chosen), "--out", str(tmp_path)], env={"COLUMNS": "200"})
    assert ended.exit_code == 0, ended.output
    table = pd.read_csv(tmp_path / "comparison.csv").set_index("quantity")
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    for name in ("street", "outage"):
        for label, value in list_expected(Result.load(runs / name)).items():
            assert table.loc[label, name] == pytest.approx(value), label
            assert table.loc[label, "group"] == "cars and heat pumps"
            assert label in ended.output
            assert label in page
    assert table.loc[[*CARS.values(), *HEAT_PUMPS.values(), *OUTAGE_DEVICES.values()], "bare"].isna().all()
    assert table.loc[OUTAGE_DEVICES["put_off_kwh"], "outage"] > 0.0
    assert table.loc[PUT_OFF_KWH, "outage"] > 0.0
    assert "Phases are taken" not in ended.output


def test_runs_without_any_have_no_such_rows(runs: Path, tmp_path: Path) -> None:
    run(Result.load(runs / "bare").scenario.with_changes(seed=2), tmp_path / "other")
    ended = CliRunner().invoke(
        app, ["compare", str(runs / "bare"), str(tmp_path / "other"), "--out", str(tmp_path / "c")]
    )
    assert ended.exit_code == 0, ended.output
    assert "cars" not in (tmp_path / "c" / "comparison.csv").read_text()


def test_what_keeps_runs_from_being_compared_is_on_screen(runs: Path, tmp_path: Path) -> None:
    given = ["compare", str(runs / "street"), str(runs / "phases"), "--out", str(tmp_path)]
    warning = "Phases are taken as balanced in street: voltages and loadings there are those of all three"
    assert f"note: {warning}" in CliRunner().invoke(app, given, env={"COLUMNS": "200"}).output
    assert warning in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    quiet = CliRunner().invoke(app, [*given, "--quiet"])
    assert "note:" not in quiet.output
