"""Networks as people have them, by `gridsettle validate` and `run`: solved as given and said, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

INPUTS = Path(__file__).parent / "inputs" / "networks"
"""Small nets; their trades are 1 kWh from the grid to H1, 40 kWh or 5 kWh to H4."""


def write_trades(tmp_path: Path, buyer: str, kwh: float) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(f"time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-06-01T12:00Z,grid,{buyer},{kwh},0.1\n")
    return path


def judge(net: Path, trades: Path, *options: str) -> tuple[dict[str, float], str]:
    """Voltage of each bus with the trades as given, and what was said; on screen and in the summary it is the same."""
    out = trades.parent / f"judged {len(list(trades.parent.iterdir()))}"
    command = ["validate", "--net", str(net), "--trades", str(trades), "--out", str(out), *options]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    notes = json.loads((out / "summary.json").read_text())["network"]["notes"]
    assert all(f"note: {note}" in shown.stdout for note in notes)
    voltage = pd.read_parquet(out / "bus_voltage.parquet")
    return dict(zip(voltage["bus"], voltage["before_vm_pu"], strict=True)), " | ".join(notes)


def refused(net: Path, trades: Path, *words: str) -> None:
    run = CliRunner().invoke(app, ["validate", "--net", str(net), "--trades", str(trades)])
    assert run.exit_code == 2, run.output
    lines = run.stderr.strip().splitlines()
    assert len([line for line in lines if line.startswith("gridsettle: ")]) == 1
    assert "Traceback" not in run.stderr
    for word in words:
        assert word in run.stderr


def changed(tmp_path: Path, name: str, change: Callable[[Any], None]) -> Path:
    """A net of the inputs, changed, in a file of its own."""
    net = pp.from_json(str(INPUTS / name))
    change(net)
    pp.to_json(net, str(tmp_path / name))
    return tmp_path / name


def test_generators_and_motors_are_replaced_like_loads(tmp_path: Path) -> None:
    voltage, said = judge(INPUTS / "gen-not-replaced.json", write_trades(tmp_path, "H1", 1.0))
    assert voltage["H4"] == pytest.approx(0.99967, abs=5e-6)
    assert "participants replace: motors (1), generators (1); keep_elements = true keeps them" in said


def test_generators_and_motors_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    voltage, said = judge(
        INPUTS / "gen-not-replaced.json", write_trades(tmp_path, "H1", 1.0), "--keep-elements", "--max-vm-pu", "1.2"
    )
    assert voltage["H4"] == pytest.approx(1.03, abs=5e-6)
    assert "kept beside the participants: motors (1), generators (1)" in said


@pytest.mark.parametrize("table", ["line", "trafo", "bus", "ext_grid"])
def test_flags_that_are_stored_as_objects_are_understood(tmp_path: Path, table: str) -> None:
    def store_as_objects(net: Any) -> None:
        net[table]["in_service"] = net[table]["in_service"].astype(object)

    net = changed(tmp_path, "object-dtype.json", store_as_objects)
    voltage, _ = judge(net, write_trades(tmp_path, "H1", 1.0))
    assert voltage["H4"] == pytest.approx(0.99967, abs=5e-6)


def test_flags_that_are_words_are_refused_by_name(tmp_path: Path) -> None:
    text = (INPUTS / "object-dtype.json").read_text().replace("true", '\\"ja\\"', 1)
    (tmp_path / "net.json").write_text(text)
    refused(tmp_path / "net.json", write_trades(tmp_path, "H1", 1.0), "in_service", "row 0", "'ja'")


def test_controllers_are_not_run_and_that_is_said(tmp_path: Path) -> None:
    voltage, said = judge(INPUTS / "oltc-controller.json", write_trades(tmp_path, "H4", 5.0))
    assert voltage["H4"] == pytest.approx(0.9253, abs=5e-5)
    assert "'controller' are left out: objects stored in a net are never run; tap positions and setpoints stay" in said


def test_taps_without_a_type_have_no_effect_and_that_is_said(tmp_path: Path) -> None:
    trades = write_trades(tmp_path, "H4", 40.0)
    voltage, said = judge(INPUTS / "tap-type-missing.json", trades)
    assert voltage["H4"] == pytest.approx(0.9637, abs=5e-5)
    assert "trafo 0 'T1': its tap position 2 has no effect, since tap_changer_type is empty" in said


def test_taps_of_a_type_have_an_effect(tmp_path: Path) -> None:
    def name_the_type(net: Any) -> None:
        net.trafo["tap_changer_type"] = "Ratio"

    net = changed(tmp_path, "tap-type-missing.json", name_the_type)
    voltage, said = judge(net, write_trades(tmp_path, "H4", 40.0))
    assert voltage["H4"] == pytest.approx(0.9141, abs=5e-5)
    assert said == ""


@pytest.mark.parametrize("column", ["tap_neutral", "tap_side", "tap_step_percent"])
def test_taps_that_lack_another_column_are_said(tmp_path: Path, column: str) -> None:
    def leave_out(net: Any) -> None:
        net.trafo["tap_changer_type"] = "Ratio"
        net.trafo[column] = None if column == "tap_side" else float("nan")

    net = changed(tmp_path, "tap-type-missing.json", leave_out)
    voltage, said = judge(net, write_trades(tmp_path, "H4", 40.0))
    assert voltage["H4"] == pytest.approx(0.9637, abs=5e-5)
    assert f"has no effect, since {column} is empty" in said


def test_ratings_of_switches_are_said_not_to_be_judged(tmp_path: Path) -> None:
    def add_rated_switch(net: Any) -> None:
        pp.create_switch(net, net.line.from_bus.iloc[0], net.line.index[0], "l", in_ka=0.0001)

    net = changed(tmp_path, "object-dtype.json", add_rated_switch)
    _, said = judge(net, write_trades(tmp_path, "H1", 1.0))
    assert "1 switches with a rated current (in_ka): carried in the power flow, their loading is not judged" in said


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("line", "r_ohm_per_km", float("nan"), "line 3: r_ohm_per_km is empty"),
        ("trafo", "vk_percent", float("nan"), "trafo 0: vk_percent is empty"),
        ("ext_grid", "vm_pu", float("nan"), "ext_grid 0: vm_pu is empty"),
        ("line", "to_bus", 99, "line 3, column to_bus: expected the index of a bus, got 99"),
    ],
)
def test_what_keeps_a_net_from_being_solved_is_named(
    tmp_path: Path, table: str, column: str, value: float, said: str
) -> None:
    def damage(net: Any) -> None:
        net[table].loc[net[table].index[-1], column] = value

    net = changed(tmp_path, "object-dtype.json", damage)
    refused(net, write_trades(tmp_path, "H1", 1.0), said)


def test_every_column_may_be_stored_as_objects(tmp_path: Path) -> None:
    def store_as_objects(net: Any) -> None:
        for table in ("bus", "line", "trafo", "ext_grid"):
            net[table] = net[table].astype(object)

    net = changed(tmp_path, "object-dtype.json", store_as_objects)
    voltage, _ = judge(net, write_trades(tmp_path, "H1", 1.0))
    assert voltage["H4"] == pytest.approx(0.99967, abs=5e-6)


def test_direct_current_is_refused_by_name(tmp_path: Path) -> None:
    net = changed(tmp_path, "object-dtype.json", lambda net: pp.create_bus_dc(net, 1.0))
    refused(net, write_trades(tmp_path, "H1", 1.0), "expected an AC network, got DC buses", "'bus_dc'")


@pytest.mark.slow
def test_options_stored_in_the_net_are_followed_and_said(tmp_path: Path) -> None:
    def store_options(net: Any) -> None:
        net.user_pf_options = {"trafo_model": "pi", "algorithm": "bfsw", "max_iteration": 1}

    net = changed(tmp_path, "object-dtype.json", store_options)
    _, said = judge(net, write_trades(tmp_path, "H1", 1.0))
    assert said == "options for runpp that are stored in the net are followed: trafo_model = pi"


SCENARIO = """
name = "given"
[horizon]
start = 2017-06-01T10:00:00Z
hours = 2
[profiles]
source = "table"
file = "profiles.csv"
price_eur_per_kwh = 0.3
[network]
source = "file"
file = "net.json"
participants = "participants.csv"
[battery]
capacity_kwh_min = 0
capacity_kwh_max = 0
"""


@pytest.mark.slow
def test_notes_on_the_net_are_on_screen_in_the_summary_and_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.json").write_text((INPUTS / "gen-not-replaced.json").read_text())
    Path("participants.csv").write_text("participant,bus\nann,H1\nbob,H2\n")
    rows = [f"2017-06-01T{hour}:00Z,{who},1,0" for hour in (10, 11) for who in ("ann", "bob")]
    Path("profiles.csv").write_text("\n".join(["time,participant,load_kwh,pv_kwh", *rows]) + "\n")
    Path("given.toml").write_text(SCENARIO)
    shown = CliRunner().invoke(app, ["run", "given.toml", "--out", "out"])
    assert shown.exit_code == 0, shown.output
    note = "elements of the net that participants replace: motors (1), generators (1); keep_elements = true keeps them"
    assert json.loads(Path("out/summary.json").read_text())["network"]["notes"] == [note]
    assert f"note: {note}" in shown.stdout
    assert note in Path("out/report.html").read_text()
