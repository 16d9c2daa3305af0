"""Trades on a street of one-phase houses: each is judged at its phases, and names the phase that it is cut for.

Two streets on one transformer, one of which is longer::

    medium voltage --(transformer)-- low --200 m-- near --200 m-- far
                                      |----200 m-- other
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.validation.phases import Phases
from cosim.validation.validate import Validation, validate
from data.errors import DataError
from grid_models.errors import GridError
from grid_models.feeder.connection import A, B, make_connections
from grid_models.feeder.feeder import make_feeder
from grid_models.phases.fill import FOUR_CORE, fill_zero_sequence

pytestmark = pytest.mark.slow  # each solves a feeder by phases

NOON = "2017-06-01T12:00Z"
RATIOS = {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0}
BUSES = {"ann": "near", "bob": "far", "cem": "other"}


def make_net() -> Any:
    net = pp.create_empty_network(name="two streets")
    medium, low = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="low")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.4 MVA 20/0.4 kV")
    buses = {"low": low}
    for name, before in (("near", "low"), ("far", "near"), ("other", "low")):
        buses[name] = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, buses[before], buses[name], 0.2, "NAYY 4x50 SE", name=f"to {name}")
    return net


def make_trades(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame([(NOON, *row) for row in rows], columns=["time", "seller", "buyer", "energy_kwh"])
    return frame.assign(price_eur_per_kwh=0.1)


def judge(trades: pd.DataFrame, phases: Phases | None, **options: Any) -> Validation:
    options = {"participants": BUSES, "model": "three_phase", "zero_sequence": RATIOS, **options}
    return validate(make_net(), trades, phases=phases, **options)


def list_said(net: Any, **options: Any) -> list[str]:
    """Notes on a net that participants of the two streets trade on."""
    options = {"model": "three_phase", "zero_sequence": RATIOS, "keep_elements": True, **options}
    found = validate(net, make_trades(("ann", "bob", 0.1)), participants=BUSES, **options)
    return list(found.summary["network"]["notes"])


@pytest.mark.parametrize(
    ("model", "ratios", "n"), [("balanced", None, 1), ("three_phase", RATIOS, 0), ("four_wire", RATIOS, 0)]
)
def test_kept_phases_are_a_sum_in_the_balanced_model_alone(model: str, ratios: Any, n: int) -> None:
    net = make_net()
    net.trafo["vector_group"] = "Dyn"
    pp.create_asymmetric_load(net, net.line.to_bus.iloc[0], p_a_mw=0.001, type="wye")
    notes = list_said(net, model=model, zero_sequence=ratios)
    assert sum("sum of their phases" in note for note in notes) == n
    assert any("kept beside the participants: unbalanced loads (1)" in note for note in notes)


@pytest.mark.parametrize(
    ("group", "in_service", "n"), [("Yzn5", True, 1), ("Yzn", True, 1), ("Dyn5", True, 0), ("Yzn", False, 0)]
)
def test_a_transformer_that_the_judge_gets_another_for_is_named(group: str, in_service: bool, n: int) -> None:
    net = make_net()
    spare = pp.create_transformer(net, 0, 1, "0.4 MVA 20/0.4 kV", in_service=in_service)
    net.trafo["vector_group"] = "Dyn"
    net.trafo.loc[spare, "vector_group"] = group
    said = [note for note in list_said(net) if "Yzn" in note]
    words = "Yzn; runpp_3ph, whose Yzn depends on sn_mva, is given a Dyn of the same zero sequence"
    assert said == [f"trafo {spare}: {words}"] * n


@pytest.mark.slow
def test_on_three_phases_it_is_the_balanced_answer() -> None:
    trades = make_trades(("bob", "ann", 20.0), ("bob", "grid", 25.0), ("grid", "cem", 9.0))
    limits = {"max_vm_pu": 1.04}
    balanced = validate(make_net(), trades, participants=BUSES, limits=limits)
    phases = judge(trades, None, limits=limits)
    assert not balanced.accepted
    assert phases.trades["delivered_wh"].tolist() == pytest.approx(balanced.trades["delivered_wh"].tolist(), abs=1)
    for phase in "abc":
        found, expected = phases.bus_voltage[f"before_vm_{phase}_pu"], balanced.bus_voltage["before_vm_pu"]
        np.testing.assert_allclose(found, expected, atol=1e-9)
        of_phase = phases.branch_loading[f"before_loading_{phase}_percent"]
        np.testing.assert_allclose(of_phase, balanced.branch_loading["before_loading_percent"], atol=1e-4)
    assert phases.bus_voltage["before_vuf_percent"].max() < 1e-6
    assert (
        "no phases are given, so that all are on three: loads on a 0, b 0, c 0, abc 3"
        in phases.summary["network"]["notes"]
    )


@pytest.mark.slow
def test_what_is_accepted_when_balanced_is_cut_on_one_phase_and_names_it() -> None:
    trades = make_trades(("bob", "grid", 10.0))
    assert validate(make_net(), trades, participants=BUSES, limits={"max_vm_pu": 1.06}).accepted
    found = judge(trades, {"bob": "b"}, limits={"max_vm_pu": 1.06})
    trade = found.trades.iloc[0]
    assert (trade["status"], trade["reason"]) == ("curtailed", "overvoltage")
    assert (trade["element_name"], trade["phase"], trade["quantity"]) == ("far", "b", "vm_pu")
    assert trade["value"] == pytest.approx(found.bus_voltage["before_vm_b_pu"].max())
    assert 1.0599 < found.bus_voltage["after_vm_b_pu"].max() <= 1.06
    assert found.summary["agreement"]["judge"] == "pandapower.runpp_3ph"
    assert found.summary["agreement"]["max_vm_error_pu"] < 1e-7


def test_tables_have_phases() -> None:
    found = judge(make_trades(("bob", "ann", 9.0)), {"bob": {"load": "b", "pv": "abc"}, "ann": "L1"})
    assert list(found.houses["phase_load"]) == ["a", "b", "abc"]
    assert list(found.houses["phase_pv"]) == ["a", "abc", "abc"]
    of_buses = [
        f"{when}_{what}" for when in ("before", "after") for what in ("vm_a_pu", "vm_b_pu", "vm_c_pu", "vuf_percent")
    ]
    assert list(found.bus_voltage.columns) == ["time", "bus", *of_buses]
    of_branches = [f"{when}_loading_{c}_percent" for when in ("before", "after") for c in "abcn"]
    assert list(found.branch_loading.columns) == ["time", "element_type", "element", *of_branches]
    assert "phase" in found.violations
    assert found.summary["model"] == "three_phase"


def test_a_balanced_answer_has_no_phases() -> None:
    found = validate(make_net(), make_trades(("bob", "ann", 9.0)), participants=BUSES)
    for table in (found.trades, found.houses, found.violations, found.bus_voltage, found.branch_loading):
        assert not [name for name in table.columns if "phase" in name or "_a_" in name]
    assert "model" not in found.summary
    assert "judge" not in found.summary["agreement"]


@pytest.mark.slow
def test_each_trade_names_the_limit_that_it_has_a_part_in() -> None:
    """Bob raises phase b of one street, cem draws phase a of the other down: the worst of all is not what both did."""
    trades = make_trades(("bob", "grid", 14.0), ("grid", "cem", 14.0), ("ann", "grid", 0.1))
    limits = {"max_vm_pu": 1.05, "min_vm_pu": 0.95, "max_vuf_percent": 10.0}
    found = judge(trades, {"ann": "c", "bob": "b", "cem": "a"}, limits=limits)
    answers = found.trades.set_index("seller")[["reason", "element_name", "phase"]]
    assert answers.loc["bob"].tolist() == ["overvoltage", "far", "b"]
    assert answers.loc["grid"].tolist() == ["undervoltage", "other", "a"]
    assert answers.loc["ann"].tolist() == ["none", "", ""]


@pytest.mark.parametrize("rule", ["pro_rata", "lifo", "max_min", "reject"])
def test_every_rule_ends_clean(rule: str) -> None:
    trades = make_trades(("bob", "ann", 8.0), ("bob", "cem", 5.0), ("cem", "grid", 3.0))
    found = judge(trades, {"ann": "a", "bob": "b", "cem": "b"}, rule=rule, limits={"max_vm_pu": 1.05})
    assert not found.accepted
    after = found.bus_voltage[[f"after_vm_{phase}_pu" for phase in "abc"]]
    assert after.max(axis=None) <= 1.05
    assert found.bus_voltage["after_vuf_percent"].max() <= 2.0


def test_other_names_of_phases_change_nothing_but_names() -> None:
    trades = make_trades(("bob", "ann", 8.0), ("bob", "grid", 6.0))
    limits = {"max_vm_pu": 1.05}
    here = judge(trades, {"ann": "a", "bob": "b", "cem": "c"}, limits=limits)
    there = judge(trades, {"ann": "b", "bob": "c", "cem": "a"}, limits=limits)
    assert here.trades["delivered_wh"].tolist() == pytest.approx(there.trades["delivered_wh"].tolist(), abs=1)
    assert there.trades["phase"].tolist() == here.trades["phase"].map({"a": "b", "b": "c", "c": "a"}).tolist()
    np.testing.assert_allclose(here.bus_voltage["before_vm_b_pu"], there.bus_voltage["before_vm_c_pu"], atol=1e-9)


def test_unbalance_that_is_asked_for_binds() -> None:
    found = judge(make_trades(("bob", "grid", 6.0)), {"bob": "b"}, limits={"max_vuf_percent": 0.5})
    trade = found.trades.iloc[0]
    assert (trade["reason"], trade["quantity"], trade["limit"], trade["phase"]) == ("unbalance", "vuf_percent", 0.5, "")
    assert found.bus_voltage["after_vuf_percent"].max() <= 0.5


def test_the_neutral_of_four_wires_binds() -> None:
    """The neutral of bob's cable returns all his current; it is earthed at the transformer alone."""
    options = {"model": "four_wire", "earthing": {"star_earth_ohm": 2.0}}
    found = judge(make_trades(("bob", "grid", 6.0)), {"bob": "b"}, limits={"max_neutral_to_earth_v": 3.0}, **options)
    trade = found.trades.iloc[0]
    assert (trade["status"], trade["reason"], trade["quantity"]) == ("curtailed", "neutral_voltage", "neutral_v")
    assert (trade["element_name"], trade["limit"], trade["phase"]) == ("far", 3.0, "")
    assert 2.99 < found.bus_voltage["after_neutral_v"].max() <= 3.0
    assert found.summary["model"] == "four_wire"
    assert found.summary["agreement"]["judge"] == "OpenDSS"
    assert any("by 2 ohm at each transformer's star point" in note for note in found.summary["network"]["notes"])


TRADES = make_trades(("bob", "ann", 1.0))


def _with_feeder(connections: Any) -> Any:
    net = fill_zero_sequence(make_net(), FOUR_CORE).net
    return replace(make_feeder("street", net, ("ann", "bob"), [2, 3]), connections=connections)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (
            lambda: judge(TRADES, None, model="4ph"),
            DataError,
            "model: expected one of balanced, three_phase, four_wire, got '4ph'",
        ),
        (
            lambda: judge(TRADES, {"bob": "b"}, model="balanced", zero_sequence=None),
            DataError,
            "phases: expected none in",
        ),
        (
            lambda: judge(TRADES, None, model="balanced"),
            DataError,
            "zero_sequence: expected none in the balanced model",
        ),
        (
            lambda: validate(make_net(), TRADES, participants=BUSES, limits={"max_vuf_percent": 2.0}),
            *(DataError, r"max_vuf_percent: expected none .* \(--model three_phase\)"),
        ),
        (
            lambda: judge(TRADES, None, earthing={"star_earth_ohm": 1.0}),
            *(DataError, r"earthing: expected none in three phases, .*\(--model four_wire\)"),
        ),
        (
            lambda: judge(TRADES, None, limits={"max_neutral_to_earth_v": 5.0}),
            *(DataError, "max_neutral_to_earth_v: expected none in three phases"),
        ),
        (
            lambda: judge(TRADES, None, model="four_wire", earthing={"ohm": 1.0}),
            *(DataError, "earthing: expected star_earth_ohm or house_earth_ohm, got 'ohm'"),
        ),
        (
            lambda: judge(TRADES, None, model="balanced", zero_sequence=None, earthing={"house_earth_ohm": 10.0}),
            *(DataError, r"earthing: expected none in the balanced model, .*\(--model four_wire\)"),
        ),
        (
            lambda: judge(TRADES, None, model="four_wire", earthing={"star_earth_ohm": 1e8}),
            *(ScenarioError, "star_earth_ohm: expected a resistance from 0.001 to 10000 ohm, got 1e"),
        ),
        (
            lambda: judge(TRADES, None, zero_sequence={"r0_over_r1": 4.0, "x0_over_x1": 1e8, "c0_over_c1": 1.0}),
            *(ScenarioError, "x0_over_x1: expected a ratio from 0.01 to 1000, got 1e"),
        ),
        (lambda: judge(TRADES, {"eve": "b"}), DataError, "phases: expected participants, got 'eve'"),
        (lambda: judge(TRADES, {"bob": "d"}), DataError, "participant 'bob': expected a phase: a, b, c or abc"),
        (lambda: judge(TRADES, {"bob": {"pv": "a"}}), DataError, "expected a phase, or phases of load and perhaps pv"),
        (lambda: judge(TRADES, {"bob": {"load": "a", "ev": "b"}}), DataError, "got load, ev; correct the names"),
        (lambda: judge(TRADES, None, zero_sequence={"r0": 4.0}), ScenarioError, "expected the keys r0_over_r1"),
        (
            lambda: judge(TRADES, None, zero_sequence=None),
            *(GridError, r"ext_grid 0.*: expected s_sc_max_mva .*--zero-sequence r0_over_r1=4"),
        ),
        (
            lambda: validate(_with_feeder(None), TRADES, model="three_phase"),
            *(DataError, "expected balanced beside a Feeder without connections"),
        ),
        (
            lambda: validate(_with_feeder(make_connections([A, B])), TRADES, phases={"ann": "a"}),
            *(DataError, "phases: expected none beside a Feeder"),
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    ask: Callable[[], Validation], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask()


def test_a_feeder_brings_its_phases() -> None:
    found = validate(_with_feeder(make_connections([A, B])), TRADES)
    assert list(found.houses["phase_load"]) == ["a", "b"]


PEOPLE = "participant,bus,phase,phase_pv,phase_battery\nann,near,a,,\nbob,far,,2,\ncem,other,c,,abc\nout,other,c,,\n"


def run_command(folder: Path, *options: str, table: str = PEOPLE) -> Any:
    pp.to_json(make_net(), str(folder / "net.json"))
    make_trades(("bob", "ann", 2.0), ("bob", "grid", 10.0)).assign(phase="x").to_csv(folder / "t.csv", index=False)
    (folder / "p.csv").write_text(table)
    files = (
        "--net",
        str(folder / "net.json"),
        "--trades",
        str(folder / "t.csv"),
        "--participants",
        str(folder / "p.csv"),
    )
    return CliRunner().invoke(app, ["validate", *files, *options], env={"COLUMNS": "300"})


THREE_PHASE = ("--model", "three_phase", "--zero-sequence", "r0_over_r1=4,x0_over_x1=4,c0_over_c1=1")


def test_command_reads_phases_and_says_what_it_did(tmp_path: Path) -> None:
    out = tmp_path / "judged"
    done = run_command(tmp_path, *THREE_PHASE, "--max-vm-pu", "1.06", "--out", str(out))
    assert done.exit_code == 0, done.output
    for part in (
        "overvoltage, bus far, phase b at 1.",
        "1 settled intervals solved again by pandapower.runpp_3ph on the net as given: at most ",
        "largest unbalance (VUF) ",
        "note: phases of participants as given: loads on a 1, b 0, c 2, abc 1; 1 panels elsewhere than the load",
        "note: column 'phase' of the trades is carried as 'given_phase'",
        "note: phases of batteries and fuel cells are left out: trades know load and generation",
        "note: zero sequence of 3 lines filled in",
    ):
        assert part in done.output
    written = pd.read_csv(out / "trades.csv", keep_default_na=False)
    assert written["phase"].tolist() == ["", "b"]
    assert written["given_phase"].tolist() == ["x", "x"]
    assert json.loads((out / "summary.json").read_text())["model"] == "three_phase"


def test_a_balanced_command_names_the_phases_that_it_leaves_out(tmp_path: Path) -> None:
    done = run_command(tmp_path)
    assert done.exit_code == 0, done.output
    assert "note: phases of 4 participants are left out, such as 'ann' on a: " in done.output
    assert "--model three_phase follows them" in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "three_phase"), "fills in what the net lacks, for gridsettle validate --zero-sequence"),
        (("--zero-sequence", "r0_over_r1=4"), "zero_sequence: expected none in the balanced model"),
        (("--model", "three_phase", "--zero-sequence", "four"), "--zero-sequence: expected r0_over_r1=4,"),
        (("--max-vuf-percent", "1"), "max_vuf_percent: expected none in the balanced model"),
        ((*THREE_PHASE, "--max-vuf-percent", "-1"), "max_vuf_percent: expected "),
        ((*THREE_PHASE, "--house-earth-ohm", "10"), "earthing: expected none in three phases"),
    ],
)
def test_options_that_cannot_be_used_end_with_exit_code_2(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = run_command(tmp_path, *options, "--out", str(tmp_path / "new"))
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_command_leaves_out_the_phases_of_wall_boxes_with_a_note(tmp_path: Path) -> None:
    """Whoever wrote one table for runs hands it to `validate` as it is."""
    table = "participant,bus,phase,phase_ev,ev\nann,near,a,c,yes\nbob,far,b,,no\nout,other,c,,\n"
    with_cars = run_command(tmp_path, *THREE_PHASE, table=table)
    assert with_cars.exit_code == 0, with_cars.output
    assert "not needed: phase_ev, ev" in with_cars.output
