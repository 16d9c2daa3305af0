"""A member's number is never handed to another key in silence: the old key signs, or everybody sees it wait.

revoke by the operator ── new key stated ──── waits: nobody counts it ──── counts
                          └ signed by the old key too: counts at once
"""

from __future__ import annotations

from pathlib import Path

import naive_ledger
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_world import World, begin, world

from market.errors import LedgerError
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import RecordBytes, Role, make_parameter_records, number_records, view_as_bytes
from market.ledger.format.statements import make_operator_record, register, revoke, rotate
from market.ledger.private.entries import with_signatures
from market.ledger.read.show import find_replacements, show_registry
from market.ledger.store.registry import EMPTY, Registry, find_key_in_force, replay_statements
from market.ledger.store.store import Store
from market.ledger.store.tip import read_tip
from market.ledger.write.ledger import Ledger

CHAIN = bytes(range(32))
KEYS = [make_demonstration_key(40 + k) for k in range(9)]
MEMBER, WAIT = Role.PARTICIPANT, 100


def began(wait: int) -> Registry:
    """Member 0 with key 0 in force from block 5 on."""
    terms = view_as_bytes(make_parameter_records({"replacement_wait": wait} if wait else {}, 1))
    genesis = np.concatenate([make_operator_record(public_bytes(make_demonstration_key(99))), terms])
    return stated(replay_statements(EMPTY, genesis, CHAIN, 0), register(CHAIN, 0, MEMBER, 1, 5, KEYS[0]), 4, 3)


def stated(registry: Registry, rows: RecordBytes, height: int, interval: int) -> Registry:
    return replay_statements(registry, number_records(rows, interval), CHAIN, height)


def key_at(registry: Registry, height: int, interval: int) -> int | None:
    """Number of the key of member 0 that counts in a block."""
    found = find_key_in_force(registry, 0, height, interval)
    return None if found is None else [public_bytes(key) for key in KEYS].index(found)


def test_without_the_old_key_a_new_one_counts_only_after_the_wait() -> None:
    registry = stated(began(WAIT), revoke(0, MEMBER, 2, 20), 15, 10)
    registry = stated(registry, register(CHAIN, 0, MEMBER, 3, 30, KEYS[1]), 25, 50)
    assert [key_at(registry, height, 60) for height in (19, 20, 30, 10**6)] == [0, None, None, None]
    assert [key_at(registry, 10**6, interval) for interval in (149, 150, 151)] == [None, 1, 1]
    with pytest.raises(LedgerError, match="a key in force"):
        stated(registry, rotate(CHAIN, 0, MEMBER, 4, 90, KEYS[1], KEYS[2]), 80, 149)
    after = stated(registry, rotate(CHAIN, 0, MEMBER, 4, 190, KEYS[1], KEYS[2]), 180, 150)
    assert key_at(after, 190, 150) == 2


def test_with_the_old_keys_signature_it_counts_at_once() -> None:
    registry = stated(began(WAIT), revoke(0, MEMBER, 2, 20), 15, 10)
    registry = stated(registry, register(CHAIN, 0, MEMBER, 3, 30, KEYS[1], KEYS[0]), 25, 10)
    assert key_at(registry, 30, 10) == 1
    with pytest.raises(LedgerError, match="found another"):
        stated(
            stated(began(WAIT), revoke(0, MEMBER, 2, 20), 15, 10),
            register(CHAIN, 0, MEMBER, 3, 30, KEYS[1], KEYS[2]),
            25,
            10,
        )


def test_a_member_that_ended_its_key_itself_frees_its_number() -> None:
    registry = stated(began(WAIT), revoke(0, MEMBER, 2, 20, CHAIN, KEYS[0]), 15, 10)
    registry = stated(registry, register(CHAIN, 0, MEMBER, 3, 30, KEYS[1]), 25, 10)
    assert key_at(registry, 30, 10) == 1
    with pytest.raises(LedgerError, match="found another"):
        stated(began(WAIT), revoke(0, MEMBER, 2, 20, CHAIN, KEYS[1]), 15, 10)


def test_the_operator_cannot_shorten_the_wait_by_a_key_of_its_own() -> None:
    """It would end its own replacement while that waits, and let that key hand the number on."""
    registry = stated(began(WAIT), revoke(0, MEMBER, 2, 20), 15, 10)
    registry = stated(registry, register(CHAIN, 0, MEMBER, 3, 30, KEYS[1]), 25, 20)
    registry = stated(registry, revoke(0, MEMBER, 4, 40), 35, 30)
    with pytest.raises(LedgerError, match="found another"):
        stated(registry, register(CHAIN, 0, MEMBER, 5, 50, KEYS[2], KEYS[1]), 45, 40)
    with pytest.raises(LedgerError, match="a key in force"):
        stated(registry, revoke(0, MEMBER, 5, 50, CHAIN, KEYS[1]), 45, 40)
    waiting = stated(registry, register(CHAIN, 0, MEMBER, 5, 50, KEYS[2]), 45, 40)
    assert [key_at(waiting, 10**6, interval) for interval in (139, 140)] == [None, 2]
    returned = stated(registry, register(CHAIN, 0, MEMBER, 5, 50, KEYS[3], KEYS[0]), 45, 40)
    assert key_at(returned, 50, 40) == 3


def test_nor_by_blocks_without_intervals() -> None:
    registry = stated(began(WAIT), revoke(0, MEMBER, 2, 20), 15, 10)
    registry = stated(registry, register(CHAIN, 0, MEMBER, 3, 30, KEYS[1]), 25, 10)
    assert key_at(registry, 10**9, 109) is None


def test_a_number_that_nobody_had_does_not_wait() -> None:
    registry = stated(began(WAIT), register(CHAIN, 7, MEMBER, 1, 20, KEYS[4]), 15, 10)
    assert find_key_in_force(registry, 7, 20, 10) == public_bytes(KEYS[4])


def test_a_ledger_begun_without_the_rule_is_as_it_was() -> None:
    registry = stated(began(0), revoke(0, MEMBER, 2, 20), 15, 10)
    after = stated(registry, register(CHAIN, 0, MEMBER, 3, 30, KEYS[1]), 25, 10)
    assert key_at(after, 30, 10) == 1
    for rows in (register(CHAIN, 0, MEMBER, 3, 30, KEYS[1], KEYS[0]), revoke(0, MEMBER, 3, 30, CHAIN, KEYS[0])):
        with pytest.raises(LedgerError, match="signatures, found"):
            stated(registry, rows, 25, 10)


def replaced(directory: Path, wait: int, signs: int) -> None:
    """A ledger whose houses sign; the operator replaces the key of house 1, and lets key `signs` sign at once."""
    made = world(3, 24, seed=2, parameters={"members_sign": 1, "replacement_wait": wait})
    with begin(directory, made) as ledger:
        chain = ledger.chain_id
        ledger.append_registry(np.concatenate([register(chain, m, MEMBER, 1, 2, KEYS[m]) for m in range(3)]))
        signed(ledger, made, 0, 6, {m: KEYS[m] for m in range(3)})
        ledger.append_registry(revoke(1, MEMBER, 2, ledger.head().height + 2))
        ledger.append_registry(register(chain, 1, MEMBER, 3, ledger.head().height + 2, KEYS[5]))
        signed(ledger, made, 6, 12, {0: KEYS[0], 2: KEYS[2], **({1: KEYS[signs]} if signs else {})})
        if not signs:
            signed(ledger, made, 12, 24, {0: KEYS[0], 1: KEYS[5], 2: KEYS[2]})


def signed(ledger: Ledger, made: World, first: int, stop: int, keys: dict[int, Ed25519PrivateKey]) -> None:
    """Append intervals that these members have signed."""
    begin_at, end_at = made.offsets[first], made.offsets[stop]
    offsets = made.offsets[first : stop + 1] - begin_at
    records, offsets = with_signatures(made.records[begin_at:end_at], offsets, keys, ledger.chain_id, first)
    ledger.append(made.starts[first:stop], records, offsets, made.roots[first:stop], b"")


def test_both_verifiers_enforce_the_wait(tmp_path: Path) -> None:
    for name, wait, signs, ok in (("waits", 6, 0, True), ("jumps", 6, 5, False), ("before", 0, 5, True)):
        replaced(tmp_path / name, wait, signs)
        report, naive = verify_ledger(tmp_path / name), naive_ledger.first_fault(tmp_path / name)
        assert (report.ok, naive is None) == (ok, ok), (name, report.reason, naive)
        if naive is not None:
            assert report.height == naive[0]


def test_a_replacement_is_shown_while_it_waits_and_after(tmp_path: Path) -> None:
    replaced(tmp_path / "run", 6, 0)
    with Store.open_to_read(tmp_path / "run") as store:
        tip = read_tip(store)
        lines = [line for line in show_registry(tip.registry, tip.history.size, 8) if "replacement" in line]
        assert [(line["replacement"], line["member"], line["from_interval"]) for line in lines] == [("waits", 1, 12)]
        shown = [each for block in range(store.size()) for each in find_replacements(store, store.block(block))]
        assert [(each["replacement"], each["public_key"]) for each in shown] == [
            ("counts", public_bytes(KEYS[5]).hex())
        ]
