"""What members state: records that change the registry, each followed by the signatures that it needs.

A signature covers the chain and the record without its place (interval and number in the block), so that a member can
sign before the operator admits; `number` grows with every statement of a member, so that none can be used twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import OPERATOR, Rows
from market.ledger.format.records import (
    DEVICE,
    LAYOUTS,
    MEMBER,
    PERMISSION,
    REGISTRY_KINDS,
    SIGNATURE,
    DeviceKind,
    Purpose,
    RecordBytes,
    RecordKind,
    Role,
    as_bytes,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = b"gridsettle statement v1\0"


class Statement(NamedTuple):
    """A registry record and the signatures behind it, as (signer, signature) by purpose."""

    record: bytes
    signatures: Mapping[int, tuple[int, bytes]]


def member_and_number(statement: Statement) -> tuple[int, int]:
    """Who states it, and the statement's number among the member's."""
    row = np.frombuffer(statement.record, LAYOUTS[statement.record[0]])[0]
    return int(row["member"]), int(row["number"])


def message(chain_id: bytes, record: bytes) -> bytes:
    """What a member signs: the chain, and the record with interval and number in the block set to zero."""
    return _PREFIX + chain_id + record[:4] + bytes(8) + record[12:]


def signature_rows(signer: int, purpose: Purpose, signature: bytes) -> Rows:
    """The two `SIGNATURE` records of one signature."""
    rows = np.zeros(2, SIGNATURE)
    rows["kind"], rows["status"], rows["signer"] = RecordKind.SIGNATURE, purpose, signer
    for half in range(2):
        rows["reason"][half] = half
        rows["half"][half] = np.void(signature[32 * half : 32 * half + 32])
    return rows


def _stated(row: Rows, chain_id: bytes, *signers: tuple[Purpose, Ed25519PrivateKey]) -> RecordBytes:
    """The record's bytes followed by the signatures of its member."""
    record = as_bytes(row)
    signed = message(chain_id, record.tobytes())
    rows = [
        as_bytes(signature_rows(int(row["member"][0]), purpose, key.sign(signed))) for purpose, key in signers
    ]
    return np.concatenate([record, *rows])


def _key_row(
    kind: RecordKind, member: int, role: int, number: int, effective: int, public_key: bytes
) -> Rows:
    row = np.zeros(1, MEMBER)
    row["kind"], row["member"], row["role"] = kind, member, role
    row["number"], row["effective"] = number, effective
    row["public_key"][0] = np.void(public_key)
    return row


def operator_record(public_key: bytes) -> RecordBytes:
    """The operator's key in the genesis block; the genesis block's own signature proves it."""
    return as_bytes(_key_row(RecordKind.MEMBER, int(OPERATOR), Role.OPERATOR, 0, 0, public_key))


def register(
    chain_id: bytes, member: int, role: Role, number: int, effective: int, key: Ed25519PrivateKey
) -> RecordBytes:
    """A member's first key, which signs for itself.

    Parameters
    ----------
    chain_id
        The chain it is meant for.
    member, role
        Number of the member (a house's number for a house) and what it does.
    number
        One more than the last of the member's statements, 1 for the first.
    effective
        Height of the first block the key counts for; above the height of the block that holds the statement.
    key
        The member's key.
    """
    public_key = key.public_key().public_bytes_raw()
    row = _key_row(RecordKind.MEMBER, member, role, number, effective, public_key)
    return _stated(row, chain_id, (Purpose.POSSESSION, key))


def rotate(
    chain_id: bytes,
    member: int,
    role: Role,
    number: int,
    effective: int,
    old: Ed25519PrivateKey,
    new: Ed25519PrivateKey,
) -> RecordBytes:
    """A new key for a member, signed by the old one and by itself; parameters as for `register`."""
    row = _key_row(RecordKind.ROTATE, member, role, number, effective, new.public_key().public_bytes_raw())
    return _stated(row, chain_id, (Purpose.IN_FORCE, old), (Purpose.POSSESSION, new))


def revoke(member: int, role: Role, number: int, effective: int) -> RecordBytes:
    """End of a member's key; the operator's word is enough, since a lost key cannot sign."""
    return as_bytes(_key_row(RecordKind.REVOKE, member, role, number, effective, bytes(32)))


def device_record(
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
) -> RecordBytes:
    """A device that joins or leaves under a member, signed by the member.

    Parameters
    ----------
    chain_id, member, number, key
        As for `register`; the key is the member's key in force.
    device
        Number of the device among the member's.
    kind, bus, power_w, energy_wh
        What it is, where it connects, its rated power, what it stores (0 if nothing).
    datasheet
        SHA-256 of its description.
    joins
        False if it leaves.
    """
    row = np.zeros(1, DEVICE)
    row["kind"], row["status"], row["member"], row["number"] = (
        RecordKind.DEVICE,
        1 if joins else 2,
        member,
        number,
    )
    row["device"], row["device_kind"], row["bus"] = device, kind, bus
    row["power_w"], row["energy_wh"] = power_w, energy_wh
    row["datasheet"][0] = np.void(datasheet)
    return _stated(row, chain_id, (Purpose.IN_FORCE, key))


def grant(
    chain_id: bytes,
    member: int,
    number: int,
    key: Ed25519PrivateKey,
    *,
    reader: int,
    withdrawn: bool = False,
) -> RecordBytes:
    """`member` lets `reader` read its private records, or no longer; signed by the member."""
    row = _permission(RecordKind.GRANT, member, number, reader)
    row["status"] = 2 if withdrawn else 1
    return _stated(row, chain_id, (Purpose.IN_FORCE, key))


def access(chain_id: bytes, member: int, number: int, key: Ed25519PrivateKey, *, owner: int) -> RecordBytes:
    """`member` has read the private records of `owner`; signed by the reader."""
    return _stated(_permission(RecordKind.ACCESS, member, number, owner), chain_id, (Purpose.IN_FORCE, key))


def _permission(kind: RecordKind, member: int, number: int, other: int) -> Rows:
    row = np.zeros(1, PERMISSION)
    row["kind"], row["member"], row["number"], row["other"] = kind, member, number, other
    return row


def statements(records: RecordBytes) -> list[Statement]:
    """Statements of a block in their order.

    Raises
    ------
    LedgerError
        If a signature is incomplete, or follows no statement.
    """
    found: list[Statement] = []
    kinds = records[:, 0]
    at = [int(k) for k in np.flatnonzero((kinds >= REGISTRY_KINDS.start) & (kinds <= RecordKind.SIGNATURE))]
    rows = records[at].copy()
    k = 0
    while k < len(at):
        if rows[k, 0] != RecordKind.SIGNATURE:
            found.append(Statement(rows[k].tobytes(), {}))
            k += 1
            continue
        signer, purpose, signature = joined_signature(rows[k : k + 2])
        if purpose != Purpose.ENTRIES:
            if (
                not found
                or at[k] == 0
                or records[at[k] - 1, 0] not in (*REGISTRY_KINDS, RecordKind.SIGNATURE)
            ):
                raise LedgerError(f"record {at[k]}: expected a signature behind its statement")
            if purpose in found[-1].signatures:
                raise LedgerError(f"record {at[k]}: expected one signature a purpose, found a second")
            known = {**found[-1].signatures, purpose: (signer, signature)}
            found[-1] = found[-1]._replace(signatures=known)
        k += 2
    return found


def joined_signature(rows: RecordBytes) -> tuple[int, int, bytes]:
    """(signer, purpose, signature) of two `SIGNATURE` records.

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
