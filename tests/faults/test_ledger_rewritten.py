"""Ledgers that are right in themselves: rewritten by the operator with its own key and right hashes, or cut short.

Books that do not add up are found from the inside; everything else only by a checkpoint that was kept elsewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from ledger_world import World, append, begin, world, written

from market.exchanges import EXCHANGE, METER
from market.ledger.check.verify import verify_ledger
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.records import VERDICT, RecordKind

REWRITTEN = world(4, 30, seed=6)
WH = [name for name in METER.names or () if name.endswith("_wh")]
BOOKED = [
    ("exchange", "seller", 3),
    ("exchange", "buyer", 2),
    ("exchange", "delivered_wh", 1),
    ("exchange", "price_ueur_per_kwh", 1),
    ("exchange", "amount_neur", 1),
    ("exchange", "fee_neur", 10**9),
    *[("meter", name, 1) for name in [*WH, "house"]],
    *[("verdict", name, 1) for name in ("losses_wh", "curtailed_wh", "shed_wh")],
]
LAYOUT_OF = {"exchange": EXCHANGE, "meter": METER, "verdict": VERDICT}


def note_of(directory: Path) -> str:
    return checkpoint_path(directory).read_text()


def forged(made: World, what: str, field: str, add: int, interval: int) -> World:
    """The world with one field changed from the truth by the operator itself."""
    records = made.records.copy()
    block = records[made.offsets[interval] : made.offsets[interval + 1]]
    kinds = block[:, 0]
    chosen = {"exchange": kinds == 1, "meter": kinds == 16, "verdict": kinds == RecordKind.VERDICT}[what]
    at = made.offsets[interval] + int(np.flatnonzero(chosen)[0])
    row = records[at : at + 1].view(LAYOUT_OF[what]).reshape(-1)
    row[field] += np.array(add).astype(row[field].dtype)
    return made._replace(records=records)


TRADING = sorted({int(row["interval"]) for row in REWRITTEN.window.rows if row["kind"] == 1})


@pytest.mark.parametrize("interval", [TRADING[0], TRADING[len(TRADING) // 2], TRADING[-1]])
@pytest.mark.parametrize(("what", "field", "add"), BOOKED)
def test_a_forged_booking_with_right_hashes(tmp_path: Path, what: str, field: str, add: int, interval: int) -> None:
    report = verify_ledger(written(tmp_path / "run", forged(REWRITTEN, what, field, add, interval)))
    assert not report.ok
    assert report.height == interval + 1


@pytest.mark.parametrize("field", ["status", "reason", "element", "cleared_wh"])
def test_what_the_books_cannot_know_shows_against_a_checkpoint(tmp_path: Path, field: str) -> None:
    true = note_of(written(tmp_path / "true", REWRITTEN))
    made = forged(REWRITTEN, "exchange", field, 1, TRADING[0])
    if field == "cleared_wh":
        made = forged(made, "verdict", "curtailed_wh", 1, TRADING[0])
    report = verify_ledger(written(tmp_path / "forged", made))
    assert report.ok
    report = verify_ledger(tmp_path / "forged", checkpoint=true)
    assert not report.ok
    assert report.reason.startswith("FORK")


@pytest.mark.parametrize("keep", [1, 2, 15, 29])
def test_a_rollback_shows_only_against_a_checkpoint_kept_elsewhere(tmp_path: Path, keep: int) -> None:
    kept = note_of(written(tmp_path / "whole", REWRITTEN))
    with begin(tmp_path / "short", REWRITTEN) as ledger:
        append(ledger, REWRITTEN, 0, keep)
    assert verify_ledger(tmp_path / "short").ok
    report = verify_ledger(tmp_path / "short", checkpoint=kept)
    assert (report.ok, report.height) == (False, keep + 1)
    assert report.reason.startswith("ROLLBACK")


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8, 0.95])
def test_a_truncated_write_ahead_log_is_a_rollback(tmp_path: Path, part: float) -> None:
    """SQLite drops what it cannot read of the log in silence, and a shorter chain is left, valid in itself."""
    with begin(tmp_path / "run", REWRITTEN) as ledger:
        for first in range(0, 30, 3):
            append(ledger, REWRITTEN, first, first + 3)
        (tmp_path / "copy").mkdir()
        shutil.copy(tmp_path / "run" / "ledger.sqlite", tmp_path / "copy")
        log = (tmp_path / "run" / "ledger.sqlite-wal").read_bytes()
    (tmp_path / "copy" / "ledger.sqlite-wal").write_bytes(log[: int(part * len(log))])
    report = verify_ledger(tmp_path / "copy", checkpoint=note_of(tmp_path / "run"))
    assert not report.ok
    assert report.reason.startswith("ROLLBACK")
