"""Write intervals with private records: to the member stores first, then to the ledger, so that none is ever lost."""

from __future__ import annotations

from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import OPERATOR, Ints
from market.ledger.format.header import state_root
from market.ledger.format.records import RecordBytes
from market.ledger.private.commitments import STATE_SEQ, derive_salt, derive_salt_secret, hide_records
from market.ledger.private.vault import Vault, vault_path
from market.ledger.store.registry import Registry, find_key_in_force
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
        If a house has no key in force, there are fewer than three, or a store or the ledger cannot be written.
    """
    first, secret = ledger.next_interval, derive_salt_secret(key)
    hidden = hide_records(records, offsets, houses, secret, ledger.chain_id, first)
    roots = [
        state_root(row, derive_salt(secret, ledger.chain_id, first + k, STATE_SEQ)) for k, row in enumerate(accounts)
    ]
    height = ledger.head().height + 1
    readers = {member: _list_readers(ledger.registry, member, height) for member in (OPERATOR, *houses)}
    for member, keys in readers.items():
        with Vault(vault_path(ledger.directory, member)) as vault:
            vault.write(first, first + len(accounts), hidden.entries[member], keys)
    ledger.append(interval_start, hidden.records, hidden.offsets, roots, state)


def _list_readers(registry: Registry, member: int, height: int) -> list[bytes]:
    """Public keys that may open a member's records written at `height`: its own and those of its readers."""
    own = find_key_in_force(registry, member, height)
    if own is None:
        raise LedgerError(f"member {member}: expected a key in force at block {height}, found none; register it first")
    granted = [reader for owner, reader in sorted(registry.grants) if owner == member]
    return [
        own,
        *(key for reader in granted if (key := find_key_in_force(registry, reader, height)) is not None),
    ]
