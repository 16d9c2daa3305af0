"""Signed notes (C2SP signed-note): a text, followed by a line for each key that has signed it.

`— name base64(key id ‖ signature)`; the key id is the start of SHA-256(name ‖ newline ‖ type ‖ public key). Type 1 is
an Ed25519 signature over the text, type 4 a witness's cosignature with a time (C2SP tlog-cosignature).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.ledger.crypto.keys import LONGEST_KEY, check_usable, is_signed, public_bytes, read_public_key
from market.ledger.durable import name_file, read_text_bounded, shorten

ED25519, COSIGNATURE = 0x01, 0x04
MOST_SIGNATURES = 64
LONGEST_NOTE = 1 << 20


class VerifierKey(NamedTuple):
    """A public key that signs notes under a name.

    Attributes
    ----------
    name
        Without spaces and plus signs; a log's key has the log's origin as its name.
    kind
        `ED25519` or `COSIGNATURE`.
    public_key
        32 bytes.
    """

    name: str
    kind: int
    public_key: bytes

    def key_id(self) -> bytes:
        """Key id: the four bytes in front of each of its signatures."""
        material = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return sha256(material).digest()[:4]

    def text(self) -> str:
        """Verifier key line, by which keys are published: name+key id+base64(type ‖ public key)."""
        encoded = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_id().hex()}+{encoded}"


class Cosignature(NamedTuple):
    """A witness's valid cosignature, and when it was given (seconds since 1970-01-01 UTC)."""

    name: str
    time: int


def parse_verifier_key(text: str) -> VerifierKey:
    """Parse a verifier key line.

    Raises
    ------
    LedgerError
        If it is none, or its key id is not that of the key.
    """
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
    except ValueError:  # not base64, or not even ASCII
        material = b""
    if not is_key_name(name) or len(material) != 33 or material[0] not in (ED25519, COSIGNATURE):
        raise LedgerError(f"verifier key: expected name+key id+base64 of an Ed25519 key, got {shorten(text.strip())}")
    check_usable(material[1:])
    key = VerifierKey(name, material[0], material[1:])
    if key.key_id().hex() != number:
        raise LedgerError(f"verifier key {name}: expected key id {key.key_id().hex()}, got {shorten(number)}")
    return key


def read_pinned_key(path: Path) -> tuple[bytes, str | None]:
    """Read (public key, log origin) from a file: a verifier key line, or a PEM file, which has no origin.

    Raises
    ------
    LedgerError
        If it is neither.
    """
    text = read_text_bounded(path, "a key file", LONGEST_KEY)
    if text.lstrip().startswith("-----BEGIN"):
        return read_public_key(path), None
    key = read_verifier_key(path)
    return key.public_key, key.name


def read_verifier_key(path: Path) -> VerifierKey:
    """Read the verifier key line of a file.

    Raises
    ------
    LedgerError
        If it is none.
    """
    text = read_text_bounded(path, "a readable text file", LONGEST_KEY)
    with name_file(path):
        return parse_verifier_key(text)


def read_note(path: Path) -> str:
    """Read the signed note of a file; its signatures are not verified.

    Raises
    ------
    LedgerError
        If it is no signed note.
    """
    text = read_text_bounded(path, "a readable text file", LONGEST_NOTE)
    with name_file(path):
        split_note(text)
    return text


def is_key_name(name: str) -> bool:
    """Whether a key may have this name: no spaces, control characters or plus signs."""
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Sign a text, which must end in a newline; the note has one signature line."""
    verifier = VerifierKey(name, ED25519, public_bytes(key))
    return f"{text}\n{_format_line(verifier, key.sign(text.encode()))}"


def add_cosignature(note: str, name: str, key: Ed25519PrivateKey, time: int) -> str:
    """Add a witness's cosignature, given at `time` (seconds since 1970-01-01 UTC), to a note.

    Raises
    ------
    LedgerError
        If it is no signed note.
    """
    text, _ = split_note(note)
    verifier = VerifierKey(name, COSIGNATURE, public_bytes(key))
    signature = time.to_bytes(8, "big") + key.sign(cosigned_text(text, time))
    return note + _format_line(verifier, signature)


def merge_notes(note: str, other: str) -> str:
    """A note with the signatures that another of the same text has beside; the note itself if the texts differ.

    Raises
    ------
    LedgerError
        If one is no signed note.
    """
    (text, signatures), (same, more) = split_note(note), split_note(other)
    new = [line for line in more if line not in signatures] if text == same else []
    return note + "".join(format_signature(*line) for line in new[: MOST_SIGNATURES - len(signatures)])


def format_signature(name: str, signed: bytes) -> str:
    """Signature line of a note, from a key's name and key id ‖ signature."""
    return f"— {name} {base64.b64encode(signed).decode()}\n"


def _format_line(verifier: VerifierKey, signature: bytes) -> str:
    return format_signature(verifier.name, verifier.key_id() + signature)


def cosigned_text(text: str, time: int) -> bytes:
    """What a witness signs: the time, seconds since 1970-01-01 UTC, and the text of a note."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Split a note into its text and its signature lines, each (name, key id ‖ signature); verifies nothing.

    Raises
    ------
    LedgerError
        If it is no signed note.
    """
    text, separator, lines = note.rpartition("\n\n")
    signatures = list(_parse_lines(lines))
    if (
        not separator
        or len(note) > LONGEST_NOTE
        or not 0 < len(signatures) <= MOST_SIGNATURES
        or any(c < " " and c != "\n" for c in note)
    ):
        raise LedgerError("checkpoint: expected a signed note (text, empty line, signature lines), got something else")
    return text + "\n", signatures


def _parse_lines(lines: str) -> Iterator[tuple[str, bytes]]:
    if not lines.endswith("\n"):
        return
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        try:
            signature = base64.b64decode(parts[-1], validate=True)
        except ValueError:
            signature = b""
        if len(parts) != 3 or parts[0] != "—" or not is_key_name(parts[1]) or len(signature) < 5:
            raise LedgerError(f"checkpoint: expected a signature line '— name base64', got {shorten(line)}")
        yield parts[1], signature


def open_note(note: str, key: VerifierKey) -> str:
    """Verify that `key` has signed a note and return its text; signatures by unknown keys are ignored.

    Raises
    ------
    LedgerError
        If it is no signed note, carries no signature of the key, or one that is not valid.
    """
    text, signatures = split_note(note)
    wanted = _signatures_by(key, signatures)
    if not wanted or not all(is_signed(key.public_key, signature, text.encode()) for signature in wanted):
        found = "one that is not valid" if wanted else "none"
        raise LedgerError(f"checkpoint: expected a signature of '{key.name}' with the pinned key, found {found}")
    return text


def read_cosignatures(note: str, witnesses: list[VerifierKey]) -> list[Cosignature]:
    """Read the valid cosignatures of known witnesses, at most one of each.

    Raises
    ------
    LedgerError
        If it is no signed note, or a known witness's line is not valid.
    """
    text, signatures = split_note(note)
    found: dict[bytes, Cosignature] = {}
    for witness in witnesses:
        for signature in _signatures_by(witness, signatures):
            time = int.from_bytes(signature[:8], "big")
            if not is_signed(witness.public_key, signature[8:], cosigned_text(text, time)):
                raise LedgerError(f"checkpoint: the cosignature of '{witness.name}' is not valid")
            found[witness.public_key] = Cosignature(witness.name, time)
    return list(found.values())


def _signatures_by(key: VerifierKey, signatures: list[tuple[str, bytes]]) -> list[bytes]:
    """Signatures under a key's name and key id; nothing is verified."""
    return [signed[4:] for name, signed in signatures if (name, signed[:4]) == (key.name, key.key_id())]
