"""A small ledger with private records, its stores, and keys to open them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_world import World, begin, world

from market.exchanges import OPERATOR
from market.ledger.crypto.keys import public_bytes
from market.ledger.format import statements
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.records import Role
from market.ledger.private.commitments import derive_salt_secret
from market.ledger.private.cover import Cover
from market.ledger.private.hiding import hide_genesis
from market.ledger.private.vault import Entry, Vault, vault_path
from market.ledger.write.ledger import Ledger
from market.ledger.write.private import append_private, write_opening

COVER = Cover(n_records=16, every=6)
COVERED = {"private": 1, "verdict_private": 1, "private_records": COVER.n_records, "sum_intervals": COVER.every}
"""Parameters of a ledger whose records, verdicts too, are private."""

N, HOUSES, AUDITOR = 12, [0, 1, 2], 9
MADE = world(5, N, seed=4, parameters=COVERED)
KEYS = {member: make_demonstration_key(100 + member) for member in (*HOUSES, AUDITOR)}


def begin_private(directory: Path, made: World, keys: Mapping[int, Ed25519PrivateKey]) -> Ledger:
    """New ledger whose houses with a key are private and members; block 1 registers them."""
    records, opening = hide_genesis(np.concatenate(made.genesis), list(keys), derive_salt_secret(made.key))
    ledger = begin(directory, made._replace(genesis=[records]))
    chain = ledger.chain_id
    rows = [statements.register(chain, m, Role.PARTICIPANT, 1, 2, key) for m, key in keys.items()]
    ledger.append_registry(np.concatenate(rows))
    write_opening(ledger, opening)
    return ledger


def append_covered(
    ledger: Ledger,
    made: World,
    houses: Sequence[int],
    first: int,
    stop: int,
    signers: Mapping[int, Ed25519PrivateKey] | None = None,
) -> None:
    """Append intervals first … stop - 1 with these houses private."""
    begin_at, end_at = made.offsets[first], made.offsets[stop]
    append_private(
        ledger,
        made.key,
        houses,
        made.starts[first:stop],
        made.records[begin_at:end_at],
        made.offsets[first : stop + 1] - begin_at,
        made.window.accounts[first:stop],
        b"state",
        COVER,
        signers,
    )


def private_ledger(directory: Path, made: World = MADE) -> Path:
    """Members 0, 1, 2 private, 9 an auditor; member 1 lets member 0 read from the middle on, then no longer."""
    with begin_private(directory, made, {m: KEYS[m] for m in HOUSES}) as ledger:
        chain = ledger.chain_id
        ledger.append_registry(statements.register(chain, AUDITOR, Role.AUDITOR, 1, 3, KEYS[AUDITOR]))
        ledger.append_registry(statements.grant(chain, OPERATOR, 1, made.key, reader=AUDITOR))
        with Vault(vault_path(directory, OPERATOR)) as vault:
            vault.share(made.key, public_bytes(KEYS[AUDITOR]))
        append_covered(ledger, made, HOUSES, 0, 4)
        ledger.append_registry(statements.grant(chain, 1, 2, KEYS[1], reader=0))
        append_covered(ledger, made, HOUSES, 4, 8)
        ledger.append_registry(statements.grant(chain, 1, 3, KEYS[1], reader=0, withdrawn=True))
        append_covered(ledger, made, HOUSES, 8, N)
    return directory


def height_of(interval: int) -> int:
    """Height of an interval's block in `private_ledger`."""
    return interval + 4 + (interval >= 4) + (interval >= 8)


def open_store(directory: Path, member: int, key: int) -> Mapping[tuple[int, int], Entry]:
    """What a member, or the operator, can open of a store in `private_ledger`."""
    secret = MADE.key if key == OPERATOR else KEYS[key]
    with Vault(vault_path(directory, member), to_read=True) as vault:
        return {(entry.interval, entry.seq): entry for entry in vault.read(secret)}
