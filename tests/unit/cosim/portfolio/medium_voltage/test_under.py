"""A portfolio under a medium-voltage net: the index names buses, each feeder is run at the head that was agreed."""

from __future__ import annotations

import json
from pathlib import Path

import pandapower as pp
import pytest
from medium_voltage_nets import make_net
from typer.testing import CliRunner

from cosim.audit.audit import audit_ledger
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.portfolio.entry import make_entry, refuse_entry
from cosim.portfolio.index import read_index
from cosim.portfolio.medium_voltage.under import check_no_buses, with_heads
from cosim.scenario.model import Scenario

INDEX = "feeder,mv_bus,seed,houses.production_ratio\neast,end,1,3\nwest,3,2,3\n"
BASE = """
[horizon]
start = 2017-06-01T10:00:00Z
hours = 3
[houses]
n_houses = 4
n_prosumers = 3
[market]
feed_in = true
[ledger]
facts = true
"""


def prepare(folder: Path, index: str = INDEX) -> list[str]:
    """Files of a portfolio, and the command that runs it."""
    net = make_net()
    net.line["max_loading_percent"] = [100.0, 25.0]
    pp.to_json(net, folder / "mv.json")
    (folder / "feeders.csv").write_text(index)
    (folder / "base.toml").write_text(BASE)
    inside = [str(folder / name) for name in ("feeders.csv", "mv.json", "base.toml", "out")]
    words = ["portfolio", "run", inside[0], "--mv", inside[1], "--scenario", inside[2], "--out", inside[3]]
    return [*words, "--workers", "1", "--json"]


@pytest.mark.slow
def test_a_portfolio_under_medium_voltage_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    words = prepare(tmp_path)
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    under = told["medium_voltage"]
    assert (told["run"], under["shared_intervals"], under["broken_intervals"]) == (2, 1, 0)
    rows = (tmp_path / "out" / "portfolio.parquet").read_bytes()
    (tmp_path / "out" / "portfolio.parquet").unlink()
    again = CliRunner().invoke(app, [*words, "--resume"])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out" / "portfolio.parquet").read_bytes() == rows
    for name in ("east", "west"):
        assert audit_ledger(tmp_path / "out" / "runs" / name, sample=None).findings == ()
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "found a portfolio; go on with --resume" in refused.output


@pytest.mark.slow
def test_nothing_is_written_where_a_feeder_cannot_run(tmp_path: Path) -> None:
    words = prepare(tmp_path, INDEX + "north,nowhere,3,3\n")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "feeder 'north', mv_bus: expected index or name of one bus" in result.output
    assert not (tmp_path / "out").exists()


def test_buses_of_an_index_are_words_or_numbers(tmp_path: Path) -> None:
    prepare(tmp_path, "feeder,mv_bus\na,3\nb,\nc,7\n")
    assert [entry.mv_bus for entry in read_index(tmp_path / "feeders.csv", Scenario())] == ["3", "", "7"]


def test_every_feeder_needs_a_bus_and_every_bus_a_net(tmp_path: Path) -> None:
    placed, loose = make_entry("a", Scenario(), mv_bus="3"), make_entry("b", Scenario())
    with pytest.raises(ScenarioError, match=r"feeder 'b', mv_bus: expected index or name of a bus .*, got none"):
        with_heads([placed, loose], make_net(), tmp_path)
    with pytest.raises(ScenarioError, match="feeder 'c', under --mv: expected every feeder to run, got: broken"):
        with_heads([placed, refuse_entry("c", "broken")], make_net(), tmp_path)
    with pytest.raises(
        ScenarioError, match="feeder 'a', mv_bus: expected --mv and the medium-voltage net that has bus '3'"
    ):
        check_no_buses([loose, placed])
    check_no_buses([loose])
    assert not list(tmp_path.iterdir())


def test_rooms_of_single_feeders_are_not_those_under_a_net(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*prepare(tmp_path), "--hosting"])
    assert result.exit_code == 2
    assert "--hosting: expected feeders by themselves, got --mv" in result.output
