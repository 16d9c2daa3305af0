"""The registry: who is a member and with which key, from and until which block; replayed from records alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import check_usable, is_signed
from market.ledger.format.records import (
    JOINS,
    LEAVES,
    Purpose,
    RecordBytes,
    RecordKind,
    Role,
    decode_record,
    read_integer_parameter,
    read_parameters,
    read_places,
)
from market.ledger.format.statements import Statement, parse_statements, statement_message

Fields = Mapping[str, Any]
"""Fields of a decoded record."""


NEVER = 2**64
"""First interval of a replacement that was revoked while it waited."""


class Tenure(NamedTuple):
    """A member's key from the height `since` until the next tenure begins; empty while the member is revoked.

    Attributes
    ----------
    since, public_key
        Height of the first block, and the key.
    from_interval
        First interval it counts in; above 0 where it replaces a key without that key's signature, and so has to wait.
    by_member
        Whether the member's own key signed this end of its tenure; else the operator ended it.
    """

    since: int
    public_key: bytes
    from_interval: int = 0
    by_member: bool = False


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
        By (owner, reader), the first interval in which a grant that is not withdrawn no longer holds; 0 for no end.
    replacement_wait
        Intervals for which the replacement of a key without that key's signature has to wait; 0 for none.
    """

    keys: Mapping[int, tuple[Tenure, ...]]
    roles: Mapping[int, int]
    numbers: Mapping[int, int]
    devices: Mapping[tuple[int, int], RegisteredDevice]
    grants: Mapping[tuple[int, int], int]
    replacement_wait: int


class At(NamedTuple):
    """Where a statement stands: height of its block, and number of intervals recorded before it."""

    height: int
    interval: int


EMPTY = Registry({}, {}, {}, {}, {}, 0)


def find_key_in_force(registry: Registry, member: int, height: int, interval: int) -> bytes | None:
    """Find the public key of a member that is in force in a block, None if it has none.

    Parameters
    ----------
    registry, member
        The registry, and the number of the member.
    height, interval
        Height of the block, and number of intervals recorded before it.

    Examples
    --------
    >>> registry = EMPTY._replace(keys={3: (Tenure(5, b"a"), Tenure(9, b""))})
    >>> [find_key_in_force(registry, 3, height, 0) for height in (4, 5, 8, 9)]
    [None, b'a', b'a', None]
    """
    key = b""
    for tenure in registry.keys.get(member, ()):
        if tenure.since <= height:
            key = tenure.public_key if tenure.from_interval <= interval else b""
    return key or None


def find_operators_key(registry: Registry, height: int) -> bytes | None:
    """Find the operator's public key that is in force in the block at `height`; it never waits."""
    return find_key_in_force(registry, OPERATOR, height, 0)


def is_granted(registry: Registry, owner: int, reader: int, interval: int) -> bool:
    """Whether a grant of `owner` to `reader` stands in an interval."""
    until = registry.grants.get((owner, reader))
    return until is not None and (until == 0 or interval < until)


def list_replacements(registry: Registry) -> list[tuple[int, Tenure]]:
    """Keys by (member, tenure) that replaced one which the operator had ended, without that key's signature."""
    return [
        (member, tenure)
        for member, tenures in sorted(registry.keys.items())
        for tenure in tenures
        if tenure.from_interval > 0
    ]


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
        registry = _admit(registry, statement, chain_id, At(height, int(read_places(records[:1])[0, 0])))
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
    check_usable(row["public_key"])
    tenure = Tenure(0, row["public_key"])
    wait = read_integer_parameter(read_parameters(records), "replacement_wait")
    if wait < 0:
        raise LedgerError(f"expected a replacement_wait of no less than 0 intervals, found {wait}")
    return Registry({member: (tenure,)}, {member: role}, {member: 0}, {}, {}, wait)


def _admit(registry: Registry, statement: Statement, chain_id: bytes, at: At) -> Registry:
    """Registry after a statement in a block.

    It is not admissible if a signature is missing or wrong, it was used before, or it contradicts the registry.
    """
    row = decode_record(statement.record)
    kind, member, number = row["kind"], row["member"], row["number"]
    what = f"{RecordKind(kind).name.lower()} of member {member}"
    if number < next_number(registry, member):
        raise LedgerError(f"{what}: expected a number above {number}, this one was used before")
    _check_signatures(registry, statement, row, chain_id, at, what)
    registry = registry._replace(numbers={**registry.numbers, member: number})
    if kind in (RecordKind.MEMBER, RecordKind.ROTATE, RecordKind.REVOKE):
        return _with_key(registry, row, at, bool(statement.signatures.get(Purpose.IN_FORCE)), what)
    if kind == RecordKind.DEVICE:
        return _with_device(registry, row, what)
    return _with_permission(registry, row, at, what)


def _check_signatures(
    registry: Registry, statement: Statement, row: Fields, chain_id: bytes, at: At, what: str
) -> None:
    kind, member = row["kind"], row["member"]
    keys: dict[int, bytes | None] = {}
    if kind in (RecordKind.MEMBER, RecordKind.ROTATE):
        keys[Purpose.POSSESSION] = row["public_key"]
    if kind not in (RecordKind.MEMBER, RecordKind.REVOKE):
        keys[Purpose.IN_FORCE] = find_key_in_force(registry, member, *at)
    elif Purpose.IN_FORCE in statement.signatures and registry.replacement_wait:
        keys[Purpose.IN_FORCE] = _find_last_key(registry, member, at, ends=kind == RecordKind.REVOKE)
    if set(statement.signatures) != set(keys):
        raise LedgerError(f"{what}: expected {len(keys)} signatures, found {len(statement.signatures)}")
    signed = statement_message(chain_id, statement.record)
    for purpose, key in keys.items():
        signer, signature = statement.signatures[purpose]
        if key is None:
            raise LedgerError(f"{what}: expected a member with a key in force at block {at.height}, found none")
        if signer != member or not is_signed(key, signature, signed):
            raise LedgerError(f"{what}: expected a signature by the member's key, found another")


def _find_last_key(registry: Registry, member: int, at: At, *, ends: bool) -> bytes | None:
    """Key by which a member itself ends its tenure, or hands its number on once the operator has ended it."""
    if ends:
        return find_key_in_force(registry, member, *at)
    counted = [tenure.public_key for tenure in registry.keys.get(member, ()) if tenure.from_interval != NEVER]
    return next((key for key in reversed(counted) if key), None)


def _with_key(registry: Registry, row: Fields, at: At, signed_by_member: bool, what: str) -> Registry:
    """Registry with the key of a MEMBER, ROTATE or REVOKE record, or the end of a member's tenure."""
    member, effective = row["member"], row["effective"]
    tenures = registry.keys.get(member, ())
    last = tenures[-1] if tenures else Tenure(-1, b"")
    if effective <= max(at.height, last.since):
        raise LedgerError(
            f"{what}: expected it to take effect above block {max(at.height, last.since)}, found block {effective}"
        )
    _check_role(registry, row, last, what)
    if row["kind"] == RecordKind.REVOKE:
        if last.from_interval > at.interval:  # a replacement that is revoked while it waits never counts
            tenures = (*tenures[:-1], last._replace(from_interval=NEVER))
        tenure = Tenure(effective, b"", by_member=signed_by_member)
    else:
        _check_new_key(registry, row["public_key"], what)
        replaces = row["kind"] == RecordKind.MEMBER and bool(tenures) and not (last.by_member or signed_by_member)
        wait = registry.replacement_wait
        tenure = Tenure(effective, row["public_key"], at.interval + wait if replaces and wait else 0)
    return registry._replace(
        keys={**registry.keys, member: (*tenures, tenure)}, roles={**registry.roles, member: row["role"]}
    )


def _check_role(registry: Registry, row: Fields, last: Tenure, what: str) -> None:
    """Check that the number is free for a new member, or is that of a member with a key to rotate or revoke."""
    member, role, registering = row["member"], row["role"], row["kind"] == RecordKind.MEMBER
    if registering == bool(last.public_key):
        raise LedgerError(f"{what}: expected {'no' if registering else 'a'} key in force")
    if registering and (member < 0 or role not in (Role.PARTICIPANT, Role.AUDITOR)):
        raise LedgerError(f"{what}: expected a member from 0 on, participant or auditor, found role {role}")
    if not registering and role != registry.roles[member]:
        raise LedgerError(f"{what}: expected role {registry.roles[member]}, found {role}")
    if row["kind"] == RecordKind.REVOKE and (member == OPERATOR or row["public_key"] != bytes(32)):
        raise LedgerError(f"{what}: expected a member other than the operator, and no key")


def _check_new_key(registry: Registry, key: bytes, what: str) -> None:
    if any(key == tenure.public_key for known in registry.keys.values() for tenure in known):
        raise LedgerError(f"{what}: expected a key nobody has used, found one that is known")
    try:
        check_usable(key)
    except LedgerError as reason:
        raise LedgerError(f"{what}: {reason}") from reason


def _with_device(registry: Registry, row: Fields, what: str) -> Registry:
    at, status = (row["member"], row["device"]), row["status"]
    if (status == LEAVES) != (at in registry.devices):
        raise LedgerError(f"{what}: expected device {at[1]} {'' if status == LEAVES else 'not '}to be registered")
    devices = {known: device for known, device in registry.devices.items() if known != at}
    if status == JOINS:
        devices[at] = RegisteredDevice(
            row["device_kind"], row["bus"], row["power_w"], row["energy_wh"], row["datasheet"]
        )
    return registry._replace(devices=devices)


def _with_permission(registry: Registry, row: Fields, at: At, what: str) -> Registry:
    member, other, until = row["member"], row["other"], row["until"]
    if row["kind"] == RecordKind.ACCESS:
        if not is_granted(registry, other, member, at.interval):
            raise LedgerError(f"{what}: expected a grant by member {other}, found none")
        return registry
    gives = row["status"] == 1
    if gives and (member == other or find_key_in_force(registry, other, *at) is None):
        raise LedgerError(f"{what}: expected another member with a key in force as reader, found {other}")
    if gives == is_granted(registry, member, other, at.interval):
        raise LedgerError(f"{what}: expected {'no' if gives else 'a'} grant to member {other} so far")
    if until and (not gives or until <= at.interval):
        raise LedgerError(f"{what}: expected a grant until an interval above {at.interval}, found {until}")
    grants = {pair: end for pair, end in registry.grants.items() if pair != (member, other)}
    return registry._replace(grants={**grants, (member, other): until} if gives else grants)
