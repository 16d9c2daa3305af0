"""Private records: nobody guesses them, whoever may opens them, and the sums still add up."""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import closing
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ledger_world import begin, world, written
from private_world import (
    AUDITOR,
    COVER,
    HOUSES,
    KEYS,
    MADE,
    N,
    append_covered,
    height_of,
    open_store,
    private_ledger,
)

from market.errors import LedgerError
from market.exchanges import EXCHANGE, OPERATOR, Kind
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.records import AGGREGATE, RecordKind
from market.ledger.private import cover as covers
from market.ledger.private.commitments import (
    GENESIS,
    STATE_SEQ,
    commit,
    derive_salt,
    derive_salt_secret,
    is_private,
)
from market.ledger.private.entries import select_entries
from market.ledger.private.hiding import hide_records
from market.ledger.private.vault import Entry, Vault, vault_path
from market.ledger.read.account import collect_entries, make_account, may_read
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records
from market.ledger.write.ledger import Ledger


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private_ledger(tmp_path_factory.mktemp("private") / "run")


def test_no_private_house_is_named_in_the_open(directory: Path) -> None:
    with Store.open_to_read(directory) as store:
        blocks = [decode_records(block.records) for group in store.groups() for block in group][1:]
    for house in HOUSES:
        assert all(select_entries(records, house).shape[0] == 0 for records in blocks)
    n_hidden = sum(int((records[:, 0] == RecordKind.PRIVATE).sum()) for records in blocks)
    assert n_hidden >= int(is_private(MADE.records, HOUSES).sum())


def test_anybody_verifies_in_sums_and_an_auditor_in_full(directory: Path) -> None:
    report = verify_ledger(directory)
    assert (report.ok, report.in_sums) == (True, True), report.reason
    for key in (OPERATOR, AUDITOR):
        report = verify_ledger(directory, entries=open_store(directory, OPERATOR, key))
        assert (report.ok, report.in_sums) == (True, False), report.reason


def test_a_record_of_small_domain_cannot_be_guessed() -> None:
    """Of 8,000 possible records none fits without the salt, and with it only the true one does."""
    secret, chain = derive_salt_secret(MADE.key), bytes(32)

    def record(wh: int, price: int) -> bytes:
        row = np.zeros(1, EXCHANGE)
        row["kind"], row["delivered_wh"], row["price_ueur_per_kwh"] = Kind.P2P, wh, price
        row["amount_neur"] = wh * price
        return row.tobytes()

    domain = [record(wh, price) for wh, price in product(range(400), range(20))]
    salt = derive_salt(secret, chain, 7, 3)
    committed = commit(salt, domain[1234])
    assert [k for k, guess in enumerate(domain) if commit(salt, guess) == committed] == [1234]
    for weak in (
        b"",
        bytes(32),
        chain,
        sha256(b"").digest(),
        derive_salt(b"guess", chain, 7, 3),
        derive_salt(secret, chain, 7, 4),
    ):
        assert all(commit(weak, guess) != committed for guess in domain)
        assert all(hmac.digest(weak, guess, "sha256") != committed for guess in domain)
    assert all(sha256(guess).digest() != committed for guess in domain)


def test_state_roots_cannot_be_guessed_either(directory: Path) -> None:
    with Store.open_to_read(directory) as store:
        from market.ledger.format.header import decode_header

        roots = {decode_header(header).state_root for header in store.headers()}
    plain = {sha256(row.astype("<i8").tobytes()).digest() for row in MADE.window.accounts}
    assert not roots & plain
    assert len(roots) == N + 1


def test_members_read_their_own_records_and_those_granted(directory: Path) -> None:
    own = open_store(directory, 1, 1)
    expected = select_entries(MADE.records, 1)
    recorded = [entry.record for entry in own.values() if entry.interval != GENESIS]
    assert [row[:8] + row[12:] for row in recorded] == [row.tobytes()[:8] + row.tobytes()[12:] for row in expected]
    granted = open_store(directory, 1, 0)
    assert {interval for interval, _ in granted} == {4, 5, 6, 7}
    assert all(own[place] == entry for place, entry in granted.items())
    for member, key in ((0, 1), (2, 0), (0, AUDITOR), (OPERATOR, 0)):
        with pytest.raises(LedgerError, match="ask its owner for a grant"):
            open_store(directory, member, key)


def test_a_later_grant_opens_older_records_and_a_withdrawn_one_no_more(tmp_path: Path) -> None:
    directory = private_ledger(tmp_path / "run")
    with Vault(vault_path(directory, 2)) as vault:
        assert vault.share(KEYS[2], public_bytes(KEYS[0])) == 4
        assert vault.read(KEYS[0]) == vault.read(KEYS[2])
        vault.withdraw(public_bytes(KEYS[0]))
        with pytest.raises(LedgerError, match="expected records sealed to this key"):
            vault.read(KEYS[0])


def test_an_account_is_the_same_from_private_records_as_in_the_open(directory: Path, tmp_path: Path) -> None:
    clear = written(tmp_path / "clear", MADE._replace(genesis=world(5, N, seed=4).genesis))
    for member in HOUSES:
        with Store.open_to_read(directory) as store, Vault(vault_path(directory, member)) as vault:
            own = vault.read(KEYS[member])
            private = make_account(store, member, collect_entries(store, member, own), own)
        with Store.open_to_read(clear) as store:
            public = make_account(store, member, collect_entries(store, member))
        assert private == public
        accounts = MADE.window.accounts[-1]
        assert private.wallet_neur == accounts[member]
        assert private.account_neur == accounts[5 + member]
        assert private.own_wh == accounts[13 + member]
        assert private.hosted_wh == accounts[18 + member]


def test_permission_is_own_or_granted(directory: Path) -> None:
    with Ledger.resume(directory, MADE.key) as ledger:
        assert may_read(ledger.registry, 1, 1, N)
        assert not may_read(ledger.registry, 0, 1, N)
        assert may_read(ledger.registry, AUDITOR, OPERATOR, N)
    with Store.open_to_read(directory) as store, pytest.raises(LedgerError, match="expected a house"):
        make_account(store, 7, collect_entries(store, 7))


# -- lies -------------------------------------------------------------------------------------------------------------


def lying(tmp_path: Path, change: str) -> Path:
    """A ledger whose operator lies about what it hides."""
    records = MADE.records.copy()
    at = int(MADE.offsets[5]) + int(np.flatnonzero(records[MADE.offsets[5] : MADE.offsets[6], 0] == 5)[0])
    row = records[at : at + 1].view(EXCHANGE).reshape(-1)
    assert row["buyer"][0] in HOUSES
    if change == "amount":
        row["amount_neur"] += 1
    elif change == "energy":
        row["delivered_wh"] += 1
        row["amount_neur"] += row["price_ueur_per_kwh"]
    return private_ledger(tmp_path / "run", MADE._replace(records=records))


@pytest.mark.parametrize("change", ["amount", "energy"])
def test_a_lie_in_a_private_record_is_found_by_whoever_opens_it(tmp_path: Path, change: str) -> None:
    directory = lying(tmp_path, change)
    report = verify_ledger(directory, entries=open_store(directory, OPERATOR, AUDITOR))
    assert not report.ok
    assert "house" in report.reason or "amount" in report.reason


def test_a_record_other_than_the_committed_one_is_found(directory: Path) -> None:
    entries = dict(open_store(directory, OPERATOR, OPERATOR))
    place = next(place for place in entries if place[1] != STATE_SEQ)
    changed = bytearray(entries[place].record)
    changed[40] ^= 1
    report = verify_ledger(directory, entries={**entries, place: entries[place]._replace(record=bytes(changed))})
    assert "not the one that was committed to" in report.reason
    del entries[place]
    assert "cannot be opened" in verify_ledger(directory, entries=entries).reason


@pytest.mark.parametrize("field", range(1, 9))
def test_an_aggregate_that_does_not_add_up_is_found(
    tmp_path: Path, field: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = (AGGREGATE.names or ())[4 + field]
    right = covers.make_aggregate_record

    def wrong(*given: object) -> np.ndarray:
        row = right(*given).copy().view(AGGREGATE).reshape(-1)  # type: ignore[arg-type]
        if row["interval"][0] == COVER.every - 1:
            row[name] += 1
        return row.view(np.uint8).reshape(-1, 72)

    monkeypatch.setattr(covers, "make_aggregate_record", wrong)
    directory = private_ledger(tmp_path / "run")
    monkeypatch.undo()
    report = verify_ledger(directory)
    assert (report.ok, report.height) == (False, height_of(COVER.every - 1))
    assert "aggregate" in report.reason


def test_too_few_private_houses_and_strangers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="at least 3 private houses"):
        hide_records(MADE.records, MADE.offsets, [0, 1], bytes(32), bytes(32), 0, COVER)
    with begin(tmp_path / "run", MADE) as ledger:
        with pytest.raises(LedgerError, match="register it first"):
            append_covered(ledger, MADE, HOUSES, 0, 4)
        assert ledger.next_interval == 0


def test_private_records_need_a_ledger_begun_for_them(tmp_path: Path) -> None:
    report = verify_ledger(private_ledger(tmp_path / "run", world(5, N, seed=4)))
    assert (report.ok, report.height) == (False, 0)
    assert "begun without" in report.reason


# -- the store --------------------------------------------------------------------------------------------------------


def test_a_store_is_for_its_owner_and_shows_nothing_in_clear(directory: Path) -> None:
    path = vault_path(directory, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    raw = path.read_bytes()
    assert all(row.tobytes()[12:] not in raw for row in select_entries(MADE.records, 0))


def test_a_changed_store_is_noticed(tmp_path: Path) -> None:
    entries = [Entry(0, k, bytes([1]) * 72, bytes([k]) * 32) for k in range(3)]
    with Vault(tmp_path / "v.sqlite") as vault:
        vault.write(0, 2, entries, [public_bytes(KEYS[0])])
        assert vault.read(KEYS[0]) == entries
    for change in ("UPDATE chunk SET body = x'00'", "UPDATE chunk SET stop = 3"):
        with closing(sqlite3.connect(tmp_path / "v.sqlite")) as connection, connection:
            connection.execute(change)
        connection.close()
        with Vault(tmp_path / "v.sqlite") as vault, pytest.raises(LedgerError, match="have been changed"):
            vault.read(KEYS[0])


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    reader = [public_bytes(KEYS[0])]
    entry = Entry(5, 0, bytes([1]) * 72, bytes(32))
    with Vault(tmp_path / "v.sqlite") as vault:
        for first in (0, 4, 8):
            vault.write(first, first + 4, [entry._replace(interval=first)], reader)
        vault.write(4, 6, [entry], reader)
        assert [found.interval for found in vault.read(KEYS[0])] == [0, 5]


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.sqlite").write_bytes(b"no database, but long enough to be read as the header of one" * 20)
    with pytest.raises(LedgerError, match="expected a member's store"):
        Vault(tmp_path / "v.sqlite")
