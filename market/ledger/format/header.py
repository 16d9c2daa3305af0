"""Block headers: what a block commits to, and the bytes of it that are hashed, linked and signed."""

from __future__ import annotations

import hmac
import struct
from hashlib import sha256
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import Ints

_LAYOUT = struct.Struct("<I32sQq32s32sI32s32s")
SIZE = _LAYOUT.size
NO_PREVIOUS = bytes(32)
NO_STATE = sha256(b"").digest()
"""State root before the first interval."""


class Header(NamedTuple):
    """Header of a block; 184 bytes, little-endian.

    Attributes
    ----------
    version
        Version of the format, see `market.ledger.format.version`.
    chain_id
        SHA-256 that names the chain; the same in every block.
    height
        0 for the genesis block; interval t is block t + 1 unless there are blocks without an interval before it.
    interval_start
        Begin of the interval, seconds since 1970-01-01 UTC. In the genesis block it is 0; a block that holds no
        interval repeats that of the block before.
    prev
        Hash of the previous header, zeros in the genesis block.
    record_root, n_records
        RFC 6962 root over the block's records, and their number.
    registry_root
        RFC 6962 root over all registry records up to and including this block.
    state_root
        SHA-256 over all accounts and stored energies after the interval.
    """

    version: int
    chain_id: bytes
    height: int
    interval_start: int
    prev: bytes
    record_root: bytes
    n_records: int
    registry_root: bytes
    state_root: bytes

    def encode(self) -> bytes:
        """The header's bytes."""
        return _LAYOUT.pack(*self)


def decode_header(data: bytes) -> Header:
    """Decode the bytes of a header.

    Raises
    ------
    LedgerError
        If the length is wrong.
    """
    if len(data) != SIZE:
        raise LedgerError(f"header: expected {SIZE} bytes, got {len(data)}")
    return Header(*_LAYOUT.unpack(data))


def header_message(header: bytes) -> bytes:
    """Message that the operator signs for a block."""
    return b"gridsettle header v1\0" + header


def state_message(block_hash: bytes, state: bytes) -> bytes:
    """Message that the operator signs for a run's state: it binds the state to the block before it."""
    return b"gridsettle state v1\0" + block_hash + sha256(state).digest()


def state_root(accounts: Ints, salt: bytes = b"") -> bytes:
    """Digest of accounts and stored energies after an interval, (4N + 3,): SHA-256, or HMAC-SHA256 if there is a salt.

    Ledgers with private records salt it; without the salt the accounts could be guessed from it.
    """
    content = accounts.astype("<i8").tobytes()
    if salt:
        return hmac.digest(salt, b"gridsettle/state\0" + content, "sha256")
    return sha256(content).digest()


def make_chain_id(parameters: bytes) -> bytes:
    """Make the name of a chain from the bytes of its parameter records."""
    return sha256(b"gridsettle chain v1\0" + parameters).digest()


def make_demonstration_key(seed: int) -> Ed25519PrivateKey:
    """Derive a key from the seed, for runs without an operator key of their own.

    It makes equal scenarios and seeds give equal ledgers on every machine. Everybody can derive it, so it proves
    nothing about who signed.
    """
    return Ed25519PrivateKey.from_private_bytes(sha256(b"gridsettle demonstration operator key\0%d" % seed).digest())
