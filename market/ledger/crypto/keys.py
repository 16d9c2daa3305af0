"""Ed25519 keys and their files.

A private key is kept in a PKCS#8 PEM file (RFC 5208) that only its owner can read, encrypted if there is a passphrase;
a public key in a PEM file of RFC 8410.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from market.errors import LedgerError
from market.ledger.durable import name_file, read_bounded

LONGEST_KEY = 1 << 16
"""Bytes of the longest key file."""

_P = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})
"""y coordinates of the points of order 4, 1, 2 and 8; x may have either sign."""


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public key of a private key."""
    return key.public_key().public_bytes_raw()


def pseudonym(public_key: bytes) -> str:
    """Name of a member in listings: the first 16 hexadecimal digits of the SHA-256 of its public key."""
    return sha256(public_key).hexdigest()[:16]


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature (RFC 8032) of a message is valid; False also for a malformed key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_usable(public_key: bytes) -> None:
    """Refuse Ed25519 public keys under which signatures prove nothing, or that have a second spelling.

    The curve has eight points of small order; for a key that is one of them, signatures of any message can be made
    without a private key. A coordinate of 2^255 - 19 or above is a second spelling of a smaller one (RFC 8032 §5.1.3).

    Raises
    ------
    LedgerError
        If the key is not 32 bytes, has small order, or is not spelled canonically.
    """
    y = int.from_bytes(public_key, "little") % 2**255
    if len(public_key) != 32 or y >= _P:
        raise LedgerError(f"key {public_key.hex()}: expected an Ed25519 public key in its canonical spelling")
    if y in _SMALL_ORDER:
        raise LedgerError(
            f"key {public_key.hex()}: expected an Ed25519 public key, got a point of small order, under which anybody "
            "can sign"
        )


def write_key_pair(path: Path, key: Ed25519PrivateKey, passphrase: bytes | None = None) -> Path:
    """Write a private key to a new file that only its owner can read, and its public key to `.pub` beside it.

    Returns
    -------
    Path
        File of the public key.

    Raises
    ------
    LedgerError
        If one of the files exists, or the folder cannot be written.
    """
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    public = path.with_suffix(".pub")
    _write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)
    _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return public


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise LedgerError(
            f"{path}: expected a file that does not exist yet; a key is never overwritten, choose another name"
        ) from None
    except OSError as reason:
        raise LedgerError(f"{path}: expected a folder that can be written, got {reason.strerror}") from reason


def read_private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Read the private key of a PKCS#8 file.

    Raises
    ------
    LedgerError
        If there is no file, others than its owner can read it, it is no Ed25519 key, or the passphrase is wrong.
    """
    content = read_private_file(path)
    try:
        key = load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as reason:
        raise LedgerError(
            f"{path}: expected an Ed25519 key in PKCS#8 PEM form and its passphrase if it has one, got: {reason}"
        ) from reason
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerError(f"{path}: expected an Ed25519 key, got {type(key).__name__}")
    return key


def read_private_file(path: Path) -> bytes:
    """Content of a key file that only its owner can read.

    Raises
    ------
    LedgerError
        If there is no file, or others than its owner can read it.
    """
    content, mode = _read(path), stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise LedgerError(
            f"{path}: expected a key that only its owner can read (mode 600), got mode {mode:o}; chmod 600 {path}"
        )
    return content


def is_encrypted(path: Path) -> bool:
    """Whether a key file needs a passphrase."""
    return b"ENCRYPTED" in _read(path)


def read_public_key(path: Path) -> bytes:
    """Read a public key (32 bytes) from a PEM file.

    Raises
    ------
    LedgerError
        If there is no file, or it holds no Ed25519 public key that can be used.
    """
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as reason:
        raise LedgerError(f"{path}: expected a PEM file with an Ed25519 public key, got: {reason}") from reason
    if not isinstance(key, Ed25519PublicKey):
        raise LedgerError(f"{path}: expected an Ed25519 public key, got {type(key).__name__}")
    with name_file(path):
        check_usable(key.public_bytes_raw())
    return key.public_bytes_raw()


def _read(path: Path) -> bytes:
    return read_bounded(path, "a key file", LONGEST_KEY)
