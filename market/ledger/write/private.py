"""Writing intervals with private records: member stores first, then the ledger, so that no record is ever lost."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.format.records import RecordBytes
from market.ledger.private.commitments import STATE_SEQ, hide, salt_of, salt_secret, salted_state_root
from market.ledger.private.vault import Vault, vault_path
from market.ledger.store.registry import Registry, key_in_force
from market.ledger.write.ledger import Ledger

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def append_private(
    ledger: Ledger,
    key: Ed25519PrivateKey,
    houses: Collection[int],
    interval_start: npt.NDArray[np.int64],
    records: RecordBytes,
    offsets: npt.NDArray[np.int64],
    accounts: npt.NDArray[np.int64],
    state: bytes,
) -> None:
    """Append intervals of which all records that name one of `houses` are private; as `Ledger.append` otherwise.

    Parameters
    ----------
    ledger
        Ledger whose genesis block has the parameter `private` = 1.
    key
        The operator's key; the salts come from it.
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
    first, secret = ledger.next_interval, salt_secret(key)
    hidden = hide(records, offsets, houses, secret, ledger.chain_id, first)
    roots = [
        salted_state_root(salt_of(secret, ledger.chain_id, first + k, STATE_SEQ), row)
        for k, row in enumerate(accounts)
    ]
    height = ledger.head().height + 1
    readers = {member: readers_of(ledger.registry, member, height) for member in (OPERATOR, *houses)}
    for member, keys in readers.items():
        with Vault(vault_path(ledger.directory, member)) as vault:
            vault.write(first, first + len(accounts), hidden.entries[member], keys)
    ledger.append(interval_start, hidden.records, hidden.offsets, roots, state)


def readers_of(registry: Registry, member: int, height: int) -> list[bytes]:
    """Public keys that may open a member's records written at `height`: its own and those of its readers.

    Raises
    ------
    LedgerError
        If the member has no key in force.
    """
    own = key_in_force(registry, member, height)
    if own is None:
        raise LedgerError(
            f"member {member}: expected a key in force at block {height}, found none; register it first"
        )
    granted = [reader for owner, reader in sorted(registry.grants) if owner == member]
    return [own, *(key for reader in granted if (key := key_in_force(registry, reader, height)) is not None)]
