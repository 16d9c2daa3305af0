"""Statements: records by which members change the registry, each followed by the signatures that it needs.

A signature covers the chain and the record, but not the record's place (interval and number in the block), so that a
member can sign before the operator puts the record into a block. `number` grows with every statement of a member, so
that none can be replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.records import (
    DEVICE,
    JOINS,
    LEAVES,
    LEAVES_UNREGISTERED,
    MEMBER,
    PERMISSION,
    REGISTRY_KINDS,
    SIGNATURE,
    DeviceKind,
    Purpose,
    RecordBytes,
    RecordKind,
    Role,
    decode_record,
    make_record,
)


class Statement(NamedTuple):
    """A registry record and its signatures, as (signer, signature) by purpose."""

    record: bytes
    signatures: Mapping[int, tuple[int, bytes]]


def read_member_and_number(statement: Statement) -> tuple[int, int]:
    """Member that makes the statement, and the statement's number among the member's."""
    row = decode_record(statement.record)
    return row["member"], row["number"]


def statement_message(chain_id: bytes, record: bytes) -> bytes:
    """Message that a member signs: the chain, and the record with its interval and number set to zero."""
    return b"gridsettle statement v1\0" + chain_id + record[:4] + bytes(8) + record[12:]


def make_signature_records(signer: int, purpose: Purpose, signature: bytes) -> RecordBytes:
    """Make the two `SIGNATURE` records of one signature, (2, 72)."""
    kind = RecordKind.SIGNATURE
    halves = [
        make_record(SIGNATURE, kind, status=purpose, reason=k, signer=signer, half=signature[32 * k :][:32])
        for k in range(2)
    ]
    return np.concatenate(halves)


def _sign(chain_id: bytes, member: int, record: RecordBytes, *keys: tuple[Purpose, Ed25519PrivateKey]) -> RecordBytes:
    """The record followed by the signatures of its member."""
    message = statement_message(chain_id, record.tobytes())
    signed = [make_signature_records(member, purpose, key.sign(message)) for purpose, key in keys]
    return np.concatenate([record, *signed])


def _make_key_record(
    kind: RecordKind, member: int, role: int, number: int, effective: int, public_key: bytes
) -> RecordBytes:
    return make_record(
        MEMBER, kind, member=member, role=role, number=number, effective=effective, public_key=public_key
    )


def make_operator_record(public_key: bytes) -> RecordBytes:
    """Make the record of the operator's key for the genesis block; the signature of that block proves it."""
    return _make_key_record(RecordKind.MEMBER, OPERATOR, Role.OPERATOR, 0, 0, public_key)


def register(
    chain_id: bytes,
    member: int,
    role: Role,
    number: int,
    effective: int,
    key: Ed25519PrivateKey,
    last: Ed25519PrivateKey | None = None,
) -> RecordBytes:
    """State a member's first key, signed by that key; or its next one once the operator has ended the last.

    Parameters
    ----------
    chain_id
        The chain the statement is meant for.
    member, role
        Number of the member (that of the house if it is one) and its role.
    number
        One more than the last of the member's statements, 1 for the first.
    effective
        Height of the first block the key counts for; above the height of the block that holds the statement.
    key
        The member's key.
    last
        The key that the operator has ended: with its signature the new one need not wait.

    Returns
    -------
    RecordBytes
        The record and its signatures, (M, 72).
    """
    record = _make_key_record(RecordKind.MEMBER, member, role, number, effective, public_bytes(key))
    signers = [(Purpose.POSSESSION, key), *([] if last is None else [(Purpose.IN_FORCE, last)])]
    return _sign(chain_id, member, record, *signers)


def rotate(
    chain_id: bytes,
    member: int,
    role: Role,
    number: int,
    effective: int,
    old: Ed25519PrivateKey,
    new: Ed25519PrivateKey,
) -> RecordBytes:
    """State a member's new key, signed by the old and the new one; parameters as for `register`."""
    record = _make_key_record(RecordKind.ROTATE, member, role, number, effective, public_bytes(new))
    return _sign(chain_id, member, record, (Purpose.IN_FORCE, old), (Purpose.POSSESSION, new))


def revoke(
    member: int, role: Role, number: int, effective: int, chain_id: bytes = b"", key: Ed25519PrivateKey | None = None
) -> RecordBytes:
    """State the end of a member's key; it needs no signature of the member, since the key may be lost.

    Where the member signs with its `key`, for the chain of `chain_id`, its next key need not wait.
    """
    record = _make_key_record(RecordKind.REVOKE, member, role, number, effective, bytes(32))
    return record if key is None else _sign(chain_id, member, record, (Purpose.IN_FORCE, key))


def make_device_record(
    chain_id: bytes,
    member: int,
    number: int,
    key: Ed25519PrivateKey,
    *,
    device: int,
    kind: DeviceKind,
    bus: int,
    power_w: int,
    energy_wh: int,
    datasheet: bytes,
    joins: bool = True,
    registered: bool = True,
) -> RecordBytes:
    """State that a device joins or leaves, signed by its member.

    Parameters
    ----------
    chain_id, member, number, key
        As for `register`; the key is the member's key in force.
    device
        Number of the device among the member's.
    kind, bus, power_w, energy_wh
        What it is, where it is connected, its rated power, and the energy that it stores (0 if none).
    datasheet
        SHA-256 of its description.
    joins
        False if it leaves.
    registered
        False if it leaves and was never registered: the house has had it from the first interval.
    """
    record = make_record(
        DEVICE,
        RecordKind.DEVICE,
        status=JOINS if joins else LEAVES if registered else LEAVES_UNREGISTERED,
        member=member,
        number=number,
        device=device,
        device_kind=kind,
        bus=bus,
        power_w=power_w,
        energy_wh=energy_wh,
        datasheet=datasheet,
    )
    return _sign(chain_id, member, record, (Purpose.IN_FORCE, key))


def grant(
    chain_id: bytes,
    member: int,
    number: int,
    key: Ed25519PrivateKey,
    *,
    reader: int,
    withdrawn: bool = False,
    until: int = 0,
) -> RecordBytes:
    """State that `member` lets `reader` read its private records, or no longer; signed by the member.

    `until` is the first interval in which the grant no longer holds; 0 for no end.
    """
    status = 2 if withdrawn else 1
    record = make_record(
        PERMISSION, RecordKind.GRANT, status=status, member=member, number=number, other=reader, until=until
    )
    return _sign(chain_id, member, record, (Purpose.IN_FORCE, key))


def log_access(chain_id: bytes, member: int, number: int, key: Ed25519PrivateKey, *, owner: int) -> RecordBytes:
    """State that `member` has read the private records of `owner`; signed by `member`."""
    record = make_record(PERMISSION, RecordKind.ACCESS, member=member, number=number, other=owner)
    return _sign(chain_id, member, record, (Purpose.IN_FORCE, key))


def parse_statements(records: RecordBytes) -> list[Statement]:
    """Statements of a block in their order.

    Raises
    ------
    LedgerError
        If a signature is incomplete, or follows no statement.
    """
    found: list[Statement] = []
    kinds = records[:, 0]
    stated = (kinds >= REGISTRY_KINDS.start) & (kinds <= RecordKind.SIGNATURE)
    rows = iter(np.flatnonzero(stated).tolist())
    for at in rows:
        if kinds[at] != RecordKind.SIGNATURE:
            found.append(Statement(records[at].tobytes(), {}))
            continue
        signer, purpose, signature = join_signature(records[[at, *islice(rows, 1)]])
        if purpose in (Purpose.ENTRIES, Purpose.SUBMISSION):
            continue
        if not found or at == 0 or kinds[at - 1] not in (*REGISTRY_KINDS, RecordKind.SIGNATURE):
            raise LedgerError(f"record {at}: expected a signature behind its statement")
        if purpose in found[-1].signatures:
            raise LedgerError(f"record {at}: expected one signature a purpose, found a second")
        known = {**found[-1].signatures, purpose: (signer, signature)}
        found[-1] = found[-1]._replace(signatures=known)
    return found


def join_signature(rows: RecordBytes) -> tuple[int, int, bytes]:
    """Join two `SIGNATURE` records; returns (signer, purpose, signature).

    Raises
    ------
    LedgerError
        If they are not the two halves of one signature.
    """
    halves = rows.copy().view(SIGNATURE).reshape(-1)
    if (
        halves.size != 2
        or (halves["kind"] != RecordKind.SIGNATURE).any()
        or halves["reason"].tolist() != [0, 1]
        or halves["signer"][0] != halves["signer"][1]
        or halves["status"][0] != halves["status"][1]
    ):
        raise LedgerError("expected the two halves of a signature one after the other")
    signature = halves["half"][0].tobytes() + halves["half"][1].tobytes()
    return int(halves["signer"][0]), int(halves["status"][0]), signature
