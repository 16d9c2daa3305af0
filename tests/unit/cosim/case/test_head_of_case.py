"""The head of a case's feeder: one voltage and one limit for each interval, and what does not go together with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.case.head import check_head, check_no_head
from cosim.case.kept import HEAD_FILE
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from data.errors import DataError
from data.heads import HeadSeries, make_head_series, read_heads, write_heads

HOURS = 24
SUNNY = Scenario(
    "head",
    name="head",
    horizon={"start": "2017-06-01T00:00:00Z", "hours": HOURS},
    houses={"n_houses": 5, "n_prosumers": 4, "production_ratio": 4.0},
    market={"feed_in": True},
    ledger={"facts": True},
)
LIMITED = (10, 12, 13)


def make_series(seed: int = 0, limit_percent: float = 1.0) -> HeadSeries:
    time = np.datetime64("2017-06-01T00:00:00") + np.arange(HOURS) * np.timedelta64(3600, "s")
    limits = np.full(HOURS, math.inf)
    limits[list(LIMITED)] = limit_percent
    return make_head_series(time, np.random.default_rng(seed).uniform(0.97, 1.02, HOURS), limits, "test")


def with_series(scenario: Scenario, folder: Path, **series: Any) -> Scenario:
    folder.mkdir(exist_ok=True)
    path = folder / "head_of_feeder.parquet"
    write_heads(make_series(**series), path)
    return scenario.with_changes(network={"head_file": path})


@pytest.mark.slow
def test_a_limit_is_that_of_the_branches_at_the_head(tmp_path: Path) -> None:
    case = build_case(with_series(SUNNY, tmp_path))
    at = case.at(12, 13)
    assert at.limits.max_trafo_loading_percent.tolist() == [1.0]
    np.testing.assert_array_equal(at.limits.max_line_loading_percent, case.limits.max_line_loading_percent)
    assert case.at(14, 15).limits is case.limits
    assert case.head is not None
    assert [case.head.count_without_limit(t, 4) for t in (0, 6, 8, 9, 13, 20)] == [4, 4, 2, 1, 1, 4]


@pytest.mark.slow
def test_a_case_without_a_series_is_left_as_it_is() -> None:
    case = build_case(SUNNY)
    assert case.at(0, 3) is case
    assert case.at_each(np.arange(3)) is case


@pytest.mark.slow
def test_a_run_with_a_series_is_sound_in_all_that_is_judged(tmp_path: Path) -> None:
    scenario = with_series(SUNNY, tmp_path)
    result = run(scenario, tmp_path / "run")
    narrow = run(scenario.with_changes(engine={"window": 1}), tmp_path / "narrow")
    assert result.summary["ledger"] == narrow.summary["ledger"]
    assert result.summary["ledger"] != run(SUNNY, tmp_path / "plain").summary["ledger"]
    assert result.summary["agreement"]["max_vm_error_pu"] < 1e-9
    outcome = result.table("intervals").column("outcome").to_pylist()
    assert [outcome[t] for t in LIMITED] == ["curtailed"] * 3
    loading = result.table("branch_loading").to_pandas()
    trafo = loading[loading["element_type"] == "trafo"]["loading_percent"].to_numpy()
    assert (trafo[list(LIMITED)] <= 1.0).all()
    assert trafo.max() > 1.0
    voltage = result.table("bus_voltage").to_pandas()
    first = voltage.groupby("time", sort=True).first()["vm_pu"].to_numpy()
    np.testing.assert_allclose(first, make_series().vm_pu, atol=1e-12)
    scenario.network.head_file.unlink()  # type: ignore[union-attr]  # the run has its own
    audit = audit_ledger(tmp_path / "run", sample=None)
    assert audit.findings == ()
    assert len(audit.cleared) == HOURS
    assert rerun_ledger(tmp_path / "run").n_different == 0


@pytest.mark.slow
def test_another_series_in_a_run_directory_is_found(tmp_path: Path) -> None:
    run(with_series(SUNNY, tmp_path), tmp_path / "run")
    kept = tmp_path / "run" / HEAD_FILE
    series = read_heads(kept)
    vm = series.vm_pu.copy()
    vm[12] += 1e-9
    write_heads(make_head_series(series.time, vm, series.max_loading_percent, "t"), kept)
    found = audit_ledger(tmp_path / "run", sample=2).findings
    assert [finding.height for finding in found] == [0]
    assert "head_sha256" in found[0].what
    write_heads(make_series(seed=1), kept)
    assert len(audit_ledger(tmp_path / "run", sample=6).findings) > 6
    kept.unlink()
    with pytest.raises(ScenarioError, match=r"head\.parquet: expected the series of the head that the run kept"):
        audit_ledger(tmp_path / "run")


APART: dict[str, dict[str, Any]] = {
    "network.model: expected balanced": {"network": {"model": "three_phase"}},
    "pv.control: expected none": {"pv": {"control": "q_v"}},
    "pv.volt_watt: expected false": {"pv": {"volt_watt": True}},
    "tap_changer.enabled: expected false": {"tap_changer": {"enabled": True}},
    "market.network: expected after": {"market": {"network": "envelope"}},
    "events: expected none": {
        "events": [{"kind": "outage", "start": "2017-06-01T05:00:00Z", "hours": 1.0, "grid": True}]
    },
}


@pytest.mark.parametrize("words", APART)
def test_what_needs_one_voltage_is_refused_by_name(words: str) -> None:
    with pytest.raises(ScenarioError, match=f"scenario 'head', {words} where the head's voltage is given for each"):
        check_head(SUNNY.with_changes(**APART[words]))


def test_a_private_ledger_is_refused_by_name() -> None:
    private = SUNNY.model_copy(update={"ledger": SUNNY.ledger.model_copy(update={"private": True})})
    with pytest.raises(ScenarioError, match=r"ledger\.private: expected false where the head's voltage is given"):
        check_head(private)


def test_a_series_is_refused_where_it_would_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"network\.head_file: expected none for a served run"):
        check_no_head(SUNNY.with_changes(network={"head_file": tmp_path / "h.csv"}), "a served run")
    check_no_head(SUNNY, "a served run")


@pytest.mark.slow
def test_a_series_has_to_cover_the_run(tmp_path: Path) -> None:
    longer = with_series(SUNNY, tmp_path).with_changes(horizon={"hours": HOURS + 1})
    with pytest.raises(DataError, match="expected a row for each interval, got none for 2017-06-02T00:00:00 UTC"):
        build_case(longer)
