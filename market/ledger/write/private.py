"""Write intervals with private records: to the member stores first, then to the ledger, so that none is ever lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import OPERATOR, Ints
from market.ledger.format.header import state_root
from market.ledger.format.records import RecordBytes
from market.ledger.private.commitments import GENESIS, STATE_SEQ, derive_salt, derive_salt_secret
from market.ledger.private.cover import EMPTY_PERIOD, Cover, Period
from market.ledger.private.entries import with_signatures
from market.ledger.private.hiding import hide_records, make_room
from market.ledger.private.vault import Entry, Vault, vault_path
from market.ledger.store.registry import Registry, find_key_in_force, find_operators_key, is_granted
from market.ledger.write.ledger import Ledger


def append_private(
    ledger: Ledger,
    key: Ed25519PrivateKey,
    houses: Collection[int],
    interval_start: Ints,
    records: RecordBytes,
    offsets: Ints,
    accounts: Ints,
    state: bytes,
    cover: Cover,
    signers: Mapping[int, Ed25519PrivateKey] | None = None,
) -> None:
    """Append intervals as `Ledger.append` does, with all records private that name one of `houses` or follow from them.

    Parameters
    ----------
    ledger
        Ledger whose genesis block has the parameters `private` and `verdict_private` = 1.
    key
        The operator's key; the salts are derived from it.
    houses
        Private houses, at least three, all registered members.
    interval_start, records, offsets, state
        As for `Ledger.append`.
    accounts
        Account table after each interval, (K, 4N + 3).
    cover
        How the records are covered, as the genesis block says.
    signers
        Keys of the members that sign their entries.

    Raises
    ------
    LedgerError
        If a house is no member, there are fewer than three, or a store or the ledger cannot be written.
    """
    first, secret, chain_id = ledger.next_interval, derive_salt_secret(key), ledger.chain_id
    records = make_room(records, offsets, houses, cover)
    if signers is not None:
        records, offsets = with_signatures(records, offsets, signers, chain_id, first, houses, secret)
    period = read_period(ledger.directory, key, first, cover)
    hidden = hide_records(records, offsets, houses, secret, chain_id, first, cover, period)
    roots = [state_root(row, derive_salt(secret, chain_id, first + k, STATE_SEQ)) for k, row in enumerate(accounts)]
    _write_stores(ledger, hidden.entries, first, first + len(accounts))
    ledger.append(interval_start, hidden.records, hidden.offsets, roots, state)


def read_period(directory: Path, key: Ed25519PrivateKey, first: int, cover: Cover) -> Period:
    """What is hidden before interval `first` of the period it belongs to, from the operator's store."""
    begin, period = cover.begin(first), EMPTY_PERIOD
    if begin == first:
        return period
    with Vault(vault_path(directory, OPERATOR), to_read=True) as vault:
        entries = [entry for entry in vault.read(key, begin, first) if entry.seq != STATE_SEQ]
    for _, some in groupby(entries, key=lambda entry: entry.interval):
        rows = [np.frombuffer(entry.record, np.uint8) for entry in some]
        period = period.with_block(len(rows) + cover.count_padding(len(rows)), np.stack(rows))
    return period


def write_opening(ledger: Ledger, entries: Mapping[int, Sequence[Entry]]) -> None:
    """Write the private records of the first block to the stores of members that are registered by now.

    Raises
    ------
    LedgerError
        If a house is no member, or a store cannot be written.
    """
    _write_stores(ledger, entries, GENESIS, GENESIS + 1)


def _write_stores(ledger: Ledger, entries: Mapping[int, Sequence[Entry]], first: int, stop: int) -> None:
    """Write entries of intervals first … stop - 1 to the stores, in stretches within which the same readers may read.

    Within a stretch those of all houses take the same room.
    """
    now, height = ledger.next_interval, ledger.head().height + 1
    changes = _list_changes(ledger.registry, now - height) if first == now else ()
    stretches = list(pairwise(sorted({first, stop, *(at for at in changes if first < at < stop)})))
    parts = {
        member: [[entry for entry in own if begin <= entry.interval < end] for begin, end in stretches]
        for member, own in entries.items()
    }
    rooms = [max(len(parts[member][k]) for member in parts if member != OPERATOR) for k in range(len(stretches))]
    for member, own in parts.items():
        with Vault(vault_path(ledger.directory, member)) as vault:
            for (begin, end), some, room in zip(stretches, own, rooms, strict=True):
                at = begin if first == now else now
                vault.write(begin, end, some, _list_readers(ledger.registry, member, height + at - now, at), room)
            for key in _list_keys(ledger.registry, member, height, now, expired=True):
                vault.withdraw(key)


def _list_changes(registry: Registry, shift: int) -> Iterator[int]:
    """Intervals at which a grant ends or a key begins to count; `shift` is an interval less its block's height."""
    yield from registry.grants.values()
    for tenures in registry.keys.values():
        for tenure in tenures:
            yield from (tenure.since + shift, tenure.from_interval)


def _list_readers(registry: Registry, member: int, height: int, interval: int) -> list[bytes]:
    """Public keys that may open a member's records of the interval in the block at `height`.

    They are its own and those of its readers; in place of its own the operator's while it has none in force.
    """
    if member not in registry.keys:
        raise LedgerError(f"member {member}: expected a registered member, found none; register it first")
    own = find_key_in_force(registry, member, height, interval) or find_operators_key(registry, height) or b""
    return [own, *_list_keys(registry, member, height, interval, expired=False)]


def _list_keys(registry: Registry, owner: int, height: int, interval: int, *, expired: bool) -> list[bytes]:
    """Keys in force of those whom a member has granted, if the grant stands; or if it has expired."""
    readers = sorted(reader for granting, reader in registry.grants if granting == owner)
    return [
        key
        for reader in readers
        if is_granted(registry, owner, reader, interval) != expired
        if (key := find_key_in_force(registry, reader, height, interval)) is not None
    ]
