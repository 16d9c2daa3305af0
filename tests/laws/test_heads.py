"""Law: a bundled scenario keeps its ledger head; whatever is added is off until it is asked for, to the bit.

Heads of 0.1.0. `cigre_lv` and `kerber` have new ones since their loads draw reactive power.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim import Scenario, run

BEGINNINGS = {
    ("rural", 48): "5400d115c82439ca",
    ("default", 48): "2d40611ed2e83661",
    ("stressed", 48): "de43e1afc1d5be3e",
    ("reference", 48): "563213099f525d8e",
}
WHOLE = {
    "default": "975624a5b0e37410",
    "rural": "94ebee5b11438e6a",
    "stressed": "d5673ae1d72244a5",
    "outage": "a404f1a459e9df7a",
    "town": "ea77980ada8fe645",
    "reference": "90c8af5e40be17f5",
}


SUBURB = "dbc0eae0f57d014f"
"""A week of June, in which a quarter of all hours is curtailed; the year is for benchmarks."""


def find_head(scenario: Scenario, directory: Path) -> str:
    return str(run(scenario, directory).summary["ledger"]["hash"])[:16]


@pytest.mark.parametrize(("name", "hours"), BEGINNINGS)
def test_the_first_days_of_a_bundled_scenario_keep_their_head(name: str, hours: int, tmp_path: Path) -> None:
    scenario = Scenario.load(name).with_changes(horizon={"hours": hours})
    assert find_head(scenario, tmp_path / "run") == BEGINNINGS[name, hours]


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_a_bundled_scenario_keeps_its_head(name: str, tmp_path: Path) -> None:
    assert find_head(Scenario.load(name), tmp_path / "run") == WHOLE[name]


@pytest.mark.slow
def test_a_week_of_a_suburb_at_its_voltage_limit_keeps_its_head(tmp_path: Path) -> None:
    week = Scenario.load("suburb").with_changes(horizon={"start": "2017-06-15T00:00:00Z", "hours": 168})
    assert find_head(week, tmp_path / "run") == SUBURB
