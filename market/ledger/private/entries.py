"""A member's entries of an interval and its signature under them; an option of the ledger.

The entries are the exchanges that name the member, and its meter. The member signs the RFC 6962 root hash over them, so
that the operator cannot later record something else in its name.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import METER, Ints, Kind
from market.ledger.crypto.merkle import root_hash
from market.ledger.format.records import (
    Purpose,
    RecordBytes,
    RecordKind,
    join_blocks,
    number_records,
    read_places,
)
from market.ledger.format.statements import join_signature, make_signature_records
from market.ledger.private.commitments import derive_salt, is_private


def select_entries(records: RecordBytes, member: int) -> RecordBytes:
    """Exchanges of a block that name the member, and its meter."""
    return records[is_private(records, [member])]


def entries_message(chain_id: bytes, interval: int, records: RecordBytes, member: int, salt: bytes = b"") -> bytes:
    """Message that a member signs for an interval: the chain, the interval, and the root hash over its entries.

    Where the entries are private, the root hash is salted: who guesses the entries could check a guess against the
    signature as well as against a hash.

    Parameters
    ----------
    chain_id, interval
        The chain, and the number of the interval.
    records
        Records of the block in clear, (M, 72).
    member
        Who signs.
    salt
        Salt of the member's meter, where that is private.
    """
    signed = root_hash(row.tobytes() for row in select_entries(records, member))
    if salt:
        signed = hmac.digest(salt, b"gridsettle/entries\0" + signed, "sha256")
    return b"gridsettle entries v1\0" + chain_id + interval.to_bytes(4, "little") + signed


def find_meter_number(records: RecordBytes, member: int) -> int | None:
    """Number of a member's meter among the records of a block in clear; None if it has none."""
    meters = records[records[:, 0] == Kind.METER]
    own = meters[meters.view(METER).reshape(-1)["house"] == member]
    return int(read_places(own)[0, 1]) if own.size else None


def with_signatures(
    records: RecordBytes,
    offsets: Ints,
    keys: Mapping[int, Ed25519PrivateKey],
    chain_id: bytes,
    first_interval: int,
    private: Collection[int] = (),
    secret: bytes = b"",
) -> tuple[RecordBytes, Ints]:
    """The blocks of K intervals with every member's signature under its entries appended to each.

    Parameters
    ----------
    records, offsets
        Records of all blocks (M, 72), and where each block's begin, (K + 1,).
    keys
        Key of each member that signs.
    chain_id
        The chain.
    first_interval
        Number of the first interval.
    private, secret
        Members whose records are private, and the secret that their salts are derived from.
    """

    def sign(body: RecordBytes, interval: int, member: int) -> RecordBytes:
        number = find_meter_number(body, member) if member in private else None
        salt = b"" if number is None else derive_salt(secret, chain_id, interval, number)
        signature = keys[member].sign(entries_message(chain_id, interval, body, member, salt))
        return make_signature_records(member, Purpose.ENTRIES, signature)

    blocks = []
    for k in range(offsets.size - 1):
        body, interval = records[offsets[k] : offsets[k + 1]], first_interval + k
        rows = np.concatenate([body[:0], *(sign(body, interval, member) for member in keys)])
        last = int(read_places(body[-1:])[0, 1])
        blocks.append(np.concatenate([body, number_records(rows, interval, last + 1)]))
    return join_blocks(blocks)


def read_entry_signatures(records: RecordBytes) -> Iterator[tuple[int, bytes]]:
    """Read (member, signature) of every signature under entries in a block.

    Raises
    ------
    LedgerError
        If half a signature stands alone, or a member signs twice.
    """
    rows = records[records[:, 0] == RecordKind.SIGNATURE]
    rows = rows[rows[:, 1] == Purpose.ENTRIES]
    seen: set[int] = set()
    for at in range(0, rows.shape[0], 2):
        signer, _, signature = join_signature(rows[at : at + 2])
        if signer in seen:
            raise LedgerError(f"member {signer} signs its entries twice")
        seen.add(signer)
        yield signer, signature
