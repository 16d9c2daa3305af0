"""The table of participants: what a row says counts, and what it leaves out is as without a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from cosim import DataError, Scenario, ScenarioError, run
from cosim.audit.audit import audit_ledger
from cosim.audit.differences import find_difference
from cosim.audit.rebuild import make_recorded_genesis
from cosim.audit.recorded import read_first_block, read_recorded
from cosim.audit.rerun import rerun_ledger
from cosim.case.case import build_case, build_market
from cosim.case.houses import with_houses
from cosim.case.participants import read_participants
from cosim.recording.houses import LAYOUT
from cosim.scenario.files import format_toml, load_scenario, parse_scenario
from cosim.scenario.participants import ParticipantSection
from cosim.validation.files import read_placement
from grid_models.feeder.connection import NAMES
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import RecordKind, read_parameters, select_rows
from market.ledger.private.vault import Vault, vault_path
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

SMALL = Scenario().with_changes(
    horizon={"start": "2017-06-01T00:00:00Z", "hours": 24}, houses={"n_houses": 5, "n_prosumers": 3}
)
TABLE = """\
participant,pv_kwp,battery_kwh,battery_kw,soc_min,charge_efficiency,wallet_eur,contract_power_kw,priority,fuel_cell
house_02,9.5,20,5,0.2,0.9,7.25,0.4,high,
house_04,0,0,,,,,,low,pem-1.26kw
community,4,12,,,,3,,,none
"""


def with_table(folder: Path, text: str = TABLE, scenario: Scenario = SMALL) -> Scenario:
    (folder / "houses.csv").write_text(text)
    return scenario.with_changes(houses={"table": folder / "houses.csv"})


@pytest.mark.slow
def test_what_a_row_says_counts_and_what_is_left_out_is_as_without_a_table(tmp_path: Path) -> None:
    plain, case = build_case(SMALL.with_changes(community={"enabled": True})), build_case(with_table(tmp_path))
    ratings, before = case.opening.ratings, plain.opening.ratings
    assert case.profiles.participants == plain.profiles.participants
    assert case.capacity_wh.tolist() == [
        plain.capacity_wh[0],
        20_000,
        plain.capacity_wh[2],
        0,
        plain.capacity_wh[4],
        12_000,
    ]
    assert (ratings.soc_min_wh[1], ratings.max_charge_wh[1], ratings.charge_ppm[1]) == (4000, 5000, 900_000)
    assert case.opening.wallet_neur.tolist() == [100 * 10**9, 7_250_000_000, *[100 * 10**9] * 3, 3 * 10**9]
    for name in ratings._fields:
        assert [getattr(ratings, name)[k] for k in (0, 2, 4)] == [getattr(before, name)[k] for k in (0, 2, 4)]
    np.testing.assert_array_equal(case.profiles.load_wh, plain.profiles.load_wh)
    np.testing.assert_array_equal(case.profiles.pv_wh[:, [0, 2, 4]], plain.profiles.pv_wh[:, [0, 2, 4]])
    assert not case.profiles.pv_wh[:, 3].any()
    assert case.profiles.pv_wh[:, 1].max() > 3000
    assert case.scenario.curtailment.priority == {"house_02": "high", "house_04": "low"}
    assert [(cell.label, cell.house) for cell in case.fleet.fuel_cells.values()] == [("house_04 fuel cell", 3)]


def test_a_file_and_rows_of_the_scenario_are_one_and_the_same(tmp_path: Path) -> None:
    read, _ = with_houses(with_table(tmp_path))
    assert parse_scenario(format_toml(read), "text") == read
    assert with_houses(read)[0] == read
    (tmp_path / "mine.toml").write_text('[houses]\nn_houses = 5\ntable = "houses.csv"\n')
    loaded = load_scenario(tmp_path / "mine.toml")
    assert with_houses(loaded)[0].participants == read.participants
    assert read.digest() != SMALL.digest() == with_table(tmp_path).digest()


@pytest.mark.slow
def test_a_run_is_audited_and_made_again_without_the_table(tmp_path: Path) -> None:
    scenario = with_table(tmp_path).with_changes(ledger={"facts": True})
    result = run(scenario, tmp_path / "run")
    (tmp_path / "houses.csv").unlink()
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    again = rerun_ledger(tmp_path / "run")
    assert again.ok
    assert again.n_intervals == 24
    with Store.open_to_read(tmp_path / "run") as store:
        parameters = read_parameters(decode_records(store.block(0).records))
    known = {
        name: LAYOUT.unpack(value[: LAYOUT.size]) for name, value in parameters.items() if name.startswith("house.")
    }
    assert known == {
        "house.1": (9500, 400, 65535, 65535, 3, 0, 0, -1, -1, -1, -1),
        "house.3": (0, -1, 65535, 65535, 1, 2, 0, -1, -1, -1, -1),
        "house.5": (4000, -1, 65535, 65535, 0, 1, 0, -1, -1, -1, -1),
    }
    assert result.table("contract_power")["house"].to_pylist() == ["house_02"]
    assert result.summary["contract_power"]["houses_beyond"] == ["house_02"]


def test_another_row_is_another_scenario(tmp_path: Path) -> None:
    run(with_table(tmp_path), tmp_path / "run")
    text = (tmp_path / "run" / "scenario.toml").read_text()
    assert "contract_power_kw = 0.4" in text
    (tmp_path / "run" / "scenario.toml").write_text(text.replace("contract_power_kw = 0.4", "contract_power_kw = 9.0"))
    with pytest.raises(ScenarioError, match="expected the scenario the ledger was begun with"):
        audit_ledger(tmp_path / "run")


@pytest.mark.slow
def test_houses_may_have_names_of_their_own(tmp_path: Path) -> None:
    own = "participant,battery_kwh\n" + "".join(
        f"{name},{k}\n" for k, name in enumerate(("ann", "bob", "cat", "dan", "eve"))
    )
    case = build_market(with_table(tmp_path, own))
    assert case.profiles.participants == ("ann", "bob", "cat", "dan", "eve")
    assert case.capacity_wh.tolist() == [0, 1000, 2000, 3000, 4000]
    np.testing.assert_array_equal(case.profiles.load_wh, build_market(SMALL).profiles.load_wh)


def test_cars_and_heat_pumps_are_those_of_the_table(tmp_path: Path) -> None:
    case = build_market(
        with_table(tmp_path, "participant,ev,heat_pump\nhouse_02,yes,no\nhouse_05,1,true\nhouse_01,no,\n")
    )
    assert case.scenario.ev.n_cars == 2
    assert case.scenario.heat_pump.n_heat_pumps == 1
    assert case.fleet.flexible.house.tolist() == [1, 4, 4]


def test_phases_of_the_table_count_and_all_others_are_drawn(tmp_path: Path) -> None:
    three = SMALL.with_changes(network={"model": "three_phase"})
    drawn = build_case(three).feeder.connections
    found = build_case(
        with_table(tmp_path, "participant,phase,phase_pv\nhouse_02,b,abc\nhouse_03,L3,\n", three)
    ).feeder.connections
    assert drawn is not None
    assert found is not None
    assert [NAMES[code] for code in (found.load[1], found.pv[1], found.load[2], found.battery[2])] == [
        "b",
        "abc",
        "c",
        "c",
    ]
    np.testing.assert_array_equal(found.load[[0, 3, 4]], drawn.load[[0, 3, 4]])


BAD = {
    "no name": ("pv_kwp\n5\n", "expected a column 'participant'"),
    "unknown column": ("participant,pv_kw\nhouse_01,5\n", "column 'pv_kw': expected one of .*nearest: 'pv_kwp'"),
    "column of one car": ("participant,ev_kwh\nhouse_01,5\n", r"column 'ev_kwh': expected column 'ev' with yes or no"),
    "column of one heat pump": (
        "participant,heat_pump_kw\nhouse_01,5\n",
        "column 'heat_pump_kw': expected column 'heat_pump'",
    ),
    "phase of a car": (
        "participant,phase_ev\nhouse_01,a\n",
        "'house_01', phase_ev: expected none without a car, got 'a'",
    ),
    "nobody": (
        "participant,pv_kwp\nhouse_09,5\n",
        "expected names of drawn houses, house_01 to house_05, .*'house_09'",
    ),
    "some of both": ("participant,pv_kwp\nhouse_01,5\nann,3\n", "of which 'ann' is no drawn house"),
    "twice": ("participant,pv_kwp\nhouse_01,5\nhouse_01,6\n", "expected each participant once, got 'house_01' again"),
    "empty name": ("participant,pv_kwp\n,5\n", "column 'participant', row 2: expected"),
    "space at its end": ("participant,pv_kwp\n'house_01 ',5\n", "drawn house"),
    "a word for panels": ("participant,pv_kwp\nhouse_01,five\n", "column 'pv_kwp', row 2: expected .*number"),
    "negative panels": (
        "participant,pv_kwp\nhouse_01,-5\n",
        "column 'pv_kwp', row 2: expected greater than or equal to 0, got -5.0",
    ),
    "endless panels": ("participant,pv_kwp\nhouse_01,inf\n", "column 'pv_kwp', row 2: expected"),
    "panels of a country": (
        "participant,pv_kwp\nhouse_01,1e9\n",
        "column 'pv_kwp', row 2: expected less than or equal",
    ),
    "roof without weather": (
        "participant,pv_tilt_deg\nhouse_01,30\n",
        "pv_tilt_deg, pv_azimuth_deg: expected none where panels follow",
    ),
    "roof upside down": (
        "participant,pv_tilt_deg\nhouse_01,120\n",
        "column 'pv_tilt_deg', row 2: expected less than or equal to 90",
    ),
    "negative battery": (
        "participant,battery_kwh\nhouse_01,-1\n",
        "column 'battery_kwh', row 2: expected greater than or equal to 0",
    ),
    "power of no battery": (
        "participant,battery_kwh,battery_kw\nhouse_01,0,3\n",
        "column 'battery_kw', row 2: expected none where battery_kwh is 0",
    ),
    "no power": ("participant,battery_kw\nhouse_01,0\n", "column 'battery_kw', row 2: expected greater than 0"),
    "efficiency in per cent": (
        "participant,charge_efficiency\nhouse_01,95\n",
        "column 'charge_efficiency', row 2: expected less than or equal to 1",
    ),
    "no efficiency": (
        "participant,discharge_efficiency\nhouse_01,0\n",
        "column 'discharge_efficiency', row 2: expected greater than 0",
    ),
    "window upside down": (
        "participant,soc_min,soc_max\nhouse_01,0.9,0.1\n",
        "column 'soc_min', row 2: expected at most soc_max",
    ),
    "window beyond the scenario's": (
        "participant,soc_min\nhouse_01,0.95\n",
        "'house_01', soc_min, soc_max: expected the lowest",
    ),
    "unknown fuel cell": (
        "participant,fuel_cell\nhouse_01,pem\n",
        "column 'fuel_cell', row 2: expected 'none'.*got 'pem'",
    ),
    "tank of nothing": (
        "participant,tank_kg\nhouse_01,5\n",
        "column 'tank_kg', row 2: expected a fuel_cell that it belongs to",
    ),
    "half a stack": ("participant,fuel_cell,units\nhouse_01,pem-6kw,1.5\n", "column 'units', row 2: expected"),
    "no contract": (
        "participant,contract_power_kw\nhouse_01,0\n",
        "column 'contract_power_kw', row 2: expected greater than 0",
    ),
    "unknown priority": (
        "participant,priority\nhouse_01,urgent\n",
        "column 'priority', row 2: expected 'low', 'normal' or 'high', got 'urgent'",
    ),
    "debts": (
        "participant,wallet_eur\nhouse_01,-3\n",
        "column 'wallet_eur', row 2: expected greater than or equal to 0",
    ),
    "fourth phase": ("participant,phase\nhouse_01,d\n", "column 'phase', row 2: expected"),
    "power factor of nothing": (
        "participant,load_cos_phi\nhouse_01,0.05\n",
        "column 'load_cos_phi', row 2: expected a power factor",
    ),
    "bus of a drawn feeder": ("participant,bus\nhouse_01,5\n", 'bus: expected none where network.source = "generated"'),
    "maybe a car": ("participant,ev\nhouse_01,maybe\n", "column 'ev', row 2: expected"),
    "marks of two kinds": (
        'participant,pv_kwp\nhouse_01,"1,234"\n',
        "column 'pv_kwp', row 2: expected a number that can be read in one way",
    ),
    "nothing": ("participant,pv_kwp\n", "at least one row"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_gets_one_message(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    with pytest.raises(ScenarioError, match=message) as caught:
        build_case(with_table(tmp_path, text))
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


SAID_TWICE = {
    "file and rows": ({"participants": [{"participant": "house_01"}]}, "expected none beside"),
    "priority": ({"curtailment": {"priority": {"house_02": "low"}}}, "expected what curtailment.priority says, low"),
    "community": (
        {"community": {"enabled": True, "battery_kwh": 5.0}},
        "expected what community.battery_kwh says, 5.0",
    ),
}


@pytest.mark.parametrize("name", SAID_TWICE)
def test_what_is_said_in_two_places_is_refused(name: str, tmp_path: Path) -> None:
    changes, message = SAID_TWICE[name]
    with pytest.raises(ScenarioError, match=message):
        build_case(with_table(tmp_path).with_changes(**changes))


def make_profiles(hours: int = 24) -> pd.DataFrame:
    time = pd.date_range("2017-06-01", periods=hours, freq="h", tz="UTC")
    sun = np.maximum(np.sin((np.arange(hours) % 24 - 6) / 12 * np.pi), 0.0)
    columns = {"ann.load_kw": 0.4, "ann.pv_kw": 3 * sun, "bob.load_kw": 0.9, "price_eur_per_kwh": 0.25}
    return pd.DataFrame({"time": time, **columns})


HOUSES = pd.DataFrame({"participant": ["bob", "community"], "pv_kwp": [6.0, np.nan], "ev": [True, None]})


@pytest.mark.slow
def test_a_run_takes_dataframes_and_is_made_again(tmp_path: Path) -> None:
    scenario = Scenario().with_changes(horizon={"start": "2017-06-01T00:00:00Z", "hours": 24})
    result = run(scenario, tmp_path / "run", profiles=make_profiles(), houses=HOUSES)
    assert rerun_ledger(tmp_path / "run").ok
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    memory = run(scenario, profiles=make_profiles(), houses=HOUSES)
    assert memory.summary["energy_kwh"] == result.summary["energy_kwh"]
    assert result.summary["energy_kwh"]["pv"] > 100


def test_frames_beside_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"houses.table: expected none where houses are given"):
        run(with_table(tmp_path), houses=HOUSES)
    with pytest.raises(ScenarioError, match=r"profiles.file: expected none where profiles are given"):
        run(SMALL.with_changes(profiles={"file": "x.csv", "source": "table"}), profiles=make_profiles())
    with pytest.raises(ScenarioError, match=r"houses, column 'pv_kwp', row 0: expected .* got -6.0"):
        run(SMALL, houses=HOUSES.assign(pv_kwp=-6.0))
    with pytest.raises(DataError, match="expected at least one row"):
        run(SMALL, houses=HOUSES.iloc[:0])


@pytest.mark.slow
def test_profiles_of_a_run_from_a_dataframe_can_be_run_again_by_its_scenario(tmp_path: Path) -> None:
    scenario = Scenario().with_changes(horizon={"start": "2017-06-01T00:00:00Z", "hours": 6}, network={"n_branches": 1})
    first = run(scenario, tmp_path / "run", profiles=make_profiles())
    again = run(load_scenario(tmp_path / "run" / "scenario.toml"), tmp_path / "again")
    assert again.summary["ledger"]["hash"] == first.summary["ledger"]["hash"]


def make_street(folder: Path, **ledger: object) -> Scenario:
    """A network from a file whose participants stand in a table of houses."""
    net = build_case(SMALL).feeder.net
    pp.to_json(net, str(folder / "street.json"))
    make_profiles().to_csv(folder / "profiles.csv", index=False)
    buses = [int(bus) for bus in net.load.bus.iloc[:2]]
    (folder / "houses.csv").write_text(
        f"participant,bus,phase,load_cos_phi,battery_kwh,contract_power_kw\nbob,{buses[1]},b,0.9,3,0.5\nann,{buses[0]},,,,\n"
    )
    return Scenario().with_changes(
        horizon={"start": "2017-06-01T00:00:00Z", "hours": 24},
        profiles={"source": "table", "file": folder / "profiles.csv"},
        houses={"table": folder / "houses.csv"},
        network={
            "source": "file",
            "file": folder / "street.json",
            "model": "three_phase",
            "zero_sequence": {"r0_over_r1": 4.0, "x0_over_x1": 4.0, "c0_over_c1": 1.0},
        },
        ledger=ledger,
    )


@pytest.mark.slow
def test_a_table_of_houses_places_them_in_a_network_of_ones_own(tmp_path: Path) -> None:
    case = build_case(make_street(tmp_path))
    assert case.feeder.participants == ("ann", "bob")
    assert case.feeder.connections is not None
    assert [NAMES[code] for code in case.feeder.connections.load] == ["abc", "b"]
    assert case.capacity_wh[1] == 3000
    run(make_street(tmp_path), tmp_path / "run")
    for name in ("street.json", "houses.csv", "profiles.csv"):
        (tmp_path / name).unlink()
    assert audit_ledger(tmp_path / "run", sample=None).findings == ()
    assert rerun_ledger(tmp_path / "run").ok


def test_both_tables_and_a_missing_bus_are_refused(tmp_path: Path) -> None:
    street = make_street(tmp_path)
    with pytest.raises(ScenarioError, match=r"network.participants: expected none beside houses.table"):
        build_case(street.with_changes(network={"participants": tmp_path / "houses.csv"}))
    (tmp_path / "houses.csv").write_text("participant,bus\nann,1\nbob,\n")
    with pytest.raises(ScenarioError, match=r"table of participants: expected a bus for participant 'bob'"):
        build_case(street)


@pytest.mark.slow
def test_a_lie_about_a_house_in_the_first_block_is_found(tmp_path: Path) -> None:
    run(with_table(tmp_path), tmp_path / "run")
    with Store.open_to_read(tmp_path / "run") as store:
        recorded = read_recorded(tmp_path / "run", read_first_block(store, None))
    honest = make_recorded_genesis(recorded)
    assert find_difference(0, recorded.genesis, honest) is None
    rows = select_rows(recorded.genesis, RecordKind.PARAMETER)
    place = [bytes(name).rstrip(b"\0") for name in rows["name"]].index(b"house.1")
    (at,) = np.flatnonzero(recorded.genesis[:, 0] == RecordKind.PARAMETER)[[place]]
    lied = recorded.genesis.copy()
    lied[at, 72 - 40] += 1  # the panels of house_02
    found = find_difference(0, lied, honest)
    assert found is not None
    assert found.field == "value"


@pytest.mark.slow
def test_a_private_run_tells_nothing_of_its_houses_and_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    for k, name in enumerate(["operator", *(f"member-{house:03d}" for house in range(6))]):
        write_key_pair(folder / f"{name}.key", make_demonstration_key(7000 + k))
    ledger = {"private": True, "operator_key": folder / "operator.key", "member_keys": folder}
    run(with_table(tmp_path).with_changes(ledger=ledger), tmp_path / "run")
    with Store.open_to_read(tmp_path / "run") as store:
        assert not [
            name for name in read_parameters(decode_records(store.block(0).records)) if name.startswith("house.")
        ]
    with Vault(vault_path(tmp_path / "run", OPERATOR), to_read=True) as vault:
        entries = {(entry.interval, entry.seq): entry for entry in vault.read(make_demonstration_key(7000))}
    assert audit_ledger(tmp_path / "run", sample=None, entries=entries).findings == ()
    assert rerun_ledger(tmp_path / "run", entries=entries).ok


def test_validate_takes_the_same_table_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text("participant,bus,pv_kwp,phase\nann,1,5,a\nbob,2,,b\n")
    found = read_placement(tmp_path / "houses.csv")
    assert found.buses == {"ann": "1", "bob": "2"}
    assert any("not needed: pv_kwp" in note for note in found.notes)
    with pytest.raises(ScenarioError, match=r"or name a table of what houses own by houses.table"):
        read_participants(tmp_path / "houses.csv")


PLACES = ("participant", "bus", "load_cos_phi", "phase", "phase_pv", "phase_battery", "phase_fuel_cell")


@pytest.mark.parametrize("column", [name for name in ParticipantSection.model_fields if name not in PLACES])
def test_validate_leaves_out_every_column_that_a_table_of_houses_may_have(column: str, tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text(f"participant,bus,{column}\nann,1,\nbob,2,a\n")
    for model in ("balanced", "three_phase"):
        assert any(f"not needed: {column}" in note for note in read_placement(tmp_path / "houses.csv", model).notes)
