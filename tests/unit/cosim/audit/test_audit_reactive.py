"""Audits of runs whose loads draw reactive power: silent where it is theirs, loud where it is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phase_world import make_street

from cosim import Scenario, ScenarioError, run
from cosim.audit.audit import audit_ledger
from cosim.audit.reactive import find_tan_phi
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case
from cosim.case.inputs import read_inputs
from cosim.case.kept import PROFILES_FILE
from cosim.delivery.reactive import IN_PROFILES
from cosim.interval.fold import run_intervals
from cosim.recording.recorder import open_recorder
from cosim.results.directory import prepare_directory, write_table
from cosim.results.publication import publish_run
from cosim.results.tables import make_houses_table
from cosim.simulation.simulate import write_inputs
from data.tables import write_profiles
from market.exchanges import METER
from market.ledger.check.verify import verify_ledger
from market.ledger.format.records import RecordKind, select_rows
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

pytestmark = pytest.mark.slow  # whole runs and their audits

GRID_OUT = {"kind": "outage", "start": "2017-01-17T10:00:00Z", "hours": 3, "grid": True}
DAY = Scenario().with_changes(
    horizon={"hours": 18, "start": "2017-01-17T00:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 3},
    network={"n_branches": 1, "spacing_m": 300.0},
    limits={"min_vm_pu": 0.988},
    ledger={"facts": True},
    engine={"verify_sample": 4},
)


def read_tan_phi_ppm(directory: Path) -> list[int]:
    with Store.open_to_read(directory) as store:
        return select_rows(decode_records(store.block(0).records), RecordKind.HOUSE)["load_tan_phi_ppm"].tolist()


def with_reactive_table(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with its profiles as a table that has reactive power."""
    profiles, _ = read_inputs(scenario)
    rng = np.random.default_rng(3)
    varh = np.rint(profiles.load_wh * rng.uniform(-0.2, 0.6, profiles.load_wh.shape)).astype(np.int64)
    write_profiles(dataclasses.replace(profiles, load_varh=varh), folder / "mine.parquet")
    houses = {key: value for key, value in scenario.houses.model_dump().items() if key in ("wallet_eur",)}
    table = {"source": "table", "file": folder / "mine.parquet"}
    return Scenario().with_changes(
        **{**scenario.model_dump(exclude={"houses", "profiles"}), "houses": houses, "profiles": table}
    )


@pytest.mark.parametrize("events", [[], [GRID_OUT]], ids=["whole", "outage"])
@pytest.mark.parametrize("source", ["power factors", "profiles"])
def test_an_honest_run_passes_every_audit(source: str, events: list[Any], tmp_path: Path) -> None:
    scenario = DAY.with_changes(events=events)
    if source == "profiles":
        scenario = with_reactive_table(scenario, tmp_path)
    result = run(scenario, tmp_path / "run")
    outcomes = result.summary["network"]["outcomes"]
    assert outcomes.get("shed", 0) > 0
    assert (result.houses["q_var"] < 0).any()
    stated = {"power factors": [328_684] * 5, "profiles": [IN_PROFILES] * 5}[source]
    assert read_tan_phi_ppm(tmp_path / "run") == stated
    assert verify_ledger(tmp_path / "run").ok
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "run").ok


def test_reactive_power_that_is_not_the_loads_own_is_found_and_named(tmp_path: Path) -> None:
    """An operator who leaves out what the loads draw: fewer limits are broken so."""
    honest = build_case(DAY.with_changes(ledger={"facts": False}))
    blind = dataclasses.replace(honest, load_reactive=None)
    directory = tmp_path / "run"
    prepare_directory(directory, resume=False)
    group = list(run_intervals(blind, blind.opening))
    with open_recorder(honest, directory, resume=False) as recorder:
        recorder.record(group)
    write_inputs(honest, directory)
    write_table(directory, "houses", make_houses_table(honest, group[0]))
    assert verify_ledger(directory).ok
    found = audit_ledger(directory, sample=None).findings
    assert any(
        "that no load draws, though no inverter is under control: at 5 houses such as 'house_01'" in one.what
        for one in found
    ), found[:3]
    assert not rerun_ledger(directory).ok


def test_profiles_with_reactive_power_are_taken_from_the_meters_where_all_load_was_served(tmp_path: Path) -> None:
    for name, limit in (("whole", 0.9), ("shed", 0.988)):
        scenario = with_reactive_table(DAY, tmp_path).with_changes(limits={"min_vm_pu": limit})
        run(scenario, tmp_path / name)
        (tmp_path / name / PROFILES_FILE).unlink()
    assert rerun_ledger(tmp_path / "whole").ok
    with pytest.raises(ScenarioError, match=r"expected profiles\.parquet, since the reactive power of the profiles"):
        rerun_ledger(tmp_path / "shed")


def test_where_no_load_was_served_nothing_says_what_it_would_draw() -> None:
    meters = np.zeros(3, METER)
    meters["load_wh"], meters["shed_wh"], meters["q_var"] = [500, 500, 0], [0, 500, 0], [-250, 0, 0]
    tan_phi = find_tan_phi(meters, np.array([IN_PROFILES] * 3), 60)
    np.testing.assert_array_equal(tan_phi, [0.5, np.nan, 0.0])
    np.testing.assert_array_equal(find_tan_phi(meters, np.array([250_000] * 3), 60), [0.25] * 3)


def test_a_run_of_an_earlier_version_is_audited_as_one_without_reactive_power(tmp_path: Path) -> None:
    """Its scenario has no power factor of loads, and its ledger was begun without one."""
    scenario = DAY.with_changes(houses={"load_cos_phi": 1.0})
    assert not run(scenario, tmp_path / "run").houses["q_var"].any()
    assert read_tan_phi_ppm(tmp_path / "run") == [0] * 5
    file = tmp_path / "run" / "scenario.toml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("load_cos_phi")))
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "run").ok


def test_a_published_run_on_a_network_from_a_file_is_audited_by_the_power_factors_that_it_states(
    tmp_path: Path,
) -> None:
    """Nothing of the user's files is published: neither the net as it was given nor the table of participants."""
    run(make_street(tmp_path / "street", hours=8, network={"model": "balanced"}), tmp_path / "run")
    assert set(read_tan_phi_ppm(tmp_path / "run")) == {328_684}
    publish_run(tmp_path / "run", tmp_path / "public")
    assert audit_ledger(tmp_path / "public", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "public").ok
