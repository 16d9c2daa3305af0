"""A portfolio under a medium-voltage net: the index names buses, each feeder is run at the head that was agreed."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from medium_voltage_nets import make_net
from typer.testing import CliRunner

import cosim.portfolio.portfolio as room
from cosim.audit.audit import audit_ledger
from cosim.cli.app import app
from cosim.errors import ScenarioError
from cosim.portfolio.entry import Entry, make_entry, refuse_entry
from cosim.portfolio.identity import make_identity
from cosim.portfolio.index import read_index
from cosim.portfolio.medium_voltage.results import write_agreed
from cosim.portfolio.medium_voltage.under import check_no_buses, place_entries
from cosim.scenario.model import Scenario
from market.errors import LedgerError
from market.ledger.store import store
from market.ledger.store.store import lock_for_writing

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
    files = read_all(tmp_path / "out")
    (tmp_path / "feeders.csv").write_text(INDEX.replace("west,3", "west,middle"))
    other = CliRunner().invoke(app, [*words, "--resume"])
    assert other.exit_code == 2
    assert "expected the medium-voltage net and buses of its feeders, as when the portfolio was begun" in other.output
    assert read_all(tmp_path / "out") == files


def read_all(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Placed:
    """Feeders that were placed, without a net."""

    def digest(self) -> str:
        return "this net"


def plug(monkeypatch: pytest.MonkeyPatch, agree: Any) -> list[Entry]:
    """One entry; its net is never solved, but `agree` is called in place of that."""
    monkeypatch.setattr(room, "place_entries", lambda *_: Placed())
    monkeypatch.setattr(room, "with_heads", agree)
    return [make_entry("a", Scenario(), mv_bus="3")]


def test_nobody_else_writes_while_heads_are_agreed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def agree(_: object, directory: Path) -> None:
        with pytest.raises(LedgerError, match="another run is writing"):
            lock_for_writing(directory / "portfolio")
        raise ScenarioError("voltages do not agree")

    monkeypatch.setattr(store, "READERS_ASK_S", 0.0)
    entries = plug(monkeypatch, agree)
    with pytest.raises(ScenarioError, match="do not agree"):
        room.run_portfolio(entries, tmp_path / "out", mv="net")
    with closing(lock_for_writing(tmp_path / "out" / "portfolio")), pytest.raises(LedgerError, match="another run"):
        room.run_portfolio(entries, tmp_path / "out", mv="net")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "expected no medium-voltage net, as when the portfolio was begun, got the contrary; leave --mv out"),
        ("another", "expected the medium-voltage net and buses of its feeders, .* got others"),
    ],
)
def test_the_net_of_another_portfolio_is_refused_before_it_is_solved(
    before: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = plug(monkeypatch, lambda *_: pytest.fail("it was solved"))
    identity = make_identity(entries, hosting=False, mv=before)
    (tmp_path / "index.json").write_text(json.dumps(identity.as_dict()))
    with pytest.raises(ScenarioError, match=said):
        room.run_portfolio(entries, tmp_path, mv="net", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


def test_series_are_not_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "heads").symlink_to(tmp_path / "elsewhere")
    agreed: Any = None  # nothing of it is needed
    with pytest.raises(ScenarioError, match="heads: expected a folder, got a link, which leads elsewhere; remove it"):
        write_agreed(agreed, tmp_path)


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
        place_entries([placed, loose], make_net())
    with pytest.raises(ScenarioError, match="feeder 'c', under --mv: expected every feeder to run, got: broken"):
        place_entries([placed, refuse_entry("c", "broken")], make_net())
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
