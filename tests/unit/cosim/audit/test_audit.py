"""The audit: silent on an honest run, loud on a trade that settled though the wires could not carry it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.audit.audit import audit_ledger
from cosim.case.case import Case, build_case
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.interval.fold import run_intervals
from cosim.recording.recorder import open_recorder
from cosim.results.directory import prepare_directory, write_table
from cosim.results.tables import make_houses_table
from cosim.simulation.simulate import write_inputs
from grid_models.powerflow.limits import Limits
from market.ledger.check.verify import verify_ledger

TIGHT = Scenario().with_changes(
    horizon={"hours": 30, "start": "2017-06-20T00:00:00Z"},
    houses={"load_cos_phi": 1.0},
    market={"feed_in": True},
    limits={"max_vm_pu": 1.004},
    engine={"verify_sample": 0},
)


def _record(case: Case, directory: Path) -> None:
    prepare_directory(directory, resume=False)
    group = list(run_intervals(case, case.opening))
    with open_recorder(case, directory, resume=False) as recorder:
        recorder.record(group)
    write_inputs(case, directory)
    write_table(directory, "houses", make_houses_table(case, group[0]))


@pytest.mark.slow
def test_an_honest_run_with_curtailed_intervals_passes(tmp_path: Path) -> None:
    result = run(TIGHT, tmp_path / "run")
    assert result.summary["network"]["outcomes"]["curtailed"] > 0
    audit = audit_ledger(tmp_path / "run", sample=None)
    assert audit.findings == ()
    assert len(audit.heights) == 30


@pytest.mark.slow
def test_an_inadmissible_trade_with_right_hashes_is_caught_and_named(tmp_path: Path) -> None:
    honest = build_case(TIGHT)
    blind = dataclasses.replace(honest, limits=Limits.from_feeder(honest.feeder, max_vm_pu=1.5))
    _record(blind, tmp_path / "run")
    assert verify_ledger(tmp_path / "run").ok
    audit = audit_ledger(tmp_path / "run", sample=None)
    assert audit.findings
    assert "settled though bus" in audit.findings[0].what
    assert "limit 1.004 pu" in audit.findings[0].what
    result = CliRunner().invoke(app, ["ledger", "audit", str(tmp_path / "run"), "--all"])
    assert result.exit_code == 1
    assert f"block {audit.findings[0].height}: " in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "events",
    [[], [{"kind": "register", "at": "2017-06-20T12:00:00Z", "participant": "house_03", "device": "fuel_cell"}]],
    ids=["none", "a device asks"],
)
def test_a_run_passes_where_next_to_nothing_is_allowed(events: list[dict[str, str]], tmp_path: Path) -> None:
    """Load is shed and the feeder switched off, in an hour with an event too: it has no voltage and no losses then."""
    limits = {"min_vm_pu": 0.99999, "max_vm_pu": 1.00001}
    scenario = TIGHT.with_changes(limits=limits, events=events, ledger={"facts": True})
    outcomes = run(scenario, tmp_path / "run").summary["network"]["outcomes"]
    assert outcomes["de_energised"] > 0
    assert outcomes["shed"] > 0
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()


def test_another_network_or_scenario_is_refused(tmp_path: Path) -> None:
    run(TIGHT, tmp_path / "run")
    scenario = tmp_path / "run" / "scenario.toml"
    text = scenario.read_text()
    scenario.write_text(text.replace("max_vm_pu = 1.004", "max_vm_pu = 1.2"))
    with pytest.raises(ScenarioError, match=r"another scenario\.toml"):
        audit_ledger(tmp_path / "run")
    scenario.write_text(text)
    other = build_case(TIGHT.with_changes(network={"spacing_m": 100.0})).feeder.net
    pp.to_json(other, str(tmp_path / "run" / "network.json"))
    result = CliRunner().invoke(app, ["ledger", "audit", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "another network.json" in result.stderr
