"""Trades of others: how they are read, and the network's answer to each.

A feeder of two houses on one long cable::

    medium voltage --(transformer)-- low --300 m-- near --300 m-- far
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.validation.trades import Trades, make_traded_interval
from cosim.validation.validate import validate
from data.profiles import Profiles
from grid_models.errors import GridError
from market.exchanges import GRID, Kind

NOON = "2017-06-01T12:00Z"
Row = tuple[str, str, str, float]


def _net() -> pp.pandapowerNet:
    net = pp.create_empty_network(name="two houses")
    medium, low = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="low")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    previous = low
    for name in ("near", "far"):
        bus = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, previous, bus, 0.3, "NAYY 4x50 SE", name=f"to {name}")
        pp.create_load(net, bus, 0.02, name=f"house {name}")
        previous = bus
    return net


def _trades(*rows: Row) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["time", "seller", "buyer", "energy_kwh"])
    return frame.assign(price_eur_per_kwh=0.1)


def _profiles(load_wh: list[list[int]], pv_wh: list[list[int]], names: tuple[str, ...] = ("near", "far")) -> Profiles:
    load = np.array(load_wh)
    return Profiles(np.datetime64("2017-06-01T12:00:00"), 60, names, load, np.array(pv_wh), 0 * load[:, 0], {})


def _traded(pv: list[int], load: list[int], *trades: tuple[int, int, int]) -> tuple[dict[int, int], list[int]]:
    """Grid exchange by house (exports positive), and injections."""
    columns = [np.array(column, np.int64) for column in zip(*trades, strict=True)] or [np.zeros(0, np.int64)] * 3
    codes = Trades(np.zeros(len(trades), np.int64), *columns, np.zeros(len(trades), np.int64))
    found = make_traded_interval(codes, _profiles([load], [pv]), 0)
    rows = found.rows[len(trades) :] if (codes.seller != GRID).all() else found.rows
    grid = {}
    for row in rows:
        sign, house = (1, row["seller"]) if row["kind"] == Kind.GRID_EXPORT else (-1, row["buyer"])
        grid[int(house)] = sign * int(row["cleared_wh"])
    return grid, (found.orders.pv_wh - found.orders.load_wh).tolist()


def test_trades_share_out_what_the_profile_shows() -> None:
    assert _traded([5000, 0], [1000, 3000], (0, 1, 2500)) == ({0: 1500, 1: -500}, [4000, -3000])


def test_a_promise_beyond_the_profile_counts() -> None:
    assert _traded([2000, 0], [1000, 500], (0, 1, 2500)) == ({}, [2500, -2500])


def test_a_seller_in_need_covers_its_own_load_first() -> None:
    assert _traded([0, 0], [1000, 0], (0, 1, 2500)) == ({}, [2500, -2500])


def test_without_profiles_the_trades_alone_are_injected() -> None:
    assert _traded([0, 0], [0, 0], (0, 1, 700)) == ({}, [700, -700])


def test_purchases_from_the_grid_and_uncovered_need_are_one_row() -> None:
    assert _traded([0, 0], [5000, 0], (GRID, 0, 1000), (GRID, 0, 2000)) == ({0: -5000}, [-5000, 0])


def test_what_the_wires_carry_is_accepted_whole() -> None:
    found = validate(_net(), _trades((NOON, "far", "near", 10.0), (NOON, "far", "grid", 5.0)))
    assert found.accepted
    assert found.trades["delivered_wh"].tolist() == [10_000, 5_000]
    assert found.trades["amount_neur"].tolist() == [10_000 * 100_000, 5_000 * 100_000]
    assert found.violations.empty
    assert (found.bus_voltage["before_vm_pu"] == found.bus_voltage["after_vm_pu"]).all()


def test_what_is_cut_names_the_limit_and_ends_at_it() -> None:
    found = validate(
        _net(), _trades((NOON, "far", "near", 30.0), (NOON, "far", "grid", 30.0)), limits={"max_vm_pu": 1.05}
    )
    first, second = found.trades.to_dict("records")
    assert first["status"] == "accepted"
    assert second["status"] == "curtailed"
    assert 0 < second["delivered_wh"] < 30_000
    assert second["delivered_wh"] + second["curtailed_wh"] == 30_000
    bus = int(found.net.bus.index[found.net.bus.name == "far"][0])
    assert (second["reason"], second["element_type"], second["element"]) == ("overvoltage", "bus", bus)
    assert (second["element_name"], second["quantity"], second["limit"]) == ("far", "vm_pu", 1.05)
    assert second["value"] == pytest.approx(found.bus_voltage["before_vm_pu"].max())
    assert 1.0499 < found.bus_voltage["after_vm_pu"].max() <= 1.05
    assert found.summary["agreement"]["intervals"] == 1


def test_a_line_that_is_too_thin_names_itself() -> None:
    found = validate(_net(), _trades((NOON, "grid", "near", 120.0)), limits={"min_vm_pu": 0.5})
    trade = found.trades.iloc[0]
    assert (trade["status"], trade["reason"], trade["element_name"]) == (
        "curtailed",
        "line_overload",
        "to near",
    )
    assert found.branch_loading["after_loading_percent"].max() <= 100.0
    assert found.houses["shed_wh"].sum() == trade["curtailed_wh"]


def test_an_interval_beyond_repair_settles_nothing() -> None:
    found = validate(_net(), _trades((NOON, "far", "near", 1.0)), limits={"min_vm_pu": 1.01})
    assert found.summary["intervals"]["de_energised"] == 1
    assert found.trades["status"].tolist() == ["rejected"]
    assert found.trades["amount_neur"].tolist() == [0]
    assert found.bus_voltage["after_vm_pu"].isna().all()


@pytest.mark.parametrize("rule", ["least_curtailment", "pro_rata", "lifo", "max_min", "reject"])
def test_every_rule_ends_clean(rule: str) -> None:
    trades = _trades(*((NOON, "far", "near", 20.0 + k) for k in range(3)), (NOON, "far", "grid", 30.0))
    found = validate(_net(), trades, rule=rule, limits={"max_vm_pu": 1.04})
    assert not found.accepted
    assert found.bus_voltage["after_vm_pu"].max() <= 1.04
    if rule == "reject":
        assert set(found.trades["status"]) <= {"accepted", "rejected"}


def test_profiles_are_part_of_what_is_judged() -> None:
    trades = _trades((NOON, "far", "near", 5.0))
    assert validate(_net(), trades, limits={"max_vm_pu": 1.03}).accepted
    sunny = _profiles([[0, 0]], [[0, 60_000]])
    found = validate(_net(), trades, sunny, limits={"max_vm_pu": 1.03})
    assert found.accepted  # the uncovered surplus is cut before the trade
    assert found.intervals["before"].tolist() == ["violated"]
    assert found.houses["spilled_wh"].sum() > 0


def test_a_trader_is_a_load_or_a_bus_or_in_the_table() -> None:
    by_load = validate(_net(), _trades((NOON, "house far", "house near", 5.0)))
    by_bus = validate(_net(), _trades((NOON, "far", "near", 5.0)))
    by_table = validate(_net(), _trades((NOON, "ann", "bob", 5.0)), participants={"ann": "far", "bob": "near"})
    for found in (by_bus, by_table):
        assert (found.bus_voltage["after_vm_pu"] == by_load.bus_voltage["after_vm_pu"]).all()


def test_the_nets_own_load_is_kept_on_demand() -> None:
    trades = _trades((NOON, "far", "near", 5.0))
    plain, kept = (validate(_net(), trades, keep_elements=keep) for keep in (False, True))
    assert kept.bus_voltage["after_vm_pu"].min() < plain.bus_voltage["after_vm_pu"].min() - 0.01


def test_the_users_tables_stay_as_they_are() -> None:
    net, trades = _net(), _trades((NOON, "far", "near", 5.0))
    before = trades.copy()
    validate(net, trades)
    pd.testing.assert_frame_equal(trades, before)
    assert len(net.load) == 2


def test_participants_table_must_know_every_trader() -> None:
    with pytest.raises(GridError, match="participant 'ann'"):
        validate(_net(), _trades((NOON, "ann", "near", 5.0)))


@pytest.mark.slow
def test_command_writes_all_tables_and_says_no_when_strict(tmp_path: Path) -> None:
    pp.to_json(_net(), str(tmp_path / "net.json"))
    _trades((NOON, "far", "near", 30.0), (NOON, "far", "grid", 30.0)).to_csv(tmp_path / "trades.csv", index=False)
    files = ["--net", str(tmp_path / "net.json"), "--trades", str(tmp_path / "trades.csv")]
    out = tmp_path / "judged"
    run = CliRunner().invoke(app, ["validate", *files, "--max-vm-pu", "1.05", "--strict", "--out", str(out)])
    assert run.exit_code == 1, run.output
    assert "row 3 curtailed: overvoltage, bus far" in run.output
    tables = {"trades.csv", "intervals.csv", "houses.csv", "violations.csv", "summary.json"}
    assert {path.name for path in out.iterdir()} == {*tables, "bus_voltage.parquet", "branch_loading.parquet"}
    written = pd.read_csv(out / "trades.csv")
    assert written["status"].tolist() == ["accepted", "curtailed"]
    assert written["row"].tolist() == [2, 3]
    as_json = CliRunner().invoke(app, ["validate", *files, "--max-vm-pu", "1.05", "--json"])
    assert as_json.exit_code == 0
    assert json.loads(as_json.output) == json.loads((out / "summary.json").read_text())
    clean = CliRunner().invoke(app, ["validate", *files, "--max-vm-pu", "1.2", "--strict"])
    assert clean.exit_code == 0, clean.output
