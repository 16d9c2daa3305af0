"""`gridsettle portfolio run`: what must be given, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.cli.portfolio import describe
from cosim.cli.progress import show_feeders
from cosim.cli.terminal import show_portfolio
from cosim.portfolio import portfolio as portfolios
from cosim.portfolio.portfolio import Portfolio
from cosim.portfolio.row import SCHEMA, make_failed_row, make_rows_table


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["portfolio", "run", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected one of INDEX, --simbench, --named and --generate, got none; give one"),
        (["index.csv", "--generate", 3], "expected one of INDEX, --simbench, --named and --generate, got several"),
        (["index.csv", "--seed", 3], "--seed: expected --generate, whose feeders are drawn"),
        (["--generate", 3, "--resume"], "--resume: expected the directory of the portfolio to go on with, got none"),
        (["nowhere.csv"], "nowhere.csv: expected an index with a row a feeder, or a folder, found none"),
        (["--generate", 0], "--generate: expected 1 to 50,000 feeders, got 0"),
        (["--named", "kerberr"], "--named: expected a part of the name of a net of pandapower"),
        (["--generate", 2, "--keep", "best 3"], "--keep: expected all, none, or 'worst 20' with any number"),
        (["--generate", 2, "--scenario", "nothing"], "scenario 'nothing': expected a TOML file or one of"),
    ],
)
def test_what_cannot_be_run_is_refused_and_nothing_is_written(
    arguments: list[object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def make_portfolio(folder: Path, n_failed: int) -> Portfolio:
    run = {**dict.fromkeys(SCHEMA.names), "status": "run", "highest_loading_percent": 55.25}
    rows = [{**run, "feeder": name, "cut_kwh": cut, "curtailed_hours": 3.0} for name, cut in (("a", 1.5), ("b", 9.25))]
    rows[1]["message"] = "switched off in 3 of 24 intervals"
    failed = [make_failed_row(f"f{k}", f"f{k}.json: expected a net\x1b[31m") for k in range(n_failed)]
    return Portfolio(folder, make_rows_table([*rows, *failed]))


def test_the_outcome_names_worst_and_failed_feeders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = describe(make_portfolio(tmp_path, 7))
    assert (told["feeders"], told["run"], told["runs"], told["taken_over"]) == (9, 2, None, 0)
    assert [row["feeder"] for row in told["worst"]] == ["b", "a"]
    show_portfolio(told)
    printed = capsys.readouterr().out
    assert "2 of 9 feeders run" in printed
    assert "9.2" in printed
    assert "note: b: switched off in 3 of 24 intervals\n" in printed
    assert "failed: f4: f4.json: expected a net\\x1b[31m" in printed
    assert "f5" not in printed
    assert "and 2 more that failed; the table has their messages" in printed
    assert f"wrote {tmp_path / 'portfolio.parquet'}\n" in printed


def test_feeders_and_runs_that_are_kept_are_counted_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with show_feeders() as listener:
        for done, total in ((0, 40), *((k, 40) for k in range(1, 41)), (41, 42), (42, 42)):
            listener(done, total)
    begin, first, *_, last, half, end = capsys.readouterr().err.splitlines()
    assert begin.startswith("running 40 feeders; the first ones compile")
    assert (first, last) == ("portfolio: 4 of 40 feeders", "portfolio: 40 of 40 feeders")
    assert (half, end) == ("portfolio: 1 of 2 runs kept", "portfolio: 2 of 2 runs kept")


def test_rows_that_are_taken_over_are_counted_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = replace(make_portfolio(tmp_path, 1), taken_over=2)
    monkeypatch.setattr(portfolios, "run_portfolio", lambda *_, **__: found)
    done = call("--generate", 3, "--out", tmp_path, "--resume", "--json")
    assert json.loads(done.stdout)["taken_over"] == 2
    said = f"gridsettle: took 2 of 3 rows over from {tmp_path}: they are believed, not computed here\n"
    assert done.stderr == said
