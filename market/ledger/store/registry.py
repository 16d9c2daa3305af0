"""The registry: who is a member, with which key, from and until which block, derived by replaying records alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import is_signed
from market.ledger.format.records import LAYOUTS, Purpose, RecordBytes, RecordKind, Role
from market.ledger.format.statements import Statement, message, statements


class Tenure(NamedTuple):
    """A key from a height on, until the next tenure begins; empty while the member is revoked."""

    since: int
    public_key: bytes


class RegisteredDevice(NamedTuple):
    """A device under a member."""

    kind: int
    bus: int
    power_w: int
    energy_wh: int
    datasheet: bytes


class Registry(NamedTuple):
    """State of the registry behind a block; a new one is made for every statement, none is ever changed.

    Attributes
    ----------
    keys
        Tenures of each member, oldest first.
    roles
        Role of each member.
    numbers
        Number of each member's last statement.
    devices
        Devices by (member, number of the device).
    grants
        (owner, reader) of every grant that stands.
    """

    keys: Mapping[int, tuple[Tenure, ...]]
    roles: Mapping[int, int]
    numbers: Mapping[int, int]
    devices: Mapping[tuple[int, int], RegisteredDevice]
    grants: frozenset[tuple[int, int]]


EMPTY = Registry({}, {}, {}, {}, frozenset())


def key_in_force(registry: Registry, member: int, height: int) -> bytes | None:
    """Public key that counts for a member in the block at `height`, None if it has none.

    Examples
    --------
    >>> registry = EMPTY._replace(keys={3: (Tenure(5, b"a"), Tenure(9, b""))})
    >>> [key_in_force(registry, 3, height) for height in (4, 5, 8, 9)]
    [None, b'a', b'a', None]
    """
    key = b""
    for tenure in registry.keys.get(member, ()):
        if tenure.since <= height:
            key = tenure.public_key
    return key or None


def next_number(registry: Registry, member: int) -> int:
    """Number of a member's next statement."""
    return registry.numbers.get(member, 0) + 1


def begun(records: RecordBytes) -> Registry:
    """Registry of a genesis block: the operator and nobody else.

    Raises
    ------
    LedgerError
        If the block holds anything else.
    """
    found = statements(records)
    if len(found) != 1 or found[0].record[0] != RecordKind.MEMBER or found[0].signatures:
        raise LedgerError("expected the operator's key as the only statement of the genesis block")
    row = _row(found[0].record)
    member, role, effective = int(row["member"]), int(row["role"]), int(row["effective"])
    if (member, role, effective, int(row["number"])) != (OPERATOR, Role.OPERATOR, 0, 0):
        raise LedgerError("expected the operator, in force from the genesis block on")
    tenure = Tenure(0, row["public_key"].tobytes())
    return Registry({member: (tenure,)}, {member: role}, {member: 0}, {}, frozenset())


def replayed(registry: Registry, records: RecordBytes, chain_id: bytes, height: int) -> Registry:
    """Registry behind the block at `height` that holds `records`.

    Raises
    ------
    LedgerError
        If a statement is not admissible.
    """
    for statement in statements(records):
        registry = admitted(registry, statement, chain_id, height)
    return registry


def admitted(registry: Registry, statement: Statement, chain_id: bytes, height: int) -> Registry:
    """Registry once a statement is admitted in the block at `height`.

    Raises
    ------
    LedgerError
        If it may not be: a signature is missing or wrong, it was used before, or it contradicts the registry.
    """
    row, kind = _row(statement.record), statement.record[0]
    member, number = int(row["member"]), int(row["number"])
    what = f"{RecordKind(kind).name.lower()} of member {member}"
    if number < next_number(registry, member):
        raise LedgerError(f"{what}: expected a number above {number}, this one was used before")
    _check_signatures(registry, statement, row, chain_id, height, what)
    registry = registry._replace(numbers={**registry.numbers, member: number})
    if kind in (RecordKind.MEMBER, RecordKind.ROTATE, RecordKind.REVOKE):
        return _with_key(registry, row, kind, height, what)
    if kind == RecordKind.DEVICE:
        return _with_device(registry, row, what)
    return _with_permission(registry, row, kind, height, what)


def _row(record: bytes) -> Any:
    return np.frombuffer(record, LAYOUTS[record[0]])[0]


def _check_signatures(
    registry: Registry, statement: Statement, row: Any, chain_id: bytes, height: int, what: str
) -> None:
    kind, member = statement.record[0], int(row["member"])
    keys: dict[int, bytes | None] = {}
    if kind in (RecordKind.MEMBER, RecordKind.ROTATE):
        keys[Purpose.POSSESSION] = row["public_key"].tobytes()
    if kind not in (RecordKind.MEMBER, RecordKind.REVOKE):
        keys[Purpose.IN_FORCE] = key_in_force(registry, member, height)
    if set(statement.signatures) != set(keys):
        raise LedgerError(f"{what}: expected {len(keys)} signatures, found {len(statement.signatures)}")
    signed = message(chain_id, statement.record)
    for purpose, key in keys.items():
        signer, signature = statement.signatures[purpose]
        if key is None:
            raise LedgerError(f"{what}: expected a member with a key in force at block {height}, found none")
        if signer != member or not is_signed(key, signature, signed):
            raise LedgerError(f"{what}: expected a signature by the member's key, found another")


def _with_key(registry: Registry, row: Any, kind: int, height: int, what: str) -> Registry:
    member, role, effective = int(row["member"]), int(row["role"]), int(row["effective"])
    tenures = registry.keys.get(member, ())
    last = tenures[-1] if tenures else Tenure(-1, b"")
    if effective <= max(height, last.since):
        raise LedgerError(
            f"{what}: expected it to take effect above block {max(height, last.since)}, found block {effective}"
        )
    registering = kind == RecordKind.MEMBER
    if registering == bool(last.public_key):
        raise LedgerError(f"{what}: expected {'no' if registering else 'a'} key in force")
    if registering and (member < 0 or role not in (Role.PARTICIPANT, Role.AUDITOR)):
        raise LedgerError(f"{what}: expected a member from 0 on, participant or auditor, found role {role}")
    if not registering and role != registry.roles[member]:
        raise LedgerError(f"{what}: expected role {registry.roles[member]}, found {role}")
    key = row["public_key"].tobytes()
    if kind == RecordKind.REVOKE:
        if member == OPERATOR or key != bytes(32):
            raise LedgerError(f"{what}: expected a member other than the operator, and no key")
        key = b""
    elif any(key == tenure.public_key for known in registry.keys.values() for tenure in known):
        raise LedgerError(f"{what}: expected a key nobody has used, found one that is known")
    return registry._replace(
        keys={**registry.keys, member: (*tenures, Tenure(effective, key))},
        roles={**registry.roles, member: role},
    )


def _with_device(registry: Registry, row: Any, what: str) -> Registry:
    at = (int(row["member"]), int(row["device"]))
    joins = row["status"] == 1
    if joins == (at in registry.devices):
        raise LedgerError(f"{what}: expected device {at[1]} {'not ' if joins else ''}to be registered")
    devices = {known: device for known, device in registry.devices.items() if known != at}
    if joins:
        kind, bus, power_w, energy_wh = (
            int(row[name]) for name in ("device_kind", "bus", "power_w", "energy_wh")
        )
        devices[at] = RegisteredDevice(kind, bus, power_w, energy_wh, row["datasheet"].tobytes())
    return registry._replace(devices=devices)


def _with_permission(registry: Registry, row: Any, kind: int, height: int, what: str) -> Registry:
    member, other = int(row["member"]), int(row["other"])
    if kind == RecordKind.ACCESS:
        if (other, member) not in registry.grants:
            raise LedgerError(f"{what}: expected a grant by member {other}, found none")
        return registry
    pair = (member, other)
    gives = row["status"] == 1
    if gives and (member == other or key_in_force(registry, other, height) is None):
        raise LedgerError(f"{what}: expected another member with a key in force as reader, found {other}")
    if gives == (pair in registry.grants):
        raise LedgerError(f"{what}: expected {'no' if gives else 'a'} grant to member {other} so far")
    return registry._replace(grants=registry.grants | {pair} if gives else registry.grants - {pair})
