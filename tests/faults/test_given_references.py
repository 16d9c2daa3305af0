"""Networks whose elements refer to what is not there: refused by name, whatever pandapower would make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from grid_models.errors import GridError
from grid_models.feeder.net_file import parse_net
from grid_models.feeder.references import NOT_READ, REFERENCES, check_references

EMPTY = pp.create_empty_network()
TABLES = {
    name: table
    for name, table in EMPTY.items()
    if isinstance(table, pd.DataFrame) and not name.startswith(("_", "res_")) and name not in NOT_READ
}
PLACES = [(name, column) for name, table in TABLES.items() for column in table.columns if column in REFERENCES]


def street() -> Any:
    """Two houses behind a transformer; a bus 90, so that the index has a gap."""
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4, name="a")
    far = pp.create_bus(net, 0.4, name="b", index=90)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    pp.create_line(net, low, far, 0.1, "NAYY 4x150 SE")
    for create in (pp.create_load, pp.create_sgen):
        create(net, far, 0.001)
    pp.create_asymmetric_load(net, far, p_a_mw=0.001)
    pp.create_shunt(net, far, 0.001)
    return net


STREET = street()


def told(tmp_path: Path, net: Any, *options: str) -> tuple[int, str]:
    """Exit code and all output of `validate` of one trade on a net."""
    pp.to_json(net, str(tmp_path / "net.json"))
    trades = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-06-01T12:00Z,grid,b,1,0.1\n"
    (tmp_path / "trades.csv").write_text(trades)
    command = ["validate", "--net", str(tmp_path / "net.json"), "--trades", str(tmp_path / "trades.csv")]
    shown = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out"), *options])
    assert "Traceback" not in shown.output
    return shown.exit_code, shown.output


def test_every_column_of_pandapower_that_names_a_bus_is_looked_at() -> None:
    named = {column for table in TABLES.values() for column in table.columns if "bus" in column}
    assert named - set(REFERENCES) == {"ref_bus"}  # of converters, which are refused
    assert len(PLACES) > 25


@pytest.mark.slow
@pytest.mark.parametrize(("table", "column"), PLACES, ids=[".".join(place) for place in PLACES])
def test_a_bus_that_there_is_not_is_refused_in_every_table(table: str, column: str) -> None:
    net = deepcopy(STREET)
    net["bus_dc"] = pd.DataFrame({"vn_kv": [1.0]})
    columns = [name for name in TABLES[table].columns if name in REFERENCES]
    frame = pd.DataFrame({name: [0] for name in columns}, index=[7]).astype(object)
    net[table] = frame.assign(et="b", element=1, closed=True) if table == "switch" else frame
    check_references(net, "here")
    for missing, found in ((99, "99"), (50, "50"), (-1, "-1"), (1.5, "1.5"), (None, "nothing")):
        net[table].loc[7, column] = missing
        expected = rf"^here, {table} 7, column {column}: expected the index of a bus(_dc)?, got {found};"
        with pytest.raises(GridError, match=expected):
            check_references(net, "here")


@pytest.mark.parametrize("in_service", [True, False])
@pytest.mark.parametrize(
    ("table", "column", "missing"),
    [("load", "bus", 50), ("asymmetric_load", "bus", 50), ("line", "to_bus", 99), ("trafo", "hv_bus", 50)],
)
def test_a_bus_that_there_is_not_ends_the_command_with_one_message(
    tmp_path: Path, table: str, column: str, missing: int, *, in_service: bool
) -> None:
    net = deepcopy(STREET)
    if not in_service:  # pandapower looks up its bus all the same
        net[table] = pd.concat([net[table], net[table].assign(in_service=False)], ignore_index=True)
    label = net[table].index[-1]
    net[table].loc[label, column] = missing
    code, said = told(tmp_path, net)
    assert code == 2
    assert f"{table} {label}, column {column}: expected the index of a bus, got {missing};" in said


SWITCHES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bus-bar to nowhere": (lambda s: s.update({"element": 99}), "element: expected the index of a bus, since et is b"),
    "bus-bar to a gap": (lambda s: s.update({"element": 50}), "element: expected the index of a bus, since et is b"),
    "at no bus": (lambda s: s.update({"bus": 99}), "bus: expected the index of a bus, got 99"),
    "no line": (lambda s: s.update({"et": "l", "element": 9}), "element: expected the index of a line, since et is l"),
    "no trafo": (lambda s: s.update({"et": "t", "element": 9}), "element: expected the index of a trafo, since"),
    "no trafo3w": (lambda s: s.update({"et": "t3", "element": 0}), "element: expected the index of a trafo3w, since"),
    "not at the line": (lambda s: s.update({"et": "l", "element": 0, "bus": 0}), "bus: expected an end of the line"),
    "not at the trafo": (lambda s: s.update({"et": "t", "element": 0, "bus": 90}), "bus: expected an end of the trafo"),
    "unknown kind": (lambda s: s.update({"et": "line"}), "et: expected one of b, l, t, t3, got line"),
    "no kind": (lambda s: s.update({"et": None}), "et: expected one of b, l, t, t3, got nothing"),
    "empty kind": (lambda s: s.update({"et": ""}), "et: expected one of b, l, t, t3, got nothing"),
    "no impedance": (lambda s: s.update({"z_ohm": None}), "z_ohm: expected a number, 0 for no impedance or above, got"),
    "negative impedance": (
        lambda s: s.update({"z_ohm": -0.1}),
        "z_ohm: expected a number, 0 for no impedance or above",
    ),
}


def with_switch(case: str, *, closed: bool) -> Any:
    net = deepcopy(STREET)
    pp.create_switch(net, 1, 90, "b", closed=closed)
    row = net.switch.loc[0].to_dict()
    SWITCHES[case][0](row)
    net["switch"] = pd.DataFrame([row]).astype({"closed": bool, "z_ohm": float})
    return net


@pytest.mark.parametrize("case", SWITCHES)
def test_a_switch_that_cannot_be_understood_is_refused_by_name(case: str) -> None:
    for closed in (True, False) if "impedance" not in case else (True,):
        with pytest.raises(GridError) as refused:
            check_references(with_switch(case, closed=closed), "here")
        assert f"here, switch 0, column {SWITCHES[case][1]}" in str(refused.value)


def test_an_open_switch_needs_no_impedance() -> None:
    check_references(with_switch("no impedance", closed=False), "here")


@pytest.mark.parametrize("case", ["bus-bar to nowhere", "no line", "unknown kind"])
def test_a_switch_that_cannot_be_understood_ends_the_command_with_one_message(tmp_path: Path, case: str) -> None:
    code, said = told(tmp_path, with_switch(case, closed=True))
    assert code == 2
    assert f"switch 0, column {SWITCHES[case][1]}" in said


def test_switches_that_are_in_order_are_carried(tmp_path: Path) -> None:
    net = deepcopy(STREET)
    pp.create_switch(net, 90, pp.create_bus(net, 0.4), "b")
    pp.create_switch(net, 90, 0, "l")
    pp.create_switch(net, 0, 0, "t")
    code, said = told(tmp_path, net)
    assert code == 0, said


@pytest.mark.parametrize(("cell", "column"), [(3.7, "from_bus"), (-1, "to_bus"), (2**32, "to_bus"), (1.5, "parallel")])
def test_numbers_that_pandas_would_make_other_integers_are_refused(cell: float, column: str) -> None:
    document = json.loads(pp.to_json(STREET))
    frame = document["_object"]["line"]
    content = json.loads(frame["_object"])
    content["data"][0][content["columns"].index(column)] = cell
    frame["_object"] = json.dumps(content)
    with pytest.raises(GridError, match=rf"line, row 0, column {column}: expected a whole number from 0 to 4294967295"):
        parse_net(json.dumps(document), "net.json")


def test_what_no_power_flow_reads_is_said_and_may_refer_to_nothing(tmp_path: Path) -> None:
    net = deepcopy(STREET)
    pp.create_measurement(net, "v", "bus", 1.0, 0.01, element=1)
    net.measurement["element"] = 99
    net.poly_cost.loc[0, ["element", "et", "cp1_eur_per_mw"]] = [99, "gen", 1.0]
    net["loads"] = net.load.copy()
    code, said = told(tmp_path, net)
    assert code == 0, said
    assert "note: elements of the net that no power flow reads: measurements (1), polynomial costs (1)" in said
    assert "note: tables of the net that pandapower has not, and that are not read: 'loads' (1)" in said


@pytest.mark.parametrize("column", ["in_service", "scaling", "bus", "p_mw"])
@pytest.mark.parametrize("keep", [["--keep-elements"], []])
def test_a_column_that_lacks_ends_the_command_with_one_message(tmp_path: Path, column: str, keep: list[str]) -> None:
    net = deepcopy(STREET)
    net["load"] = net["load"].drop(columns=[column])
    code, said = told(tmp_path, net, *keep)
    assert code == 2
    assert f"load: expected a column '{column}'" in said


@pytest.mark.parametrize("table", ["load", "sgen", "asymmetric_load", "shunt", "line", "trafo", "ext_grid"])
def test_no_table_may_lack_what_says_whether_an_element_is_in_service(table: str) -> None:
    net = deepcopy(STREET)
    net[table] = net[table].drop(columns=["in_service"])
    with pytest.raises(GridError, match=f"{table}: expected a column 'in_service'"):
        parse_net(pp.to_json(net), "net.json")
