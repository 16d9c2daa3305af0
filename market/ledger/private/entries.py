"""A member's own entries of an interval, and its signature under them: an option of the ledger.

The member signs the RFC 6962 root over its entries (exchanges that name it, and its meter), so that the operator cannot
later record something else in its name.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.exchanges import METER, Kind
from market.ledger.crypto.merkle import root
from market.ledger.format.records import Purpose, RecordBytes, RecordKind, as_bytes, placed
from market.ledger.format.statements import joined_signature, signature_rows
from market.ledger.private.commitments import is_private, salt_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = b"gridsettle entries v1\0"


def entries_of(records: RecordBytes, member: int) -> RecordBytes:
    """Exchanges of a block that name the member, and its meter."""
    return records[is_private(records, [member])]


def entries_message(
    chain_id: bytes, interval: int, records: RecordBytes, member: int, salt: bytes = b""
) -> bytes:
    """What a member signs of an interval's block: the chain, the interval, and the root over its entries.

    A signature is as good as a hash to somebody who guesses: where the entries are private, the root is salted.

    Parameters
    ----------
    chain_id, interval
        The chain, and the number of the interval.
    records
        Records of the block in clear.
    member
        Who signs.
    salt
        Salt of the member's meter, where that is private.
    """
    signed = root(row.tobytes() for row in entries_of(records, member))
    if salt:
        signed = hmac.digest(salt, b"gridsettle/entries\0" + signed, "sha256")
    return _PREFIX + chain_id + interval.to_bytes(4, "little") + signed


def meter_number(records: RecordBytes, member: int) -> int | None:
    """Number of a member's meter among the records of a block in clear; None if it has none."""
    meters = np.flatnonzero(records[:, 0] == Kind.METER)
    own = meters[records[meters].view(METER).reshape(-1)["house"] == member]
    return int(records[own[0], 8:12].copy().view("<u4")[0]) if own.size else None


def with_signatures(
    records: RecordBytes,
    offsets: npt.NDArray[np.int64],
    keys: Mapping[int, Ed25519PrivateKey],
    chain_id: bytes,
    first_interval: int,
    private: Collection[int] = (),
    secret: bytes = b"",
) -> tuple[RecordBytes, npt.NDArray[np.int64]]:
    """The blocks of K intervals with every member's signature under its entries at their ends.

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
        Members whose records are private, and where the salts come from.
    """

    def salt(body: RecordBytes, member: int, interval: int) -> bytes:
        number = meter_number(body, member) if member in private else None
        return b"" if number is None else salt_of(secret, chain_id, interval, number)

    blocks = []
    for k in range(offsets.size - 1):
        body, interval = records[offsets[k] : offsets[k + 1]], first_interval + k
        signed = [
            as_bytes(
                signature_rows(
                    member,
                    Purpose.ENTRIES,
                    key.sign(entries_message(chain_id, interval, body, member, salt(body, member, interval))),
                )
            )
            for member, key in keys.items()
        ]
        rows = np.concatenate(signed) if signed else body[:0]
        blocks.append(np.concatenate([body, placed(rows, interval, body.shape[0])]))
    sizes = [block.shape[0] for block in blocks]
    return np.concatenate(blocks), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def entry_signatures(records: RecordBytes) -> Iterator[tuple[int, bytes]]:
    """(member, signature) of every signature under entries in a block.

    Raises
    ------
    LedgerError
        If half a signature stands alone, or a member signs twice.
    """
    rows = records[records[:, 0] == RecordKind.SIGNATURE]
    rows = rows[rows[:, 1] == Purpose.ENTRIES]
    seen: set[int] = set()
    for at in range(0, rows.shape[0], 2):
        signer, _, signature = joined_signature(rows[at : at + 2])
        if signer in seen:
            raise LedgerError(f"member {signer} signs its entries twice")
        seen.add(signer)
        yield signer, signature
