"""The registry: what is admitted, what is not, and from which height a key counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import check_usable, is_signed, public_bytes
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.note import ED25519, VerifierKey, read_pinned_key
from market.ledger.format.records import MEMBER as MEMBER_LAYOUT
from market.ledger.format.records import DeviceKind, Purpose, RecordBytes, Role, number_records
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
    find_operators_key,
    is_granted,
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
        assert find_key_in_force(after, member, height, 0) == expected
    assert find_key_in_force(registry, 0, 20, 0) == public_bytes(KEYS[0]), "the registry before is unchanged"
    assert find_key_in_force(EMPTY, 0, 0, 0) is None
    again = admit(after, register(CHAIN, 1, MEMBER, 3, 40, KEYS[3]), height=35)
    assert find_key_in_force(again, 1, 40, 0) == public_bytes(KEYS[3])
    assert next_number(again, 1) == 4


def test_the_operator_rotates_and_members_get_devices_and_grants(registry: Registry) -> None:
    after = admit(
        registry,
        rotate(CHAIN, OPERATOR, Role.OPERATOR, 1, 12, OP, KEYS[5]),
        device(0, 2, 0),
        grant(CHAIN, 0, 3, KEYS[0], reader=1),
        log_access(CHAIN, 1, 2, KEYS[1], owner=0),
    )
    assert find_operators_key(after, 11) == public_bytes(OP)
    assert find_operators_key(after, 12) == public_bytes(KEYS[5])
    assert after.devices[0, 4].power_w == 6000
    assert after.grants == {(0, 1): 0}
    gone = admit(after, device(0, 4, 0, joins=False), grant(CHAIN, 0, 5, KEYS[0], reader=1, withdrawn=True))
    assert (gone.devices, gone.grants) == ({}, {})


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


def test_a_grant_holds_until_its_interval(registry: Registry) -> None:
    def at(before: Registry, rows: RecordBytes, interval: int) -> Registry:
        return replay_statements(before, number_records(rows, interval), CHAIN, 10 + interval)

    given = at(registry, grant(CHAIN, 0, 2, KEYS[0], reader=1, until=30), 20)
    assert [is_granted(given, 0, 1, interval) for interval in (20, 29, 30, 10**6)] == [True, True, False, False]
    at(given, log_access(CHAIN, 1, 2, KEYS[1], owner=0), 29)
    with pytest.raises(LedgerError, match="expected a grant by member 0"):
        at(given, log_access(CHAIN, 1, 2, KEYS[1], owner=0), 30)
    with pytest.raises(LedgerError, match="no grant to member 1"):
        at(given, grant(CHAIN, 0, 3, KEYS[0], reader=1, until=90), 29)
    again = at(given, grant(CHAIN, 0, 3, KEYS[0], reader=1), 30)
    assert is_granted(again, 0, 1, 10**6)
    with pytest.raises(LedgerError, match="a grant to member 1"):
        at(given, grant(CHAIN, 0, 3, KEYS[0], reader=1, withdrawn=True), 30)
    for until, status in ((20, False), (1, False), (90, True)):
        before = given if status else registry
        with pytest.raises(LedgerError, match=r"until an interval above 2[01]"):
            at(before, grant(CHAIN, 0, 3, KEYS[0], reader=1, until=until, withdrawn=status), 21 if status else 20)


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
"""The eight points of small order in their canonical spelling."""
SECOND_SPELLINGS = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    *(bytes([0xED + k, *[0xFF] * 30, last]).hex() for k in range(19) for last in (0x7F, 0xFF)),
]
"""Those of 0, 1, … 18 as 2^255 - 19 and more, and x = 0 with the sign of a negative number."""


def forged(kind: str, key: bytes) -> RecordBytes:
    """A statement that names a key, with the signature (R = the key, s = 0) that small-order keys accept."""
    honest = register(CHAIN, 2, MEMBER, 1, 20, KEYS[3]) if kind == "register" else NEXT.copy()
    honest[0].view(MEMBER_LAYOUT)["public_key"] = np.void(key)
    signature = make_signature_records(2 if kind == "register" else 0, Purpose.POSSESSION, key + bytes(32))
    return np.concatenate([honest[:-2], signature])


@pytest.mark.parametrize("key", [*SMALL_ORDER, *SECOND_SPELLINGS])
def test_keys_of_small_order_and_second_spellings_are_refused(key: str, registry: Registry, tmp_path: Path) -> None:
    given = bytes.fromhex(key)
    with pytest.raises(LedgerError, match=r"small order|canonical"):
        check_usable(given)
    with pytest.raises(LedgerError):
        admit(registry, forged("register", given))
    with pytest.raises(LedgerError, match=r"small order|canonical"):
        replay_statements(EMPTY, make_operator_record(given), CHAIN, 0)
    pem = Ed25519PublicKey.from_public_bytes(given).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "k.pub").write_bytes(pem)
    (tmp_path / "k.vkey").write_text(VerifierKey("log", ED25519, given).text())
    for pinned in ("k.pub", "k.vkey"):
        with pytest.raises(LedgerError, match=f"{pinned}: .*(small order|canonical)"):
            read_pinned_key(tmp_path / pinned)


def test_a_forged_signature_under_a_small_order_key_would_be_valid(registry: Registry) -> None:
    """Why they are refused: under the neutral element anybody signs anything."""
    neutral = bytes.fromhex(SMALL_ORDER[0])
    assert is_signed(neutral, neutral + bytes(32), b"anything at all")
    with pytest.raises(LedgerError, match="small order"):
        admit(registry, forged("register", neutral))


def test_the_eight_points_are_all_there_are() -> None:
    """Each has an order that divides 8: 8 P is the neutral element, by the addition law of RFC 8032 §5.1.4."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p

    def plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = a, b
        k = d * x1 * x2 * y1 * y2 % p
        return (x1 * y2 + x2 * y1) * pow(1 + k, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - k, -1, p) % p

    for text in SMALL_ORDER:
        number = int.from_bytes(bytes.fromhex(text), "little")
        y, odd = number % 2**255, number >> 255
        x2 = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(x2, (p + 3) // 8, p)
        x = x if x * x % p == x2 else x * pow(2, (p - 1) // 4, p) % p
        assert x * x % p == x2
        point = (x if x % 2 == odd else p - x, y)
        for _ in range(3):
            point = plus(point, point)
        assert point == (0, 1)


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
