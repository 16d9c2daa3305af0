"""Values in words and numbers in quotes: what may mean two things is asked back, what is idle is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from cosim import Scenario, ScenarioError
from cosim.case.case import build_market
from cosim.cli.app import app
from cosim.scenario.base import Section
from cosim.scenario.events import LoadEvent
from cosim.scenario.participants import NUMBERS, ParticipantSection

HOUSES = "[houses]\nn_houses = 4\nn_prosumers = 2\n"


def refuse(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The message of a scenario that is refused."""
    monkeypatch.chdir(folder)
    Path("s.toml").write_text(text)
    done = CliRunner().invoke(app, ["run", "s.toml", "--out", "out"], env={"COLUMNS": "400"})
    assert done.exit_code == 2, done.output
    assert not Path("out").exists()
    return done.output


@pytest.mark.parametrize("word", ["ja", "maybe", "2"])
@pytest.mark.parametrize("column", ["ev", "heat_pump"])
def test_who_has_a_car_is_said_by_yes_or_no(
    word: str, column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = f'[[participants]]\nparticipant = "house_01"\n{column} = "{word}"\n'
    said = refuse(tmp_path, f"{HOUSES}{rows}", monkeypatch)
    assert f'participants.0.{column}: expected true or false ("yes" and "no" will do), got \'{word}\'' in said
    (tmp_path / "houses.csv").write_text(f"participant,{column}\nhouse_01,{word}\n")
    said = refuse(tmp_path, f'{HOUSES}table = "houses.csv"\n', monkeypatch)
    assert f"houses.csv, column '{column}', row 2: expected yes or no, got '{word}'; correct the row" in said


def list_keys() -> list[tuple[str, type[Section], str]]:
    """Every key of a section of the scenario, of a row of participants and of an event: where, section, key."""
    sections: list[tuple[str, Any]] = [(name, type(section)) for name, section in Scenario()]
    sections += [("participants.0", ParticipantSection), ("events.0", LoadEvent)]
    return [
        (where, section, key)
        for where, section in sections
        if isinstance(section, type) and issubclass(section, Section)
        for key in section.model_fields
    ]


def is_only_a_number(section: type[Section], key: str) -> bool:
    kinds = [section.model_fields[key].annotation]
    for kind in kinds:
        kinds += get_args(kind)
    words = [kind for kind in kinds if kind is str or isinstance(kind, str)]
    return any(kind in (int, float) for kind in kinds) and not words


@pytest.mark.parametrize(("written", "ways"), [("1.500", "1500 or 1.5"), (" -12,345", "-12345 or -12.345")])
def test_a_number_in_quotes_that_may_mean_two_is_asked_back(written: str, ways: str) -> None:
    """In every section: TOML has numbers, and quotes make them texts as tables have them."""
    found = []
    for where, section, key in list_keys():
        if not is_only_a_number(section, key):
            continue
        with pytest.raises(ValueError, match="one way only") as caught:
            section.model_validate({key: written})
        assert f"{key}: expected a number that can be read in one way only, got '{written}'; write {ways}" in str(
            caught.value
        )
        found.append(f"{where}.{key}")
    assert {"houses.wallet_eur", "ev.n_cars", "participants.0.wallet_eur", "events.0.factor"} <= set(found)
    assert {f"participants.0.{key}" for key in NUMBERS} <= set(found)


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    scenario = Scenario().with_changes(name="1.500", participants=[{"participant": "1.500", "bus": "2,750"}])
    assert (scenario.name, scenario.participants[0].participant, scenario.participants[0].bus) == (
        "1.500",
        "1.500",
        "2,750",
    )


@pytest.mark.parametrize("written", ["1.500", "1,500"])
def test_money_of_a_house_is_never_guessed(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = f'[[participants]]\nparticipant = "house_01"\nwallet_eur = "{written}"\n'
    said = refuse(tmp_path, f"{HOUSES}{rows}", monkeypatch)
    assert f"participants.0: wallet_eur: expected a number that can be read in one way only, got '{written}'" in said
    assert "write 1500 or 1.5, without quotes" in said
    (tmp_path / "houses.csv").write_text(f"participant;wallet_eur\nhouse_01;{written}\n")
    said = refuse(tmp_path, f'{HOUSES}table = "houses.csv"\n', monkeypatch)
    assert "houses.csv, column 'wallet_eur', row 2: expected a number that can be read in one way only" in said
    assert f"got '{written}'; write 1500 or 1.5, without thousands separators" in said


def test_what_was_understood_of_the_numbers_of_houses_is_said(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text("participant;wallet_eur;battery_kwh\nhouse_01;1.234,50;13,5\n")
    scenario = Scenario().with_changes(houses={"n_houses": 4, "n_prosumers": 2, "table": tmp_path / "houses.csv"})
    market = build_market(scenario.with_changes(market={"mechanism": "trading_battery"}))
    assert "decimal commas ('13,5' is 13.5); thousands separators ('1.234,50' is 1234.5)" in str(
        market.profiles.provenance["notes"]
    )
    assert market.scenario.participants[0].wallet_eur == 1234.5


OUTAGE = [{"kind": "outage", "start": "2017-06-01T03:00:00Z", "hours": 2, "grid": True}]
IDLE = "table of participants: the battery of 'house_01' and of 1 more stays idle: market.mechanism = \"trading\""
BATTERIES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"market": {"mechanism": "trading_battery"}}, False),
    ({"events": OUTAGE}, False),
]


@pytest.mark.parametrize(("changes", "is_said"), BATTERIES)
def test_batteries_that_nobody_uses_are_named_in_a_note(changes: dict[str, Any], is_said: bool) -> None:
    rows = [{"participant": "house_01", "battery_kwh": 10.0}, {"participant": "house_03", "battery_kwh": 5.0}]
    rows += [{"participant": "house_02", "battery_kwh": 0.0}]
    scenario = Scenario().with_changes(
        horizon={"start": "2017-06-01T00:00:00Z", "hours": 6},
        houses={"n_houses": 4, "n_prosumers": 2},
        market={"mechanism": "trading"},
        participants=rows,
    )
    notes = str(build_market(scenario.with_changes(**changes)).profiles.provenance.get("notes", ""))
    assert (IDLE in notes) is is_said


def test_the_note_on_a_battery_reaches_whoever_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text("participant,battery_kwh\nhouse_01,10\n")
    text = f'[horizon]\nhours = 2\n{HOUSES}table = "houses.csv"\n[market]\nmechanism = "trading"\n'
    Path("s.toml").write_text(text)
    said = "the battery of 'house_01' stays idle"
    assert said in CliRunner().invoke(app, ["scenario", "check", "s.toml"], env={"COLUMNS": "300"}).output
    assert said in CliRunner().invoke(app, ["run", "s.toml", "--out", "out"], env={"COLUMNS": "300"}).output
    assert any(said in note for note in json.loads(Path("out/summary.json").read_text())["notes"])


def test_a_number_that_is_one_in_quotes_is_still_read() -> None:
    assert Scenario().with_changes(houses={"wallet_eur": "1500.5"}).houses.wallet_eur == 1500.5
    with pytest.raises(ScenarioError, match=r"houses\.wallet_eur: expected"):
        Scenario().with_changes(houses={"wallet_eur": "1,5"})
