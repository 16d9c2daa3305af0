"""Sealed boxes: anybody can encrypt bytes to a member's public key, only the member can decrypt them.

X25519 with a fresh key for every box (RFC 7748), HKDF-SHA256 (RFC 5869), ChaCha20-Poly1305 (RFC 8439). A member has one
key: its Ed25519 key is mapped to X25519 by the birational map of RFC 7748 §4.1, `u = (1 + y) / (1 - y)`.
"""

from __future__ import annotations

from hashlib import sha512

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from market.errors import LedgerError

_P = 2**255 - 19
_NONCE = bytes(12)  # every box has a key of its own


def x25519_public_key(public_key: bytes) -> X25519PublicKey:
    """X25519 public key of an Ed25519 public key (32 bytes).

    Raises
    ------
    LedgerError
        If it is the neutral element, which has no counterpart.
    """
    y = int.from_bytes(public_key, "little") % 2**255 % _P
    if y == 1:
        raise LedgerError("sealed box: expected a usable public key, got the neutral element")
    u = (1 + y) * pow(1 - y, -1, _P) % _P
    return X25519PublicKey.from_public_bytes(u.to_bytes(32, "little"))


def x25519_private_key(key: Ed25519PrivateKey) -> X25519PrivateKey:
    """X25519 private key of an Ed25519 key: the scalar that RFC 8032 §5.1.5 derives from it."""
    return X25519PrivateKey.from_private_bytes(sha512(key.private_bytes_raw()).digest()[:32])


def seal(message: bytes, public_key: bytes) -> bytes:
    """Encrypt a message to an Ed25519 public key; the box is 32 bytes of a fresh public key, then the ciphertext.

    Raises
    ------
    LedgerError
        If the public key cannot be used.
    """
    fresh, recipient = X25519PrivateKey.generate(), x25519_public_key(public_key)
    sender = fresh.public_key().public_bytes_raw()
    try:
        shared = fresh.exchange(recipient)
    except ValueError as reason:
        raise LedgerError("sealed box: expected a usable public key, got a point of low order") from reason
    return sender + ChaCha20Poly1305(_box_key(shared, sender, recipient)).encrypt(_NONCE, message, None)


def unseal(box: bytes, key: Ed25519PrivateKey) -> bytes:
    """Decrypt a box that was sealed to this key.

    Raises
    ------
    LedgerError
        If it was sealed to another key, or has been changed.
    """
    own = x25519_private_key(key)
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(box[:32]))
        cipher = ChaCha20Poly1305(_box_key(shared, box[:32], own.public_key()))
        return cipher.decrypt(_NONCE, box[32:], None)
    except (InvalidTag, ValueError) as reason:
        raise LedgerError(
            "sealed box: expected one that was sealed to this key, got another or a changed one"
        ) from reason


def _box_key(shared: bytes, sender: bytes, recipient: X25519PublicKey) -> bytes:
    purpose = b"gridsettle sealed box v1\0" + sender + recipient.public_bytes_raw()
    return HKDF(SHA256(), 32, None, purpose).derive(shared)
