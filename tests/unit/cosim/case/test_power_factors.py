"""Power factors of loads: whose word counts, what is said, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError, run, validate
from cosim.case.case import Case, build_case
from cosim.case.timeline import with_changes
from cosim.cli.app import app
from data.profiles import Profiles

HOURS = [f"2017-01-01T{hour:02d}:00Z" for hour in range(2)]


def make_net() -> Any:
    """Three houses: loads of cos φ 0.8 inductive and 0.8 capacitive, and a bus without a load."""
    net = pp.create_empty_network(name="street")
    medium, *buses = pp.create_buses(net, 4, 0.4)
    for bus, name in zip(buses, "abc", strict=True):
        net.bus.loc[bus, "name"] = name
        pp.create_line(net, medium, bus, 0.05, "NAYY 4x150 SE")
    pp.create_ext_grid(net, medium)
    pp.create_load(net, buses[0], p_mw=0.004, q_mvar=0.003)
    pp.create_load(net, buses[1], p_mw=0.004, q_mvar=-0.003)
    return net


def write_case(folder: Path, participants: str = "participant,bus\na,a\nb,b\nc,c\n", columns: str = "") -> Scenario:
    pp.to_json(make_net(), str(folder / "net.json"))
    (folder / "bus.csv").write_text(participants)
    lines = [f"time,participant,load_wh{columns}"]
    extra = ",500" if columns else ""
    lines += [f"{hour},{name},1000{extra}" for hour in HOURS for name in "abc"]
    (folder / "p.csv").write_text("\n".join(lines))
    return Scenario().with_changes(
        profiles={"source": "table", "file": folder / "p.csv", "price_eur_per_kwh": 0.2},
        horizon={"hours": 2},
        network={"source": "file", "file": folder / "net.json", "participants": folder / "bus.csv"},
        market={"mechanism": "none"},
    )


def list_q_var(case: Case) -> list[int]:
    return case.load_reactive.drawn_var(np.array([1000, 1000, 1000]), 0).tolist() if case.load_reactive else [0, 0, 0]


def test_a_load_has_the_power_factor_of_the_nets_own_at_its_bus(tmp_path: Path) -> None:
    case = build_case(write_case(tmp_path))
    assert list_q_var(case) == [750, -750, 0]
    said = " ".join(case.feeder.notes)
    assert "power factor of loads as in the net: 0.8 inductive to 0.8 capacitive" in said
    assert "1 participants such as 'c' are at buses without a load in the net" in said


@pytest.mark.slow
def test_the_scenarios_key_counts_for_all_and_a_participants_own_before_it(tmp_path: Path) -> None:
    table = "participant,bus,load_cos_phi\na,a,-0.6\nb,b,\nc,c,1\n"
    scenario = write_case(tmp_path, table)
    assert list_q_var(build_case(scenario)) == [-1333, -750, 0]
    case = build_case(scenario.with_changes(houses={"load_cos_phi": 0.95}))
    assert list_q_var(case) == [-1333, 329, 0]
    said = [note for note in case.feeder.notes if "power factor" in note]
    assert said == ["power factor of 2 loads as in the table of participants"]


@pytest.mark.slow
def test_columns_of_reactive_power_count_alone(tmp_path: Path) -> None:
    scenario = write_case(tmp_path, columns=",load_varh")
    assert list_q_var(build_case(scenario)) == [500, 500, 500]
    assert run(scenario).houses["q_var"].unique().tolist() == [-500]
    with pytest.raises(ScenarioError, match="load_cos_phi: expected none, since the profiles have the reactive power"):
        build_case(scenario.with_changes(houses={"load_cos_phi": 0.95}))


@pytest.mark.parametrize("cell", ["0", "1.2", "-0.05", "nearly one", "inf"])
def test_what_is_no_power_factor_is_refused_by_row(cell: str, tmp_path: Path) -> None:
    scenario = write_case(tmp_path, f"participant,bus,load_cos_phi\na,a,0.9\nb,b,{cell}\nc,c,\n")
    with pytest.raises(
        ScenarioError, match=r"bus\.csv, column 'load_cos_phi', row 3: expected a power factor from 0\.1"
    ):
        build_case(scenario)


@pytest.mark.parametrize("value", [0, 1.2, -0.05, "as_in_grid", float("nan")])
def test_what_is_no_power_factor_is_refused_by_key(value: Any) -> None:
    with pytest.raises(
        ScenarioError, match=r"houses\.load_cos_phi: expected a power factor from 0\.1 to 1, with a minus"
    ):
        Scenario(houses={"load_cos_phi": value})


@pytest.mark.parametrize("name", ["rural", "stressed", "outage", "town", "suburb", "reference"])
def test_bundled_scenarios_of_generated_networks_have_no_reactive_power(name: str) -> None:
    scenario = Scenario.load(name)
    assert scenario.houses.load_cos_phi == 1.0
    same = scenario.with_changes(houses={"load_cos_phi": "as_in_net"})
    assert same.digest() != scenario.digest()


def test_events_change_reactive_power_with_the_load() -> None:
    load = np.array([[1000, 500], [400, 0]])
    profiles = Profiles(
        np.datetime64("2017-01-01T00:00:00"),
        60,
        ("a", "b"),
        load,
        0 * load,
        load[:, 0],
        {},
        np.array([[300, -9], [7, 0]]),
    )
    event = {"kind": "load", "start": HOURS[0], "hours": 1, "participant": "a", "quantity": "load", "factor": 2.0}
    changed = with_changes(profiles, Scenario().with_changes(events=[event]))
    assert changed.load_varh is not None
    assert changed.load_varh.tolist() == [[600, -9], [7, 0]]


TRADES = pd.DataFrame(
    [
        {"time": HOURS[0], "seller": "grid", "buyer": name, "energy_kwh": 1.0, "price_eur_per_kwh": 0.2}
        for name in ("a", "b", "c")
    ]
)


def test_trades_carry_the_power_factor_of_their_house() -> None:
    assert validate(make_net(), TRADES).houses["q_var"].tolist() == [-750, 750, 0]
    assert validate(make_net(), TRADES, load_cos_phi=1.0).houses["q_var"].tolist() == [0, 0, 0]
    some = validate(make_net(), TRADES, load_cos_phi={"c": 0.6})
    assert some.houses["q_var"].tolist() == [-750, 750, -1333]


@pytest.mark.slow
def test_the_command_takes_power_factors_from_an_option_or_a_table(tmp_path: Path) -> None:
    write_case(tmp_path, "participant,bus,load_cos_phi\na,a,\nb,b,0.6\nc,c,\n")
    TRADES.to_csv(tmp_path / "t.csv", index=False)
    base = ["validate", "--net", str(tmp_path / "net.json"), "--trades", str(tmp_path / "t.csv")]
    table = ["--participants", str(tmp_path / "bus.csv")]
    for number, (options, expected) in enumerate(
        [([], [-750, 750, 0]), (["--load-cos-phi", "0.8"], [-750] * 3), (table, [-750, -1333, 0])]
    ):
        out = tmp_path / f"out{number}"
        done = CliRunner().invoke(app, [*base, *options, "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert pd.read_csv(out / "houses.csv")["q_var"].tolist() == expected
    for options in (["--load-cos-phi", "0"], [*table, "--load-cos-phi", "0.8"]):
        done = CliRunner().invoke(app, [*base, *options])
        assert done.exit_code == 2
        assert "expected" in done.output
