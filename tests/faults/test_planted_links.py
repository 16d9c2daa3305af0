"""A run directory of a stranger holds links that lead out of it: nothing is written or removed where they lead."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.cli.app import app
from cosim.results.directory import write_whole
from data.tables import write_profiles
from market.errors import LedgerError
from market.ledger.durable import free_partial_path, write_durably
from market.ledger.store.store import Store

DAY = Scenario("day", horizon={"hours": 6}, houses={"n_houses": 3, "n_prosumers": 2})
PRECIOUS = "what is not to be lost"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("links") / "run"
    run(DAY, directory)
    return directory


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    path = tmp_path / "outside" / "victim.txt"
    path.write_text(PRECIOUS)
    return path


def expect_untouched(victim: Path) -> None:
    assert victim.read_text() == PRECIOUS
    assert [each.name for each in victim.parent.iterdir()] == [victim.name]


@pytest.mark.parametrize("write", [write_durably, write_whole])
@pytest.mark.parametrize("leads_to", ["victim.txt", "made.txt"])
def test_a_link_at_the_hidden_name_is_removed(
    write: Callable[[Path, str], None], leads_to: str, victim: Path, tmp_path: Path
) -> None:
    (tmp_path / ".it.json.partial").symlink_to(victim.parent / leads_to)
    write(tmp_path / "it.json", "new")
    assert (tmp_path / "it.json").read_text() == "new"
    assert not (tmp_path / "it.json").is_symlink()
    expect_untouched(victim)


def test_a_link_at_the_name_itself_is_replaced(victim: Path, tmp_path: Path) -> None:
    (tmp_path / "it.json").symlink_to(victim)
    write_durably(tmp_path / "it.json", "new")
    assert not (tmp_path / "it.json").is_symlink()
    expect_untouched(victim)


def test_profiles_are_not_written_through_a_link(finished: Path, victim: Path, tmp_path: Path) -> None:
    (tmp_path / "profiles.csv.part").symlink_to(victim)
    write_profiles(build_case(DAY).profiles, tmp_path / "profiles.csv")
    expect_untouched(victim)


def test_what_is_in_the_way_and_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".it.json.partial").mkdir()
    with pytest.raises(LedgerError, match=r"it.json: expected a file that can be written"):
        free_partial_path(tmp_path / "it.json")


COMMANDS = {
    "report": (["report", "RUN"], ".report.html.partial", 0),
    "tables of the report": (["report", "RUN"], ".branch_summary.csv.partial", 0),
    "export": (["ledger", "export", "RUN", "RUN/it.jsonl"], ".it.jsonl.partial", 0),
    "tables": (["ledger", "export", "RUN", "RUN/tables", "--parquet"], "tables/.meters.parquet.partial", None),
    "receipt": (["ledger", "prove", "RUN", "2", "1", "--out", "RUN/it.json"], ".it.json.partial", 0),
    "resume": (["run", "RUN/scenario.toml", "--out", "RUN", "--resume"], ".parts", 2),
    "resume, aside": (["run", "RUN/scenario.toml", "--out", "RUN", "--resume"], ".summary.json.partial", 2),
    "requests": (["ledger", "device", "RUN", "0", "1", "--kind", "pv", "--bus", "1", "--power-w", "1"], "requests", 2),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_leaves_the_folder(name: str, finished: Path, victim: Path, tmp_path: Path) -> None:
    words, place, code = COMMANDS[name]
    directory = tmp_path / "run"
    shutil.copytree(finished, directory)
    shutil.copy(finished.with_name("run.checkpoint"), tmp_path)
    link = directory / place
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    is_folder = place in (".parts", "requests")
    link.symlink_to(victim.parent if is_folder else victim)
    done = CliRunner().invoke(app, [word.replace("RUN", str(directory)) for word in words])
    assert done.exit_code == code or (code is None and done.exit_code in (0, 2)), done.output
    expect_untouched(victim)


@pytest.mark.parametrize(
    ("name", "leads_to"),
    [("ledger.lock", "victim.txt"), ("ledger.lock", "made.txt"), ("ledger.sqlite", "other.sqlite")],
)
def test_a_ledger_is_not_written_through_a_link(
    name: str, leads_to: str, finished: Path, victim: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    link = tmp_path / "run" / name
    if name == "ledger.sqlite":
        shutil.copy(link, tmp_path / leads_to)
    link.unlink()
    link.symlink_to(tmp_path / leads_to if name == "ledger.sqlite" else victim.parent / leads_to)
    with pytest.raises(LedgerError, match=f"{name}: expected"):
        Store.open_to_write(tmp_path / "run")
    expect_untouched(victim)
