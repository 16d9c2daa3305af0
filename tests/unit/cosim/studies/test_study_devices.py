"""Studies of houses with cars and heat pumps: demand is that of a run, and what does not balance ends the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.case.case import build_case, build_market
from cosim.cli.app import app
from cosim.errors import ConservationError, ScenarioError
from cosim.results.summary import METERED
from cosim.scenario.files import format_toml
from cosim.studies import balance, microgrid_tables, outages
from cosim.studies.balance import USES, check_residuals, check_totals
from cosim.studies.market_run import sum_market
from cosim.studies.microgrids import run_microgrids
from cosim.studies.outages import BASE, PLUGGED_IN, VARIANTS, list_outage_notes, list_outage_tasks, measure_outage
from cosim.studies.study import run_tasks
from cosim.studies.sweeps import SWEEPS, list_sweep_notes, list_sweep_tasks
from data.profiles import Profiles
from data.tables import write_profiles

STREET = Scenario().with_changes(
    name="street",
    horizon={"hours": 24, "start": "2017-01-16T00:00:00Z"},
    houses={"n_houses": 4, "n_prosumers": 3, "production_ratio": 2.0},
    ev={"n_cars": 3, "charger_kw": 7.4},
    heat_pump={"n_heat_pumps": 2},
    community={"enabled": False},
    engine={"verify_sample": 0},
)
SUMMER = {"start": "2017-06-19T00:00:00Z", "hours": 30}


@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_demand_of_a_sweep_has_cars_and_heat_pumps(name: str) -> None:
    chosen = list_sweep_tasks(name, STREET, 1)[::13]
    plain = list_sweep_tasks(name, _bare(), 1)[::13]
    table, without = run_tasks(chosen, workers=1), run_tasks(plain, workers=1)
    assert (table.residual_wh == 0).all()
    assert (table.devices_wh > 0).all()
    assert (without.devices_wh == 0).all()
    np.testing.assert_array_equal(table.demand_wh - table.devices_wh, without.demand_wh)


def _bare() -> Scenario:
    return STREET.with_changes(ev={"n_cars": 0, "charger_kw": 11.0}, heat_pump={"n_heat_pumps": 0})


@pytest.mark.slow  # six whole runs
@pytest.mark.parametrize(
    "changes",
    [
        {"market": {"mechanism": "sharing_central", "feed_in": True}},
        {"market": {"mechanism": "trading_battery"}, "battery": {"self_discharge_per_month": 0.5}},
        {"market": {"mechanism": "double_auction"}, "heat_pump": {"strategy": "surplus"}},
        {"community": {"enabled": True, "fuel_cell": "pem-6kw"}, "ev": {"strategy": "price"}},
        {"tariff": {"bands": [{"price_eur_per_kwh": 0.4, "from_hour": 17, "to_hour": 21}, {"price_eur_per_kwh": 0.2}]}},
        {"horizon": {"interval_minutes": 15}, "ev": {"strategy": "at_departure"}},
    ],
)
def test_a_market_by_itself_tells_what_the_run_of_the_same_scenario_tells(changes: dict[str, Any]) -> None:
    """All of it: energies and money, where the network can carry what is cleared."""
    summer = STREET.with_changes(horizon=SUMMER, network={"spacing_m": 10.0})
    scenario = summer.with_changes(**changes)
    totals, result = sum_market(build_market(scenario)), run(scenario)
    assert set(result.summary["network"]["outcomes"]) == {"clean"}
    kwh, eur = result.summary["energy_kwh"], result.summary["money_eur"]
    assert set(METERED) <= set(kwh)
    for name, key in (
        ("demand_wh", "load"),
        ("generation_wh", "pv"),
        ("fuel_cell_wh", "fuel_cell"),
        ("grid_wh", "imported"),
        ("exported_wh", "exported"),
        ("wasted_wh", "spilled"),
    ):
        assert totals[name] == pytest.approx(1000.0 * kwh[key], abs=1e-6), name
    charged = result.summary["cars"]["charged_kwh"] + result.summary["heat_pumps"]["consumed_kwh"]
    assert totals["devices_wh"] == pytest.approx(1000.0 * charged)
    assert totals["lost_in_batteries_wh"] >= 0
    for name, key in (
        ("paid_to_grid_eur", "paid_to_grid"),
        ("earned_feed_in_eur", "feed_in"),
        ("earned_p2p_eur", "earned_from_p2p"),
        ("earned_sharing_eur", "earned_from_sharing"),
    ):
        assert totals[name] == pytest.approx(eur[key]), name


@pytest.mark.parametrize("name", USES)
def test_a_residual_ends_a_study(name: str) -> None:
    totals: dict[str, float] = sum_market(build_market(STREET.with_changes(horizon={"hours": 2})))
    totals.pop("residual_wh")
    assert check_totals(totals, "street")["residual_wh"] == 0
    with pytest.raises(ConservationError, match=r"'street'.* a residual of \+1 Wh .*please report it"):
        check_totals({**totals, name: totals[name] + 1}, "street")


def test_no_table_is_written_that_does_not_balance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "USES", ("demand_wh",))
    path, out = tmp_path / "street.toml", tmp_path / "out"
    path.write_text(format_toml(STREET.with_changes(horizon={"start": "2017-06-19T10:00:00Z", "hours": 6})))
    ended = CliRunner().invoke(
        app, ["study", "production", str(path), "--seeds", "1", "--workers", "1", "--out", str(out)]
    )
    assert ended.exit_code != 0
    assert isinstance(ended.exception, ConservationError)
    assert not list(out.iterdir())


def test_every_study_looks_at_its_residuals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them asks `check_residuals`: with a residual that is put in, it ends with an error."""

    def with_one_more(residual: Any, where: str) -> None:
        check_residuals(np.asarray(residual) + 1, where)

    cases = [build_case(STREET.with_changes(name=name, horizon={"hours": 2})) for name in ("north", "south")]
    assert len(run_microgrids(cases, 10.0).feeders) == 4
    monkeypatch.setattr(microgrid_tables, "check_residuals", with_one_more)
    with pytest.raises(ConservationError, match="feeder 'north', interval 0"):
        run_microgrids(cases, 10.0)
    monkeypatch.setattr(outages, "check_residuals", with_one_more)
    with pytest.raises(ConservationError, match="scenario 'street'"):
        measure_outage(_dark(4))


def _dark(hours: int) -> Scenario:
    event = {"kind": "outage", "grid": True, "start": "2017-01-16T02:00:00Z", "hours": hours}
    return STREET.with_changes(horizon={"hours": hours + 4}, events=[event])


def test_the_outage_study_tells_what_devices_missed() -> None:
    found = measure_outage(_dark(6))
    assert found["missed_heat_kwh"] > 0.0
    assert found["put_off_kwh"] > 0.0


def test_a_key_that_does_nothing_is_not_swept(tmp_path: Path) -> None:
    scenario = _read_from_a_table(tmp_path)
    with pytest.raises(ScenarioError, match=r"study production, houses\.production_ratio: expected a scenario in"):
        list_sweep_tasks("production", scenario, 1)
    assert list_sweep_tasks("storage", scenario, 1)
    assert not {name for name in _list_variants(scenario) if name.startswith("production")}


def _read_from_a_table(folder: Path) -> Scenario:
    names = ("ann", "bob", "cem", "dee")
    load = np.full((24, 4), 300, np.int64)
    start, price = np.datetime64("2017-01-16T00:00:00"), np.full(24, 200_000, np.int64)
    write_profiles(Profiles(start, 60, names, load, 2 * load, price, {}), folder / "mine.csv")
    houses = {"n_houses": 25, "n_prosumers": "by_chance", "production_ratio": 0.58}
    return STREET.with_changes(profiles={"source": "table", "file": folder / "mine.csv"}, houses=houses)


def _list_variants(scenario: Scenario) -> dict[str, Scenario]:
    return {task.labels["variant"]: task.scenario for task in list_outage_tasks(scenario, 1)}


def test_variants_of_the_outage_study_are_those_of_the_scenario(tmp_path: Path) -> None:
    """A community that is not there is not varied, one of another size doubled; a house that is there plugs in."""
    variants = _list_variants(_read_from_a_table(tmp_path))
    assert list(variants) == [BASE, PLUGGED_IN, "trading without sharing", "no market, batteries idle"]
    assert variants[PLUGGED_IN].events[1].participant == "cem"  # type: ignore[union-attr]
    small = STREET.with_changes(community={"enabled": True, "battery_kwh": 12.0})
    assert _list_variants(small)["community battery doubled"].community.battery_kwh == 24.0
    assert list(_list_variants(small)) == list(VARIANTS)


def test_events_that_the_outage_study_leaves_out_are_named() -> None:
    events = [{"kind": "random_outages"}, *_dark(4).model_dump()["events"]]
    assert list_outage_notes(STREET.with_changes(events=events)) == [
        "events that the outage study leaves out: outage (1)"
    ]
    assert list_outage_notes(STREET) == []


@pytest.mark.slow  # a whole study
def test_houses_that_keep_their_own_are_named(tmp_path: Path) -> None:
    rows = [{"participant": "house_01", "battery_kwh": 3.0}, {"participant": "house_02", "pv_kwp": 4.0}]
    scenario = STREET.with_changes(participants=rows)
    assert list_sweep_notes("beta-tau", scenario) == []
    (note,) = list_sweep_notes("storage", scenario)
    assert note == "1 participants have a battery of their own (battery_kwh), which the study does not vary: house_01"
    path = tmp_path / "own.toml"
    path.write_text(format_toml(scenario.with_changes(horizon={"hours": 2})))
    given = ["study", "production", str(path), "--seeds", "1", "--workers", "1", "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(app, given)
    assert ended.exit_code == 0, ended.output
    assert "note: 1 participants have panels of their own (pv_kwp)" in ended.output
