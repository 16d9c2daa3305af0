"""Write intervals with private records: to the member stores first, then to the ledger, so that none is ever lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import OPERATOR, Ints
from market.ledger.format.header import state_root
from market.ledger.format.records import RecordBytes
from market.ledger.private.commitments import STATE_SEQ, derive_salt, derive_salt_secret, hide_records
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
) -> None:
    """Append intervals as `Ledger.append` does, with all records private that name one of `houses`.

    Parameters
    ----------
    ledger
        Ledger whose genesis block has the parameter `private` = 1.
    key
        The operator's key; the salts are derived from it.
    houses
        Private houses, at least three, all registered members.
    interval_start, records, offsets, state
        As for `Ledger.append`.
    accounts
        Account table after each interval, (K, 4N + 3).

    Raises
    ------
    LedgerError
        If a house is no member, there are fewer than three, or a store or the ledger cannot be written.
    """
    first, secret = ledger.next_interval, derive_salt_secret(key)
    hidden = hide_records(records, offsets, houses, secret, ledger.chain_id, first)
    roots = [
        state_root(row, derive_salt(secret, ledger.chain_id, first + k, STATE_SEQ)) for k, row in enumerate(accounts)
    ]
    for member in (OPERATOR, *houses):
        _write_entries(ledger, member, first, first + len(accounts), hidden.entries[member])
    ledger.append(interval_start, hidden.records, hidden.offsets, roots, state)


def _write_entries(ledger: Ledger, member: int, first: int, stop: int, entries: Sequence[Entry]) -> None:
    """Write a member's entries of intervals first … stop - 1 to its store, for those who may read each of them."""
    registry, height = ledger.registry, ledger.head().height + 1
    bounds = sorted({first, stop, *(at for at in _list_changes(registry, first - height) if first < at < stop)})
    with Vault(vault_path(ledger.directory, member)) as vault:
        for begin, end in pairwise(bounds):
            readers = _list_readers(registry, member, height + begin - first, begin)
            vault.write(begin, end, [entry for entry in entries if begin <= entry.interval < end], readers)
        for key in _list_keys(registry, member, height, first, expired=True):
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
