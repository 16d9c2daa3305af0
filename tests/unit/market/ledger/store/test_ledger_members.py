"""The registry: what is admitted, what is not, and from which height a key counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import DeviceKind, Purpose, RecordBytes, Role
from market.ledger.format.statements import (
    grant,
    log_access,
    make_device_record,
    make_operator_record,
    make_signature_records,
    parse_statements,
    register,
    revoke,
    rotate,
)
from market.ledger.store.registry import (
    EMPTY,
    Registry,
    find_key_in_force,
    next_number,
    replay_statements,
)

CHAIN = bytes(range(32))
KEYS = [make_demonstration_key(k) for k in range(6)]
OP = make_demonstration_key(99)
MEMBER = Role.PARTICIPANT


def device(member: int, number: int, key: int, *, joins: bool = True, chain: bytes = CHAIN) -> RecordBytes:
    return make_device_record(
        chain,
        member,
        number,
        KEYS[key],
        device=4,
        kind=DeviceKind.FUEL_CELL,
        bus=3,
        power_w=6000,
        energy_wh=0,
        datasheet=bytes(32),
        joins=joins,
    )


@pytest.fixture
def registry() -> Registry:
    """Operator, and members 0 and 1 with keys from block 5 on."""
    begin = replay_statements(EMPTY, make_operator_record(public_bytes(OP)), CHAIN, 0)
    rows = [register(CHAIN, member, MEMBER, 1, 5, KEYS[member]) for member in (0, 1)]
    return replay_statements(begin, np.concatenate(rows), CHAIN, 4)


def admit(registry: Registry, *rows: RecordBytes, height: int = 10) -> Registry:
    return replay_statements(registry, np.concatenate(rows), CHAIN, height)


def test_a_key_counts_from_its_height_until_it_is_rotated_or_revoked(registry: Registry) -> None:
    after = admit(registry, rotate(CHAIN, 0, MEMBER, 2, 20, KEYS[0], KEYS[2]), revoke(1, MEMBER, 2, 30))
    for member, height, key in ((0, 4, None), (0, 5, 0), (0, 19, 0), (0, 20, 2), (1, 29, 1), (1, 30, None)):
        expected = None if key is None else public_bytes(KEYS[key])
        assert find_key_in_force(after, member, height) == expected
    assert find_key_in_force(registry, 0, 20) == public_bytes(KEYS[0]), "the registry before is unchanged"
    assert find_key_in_force(EMPTY, 0, 0) is None
    again = admit(after, register(CHAIN, 1, MEMBER, 3, 40, KEYS[3]), height=35)
    assert find_key_in_force(again, 1, 40) == public_bytes(KEYS[3])
    assert next_number(again, 1) == 4


def test_the_operator_rotates_and_members_get_devices_and_grants(registry: Registry) -> None:
    after = admit(
        registry,
        rotate(CHAIN, OPERATOR, Role.OPERATOR, 1, 12, OP, KEYS[5]),
        device(0, 2, 0),
        grant(CHAIN, 0, 3, KEYS[0], reader=1),
        log_access(CHAIN, 1, 2, KEYS[1], owner=0),
    )
    assert find_key_in_force(after, OPERATOR, 11) == public_bytes(OP)
    assert find_key_in_force(after, OPERATOR, 12) == public_bytes(KEYS[5])
    assert after.devices[0, 4].power_w == 6000
    assert after.grants == {(0, 1)}
    gone = admit(after, device(0, 4, 0, joins=False), grant(CHAIN, 0, 5, KEYS[0], reader=1, withdrawn=True))
    assert (gone.devices, gone.grants) == ({}, frozenset())


def changed(rows: RecordBytes, at: int) -> RecordBytes:
    rows = rows.copy()
    rows[0, at] ^= 1
    return rows


def stated(key: int) -> RecordBytes:
    return register(CHAIN, 2, MEMBER, 1, 20, KEYS[key])


NEXT = rotate(CHAIN, 0, MEMBER, 2, 20, KEYS[0], KEYS[2])
INADMISSIBLE: dict[str, tuple[Callable[[], list[RecordBytes]], str]] = {
    "a second key without rotation": (lambda: [register(CHAIN, 0, MEMBER, 2, 20, KEYS[2])], "expected no key in force"),
    "a key that another member has": (lambda: [register(CHAIN, 2, MEMBER, 1, 20, KEYS[1])], "nobody has used"),
    "an operator by registration": (lambda: [register(CHAIN, 2, Role.OPERATOR, 1, 20, KEYS[2])], "or auditor"),
    "a member below zero": (lambda: [register(CHAIN, -2, MEMBER, 1, 20, KEYS[2])], "from 0 on"),
    "in force at once": (lambda: [register(CHAIN, 2, MEMBER, 1, 10, KEYS[2])], "take effect above block 10"),
    "in the past": (lambda: [rotate(CHAIN, 0, MEMBER, 2, 3, KEYS[0], KEYS[2])], "take effect above block 10"),
    "rotation by another's key": (lambda: [rotate(CHAIN, 0, MEMBER, 2, 20, KEYS[1], KEYS[2])], "found another"),
    "rotation of nobody": (lambda: [rotate(CHAIN, 7, MEMBER, 1, 20, KEYS[0], KEYS[2])], "found none"),
    "rotation to another role": (lambda: [rotate(CHAIN, 0, Role.AUDITOR, 2, 20, KEYS[0], KEYS[2])], "expected role 2"),
    "rotation back": (lambda: [NEXT, rotate(CHAIN, 0, MEMBER, 3, 30, KEYS[0], KEYS[0])], "nobody has used"),
    "rotation before a scheduled one": (lambda: [NEXT, rotate(CHAIN, 0, MEMBER, 3, 15, KEYS[0], KEYS[3])], "block 20"),
    "revocation of nobody": (lambda: [revoke(7, MEMBER, 1, 20)], "a key in force"),
    "revocation of the operator": (lambda: [revoke(OPERATOR, Role.OPERATOR, 1, 20)], "other than the operator"),
    "the same statement twice": (lambda: [device(0, 2, 0), device(0, 2, 0)], "used before"),
    "an old number": (lambda: [device(0, 1, 0)], "used before"),
    "a statement for another chain": (lambda: [device(0, 2, 0, chain=bytes(32))], "found another"),
    "a device under another's key": (lambda: [device(0, 2, 1)], "found another"),
    "a device of a stranger": (lambda: [device(3, 1, 3)], "a key in force at block 10"),
    "the same device again": (lambda: [device(0, 2, 0), device(0, 3, 0)], "not to be registered"),
    "no such device leaves": (lambda: [device(0, 2, 0, joins=False)], "to be registered"),
    "a grant to oneself": (lambda: [grant(CHAIN, 0, 2, KEYS[0], reader=0)], "another member"),
    "a grant to a stranger": (lambda: [grant(CHAIN, 0, 2, KEYS[0], reader=4)], "a key in force as reader"),
    "the same grant again": (lambda: [grant(CHAIN, 0, n, KEYS[0], reader=1) for n in (2, 3)], "no grant"),
    "no such grant ends": (lambda: [grant(CHAIN, 0, 2, KEYS[0], reader=1, withdrawn=True)], "a grant to member 1"),
    "access without a grant": (lambda: [log_access(CHAIN, 1, 2, KEYS[1], owner=0)], "expected a grant by member 0"),
    "no signature": (lambda: [device(0, 2, 0)[:1]], "expected 1 signatures, found 0"),
    "half a signature": (lambda: [device(0, 2, 0)[:2]], "two halves"),
    "halves in the other order": (lambda: [device(0, 2, 0)[[0, 2, 1]]], "two halves"),
    "a signature more": (lambda: [np.concatenate([device(0, 2, 0), device(0, 2, 0)[1:]])], "one signature a purpose"),
    "a signature of nothing": (lambda: [device(0, 2, 0)[1:]], "behind its statement"),
    "a changed statement": (lambda: [changed(device(0, 2, 0), 30)], "found another"),
    "possession of another's key": (lambda: [stated(2)[:1], stated(3)[1:]], "found another"),
}  # fmt: skip


@pytest.mark.parametrize("case", INADMISSIBLE)
def test_what_is_not_admissible(case: str, registry: Registry) -> None:
    rows, message = INADMISSIBLE[case]
    with pytest.raises(LedgerError, match=message):
        admit(registry, *rows())


def test_a_revoked_key_signs_nothing(registry: Registry) -> None:
    after = admit(registry, revoke(0, MEMBER, 2, 11))
    with pytest.raises(LedgerError, match="a key in force at block 12"):
        admit(after, device(0, 3, 0), height=12)


def test_a_genesis_block_has_one_operator_and_nobody_else() -> None:
    operator = make_operator_record(public_bytes(OP))
    for rows in (
        operator[:0],
        np.concatenate([operator, operator]),
        register(CHAIN, 0, MEMBER, 1, 5, KEYS[0]),
    ):
        with pytest.raises(LedgerError, match="only statement of the genesis block"):
            replay_statements(EMPTY, rows, CHAIN, 0)
    other = operator.copy()
    other[0, 12:16] = 0
    with pytest.raises(LedgerError, match="in force from the genesis block on"):
        replay_statements(EMPTY, other, CHAIN, 0)


def test_signatures_under_entries_are_no_statements() -> None:
    rows = make_signature_records(3, Purpose.ENTRIES, bytes(64))
    assert parse_statements(rows) == []
