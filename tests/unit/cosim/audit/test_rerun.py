"""The audit that runs again: silent on every honest run, wherever its inputs are taken from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks
import pytest
from typer.testing import CliRunner, Result

from cosim import Scenario, run
from cosim.audit.rebuild import Origin
from cosim.audit.rerun import Rerun, rerun_ledger
from cosim.case.idle_keys import without_idle_keys
from cosim.case.inputs import read_inputs
from cosim.case.kept import PROFILES_FILE
from cosim.cli.app import app
from cosim.errors import ScenarioError
from data.tables import write_profiles
from market.mechanisms import find_mechanism

pytestmark = pytest.mark.slow  # runs, made again

GRID_OUT = {"kind": "outage", "start": "2017-06-20T10:00:00Z", "hours": 12, "grid": True}
BRANCH_OUT = {"kind": "outage", "start": "2017-06-20T13:00:00Z", "hours": 5, "switches": ["branch 2"]}
RANDOM = {"kind": "random_outages", "per_year": 600.0, "mean_hours": 3.0}
CELL = {"kind": "register", "at": "2017-06-20T16:00:00Z", "participant": "house_03", "device": "fuel_cell"}
PANELS = {"kind": "register", "at": "2017-06-20T05:00:00Z", "participant": "house_05", "device": "pv", "pv_kwp": 3.3}
BATTERY = {"kind": "register", "at": "2017-06-20T06:00:00Z", "participant": "house_06", "device": "battery"}
LEAVING = {"kind": "retire", "at": "2017-06-20T14:00:00Z", "participant": "house_05", "device": "pv"}
WITHOUT = {"kind": "retire", "at": "2017-06-20T09:00:00Z", "participant": "house_02", "device": "battery"}
NO_BATTERIES: dict[str, Any] = {
    "battery": {"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
    "community": {"enabled": False},
}
DAY = Scenario().with_changes(
    horizon={"hours": 26, "start": "2017-06-20T00:00:00Z"},
    houses={"n_houses": 8, "n_prosumers": 4},
    network={"n_branches": 2},
    market={"feed_in": True},
    community={"enabled": True, "battery_kwh": 6.0, "fuel_cell": "pem-1.26kw"},
    engine={"verify_sample": 0},
)
EVENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "two islands": {"events": [GRID_OUT, BRANCH_OUT, CELL]},
    "dark": {"events": [GRID_OUT], **NO_BATTERIES},
    "one branch dark": {"events": [BRANCH_OUT, CELL], **NO_BATTERIES},
    "random": {"events": [RANDOM]},
    "devices": {"events": [PANELS, BATTERY, LEAVING, WITHOUT]},
    "devices in the dark": {"events": [PANELS, GRID_OUT], **NO_BATTERIES},
    "curtailed": {"limits": {"max_vm_pu": 1.001}, "houses": {"n_houses": 8, "n_prosumers": 8, "production_ratio": 2.0}},
    "controlled": {"pv": {"control": "q_v"}, "houses": {"n_houses": 8, "n_prosumers": 8, "production_ratio": 2.0}},
    "quarter hours": {
        "horizon": {"hours": 26, "start": "2017-06-20T00:00:00Z", "interval_minutes": 15},
        "events": [BRANCH_OUT],
        **NO_BATTERIES,
    },
}


def expect_silence(directory: Path, origin: Origin) -> Rerun:
    found = rerun_ledger(directory)
    assert found.differences == ()
    assert found.findings == ()
    assert (found.ok, found.origin) == (True, origin)
    return found


@pytest.mark.parametrize("events", EVENTS)
def test_a_run_gives_what_it_gave(events: str, tmp_path: Path) -> None:
    scenario = DAY.with_changes(**EVENTS[events])
    run(scenario, tmp_path / "run")
    found = expect_silence(tmp_path / "run", Origin.SCENARIO)
    assert found.n_intervals == scenario.horizon.n_intervals
    assert not (tmp_path / "run" / PROFILES_FILE).exists()


def with_table(scenario: Scenario, folder: Path) -> Scenario:
    """The same houses, from a file."""
    plain = scenario.with_changes(events=[], community={"enabled": False})
    write_profiles(read_inputs(plain)[0], folder / "profiles.csv")
    return trim(scenario.with_changes(profiles={"source": "table", "file": folder / "profiles.csv"}))


def trim(scenario: Scenario) -> Scenario:
    """The scenario without keys that do nothing in it."""
    return without_idle_keys(scenario, find_mechanism(scenario.market.mechanism))


@pytest.mark.parametrize("events", EVENTS)
def test_profiles_are_read_from_the_run_or_from_its_ledger(events: str, tmp_path: Path) -> None:
    """The run keeps what it read; without that the meters tell it, whatever outages and devices did to them."""
    run(with_table(DAY.with_changes(**EVENTS[events]), tmp_path), tmp_path / "run")
    (tmp_path / "profiles.csv").unlink()
    expect_silence(tmp_path / "run", Origin.KEPT)
    (tmp_path / "run" / PROFILES_FILE).unlink()
    expect_silence(tmp_path / "run", Origin.LEDGER)


@pytest.mark.parametrize("source", ["synthetic", "table"])
@pytest.mark.parametrize("facts", [False, True])
def test_private_runs_are_audited_by_whoever_can_open_them(source: str, facts: bool, tmp_path: Path) -> None:
    """A private run keeps no profiles: they would tell what each house used."""

    def ledger(*words: str) -> Result:
        return CliRunner().invoke(app, ["ledger", *words])

    keys, directory = tmp_path / "keys", str(tmp_path / "run")
    assert ledger("init", str(keys), "--members", "9").exit_code == 0
    options = {"operator_key": keys / "operator.key", "member_keys": keys, "private": True, "facts": facts}
    scenario = DAY.with_changes(**EVENTS["two islands"], ledger=options)
    run(with_table(scenario, tmp_path) if source == "table" else scenario, directory)
    assert not (tmp_path / "run" / PROFILES_FILE).exists()
    result = ledger("audit", directory, "--rerun", "--open-with", str(keys / "operator.key"))
    assert result.exit_code == 0, result.output
    origin = Origin.LEDGER if source == "table" else Origin.SCENARIO
    assert f"Profiles: {origin.value}." in result.stdout
    assert ledger("audit", directory, "--all", "--open-with", str(keys / "operator.key")).exit_code == 0
    result = ledger("audit", directory, "--rerun")
    assert result.exit_code == 2
    assert "open them with --open-with and the operator's key" in result.stderr


def test_other_profiles_than_the_ledgers_are_refused(tmp_path: Path) -> None:
    scenario = with_table(DAY, tmp_path)
    run(scenario, tmp_path / "run")
    other = read_inputs(DAY.with_changes(seed=2))[0]
    write_profiles(other, tmp_path / "run" / PROFILES_FILE)
    with pytest.raises(ScenarioError, match=r"got another profiles\.parquet"):
        rerun_ledger(tmp_path / "run")
    (tmp_path / "run" / PROFILES_FILE).write_bytes(b"PAR1")
    result = CliRunner().invoke(app, ["ledger", "audit", str(tmp_path / "run"), "--rerun"])
    assert result.exit_code == 2
    assert "expected the profiles that the run kept" in result.stderr


def test_a_network_from_a_file_is_the_recorded_one(tmp_path: Path) -> None:
    """What JSON rounds away changes no record, where exchanges are curtailed neither."""
    net = pandapower.networks.create_kerber_landnetz_kabel_1()
    net.line.r_ohm_per_km *= 1.0 + 1e-3 / 3.0
    pp.to_json(net, str(tmp_path / "net.json"))
    names = [f"house_{k:02d}" for k in range(1, 9)]
    buses = net.load.bus.to_numpy()[:8]
    rows = [f"{name},{bus}" for name, bus in zip(names, buses, strict=True)]
    (tmp_path / "participants.csv").write_text("\n".join(["participant,bus", *rows]))
    scenario = DAY.with_changes(
        network={"source": "file", "file": tmp_path / "net.json", "participants": tmp_path / "participants.csv"},
        community={"enabled": False},
        houses={"n_houses": 8, "n_prosumers": 8, "production_ratio": 3.0},
        limits={"max_vm_pu": 1.01},
    )
    result = run(trim(scenario), tmp_path / "run")
    assert result.summary["network"]["outcomes"]["curtailed"] > 0
    for file in ("net.json", "participants.csv"):
        (tmp_path / file).unlink()
    expect_silence(tmp_path / "run", Origin.SCENARIO)


def test_differences_are_told_up_to_a_bound_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(DAY.with_changes(horizon={"hours": 5}), tmp_path / "run")
    monkeypatch.setattr("cosim.recording.blocks.quantise", lambda values, step: np.rint(values / step).astype(int) + 1)
    found = rerun_ledger(tmp_path / "run", show=2)
    assert (found.ok, found.n_different, len(found.differences)) == (False, 5, 2)
    result = CliRunner().invoke(app, ["ledger", "audit", str(tmp_path / "run"), "--rerun", "--show", "1"])
    assert result.exit_code == 1
    assert "NOT WHAT THE RUN GIVES, 5 blocks with other records, the first difference of 1 is shown" in result.stdout
    assert result.stdout.startswith("block 1: record ")


def test_options_that_do_nothing_are_refused(tmp_path: Path) -> None:
    for options in (["--rerun", "--all"], ["--rerun", "--nonce", "00"], ["--all", "--sample", "3"]):
        result = CliRunner().invoke(app, ["ledger", "audit", str(tmp_path), *options])
        assert result.exit_code == 2
        assert f"{options[0]}: expected" in result.stderr
