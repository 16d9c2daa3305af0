"""Checkpoints: signed notes that say how long the ledger was and what it held (C2SP signed-note, tlog-checkpoint).

A chain of valid blocks that was cut short is still valid; only a checkpoint kept elsewhere shows the rollback.
"""

from __future__ import annotations

import base64
import binascii
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from market.errors import LedgerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"


class Checkpoint(NamedTuple):
    """Size and root of the history tree of the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The signed part of the note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(chain_id: bytes) -> str:
    """Origin of a chain's checkpoints."""
    return f"gridsettle/{chain_id.hex()[:32]}"


def key_id(name: str, public_key: bytes) -> bytes:
    """First four bytes of SHA-256(name ‖ newline ‖ algorithm ‖ public key)."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Signed note over `text`, which ends in a newline, with one signature line."""
    public = key.public_key().public_bytes_raw()
    blob = base64.b64encode(key_id(name, public) + key.sign(text.encode())).decode()
    return f"{text}\n— {name} {blob}\n"


def open_note(note: str, name: str, key: Ed25519PublicKey) -> str:
    """Text of a note that carries a valid signature of `name` with `key`.

    Raises
    ------
    LedgerError
        If it is no signed note, or carries no such signature.
    """
    from cryptography.exceptions import InvalidSignature

    text, separator, signatures = note.rpartition("\n\n")
    if not separator:
        raise LedgerError(
            "checkpoint: expected a signed note (text, empty line, signatures), got something else"
        )
    text += "\n"
    wanted = key_id(name, key.public_bytes_raw())
    for line in signatures.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—" or parts[1] != name:
            continue
        try:
            blob = base64.b64decode(parts[2], validate=True)
            if blob[:4] == wanted:
                key.verify(blob[4:], text.encode())
                return text
        except (binascii.Error, InvalidSignature):
            continue
    raise LedgerError(
        f"checkpoint: expected a signature of '{name}' with the pinned key, found none that is valid"
    )


def parse_checkpoint(text: str) -> Checkpoint:
    """Checkpoint of a note's text.

    Raises
    ------
    LedgerError
        If it is not origin, size and base64 root on three lines.
    """
    lines = text.splitlines()
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError, binascii.Error) as reason:
        raise LedgerError(
            f"checkpoint: expected origin, size and root on three lines, got {text!r}"
        ) from reason
    if size < 0 or str(size) != lines[1] or len(root) != 32:
        raise LedgerError(
            f"checkpoint: expected a size without leading zeros and a root of 32 bytes, got {text!r}"
        )
    return Checkpoint(origin, size, root)


def write_durably(path: Path, content: str) -> None:
    """Write a file so that after a crash it holds the old or the new content whole: temp, fsync, rename, fsync."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
