"""Limits that a net carries beside limits that a person types: the stricter holds, and both are said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.cli.app import app

TRADES = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-06-01T12:00Z,H4,grid,30,0.1\n"


def make_net(path: Path, **columns: Any) -> None:
    """Four houses in a row; 30 kWh of H4 lift it to about 1.034 pu."""
    net = pp.create_empty_network()
    medium, last = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="lv")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, last, "0.25 MVA 20/0.4 kV")
    for name in ("H1", "H2", "H3", "H4"):
        bus = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, last, bus, 0.07, "NAYY 4x50 SE")
        last = bus
    for column, values in columns.items():
        net.bus[column] = values
    pp.to_json(net, str(path))


def judge(tmp_path: Path, *options: str, **columns: Any) -> tuple[dict[str, Any], str]:
    make_net(tmp_path / "net.json", **columns)
    (tmp_path / "trades.csv").write_text(TRADES)
    command = ["validate", "--net", str(tmp_path / "net.json"), "--trades", str(tmp_path / "trades.csv"), *options]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), CliRunner().invoke(app, command).output


def limit(summary: dict[str, Any], quantity: str) -> set[tuple[str, float]]:
    return {(row["origin"], row["highest"]) for row in summary["limits"] if row["quantity"] == quantity}


@pytest.mark.slow
def test_a_limit_that_is_typed_is_kept_beside_a_looser_one_of_the_net(tmp_path: Path) -> None:
    """`faults/limit-overridden`: a trade at 1.034 pu was accepted though 1.02 was asked for."""
    summary, screen = judge(tmp_path, "--max-vm-pu", "1.02", max_vm_pu=1.055)
    assert summary["trades"] == {"accepted": 0, "curtailed": 1, "rejected": 0}
    assert limit(summary, "max_vm_pu") == {("asked", 1.02)}
    assert "limits: highest voltage: 1.02 pu at 6 buses (as asked for)" in screen


@pytest.mark.slow
def test_a_stricter_one_of_the_net_holds_and_is_said(tmp_path: Path) -> None:
    summary, screen = judge(tmp_path, "--max-vm-pu", "1.08", max_vm_pu=[1.1, 1.1, 1.1, 1.1, 1.1, 1.02])
    assert summary["trades"]["curtailed"] == 1
    assert limit(summary, "max_vm_pu") == {("asked", 1.08), ("net", 1.02)}
    assert "highest voltage: 1.08 pu at 5 buses (as asked for), 1.02 pu at 1 bus (the net's own)" in screen
    alone, _ = judge(tmp_path, "--max-vm-pu", "1.08", "--override-limits", max_vm_pu=1.02)
    assert alone["trades"]["accepted"] == 1
    assert limit(alone, "max_vm_pu") == {("asked", 1.08)}


def test_what_nobody_asks_for_is_as_in_the_net(tmp_path: Path) -> None:
    summary, _ = judge(tmp_path, max_vm_pu=[float("nan")] * 5 + [1.02])
    assert summary["trades"]["curtailed"] == 1
    assert limit(summary, "max_vm_pu") == {("default", 1.1), ("net", 1.02)}


@pytest.mark.slow
@pytest.mark.parametrize("band", [(0.0, 2.0), (0.0, 1.1)])
def test_zero_is_no_lower_limit(band: tuple[float, float], tmp_path: Path) -> None:
    """`faults/equal-bus-limits`, feeder_0_2: the net was refused."""
    summary, screen = judge(tmp_path, min_vm_pu=band[0], max_vm_pu=band[1])
    assert summary["trades"]["accepted"] == 1
    assert "limits: lowest voltage: none (0 pu) at 6 buses (the net's own)" in screen


def test_equal_limits_at_the_bus_of_the_grid_are_met(tmp_path: Path) -> None:
    """`faults/equal-bus-limits`: 1 and 1 at the slack bus, as in case33bw, was refused."""
    band = {"min_vm_pu": [1.0] + [0.9] * 5, "max_vm_pu": [1.0] + [1.1] * 5}
    summary, _ = judge(tmp_path, **band)
    assert summary["trades"]["accepted"] == 1


def test_override_without_a_limit_is_refused(tmp_path: Path) -> None:
    make_net(tmp_path / "net.json")
    (tmp_path / "trades.csv").write_text(TRADES)
    files = ["--net", str(tmp_path / "net.json"), "--trades", str(tmp_path / "trades.csv")]
    done = CliRunner().invoke(app, ["validate", *files, "--override-limits"])
    assert done.exit_code == 2
    assert "override = true does nothing where every limit is as_in_net; give a limit" in done.stderr


def test_a_run_says_its_limits_in_summary_and_report(tmp_path: Path) -> None:
    make_net(tmp_path / "net.json", max_vm_pu=[1.1] * 5 + [1.05])
    (tmp_path / "p.csv").write_text("participant,bus\nhouse_01,H1\nhouse_02,H4\n")
    scenario = Scenario().with_changes(
        horizon={"hours": 2},
        houses={"n_houses": 2, "n_prosumers": 1},
        network={"source": "file", "file": tmp_path / "net.json", "participants": tmp_path / "p.csv"},
        limits={"max_vm_pu": 1.08},
    )
    result = run(scenario, tmp_path / "run")
    assert limit(result.summary, "max_vm_pu") == {("asked", 1.08), ("net", 1.05)}
    page = result.report().read_text(encoding="utf-8")
    assert "highest voltage: 1.08 pu at 5 buses (as asked for), 1.05 pu at 1 bus (the net&#39;s own)" in page
