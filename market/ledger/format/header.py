"""Headers: what a block commits to, how it is hashed, signed and linked to the one before."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from market.ledger.crypto.merkle import leaf_hash

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERSION = 1
_LAYOUT = struct.Struct("<I32sQq32s32sI32s32s")
SIZE = _LAYOUT.size
NO_PREVIOUS = bytes(32)


class Header(NamedTuple):
    """Header of a block; 184 bytes, little-endian.

    Attributes
    ----------
    version
        Of the format.
    chain_id
        SHA-256 that names the chain; the same in every block.
    height
        0 for the genesis block; interval t is block t + 1 unless blocks without an interval stand between.
    interval_start
        Begin of the interval, seconds since 1970-01-01 UTC; 0 in the genesis block, that of the block before in one
        that holds no interval.
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

    def hash(self) -> bytes:
        """Its leaf hash, which is what the next header links to and what the history tree holds."""
        return leaf_hash(self.encode())


def decode_header(data: bytes) -> Header:
    """Header of its bytes.

    Raises
    ------
    ValueError
        If the length is wrong.
    """
    if len(data) != SIZE:
        raise ValueError(f"header: expected {SIZE} bytes, got {len(data)}")
    return Header(*_LAYOUT.unpack(data))


def header_message(header: bytes) -> bytes:
    """What the operator signs of a block: its header's bytes, prefixed."""
    return b"gridsettle header v1\0" + header


def state_message(block_hash: bytes, state: bytes) -> bytes:
    """What the operator signs of a run's state: the block it lies behind, and its digest."""
    return b"gridsettle state v1\0" + block_hash + sha256(state).digest()


def chain_id(parameters: bytes) -> bytes:
    """Name of a chain from the bytes of its parameter records."""
    return sha256(b"gridsettle chain v1\0" + parameters).digest()


def demonstration_key(seed: int) -> Ed25519PrivateKey:
    """Operator key of runs without one of their own, derived from the seed; everybody can derive it, it proves nothing.

    It makes the same scenario and seed give the same ledger on every machine.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(
        sha256(b"gridsettle demonstration operator key\0%d" % seed).digest()
    )
