"""What `validate` says of trades without a power flow, of shed load, and of options that would do nothing.

A feeder of two houses on one long cable::

    medium voltage --(transformer)-- low --300 m-- near --300 m-- far
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.validation.trades import make_empty_profiles
from cosim.validation.validate import validate
from data.errors import DataError
from data.trades import trades_from_frame
from grid_models.feeder.feeder import make_feeder

NOON, ONE = "2017-06-01T12:00Z", "2017-06-01T13:00Z"
Row = tuple[str, str, str, float]


def make_net() -> Any:
    net = pp.create_empty_network(name="two houses")
    medium, low = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="low")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name, before in (("near", low), ("far", low + 1)):
        bus = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, before, bus, 0.3, "NAYY 4x50 SE", name=f"to {name}", max_i_ka=9.0)
    return net


def make_trades(*rows: Row) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["time", "seller", "buyer", "energy_kwh"])
    return frame.assign(price_eur_per_kwh=0.1)


def run_command(folder: Path, trades: pd.DataFrame, *options: str) -> Any:
    net, table = folder / "net.json", folder / "trades.csv"
    pp.to_json(make_net(), str(net))
    trades.to_csv(table, index=False)
    return CliRunner().invoke(app, ["validate", "--net", str(net), "--trades", str(table), *options])


@pytest.mark.slow
def test_trades_without_a_power_flow_name_the_limit_that_the_delivered_part_reaches() -> None:
    found = validate(make_net(), make_trades((NOON, "grid", "far", 999.0)))
    trade = found.trades.iloc[0]
    assert (trade["status"], trade["reason"]) == ("curtailed", "not_solved")
    assert (trade["element_type"], trade["element_name"], trade["limit"]) == ("bus", "far", 0.9)
    assert trade["value"] == found.bus_voltage["after_vm_pu"].min() == pytest.approx(0.9, abs=0.0045)
    assert found.summary["energy_kwh"]["shed"] == trade["curtailed_wh"] / 1000 == found.houses["shed_wh"].sum() / 1000


@pytest.mark.slow
def test_the_screen_has_words_for_what_is_not_solved_and_says_what_is_shed(tmp_path: Path) -> None:
    run = run_command(tmp_path, make_trades((NOON, "grid", "far", 999.0)))
    assert run.exit_code == 0, run.output
    shown = " ".join(run.output.split())
    assert "nan" not in shown
    assert "voltages not solved before, 0.9" in shown
    assert "highest loading not solved before" in shown
    assert "not solved as given: the power flow of these trades has no solution, delivered up to bus far at" in shown
    assert "load shed: 9" in shown
    assert "before: without" not in shown


@pytest.mark.slow
def test_intervals_without_a_power_flow_are_counted_beside_the_others(tmp_path: Path) -> None:
    run = run_command(tmp_path, make_trades((NOON, "grid", "far", 999.0), (ONE, "grid", "far", 1.0)))
    assert "before: without 1 of 2 intervals" in run.output
    assert "not solved before" not in run.output
    calm = run_command(tmp_path, make_trades((ONE, "grid", "far", 1.0)))
    assert "not solved" not in calm.output
    assert "shed" not in calm.output


def test_a_feeder_that_is_off_has_no_voltages_on_the_screen(tmp_path: Path) -> None:
    run = run_command(tmp_path, make_trades((NOON, "far", "near", 1.0)), "--min-vm-pu", "1.01")
    shown = " ".join(run.output.split())
    assert "pu before, none after" in shown
    assert "% before, none after" in shown
    assert "nan" not in run.output


@pytest.mark.parametrize("options", [(), ("--pv-control", "q_v"), ("--pv-control", "none")])
def test_a_power_factor_that_no_control_has_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    run = run_command(tmp_path, make_trades((NOON, "far", "near", 1.0)), "--cos-phi", "0.95", *options)
    assert run.exit_code == 2
    for part in ("--cos-phi", "--pv-control cos_phi", "--load-cos-phi"):
        assert part in " ".join(run.output.split())
    used = run_command(tmp_path, make_trades((NOON, "far", "near", 1.0)), "--cos-phi", "0.9", "--pv-control", "cos_phi")
    assert used.exit_code == 0, used.output


def test_keys_of_the_inverters_that_do_nothing_are_refused_in_python() -> None:
    with pytest.raises(ScenarioError, match=r"pv\.cos_phi"):
        validate(make_net(), make_trades((NOON, "far", "near", 1.0)), pv={"cos_phi": 0.9})


def test_options_beside_what_decides_them_are_refused() -> None:
    """Profiles have intervals of their own, a feeder has its participants and elements."""
    trades = make_trades((NOON, "far", "near", 1.0))
    profiles = make_empty_profiles(trades_from_frame(trades, "trades"), ("far", "near"), 60)
    with pytest.raises(DataError, match="interval_minutes: expected 60, as in the profiles"):
        validate(make_net(), trades, profiles, interval_minutes=15)
    assert validate(make_net(), trades, profiles, interval_minutes=60).accepted
    feeder = make_feeder("street", make_net(), ("far", "near"), [3, 2])
    assert validate(feeder, trades).accepted
    with pytest.raises(DataError, match="participants: expected none"):
        validate(feeder, trades, participants={"far": 3, "near": 2})
    with pytest.raises(DataError, match="keep_elements: expected none"):
        validate(feeder, trades, keep_elements=True)
