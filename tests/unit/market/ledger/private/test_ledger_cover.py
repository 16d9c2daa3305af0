"""What the blocks of a private ledger show: all the same shape, sums and coarse extremes once a period."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from private_world import (
    COVER,
    HOUSES,
    KEYS,
    MADE,
    N,
    append_covered,
    begin_private,
    height_of,
    open_store,
    private_ledger,
)

from market.errors import LedgerError
from market.exchanges import OPERATOR, Kind
from market.ledger.check.verify import verify_ledger
from market.ledger.format import statements
from market.ledger.format.records import NONE, VERDICT, RecordKind, number_records, read_places, select_rows
from market.ledger.private import cover as covers
from market.ledger.private import hiding
from market.ledger.private.commitments import GENESIS, open_block
from market.ledger.private.cover import Cover, blur_verdicts, is_blurred, make_blank_verdict
from market.ledger.private.hiding import hide_records, make_room
from market.ledger.private.vault import vault_path
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records
from market.ledger.write import private as write_private


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private_ledger(tmp_path_factory.mktemp("private") / "run")


def test_every_block_of_an_interval_has_the_same_shape_and_says_nothing_between_periods(directory: Path) -> None:
    with Store.open_to_read(directory) as store:
        blocks = [decode_records(block.records) for group in store.groups() for block in group]
    blocks = [records for records in blocks if (records[:, 0] == RecordKind.VERDICT).any()]
    assert len(blocks) == N
    for t, records in enumerate(blocks):
        kinds, (verdict,) = records[:, 0], select_rows(records, RecordKind.VERDICT)
        hidden = kinds == RecordKind.PRIVATE
        assert hidden.sum() % COVER.n_records == 0
        assert not (kinds == Kind.LOSS).any()
        assert (kinds == RecordKind.AGGREGATE).sum() == COVER.ends(t)
        assert verdict["losses_wh"] == verdict["p_grid_w"] == verdict["power_flows"] == 0
        if not COVER.ends(t):
            assert verdict.tobytes()[12:] == make_blank_verdict(0, 0).tobytes()[12:]


def test_what_a_house_brings_along_is_private_too(directory: Path) -> None:
    with Store.open_to_read(directory) as store:
        genesis = decode_records(store.block(0).records)
    assert select_rows(genesis, RecordKind.HOUSE)["house"].tolist() == [3, 4]
    (sums,) = select_rows(genesis, RecordKind.AGGREGATE)
    houses = select_rows(MADE.genesis[1], RecordKind.HOUSE)
    assert sums["wallets_neur"] == houses["wallet_neur"][:3].sum()
    assert (sums["n_private"], sums["into_wh"], sums["accounts_neur"]) == (3, 0, 0)


@pytest.mark.parametrize("n_records", [1, 7, 40])
def test_opened_blocks_are_those_that_were_hidden(n_records: int) -> None:
    """Padding, blank verdicts and aggregates are left out; numbers go on behind the padding."""
    cover, secret = Cover(n_records, 5), bytes(32)
    room = make_room(MADE.records, MADE.offsets, HOUSES, cover)
    hidden = hide_records(room, MADE.offsets, HOUSES, secret, bytes(32), 0, cover)
    entries = {(entry.interval, entry.seq): entry for entry in hidden.entries[OPERATOR]}
    for t in range(N):
        shown = hidden.records[hidden.offsets[t] : hidden.offsets[t + 1]]
        opened = open_block(shown, t, entries)
        assert not isinstance(opened, str)
        assert (number_records(opened.records, t) == MADE.records[MADE.offsets[t] : MADE.offsets[t + 1]]).all()
        assert (opened.n_padding + opened.hidden.sum()) % n_records == 0
        assert read_places(shown)[:, 1].tolist() == list(range(len(shown)))
        for at in np.flatnonzero(shown[:, 0] == RecordKind.PRIVATE)[[0, -1]]:
            forged = shown.copy()
            forged[at, 20] ^= 1
            assert isinstance(open_block(forged, t, entries), str)


@given(st.lists(st.tuples(*[st.integers(-(2**30), 2**30)] * 3, st.integers(0, 3)), min_size=1, max_size=9))
def test_a_period_verdict_is_the_worst_in_coarse_steps(given: list[tuple[int, int, int, int]]) -> None:
    rows = np.zeros(len(given), VERDICT)
    for k, name in enumerate(("lowest_vm_upu", "highest_vm_upu", "loading_e4_percent", "status")):
        rows[name] = [row[k] for row in given]
    (blurred,) = blur_verdicts(rows)
    assert 0 <= rows["lowest_vm_upu"].min() - blurred["lowest_vm_upu"] < 10_000
    assert 0 <= blurred["highest_vm_upu"] - rows["highest_vm_upu"].max() < 10_000
    assert 0 <= blurred["loading_e4_percent"] - rows["loading_e4_percent"].max() < 100_000
    assert blurred["status"] == rows["status"].max()
    assert {blurred[name] for name in ("lowest_bus", "highest_bus", "branch")} == {NONE}
    assert is_blurred(blurred.reshape(1), whole=True)


@pytest.mark.parametrize("interval", [2, COVER.every - 1])
@pytest.mark.parametrize("name", list((VERDICT.names or ())[5:]))
def test_a_verdict_in_clear_that_says_more_is_found(
    name: str, interval: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator that states exact extremes would give a house away, and no private run may be published so."""
    right = hiding.hide_records

    def telling(*given: object) -> hiding.Hidden:
        hidden = right(*given)  # type: ignore[arg-type]
        rows = hidden.records.view(VERDICT).reshape(-1)
        at = np.flatnonzero((rows["kind"] == RecordKind.VERDICT) & (rows["interval"] == interval))
        rows[name][at] = 123
        return hidden

    monkeypatch.setattr(write_private, "hide_records", telling)
    directory = private_ledger(tmp_path / "run")
    monkeypatch.undo()
    for entries in (None, open_store(directory, OPERATOR, OPERATOR)):
        report = verify_ledger(directory, entries=entries)
        assert (report.ok, report.height) == (False, height_of(interval))
        assert "verdict in clear" in report.reason


@pytest.mark.parametrize("name", ["lowest_vm_upu", "highest_vm_upu", "loading_e4_percent", "status"])
def test_coarse_extremes_that_are_not_the_periods_are_found_by_whoever_opens(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lying(rows: np.ndarray) -> np.ndarray:
        blurred = blur_verdicts(rows)
        blurred[name] = {"status": 3, "loading_e4_percent": 900_000}.get(name, 950_000)
        return blurred

    monkeypatch.setattr(covers, "blur_verdicts", lying)
    directory = private_ledger(tmp_path / "run")
    monkeypatch.undo()
    assert verify_ledger(directory).ok
    report = verify_ledger(directory, entries=open_store(directory, OPERATOR, OPERATOR))
    assert (report.ok, report.height) == (False, height_of(COVER.every - 1))
    assert "is not that of the period" in report.reason


def test_stores_of_all_houses_take_the_same_room(directory: Path) -> None:
    sizes = []
    for house in HOUSES:
        with closing(sqlite3.connect(vault_path(directory, house))) as connection:
            sizes.append(connection.execute("SELECT first, stop, length(body) FROM chunk ORDER BY first").fetchall())
        connection.close()
    assert sizes[0] == sizes[1] == sizes[2]
    assert len({len(open_store(directory, house, house)) for house in HOUSES}) > 1


def test_a_grant_with_an_end_opens_what_was_before(tmp_path: Path) -> None:
    """One group of intervals, in the midst of which the grant ends: the reader gets the first part alone."""
    with begin_private(tmp_path / "run", MADE, {m: KEYS[m] for m in HOUSES}) as ledger:
        ledger.append_registry(statements.grant(ledger.chain_id, 1, 2, KEYS[1], reader=0, until=5))
        append_covered(ledger, MADE, HOUSES, 0, 9)
        assert {interval for interval, _ in open_store(tmp_path / "run", 1, 0)} == {0, 1, 2, 3, 4}
        append_covered(ledger, MADE, HOUSES, 9, N)
    with pytest.raises(LedgerError, match="ask its owner for a grant"):
        open_store(tmp_path / "run", 1, 0)
    assert {interval for interval, _ in open_store(tmp_path / "run", 1, 1)} == {*range(N), GENESIS}
    assert verify_ledger(tmp_path / "run", entries=open_store(tmp_path / "run", OPERATOR, OPERATOR)).ok


@pytest.mark.parametrize("groups", [[12], [1] * 12, [5, 1, 3, 3], [7, 5]])
def test_a_period_is_the_same_however_it_was_written(groups: list[int], tmp_path: Path, directory: Path) -> None:
    """What was hidden of a period before is read back from the operator's store."""
    with begin_private(tmp_path / "run", MADE, {m: KEYS[m] for m in HOUSES}) as ledger:
        first = 0
        for size in groups:
            append_covered(ledger, MADE, HOUSES, first, first + size)
            first += size
        head = ledger.head().hash
    with begin_private(tmp_path / "once", MADE, {m: KEYS[m] for m in HOUSES}) as ledger:
        append_covered(ledger, MADE, HOUSES, 0, N)
        assert ledger.head().hash == head
    assert verify_ledger(tmp_path / "run", entries=open_store(tmp_path / "run", OPERATOR, OPERATOR)).ok
