"""Phases in words: what `ledger show`, receipts and exports say of a ledger with phases, and of one without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ledger_world import world, written

from market.exchanges import EXCHANGE, Kind, Reason, with_conductor
from market.ledger.check.receipt import Proven, check_receipt, prove
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.records import CONNECTED, HOUSE, NONE, PHASES, RecordKind, make_record
from market.ledger.format.version import BALANCED, UNBALANCED
from market.ledger.read.export import export_tables
from market.ledger.read.show import show_record, show_records
from market.ledger.store.store import Store


def test_phases_behind_a_verdict_are_said_in_letters() -> None:
    codes = {"lowest_phase": 1, "highest_phase": 3, "branch_conductor": 4, "vuf_e4_percent": 6548, "vuf_bus": 37}
    row = make_record(PHASES, RecordKind.PHASES, **codes, neutral_e4_percent=NONE, neutral_line=-1)
    shown = show_record(row.tobytes(), UNBALANCED)
    assert [shown[name] for name in ("lowest_phase", "highest_phase", "branch_conductor")] == ["a", "c", "n"]
    assert (shown["record"], shown["vuf_e4_percent"], shown["vuf_bus"]) == ("phases", 6548, 37)
    assert (shown["neutral_e4_percent"], shown["neutral_line"]) == (None, -1)


@pytest.mark.parametrize(
    ("reason", "conductor", "said"),
    [
        (Reason.OVERVOLTAGE, "b", ("overvoltage", "b")),
        (Reason.LINE_OVERLOAD, "n", ("line_overload", "n")),
        (Reason.UNBALANCE, "", ("unbalance", None)),
        (Reason.NONE, "", ("none", None)),
    ],
)
def test_a_reason_is_said_with_its_conductor(reason: Reason, conductor: str, said: tuple[str, str | None]) -> None:
    row = np.zeros(1, EXCHANGE)
    row["kind"], row["reason"] = Kind.GRID_EXPORT, with_conductor(reason, conductor)
    shown = show_record(row.tobytes(), UNBALANCED)
    assert (shown["reason"], shown["phase"]) == said


def test_a_balanced_ledger_shows_no_phase() -> None:
    row = np.zeros(1, EXCHANGE)
    row["kind"] = Kind.GRID_EXPORT
    assert "phase" not in show_record(row.tobytes(), BALANCED)
    house = make_record(HOUSE, RecordKind.HOUSE).tobytes()
    assert not set(CONNECTED) & set(show_record(house, BALANCED))
    assert [show_record(house, UNBALANCED)[name] for name in CONNECTED] == ["abc"] * 4


@pytest.mark.parametrize("phased", [False, True])
def test_blocks_and_exports_have_phases_where_the_ledger_has(phased: bool, tmp_path: Path) -> None:
    written(tmp_path / "run", world(3, 8, seed=2, phased=phased))
    with Store.open_to_read(tmp_path / "run") as store:
        houses = [record for record in show_records(store.block(0)) if record["record"] == "house"]
        kinds = [record["record"] for record in show_records(store.block(3))]
        rows = export_tables(store, tmp_path / "tables")
    assert ("load_phase" in houses[0]) == phased
    assert ("phases" in kinds) == phased
    assert rows.get("phases") == (8 if phased else None)
    if phased:
        assert [house["load_phase"] for house in houses] == ["abc", "a", "b"]
        assert kinds[kinds.index("verdict") + 1] == "phases"
        assert pq.read_table(tmp_path / "tables" / "phases.parquet")["lowest_phase"].to_pylist() == [1] * 8


@pytest.mark.parametrize("phased", [False, True])
def test_a_receipt_proves_the_version_too(phased: bool, tmp_path: Path) -> None:
    made = world(3, 8, seed=2, phased=phased)
    written(tmp_path / "run", made)
    with Store.open_to_read(tmp_path / "run") as store:
        found = check_receipt(prove(store, 2, 0), public_bytes(made.key))
    assert isinstance(found, Proven)
    assert found.version == (UNBALANCED if phased else BALANCED)
