"""The statement by which a page registers its key: what is kept, and what is sent back to be signed again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from people_world import CHAIN, page_key

from cosim.web.people.errors import PeopleError
from cosim.web.people.registration import check_registration
from market.exchanges import OPERATOR
from market.ledger.format.records import MEMBER, RecordBytes, RecordKind, Role, make_record
from market.ledger.format.statements import make_operator_record, make_signature_records, register, revoke, rotate
from market.ledger.store.registry import EMPTY, find_key_in_force, replay_statements

KEY, OTHER = page_key(1), page_key(2)
PUBLIC = KEY.public_key().public_bytes_raw()


def check(records: RecordBytes | bytes, house: int = 7, height: int = 10) -> RecordBytes:
    content = records if isinstance(records, bytes) else records.tobytes()
    return check_registration(content, chain_id=CHAIN, house=house, page_key=PUBLIC, height=height)


def test_what_is_kept_is_admitted_by_the_ledger() -> None:
    records = check(register(CHAIN, 7, Role.PARTICIPANT, 1, 11, KEY))
    registry = EMPTY._replace(keys={OPERATOR: ()}, numbers={OPERATOR: 0})
    registry = replay_statements(registry, records, CHAIN, 10)
    assert find_key_in_force(registry, 7, 11, 0) == PUBLIC


def test_the_last_keys_signature_may_come_with_it() -> None:
    assert check(register(CHAIN, 7, Role.PARTICIPANT, 2, 11, KEY, last=OTHER)).shape == (5, 72)


def test_the_operators_record_has_no_signature_and_is_refused() -> None:
    with pytest.raises(PeopleError, match="expected member 7"):
        check(make_operator_record(PUBLIC))


WRONG: dict[str, tuple[Callable[[], RecordBytes | bytes], str]] = {
    "nothing": (lambda: b"", "found 0 bytes"),
    "half a record": (lambda: bytes(100), "found 100 bytes"),
    "zeros": (lambda: bytes(72), "other than one statement"),
    "another house": (lambda: register(CHAIN, 8, Role.PARTICIPANT, 1, 11, KEY), "expected member 7, got 8"),
    "an auditor": (lambda: register(CHAIN, 7, Role.AUDITOR, 1, 11, KEY), "expected role 2, got 3"),
    "another key": (lambda: register(CHAIN, 7, Role.PARTICIPANT, 1, 11, OTHER), "expected public_key"),
    "too late": (lambda: register(CHAIN, 7, Role.PARTICIPANT, 1, 10, KEY), "above block 10 and up to 30, got block 10"),
    "another chain": (lambda: register(bytes(32), 7, Role.PARTICIPANT, 1, 11, KEY), "signature by the key"),
    "no signature": (lambda: register(CHAIN, 7, Role.PARTICIPANT, 1, 11, KEY)[:1], "signature by the key"),
    "half a signature": (lambda: register(CHAIN, 7, Role.PARTICIPANT, 1, 11, KEY)[:2], "two halves"),
    "a rotation": (lambda: rotate(CHAIN, 7, Role.PARTICIPANT, 2, 11, OTHER, KEY), "expected kind 32, got 33"),
    "a revocation": (lambda: revoke(7, Role.PARTICIPANT, 2, 11), "expected kind 32, got 34"),
    "two statements": (
        lambda: np.concatenate([register(CHAIN, 7, Role.PARTICIPANT, k, 11, KEY) for k in (1, 2)]),
        "other than one statement",
    ),
    "signed by another member": (
        lambda: np.concatenate(
            [
                made := register(CHAIN, 7, Role.PARTICIPANT, 1, 11, KEY)[:1],
                make_signature_records(8, 2, KEY.sign(made.tobytes())),  # type: ignore[arg-type]
            ]
        ),
        "signature by the key",
    ),
    "a value out of range": (
        lambda: make_record(MEMBER, RecordKind.MEMBER, member=7, role=9, number=1, effective=11, public_key=PUBLIC),
        "expected a MEMBER statement",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_is_refused(name: str) -> None:
    make, why = WRONG[name]
    with pytest.raises(PeopleError, match=why):
        check(make())


PLACE = range(4, 12)  # of a record in its block: the ledger numbers it anew


@pytest.mark.parametrize("at", [k for k in range(0, 216, 3) if k % 72 not in PLACE])
def test_no_other_byte_of_it_can_be_changed(at: int) -> None:
    content = bytearray(register(CHAIN, 7, Role.PARTICIPANT, 1, 11, KEY).tobytes())
    content[at] ^= 1
    with pytest.raises(PeopleError, match="registration: expected"):
        check(bytes(content))
