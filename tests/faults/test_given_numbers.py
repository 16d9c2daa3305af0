"""Networks with numbers that no network has: refused by name, or said, where pandapower solves them all the same."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app
from grid_models.errors import GridError
from grid_models.feeder.feeder import make_feeder
from grid_models.feeder.plausibility import check_numbers, list_doubts

NAN = float("nan")


def street() -> Any:
    net = pp.create_empty_network()
    medium, low, far = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4), pp.create_bus(net, 0.4, name="b")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    pp.create_line(net, low, far, 0.1, "NAYY 4x150 SE")
    return net


STREET = street()


def put(table: str, column: str, value: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = value

    return change


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "no voltage level": (put("bus", "vn_kv", 0.0), "bus 0, column vn_kv: expected a number above 0, got 0"),
    "negative level": (put("bus", "vn_kv", -0.4), "bus 0, column vn_kv: expected a number above 0, got -0.4"),
    "no length": (put("line", "length_km", 0.0), "line 0, column length_km: expected a number above 0, got 0"),
    "negative length": (
        put("line", "length_km", -0.1),
        "line 0, column length_km: expected a number above 0, got -0.1",
    ),
    "no system": (put("line", "parallel", 0), "line 0, column parallel: expected a number above 0, got 0"),
    "no transformer": (put("trafo", "parallel", 0), "trafo 0, column parallel: expected a number above 0, got 0"),
    "real part": (put("trafo", "vkr_percent", 9.0), "trafo 0, column vk_percent: expected at least vkr_percent"),
    "limit in volt": (put("bus", "max_vm_pu", 253.0), "bus 0, column max_vm_pu: expected a voltage in pu, at most 2"),
    "limit in per cent": (put("bus", "min_vm_pu", 90.0), "bus 0, column min_vm_pu: expected a voltage in pu"),
    "no frequency": (lambda net: net.update({"f_hz": 0}), "f_hz: expected a number above 0, Hz, got 0"),
    "frequency in words": (lambda net: net.update({"f_hz": "50"}), "f_hz: expected a number above 0, Hz, got '50'"),
    "negative base": (lambda net: net.update({"sn_mva": -1.0}), "sn_mva: expected a number above 0, MVA, got -1.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_network_has_is_refused_by_name(case: str) -> None:
    net = deepcopy(STREET)
    REFUSED[case][0](net)
    with pytest.raises(GridError) as refused:
        check_numbers(net, "here")
    assert str(refused.value).startswith(f"here, {REFUSED[case][1]}")
    with pytest.raises(GridError):
        make_feeder("here", net, ["a"], [2])


def test_what_is_out_of_service_may_lack_its_numbers() -> None:
    net = deepcopy(STREET)
    net.line.loc[5] = net.line.loc[0]
    net.line.loc[5, ["length_km", "in_service"]] = [0.0, False]
    check_numbers(net, "here")
    check_numbers(STREET, "here")


@pytest.mark.parametrize("case", ["no voltage level", "limit in volt", "negative base"])
def test_such_a_net_ends_the_command_with_one_message(tmp_path: Path, case: str) -> None:
    net = deepcopy(STREET)
    REFUSED[case][0](net)
    pp.to_json(net, str(tmp_path / "net.json"))
    (tmp_path / "t.csv").write_text(
        "time,seller,buyer,energy_kwh,price_eur_per_kwh\n2017-06-01T12:00Z,grid,b,1,0.1\n", encoding="utf-8"
    )
    command = ["validate", "--net", str(tmp_path / "net.json"), "--trades", str(tmp_path / "t.csv")]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 2
    assert REFUSED[case][1] in shown.output


def tap_beyond(net: Any) -> None:
    net.trafo[["tap_pos", "tap_min", "tap_max"]] = [7, -2, 2]


def step_beyond(net: Any) -> None:
    pp.create_shunt(net, 2, 0.001, step=9, max_step=2)


def another_level(net: Any) -> None:
    net.bus.loc[2, "vn_kv"] = 0.69


def joined_levels(net: Any) -> None:
    pp.create_switch(net, 2, pp.create_bus(net, 0.69), "b")


def volt_for_kilovolt(net: Any) -> None:
    net.bus.loc[[1, 2], "vn_kv"] = 400.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (tap_beyond, "trafo 0: its tap position 7 is outside -2 to 2 (tap_min, tap_max), and is taken as it is"),
        (step_beyond, "shunt 0: its step 9 is above 2 (max_step), and is taken as it is"),
        (another_level, "line 0: joins buses of different rated voltage (vn_kv); is it meant?"),
        (joined_levels, "switch 0: joins buses of different rated voltage (vn_kv); is it meant?"),
        (volt_for_kilovolt, "trafo 0: is at a lv bus of another rated voltage (vn_kv); is it meant?"),
    ],
)
def test_what_is_hardly_meant_is_said(change: Callable[[Any], None], said: str) -> None:
    net = deepcopy(STREET)
    assert list(list_doubts(net)) == []
    change(net)
    assert list(list_doubts(net)) == [said]
    assert said in make_feeder("here", net, ["a"], [1]).notes
