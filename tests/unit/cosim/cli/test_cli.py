"""The command line as a user meets it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cosim import Result
from cosim.cli.app import app

DAY = ["rural", "--until", "2017-01-02", "--quiet"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_run_writes_a_directory_anyone_can_read(here: Path) -> None:
    assert invoke("run", *DAY) == ""
    directory = here / "runs" / "rural-001"
    expected = {
        "branch_loading.parquet",
        "bus_voltage.parquet",
        "curtailment.csv",
        "exchanges.parquet",
        "houses.parquet",
        "intervals.parquet",
        "ledger.sqlite",
        "manifest.json",
        "scenario.toml",
        "summary.json",
        "violations.csv",
    }
    assert expected <= {file.name for file in directory.iterdir()}
    assert not (directory / ".parts").exists()
    exchanges = pd.read_parquet(directory / "exchanges.parquet")
    summary = json.loads((directory / "summary.json").read_text())
    imported = exchanges[exchanges.kind == "grid_import"].delivered_wh.sum()
    assert summary["energy_kwh"]["imported"] == imported / 1000
    assert summary["network"]["intervals"] == 24


@pytest.mark.slow
def test_json_is_the_summary_and_nothing_else(here: Path) -> None:
    summary = json.loads(invoke("run", "rural", "--until", "2017-01-02", "--json", "--out", "x"))
    assert summary["ledger"]["height"] == 24
    assert summary["agreement"]["max_vm_error_pu"] < 1e-9


@pytest.mark.slow
def test_table_on_screen_names_the_ledger_head(here: Path) -> None:
    text = invoke("run", "rural", "--until", "2017-01-02", "--out", "x")
    head = json.loads(Path("x/summary.json").read_text())["ledger"]["hash"]
    assert head[:16] in text
    assert "all AC-checked" in text


@pytest.mark.slow
def test_ledger_verify_and_show(here: Path) -> None:
    invoke("run", *DAY, "--out", "x")
    assert "ok, 25 blocks" in invoke("ledger", "verify", "x", "--checkpoint", "x.checkpoint")
    lines = [json.loads(line) for line in invoke("ledger", "show", "x", "13", "--json").splitlines()]
    assert lines[0]["record"] == "header"
    assert lines[0]["height"] == 13
    assert sum(line["record"] == "meter" for line in lines) == 26
    assert lines[-1]["record"] == "verdict"


@pytest.mark.slow
def test_a_broken_ledger_is_an_answer_not_an_error(here: Path) -> None:
    import sqlite3

    invoke("run", *DAY, "--out", "x")
    with closing(sqlite3.connect("x/ledger.sqlite")) as connection, connection:
        body = bytearray(connection.execute("SELECT records FROM block WHERE height = 7").fetchone()[0])
        body[40] ^= 1
        connection.execute("UPDATE block SET records = ? WHERE height = 7", (bytes(body),))
    result = CliRunner().invoke(app, ["ledger", "verify", "x"])
    assert result.exit_code == 1
    assert "BROKEN at block 7" in result.stdout


def test_scenario_new_makes_what_run_takes(here: Path) -> None:
    invoke("scenario", "new", "mine.toml", "--like", "cigre_lv")
    assert "15 participants" in invoke("scenario", "check", "mine.toml")
    assert "max_i_ka" in invoke("scenario", "check", "mine.toml")
    assert CliRunner().invoke(app, ["scenario", "new", "mine.toml"]).exit_code == 2


def test_scenario_list_and_show(here: Path) -> None:
    assert "default" in invoke("scenario", "list")
    assert "[market]" in invoke("scenario", "show", "reference")


@pytest.mark.slow
def test_result_is_read_back_from_its_directory(here: Path) -> None:
    invoke("run", *DAY, "--out", "x")
    result = Result.load("x")
    assert str(result.bus_voltage.index.tz) == "UTC"
    assert len(result.houses) == 24 * 26
    assert "24 intervals" in repr(result)
    assert "<table" in result._repr_html_()
    assert "house_01" in set(result.net.load.name)
