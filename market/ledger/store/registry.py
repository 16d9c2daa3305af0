"""The registry: who is a member and with which key, from and until which block; replayed from records alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import is_signed
from market.ledger.format.records import Purpose, RecordBytes, RecordKind, Role, decode_record
from market.ledger.format.statements import Statement, parse_statements, statement_message

Fields = Mapping[str, Any]
"""Fields of a decoded record."""


class Tenure(NamedTuple):
    """A member's key from the height `since` until the next tenure begins; empty while the member is revoked."""

    since: int
    public_key: bytes


class RegisteredDevice(NamedTuple):
    """A device that a member has registered."""

    kind: int
    bus: int
    power_w: int
    energy_wh: int
    datasheet: bytes


class Registry(NamedTuple):
    """The registry after a block. It is never changed: every statement makes a new one.

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
        (owner, reader) of every grant that is not withdrawn.
    """

    keys: Mapping[int, tuple[Tenure, ...]]
    roles: Mapping[int, int]
    numbers: Mapping[int, int]
    devices: Mapping[tuple[int, int], RegisteredDevice]
    grants: frozenset[tuple[int, int]]


EMPTY = Registry({}, {}, {}, {}, frozenset())


def find_key_in_force(registry: Registry, member: int, height: int) -> bytes | None:
    """Find the public key of a member that is in force in the block at `height`, None if it has none.

    Examples
    --------
    >>> registry = EMPTY._replace(keys={3: (Tenure(5, b"a"), Tenure(9, b""))})
    >>> [find_key_in_force(registry, 3, height) for height in (4, 5, 8, 9)]
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


def replay_statements(registry: Registry, records: RecordBytes, chain_id: bytes, height: int) -> Registry:
    """Registry after the block at `height`, which holds `records`.

    Raises
    ------
    LedgerError
        If a statement is not admissible; in the genesis block, any but the operator's key.
    """
    if height == 0:
        return _begin(records)
    for statement in parse_statements(records):
        registry = _admit(registry, statement, chain_id, height)
    return registry


def _begin(records: RecordBytes) -> Registry:
    """Registry of a genesis block: the operator is the only member."""
    found = parse_statements(records)
    if len(found) != 1 or found[0].record[0] != RecordKind.MEMBER or found[0].signatures:
        raise LedgerError("expected the operator's key as the only statement of the genesis block")
    row = decode_record(found[0].record)
    member, role = row["member"], row["role"]
    if (member, role, row["effective"], row["number"]) != (OPERATOR, Role.OPERATOR, 0, 0):
        raise LedgerError("expected the operator, in force from the genesis block on")
    tenure = Tenure(0, row["public_key"])
    return Registry({member: (tenure,)}, {member: role}, {member: 0}, {}, frozenset())


def _admit(registry: Registry, statement: Statement, chain_id: bytes, height: int) -> Registry:
    """Registry after a statement in the block at `height`.

    It is not admissible if a signature is missing or wrong, it was used before, or it contradicts the registry.
    """
    row = decode_record(statement.record)
    kind, member, number = row["kind"], row["member"], row["number"]
    what = f"{RecordKind(kind).name.lower()} of member {member}"
    if number < next_number(registry, member):
        raise LedgerError(f"{what}: expected a number above {number}, this one was used before")
    _check_signatures(registry, statement, row, chain_id, height, what)
    registry = registry._replace(numbers={**registry.numbers, member: number})
    if kind in (RecordKind.MEMBER, RecordKind.ROTATE, RecordKind.REVOKE):
        return _with_key(registry, row, height, what)
    if kind == RecordKind.DEVICE:
        return _with_device(registry, row, what)
    return _with_permission(registry, row, height, what)


def _check_signatures(
    registry: Registry, statement: Statement, row: Fields, chain_id: bytes, height: int, what: str
) -> None:
    kind, member = row["kind"], row["member"]
    keys: dict[int, bytes | None] = {}
    if kind in (RecordKind.MEMBER, RecordKind.ROTATE):
        keys[Purpose.POSSESSION] = row["public_key"]
    if kind not in (RecordKind.MEMBER, RecordKind.REVOKE):
        keys[Purpose.IN_FORCE] = find_key_in_force(registry, member, height)
    if set(statement.signatures) != set(keys):
        raise LedgerError(f"{what}: expected {len(keys)} signatures, found {len(statement.signatures)}")
    signed = statement_message(chain_id, statement.record)
    for purpose, key in keys.items():
        signer, signature = statement.signatures[purpose]
        if key is None:
            raise LedgerError(f"{what}: expected a member with a key in force at block {height}, found none")
        if signer != member or not is_signed(key, signature, signed):
            raise LedgerError(f"{what}: expected a signature by the member's key, found another")


def _with_key(registry: Registry, row: Fields, height: int, what: str) -> Registry:
    member, role, effective, key = row["member"], row["role"], row["effective"], row["public_key"]
    tenures = registry.keys.get(member, ())
    last = tenures[-1] if tenures else Tenure(-1, b"")
    if effective <= max(height, last.since):
        raise LedgerError(
            f"{what}: expected it to take effect above block {max(height, last.since)}, found block {effective}"
        )
    registering = row["kind"] == RecordKind.MEMBER
    if registering == bool(last.public_key):
        raise LedgerError(f"{what}: expected {'no' if registering else 'a'} key in force")
    if registering and (member < 0 or role not in (Role.PARTICIPANT, Role.AUDITOR)):
        raise LedgerError(f"{what}: expected a member from 0 on, participant or auditor, found role {role}")
    if not registering and role != registry.roles[member]:
        raise LedgerError(f"{what}: expected role {registry.roles[member]}, found {role}")
    if row["kind"] == RecordKind.REVOKE:
        if member == OPERATOR or key != bytes(32):
            raise LedgerError(f"{what}: expected a member other than the operator, and no key")
        key = b""
    elif any(key == tenure.public_key for known in registry.keys.values() for tenure in known):
        raise LedgerError(f"{what}: expected a key nobody has used, found one that is known")
    return registry._replace(
        keys={**registry.keys, member: (*tenures, Tenure(effective, key))},
        roles={**registry.roles, member: role},
    )


def _with_device(registry: Registry, row: Fields, what: str) -> Registry:
    at = (row["member"], row["device"])
    joins = row["status"] == 1
    if joins == (at in registry.devices):
        raise LedgerError(f"{what}: expected device {at[1]} {'not ' if joins else ''}to be registered")
    devices = {known: device for known, device in registry.devices.items() if known != at}
    if joins:
        devices[at] = RegisteredDevice(
            row["device_kind"], row["bus"], row["power_w"], row["energy_wh"], row["datasheet"]
        )
    return registry._replace(devices=devices)


def _with_permission(registry: Registry, row: Fields, height: int, what: str) -> Registry:
    member, other = row["member"], row["other"]
    if row["kind"] == RecordKind.ACCESS:
        if (other, member) not in registry.grants:
            raise LedgerError(f"{what}: expected a grant by member {other}, found none")
        return registry
    pair = (member, other)
    gives = row["status"] == 1
    if gives and (member == other or find_key_in_force(registry, other, height) is None):
        raise LedgerError(f"{what}: expected another member with a key in force as reader, found {other}")
    if gives == (pair in registry.grants):
        raise LedgerError(f"{what}: expected {'no' if gives else 'a'} grant to member {other} so far")
    return registry._replace(grants=registry.grants | {pair} if gives else registry.grants - {pair})
