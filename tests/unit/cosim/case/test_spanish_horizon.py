"""The public Spanish file: 35,064 hours from 2015-01-01 00:00 +01:00, and horizons that follow it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim.case.case import build_case, build_market
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from cosim.studies.reference import load_reference

BEGIN = datetime(2014, 12, 31, 23, tzinfo=UTC)
HOURS = 35_064
HEADER = "time,generation biomass,generation solar,total load actual,price day ahead,price actual"


def write_energy(path: Path, hours: int = HOURS) -> Path:
    """A file of the public form with numbers of our own."""
    zone, lines = ZoneInfo("Europe/Madrid"), [HEADER]
    for k in range(hours):
        local = (BEGIN + timedelta(hours=k)).astimezone(zone).isoformat(sep=" ")
        sun = max(0.0, 4000.0 * np.sin(np.pi * (k % 24 - 6) / 12))
        lines.append(f"{local},447.0,{sun:.1f},{25_000 + 40 * (k % 24)}.0,50.1,{40 + k % 24}.41")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def energy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_energy(tmp_path_factory.mktemp("spain") / "energy_dataset.csv")


def test_the_reference_study_has_all_hours_of_the_file(energy: Path) -> None:
    assert energy.read_text().splitlines()[1].startswith("2015-01-01 00:00:00+01:00")
    scenario = load_reference(energy)
    assert (scenario.horizon.start, scenario.horizon.hours) == (BEGIN, HOURS)
    assert build_market(scenario).n_intervals == HOURS


@pytest.mark.slow
def test_the_reference_study_runs_on_the_file_as_documented(energy: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    arguments = ["study", "reference", "--spain", str(energy), "--seeds", "1", "--hours", "48", "--workers", "1"]
    run = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert "48 hours from 2014-12-31T23:00 UTC" in (out / "reference.md").read_text()


def spanish(energy: Path, **horizon: object) -> Scenario:
    return Scenario(profiles={"source": "spain", "file": energy}, **({"horizon": horizon} if horizon else {}))


@pytest.mark.slow
def test_a_horizon_that_is_not_named_follows_the_file_and_says_so(tmp_path: Path) -> None:
    energy = write_energy(tmp_path / "energy.csv", 400)
    case = build_case(spanish(energy))
    assert (case.scenario.horizon.start, case.n_intervals) == (BEGIN, 400)
    assert "horizon from the file: 400 h from 2014-12-31T23:00 UTC" in case.profiles.provenance["notes"]
    assert build_market(spanish(energy, hours=24)).profiles.start == np.datetime64("2014-12-31T23:00")
    from_february = build_market(spanish(energy, start="2015-01-02T00:00Z"))
    assert from_february.n_intervals == 400 - 25


def test_changes_keep_what_was_named_and_what_was_not(tmp_path: Path) -> None:
    energy = write_energy(tmp_path / "energy.csv", 400)
    market = build_market(spanish(energy).with_changes(seed=3))
    assert market.n_intervals == 400
    assert build_market(spanish(energy).with_changes(horizon={"hours": 5})).n_intervals == 5


def test_a_horizon_that_is_named_is_kept_or_refused(tmp_path: Path) -> None:
    energy = write_energy(tmp_path / "energy.csv", 400)
    kept = build_market(spanish(energy, start="2015-01-01T00:00Z", hours=24))
    assert (kept.n_intervals, kept.profiles.provenance.get("notes")) == (24, None)
    with pytest.raises(ScenarioError, match="expected profiles from 2015-01-01"):
        build_market(spanish(energy, start="2015-01-01T00:00Z", hours=400))


def test_synthetic_scenarios_keep_their_horizon() -> None:
    assert build_market(load_scenario("rural").with_changes(horizon={"hours": 24})).n_intervals == 24
