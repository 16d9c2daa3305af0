"""Verification: ranges of blocks, processes, battery changes, and what is bad input rather than a broken ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ledger_world import append, begin, world, written

from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.records import RecordBytes, make_house_records, view_as_bytes
from market.ledger.write.ledger import Ledger
from market.storage import Ratings

MADE = world(3, 20, seed=1)


def spoil(directory: Path, height: int) -> None:
    """Break the signature of one block."""
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE block SET signature = zeroblob(64) WHERE height = ?", (height,))
    connection.close()


def test_only_a_range_is_verified_in_full(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", MADE)
    spoil(directory, 4)
    spoil(directory, 15)
    assert verify_ledger(directory).height == 4
    assert verify_ledger(directory, first=5).height == 15
    report = verify_ledger(directory, first=5, last=14)
    assert (report.ok, report.n_blocks) == (True, 15)
    assert verify_ledger(directory, last=3).ok


def test_processes_find_the_same_first_fault(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", MADE)
    assert verify_ledger(directory, n_processes=2).ok
    spoil(directory, 9)
    spoil(directory, 7)
    assert verify_ledger(directory, n_processes=2) == verify_ledger(directory)
    assert verify_ledger(directory).height == 7


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[int] = []
    verify_ledger(written(tmp_path / "run", MADE), listener=seen.append)
    assert seen == [21]


def test_no_ledger_or_no_note_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="expected a run directory"):
        verify_ledger(tmp_path)
    directory = written(tmp_path / "run", MADE)
    with pytest.raises(LedgerError, match="expected a signed note"):
        verify_ledger(directory, checkpoint="no note")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"something else, quite long" * 100])
def test_a_file_that_is_no_database_is_a_broken_ledger(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(content)
    report = verify_ledger(tmp_path)
    assert (report.ok, report.height) == (False, 0)


def batteries(own_wh: int, house: int = 0, wallet_neur: int = 0) -> RecordBytes:
    old = MADE.window.state.ratings
    larger = Ratings(*(column[:1] for column in old))._replace(soc_max_wh=old.soc_max_wh[:1] + 5000)
    row = make_house_records(["a"], [0], larger, own_wh, wallet_neur, 0)
    row["house"] = house
    return view_as_bytes(row)


@pytest.mark.parametrize(("house", "own_wh", "wallet_neur"), [(99, 0, 0), (0, -(10**8), 0), (0, 0, 1)])
def test_a_battery_that_cannot_come_is_found(tmp_path: Path, house: int, own_wh: int, wallet_neur: int) -> None:
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 5)
        ledger.append_registry(batteries(own_wh, house, wallet_neur))
    report = verify_ledger(tmp_path / "run")
    assert (report.ok, report.height) == (False, 6)
    assert "battery" in report.reason


def test_energy_that_comes_with_a_battery_must_show_on_the_meter(tmp_path: Path) -> None:
    with begin(tmp_path / "run", MADE) as ledger:
        append(ledger, MADE, 0, 5)
        ledger.append_registry(batteries(1000))
        append(ledger, MADE, 5, 8)
    report = verify_ledger(tmp_path / "run")
    assert (report.ok, report.height) == (False, 7)
    assert "does not follow from its flows" in report.reason


def test_a_block_between_intervals_keeps_time_and_state(tmp_path: Path) -> None:
    with begin(tmp_path / "run", MADE) as ledger:
        ledger.append_registry(batteries(0))
        append(ledger, MADE, 0, 5)
        assert ledger.next_interval == 5
    with Ledger.resume(tmp_path / "run", MADE.key) as ledger:
        assert ledger.state() == (5, b"before interval 5")
        ledger.append_registry(batteries(0))
        assert ledger.state() == (5, b"before interval 5")
    assert verify_ledger(tmp_path / "run", checkpoint=checkpoint_path(tmp_path / "run").read_text()).ok


def test_a_later_interval_that_begins_at_another_time_is_found(tmp_path: Path) -> None:
    starts = MADE.starts.copy()
    starts[11:] += 3600
    report = verify_ledger(written(tmp_path / "run", MADE._replace(starts=starts)))
    assert (report.ok, report.height) == (False, 12)


def test_a_wrong_state_root_is_found(tmp_path: Path) -> None:
    roots = list(MADE.roots)
    roots[8] = bytes(32)
    report = verify_ledger(written(tmp_path / "run", MADE._replace(roots=roots)))
    assert (report.ok, report.height) == (False, 9)
    assert "state root" in report.reason


def test_money_without_end_is_found(tmp_path: Path) -> None:
    """A sum beyond all bounds is a fault, never an overflow."""
    rich = MADE.genesis[1].copy()
    rich[0, 44:52] = np.array([2**60], "<i8").view(np.uint8)
    assert not verify_ledger(written(tmp_path / "run", MADE._replace(genesis=[MADE.genesis[0], rich]))).ok
