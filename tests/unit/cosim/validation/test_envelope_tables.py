from __future__ import annotations

import json
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.report.figures.envelopes import draw_envelopes
from cosim.validation.envelope_files import CONNECTION_KW
from cosim.validation.envelopes import COLUMNS, find_operating_envelopes
from data.errors import DataError
from data.profiles import Profiles

N = 8


@lru_cache(maxsize=1)
def _make_net() -> Any:
    net = pn.create_kerber_landnetz_kabel_1()
    net.load["name"] = [f"house {k}" for k in range(len(net.load))]
    return net


def _net() -> Any:
    return deepcopy(_make_net())


def _customers(n: int, most_kw: float = 30.0) -> pd.DataFrame:
    return pd.DataFrame({COLUMNS[0]: [f"house {k}" for k in range(n)], COLUMNS[1]: most_kw, COLUMNS[2]: most_kw})


def _profiles(load_kwh: list[float], pv_kwh: float = 0.0) -> Profiles:
    load = np.repeat(np.rint(1000 * np.array(load_kwh))[:, None], N, axis=1).astype(np.int64)
    pv = np.full_like(load, round(1000 * pv_kwh))
    names, price = tuple(f"house {k}" for k in range(N)), np.full(len(load), 200_000)
    return Profiles(np.datetime64("2017-06-01T00:00:00"), 60, names, load, pv, price, {})


def test_a_table_has_a_row_for_each_interval_and_customer() -> None:
    found = find_operating_envelopes(_net(), _customers(2), _profiles([1.0, 2.0, 3.0]), rule="max_min")
    assert found.table[["time", "participant"]].drop_duplicates().shape[0] == len(found.table) == 6
    assert found.table["robust"].all()
    assert set(found.table["rule"]) == {"max_min"}
    assert (found.table["import_kw"] <= 0.0).all()
    assert str(found.table["time"].iloc[2]) == "2017-06-01 01:00:00+00:00"
    assert found.summary["intervals"] == 3


def test_load_of_others_leaves_less_import_and_more_export() -> None:
    found = find_operating_envelopes(_net(), _customers(2, 200.0), _profiles([0.0, 4.0]))
    idle, busy = (rows for _, rows in found.table.groupby("time"))
    assert (busy["import_kw"].to_numpy() > idle["import_kw"].to_numpy() + 1.0).all()
    assert (busy["export_kw"].to_numpy() > idle["export_kw"].to_numpy() + 1.0).all()


def test_what_customers_do_themselves_is_left_out_with_a_note() -> None:
    mine = find_operating_envelopes(_net(), _customers(N, 200.0), _profiles([4.0]))
    none = find_operating_envelopes(_net(), _customers(N, 200.0))
    assert mine.table["export_kw"].to_numpy() == pytest.approx(none.table["export_kw"].to_numpy(), abs=1e-3)
    assert any("profiles of 8 customers such as 'house 0' are left out" in note for note in mine.notes)
    assert any("nobody else draws" in note for note in none.notes)


def test_intervals_that_others_break_alone_are_named() -> None:
    found = find_operating_envelopes(_net(), _customers(2), _profiles([1.0, 40.0]))
    assert found.table["robust"].tolist() == [True, True, False, False]
    assert found.failing["time"].tolist() == ["2017-06-01 01:00:00"]
    assert found.failing[["element", "quantity"]].to_numpy().tolist() == [["trafo 1", "max_loading_percent"]]
    assert found.failing["corner"].tolist() == ["no customer acts"]
    json.dumps(found.summary)


def test_without_profiles_what_fails_has_no_time() -> None:
    found = find_operating_envelopes(_net(), _customers(2), limits={"min_vm_pu": 1.05})
    assert [row["time"] for row in json.loads(json.dumps(found.summary))["not_robust"]] == [None]


@pytest.mark.slow
def test_phases_stop_customers_on_phases() -> None:
    phases = {f"house {k}": "abc"[k % 3] for k in range(N)}
    ratios = {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0}
    net = _net()
    net.ext_grid[["s_sc_max_mva", "rx_max", "x0x_max", "r0x0_max"]] = 1000.0, 0.1, 1.0, 0.1
    found = find_operating_envelopes(
        net, _customers(3, 60.0), _profiles([0.5]), model="three_phase", phases=phases, zero_sequence=ratios
    )
    balanced = find_operating_envelopes(_net(), _customers(3, 60.0), _profiles([0.5]))
    assert found.table["robust"].all()
    assert found.table["export_kw"].max() < balanced.table["export_kw"].min()
    assert (found.table["export_element"] != "connection").all()


@pytest.mark.parametrize(
    ("customers", "says"),
    [
        (pd.DataFrame({"participant": ["house 0"]}), "most_export_kw"),
        (_customers(2).assign(participant="house 0"), "expected each customer once, got 'house 0'; remove the row"),
        (_customers(1, -1.0), "expected a power from 0 to 100,000 kW, got '-1'; correct the row"),
        (_customers(1, np.nan), "expected a power from 0 to 100,000 kW, got nothing"),
        (_customers(1).assign(tariff="x"), "column 'tariff'"),
        (_customers(0), "expected at least one row"),
        (_customers(1).assign(participant="nobody"), "participant 'nobody'"),
    ],
)
def test_bad_customers_are_refused(customers: pd.DataFrame, says: str) -> None:
    with pytest.raises((DataError, ValueError), match=says):
        find_operating_envelopes(_net(), customers)


def test_a_rule_that_there_is_not_is_refused() -> None:
    with pytest.raises(DataError, match="expected one of equal, proportional, max_total, max_min, got 'fair'"):
        find_operating_envelopes(_net(), _customers(1), rule="fair")


@lru_cache(maxsize=1)
def _write_net() -> str:
    return str(pp.to_json(_make_net()))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "net.json").write_text(_write_net())
    _customers(3).to_csv(tmp_path / "customers.csv", index=False)
    return tmp_path


def _run(files: Path, *options: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["envelope", "--net", str(files / "net.json"), *options])
    return answer.exit_code, answer.output


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_command_writes_the_table(files: Path, ending: str) -> None:
    out = files / "new" / f"envelopes.{ending}"
    code, said = _run(files, "--customers", str(files / "customers.csv"), "--rule", "max_total", "--out", str(out))
    assert code == 0, said
    assert "limits: highest loading: 100 % of" in said
    table = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert table["participant"].tolist() == ["house 0", "house 1", "house 2"]
    assert table["robust"].all()


@pytest.mark.slow
def test_the_command_takes_all_named_loads_of_the_net(files: Path) -> None:
    code, said = _run(files, "--json", "--head-vm-pu", "0.98,1.03")
    assert code == 0, said
    summary = json.loads(said)
    assert (summary["customers"], summary["rule"], summary["not_robust"]) == (N, "equal", [])
    assert 0.0 < summary["export"]["least_kw"] < CONNECTION_KW
    assert summary["export"]["jain"] == pytest.approx(1.0)
    assert {row["quantity"] for row in summary["limits"]} == {"min_vm_pu", "max_vm_pu", "max_loading_percent"}


@pytest.mark.slow
def test_strict_ends_with_one_where_an_interval_has_no_safe_range(files: Path) -> None:
    code, said = _run(files, "--head-vm-pu", "1.2", "--strict")
    assert code == 1
    assert "no safe range: others alone break" in said
    assert "no customer acts, head at 1.2 pu" in said.replace("\n", " ")


LATE = pytest.mark.slow  # what is read after the net


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(("--rule", "fair"), "rule: expected one of equal", marks=LATE),
        pytest.param(
            ("--head-vm-pu", "high"), "--head-vm-pu: expected voltages such as 0.98,1.03, got 'high'", marks=LATE
        ),
        pytest.param(("--head-vm-pu", "230"), "voltage of the head: expected 0.5 <= value <= 1.5, got 230", marks=LATE),
        (("--out", "table.xlsx"), "--out: expected a file that ends in .csv or .parquet"),
        (("--figure", "bands.html"), "--figure: expected --profiles, whose day it shows, got none; give them"),
        (("--figure", "bands.svg", "--profiles", "others.csv"), "--figure: expected a file that ends in .html"),
        pytest.param(("--connection-kw", "-3"), "expected a power from 0 to 100,000 kW", marks=LATE),
        pytest.param(("--customers", "none.csv"), "none.csv", marks=LATE),
    ],
)
def test_bad_options_end_with_two_and_leave_nothing(files: Path, options: tuple[str, ...], says: str) -> None:
    before = sorted(files.iterdir())
    code, said = _run(files, *options)
    assert code == 2, said
    assert says in said.replace("\n", " ")
    assert sorted(files.iterdir()) == before


@pytest.mark.slow
def test_one_source_says_what_connections_can_do(files: Path) -> None:
    code, said = _run(files, "--customers", str(files / "customers.csv"), "--connection-kw", "10")
    assert code == 2
    assert "leave one of them out" in said.replace("\n", " ")


def test_help_is_shown() -> None:
    answer = CliRunner().invoke(app, ["envelope", "--help"])
    assert answer.exit_code == 0
    assert "--head-vm-pu" in answer.output


def test_the_figure_shows_what_is_safe_on_every_day() -> None:
    """Export of one house at noon: 5 kW on one day, 3 kW on the next."""
    times = pd.date_range("2017-06-01", periods=48, freq="h", tz="UTC")
    table = pd.DataFrame({"time": times, "participant": "<b>a</b>", "import_kw": -1.0, "export_kw": 5.0})
    table.loc[36:, "export_kw"] = 3.0
    figure = draw_envelopes(table, "equal", "Europe/Madrid")
    always = next(trace for trace in figure.data if trace.name == "export safe on every day")
    best = next(trace for trace in figure.data if trace.name == "export safe on the best day")
    assert dict(zip(always.x, always.y, strict=True))[15.0] == 3.0  # 13 h of UTC
    assert set(best.y) == {5.0}
    assert figure.layout.annotations[0].text == "&lt;b&gt;a&lt;/b&gt;"
