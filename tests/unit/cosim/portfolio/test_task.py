"""A feeder as a task: whatever goes wrong in it is its row, the same wherever it runs; a full disk is nobody's row."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cosim.errors import ScenarioError
from cosim.portfolio import task as tasks
from cosim.portfolio.row import SCHEMA
from cosim.portfolio.task import NoRoomError, SentFile, Task, run_feeder
from cosim.results.integrity import hash_files
from cosim.scenario.files import format_toml, load_scenario
from cosim.scenario.model import Scenario
from grid_models.errors import GridError

NET = SentFile("network.file", "net.json", "nets/net.json", b"{}")
TASK = Task("a", Scenario().with_changes(network={"source": "file", "file": "/gone/net.json"}), (NET,))


@pytest.fixture(autouse=True)
def nothing_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "compile_once", lambda model: None)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    def run(scenario: Scenario, folder: Path) -> None:
        raise error(scenario, folder) if callable(error) else error

    monkeypatch.setattr(tasks, "run", run)


def test_messages_name_files_as_the_index_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fail_with(monkeypatch, lambda scenario, folder: GridError(f"{scenario.network.file}: expected a net; {folder}/x"))
    found = [run_feeder(TASK._replace(workspace=place)) for place in (tmp_path, None)]
    assert [each.row["message"] for each in found] == ["nets/net.json: expected a net; run/x"] * 2
    assert set(found[0].row) == set(SCHEMA.names)
    assert (found[0].row["status"], found[0].row["head"], found[0].stands) == ("failed", None, True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, lambda scenario, _: ScenarioError(scenario.network.file.read_text()))
    assert run_feeder(TASK._replace(files=(NET._replace(content=b"sent"),))).row["message"] == "sent"


def test_too_little_memory_is_a_row_that_does_not_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, MemoryError())
    found = run_feeder(TASK)
    assert found.row["message"].startswith("expected the run to fit into memory, got more")
    assert not found.stands


def test_a_defect_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by\nzero " + 1000 * "x"))
    found = run_feeder(TASK)
    message = found.row["message"]
    assert not found.stands
    assert message.startswith("unforeseen error, a defect of gridsettle (ZeroDivisionError: division by zero x")
    assert len(message) <= 601


def caused_by(cause: BaseException) -> ScenarioError:
    reason = ScenarioError("net.json: expected a file that can be used")
    reason.__cause__ = cause
    return reason


@pytest.mark.parametrize(
    ("error", "stands", "message"),
    [
        (OSError(errno.EMFILE, "Too many open files"), False, "expected a machine whose files can be used, got [Errno"),
        (OSError(errno.EIO, "Input/output error"), False, "expected a machine whose files can be used, got [Errno"),
        (caused_by(OSError(errno.EMFILE, "Too many open files")), False, "net.json: expected a file"),
        (caused_by(sqlite3.OperationalError("unable to open database file")), False, "net.json: expected a file"),
        (caused_by(MemoryError()), False, "net.json: expected a file"),
        (caused_by(gzip.BadGzipFile("CRC check failed")), True, "net.json: expected a file"),
        (caused_by(EOFError()), True, "net.json: expected a file"),
        (EOFError("Ran out of input"), False, "unforeseen error, a defect of gridsettle (EOFError"),
        (pickle.UnpicklingError("truncated"), False, "unforeseen error, a defect of gridsettle (UnpicklingError"),
    ],
)
def test_only_what_is_wrong_with_the_input_stands(
    monkeypatch: pytest.MonkeyPatch, error: Exception, stands: bool, message: str
) -> None:
    fail_with(monkeypatch, error)
    found = run_feeder(TASK)
    assert found.stands == stands
    assert found.row["message"].startswith(message)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_row(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def error(*_: object) -> ScenarioError:
        reason = ScenarioError("expected a file that can be written")
        reason.__cause__ = OSError(number, os.strerror(number))
        return reason

    fail_with(monkeypatch, error)
    with pytest.raises(NoRoomError, match=r"expected room on the disk for the files of a run, got .*; make room"):
        run_feeder(TASK)


def test_a_full_database_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ScenarioError("database or disk is full"))
    with pytest.raises(NoRoomError):
        run_feeder(TASK)


def test_a_workspace_that_is_gone_is_no_row(tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match="expected a folder for a run"):
        run_feeder(TASK._replace(workspace=tmp_path / "gone"))


def test_a_kept_run_names_the_files_that_were_given(tmp_path: Path) -> None:
    """Those that it read are gone with its folder; its hashes are those of what it says now."""
    read = TASK.scenario.with_changes(network={"file": tmp_path / "given" / "net.json"})
    (tmp_path / "scenario.toml").write_text(format_toml(read), encoding="utf-8")
    kept = {
        "libraries": {},
        "profiles": {},
        "limits": {},
        "ledger": {},
        "network_notes": [],
        "files": {"summary.json": "0"},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(kept), encoding="utf-8")
    tasks._name_given_files(tmp_path, TASK)
    assert load_scenario(tmp_path / "scenario.toml").network.file == Path("/gone/net.json")
    found = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert found["files"] == {"summary.json": "0", **hash_files(tmp_path, ["scenario.toml"])}
