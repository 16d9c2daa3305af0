"""The witness in a node: it cosigns what it has verified, of its own accord and when asked (C2SP tlog-witness)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.ledger.check.witness import RefusedError, cosign
from market.ledger.crypto.keys import public_bytes
from market.ledger.crypto.merkle import consistency_proof, is_consistent
from market.ledger.durable import read_text_bounded
from market.ledger.follow.node import Node
from market.ledger.follow.source import Note, parse_note
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.note import COSIGNATURE, VerifierKey
from market.ledger.format.quorum import list_cosigners, name_witness
from market.ledger.store.tip import find_signer

ADD_CHECKPOINT = "add-checkpoint"
"""Path below which a witness is asked."""

LONGEST_REQUEST = 1 << 16
"""Bytes of a request to cosign: proof and note of a log."""

MOST_PROOF_LINES = 63


class Cosigner(NamedTuple):
    """A witness: its name and key, and the file in which it keeps the last checkpoint that it cosigned."""

    name: str
    key: Ed25519PrivateKey
    seen_file: Path

    def verifier_key(self) -> VerifierKey:
        """The key by which others know its cosignatures."""
        return VerifierKey(self.name, COSIGNATURE, public_bytes(self.key))

    def last_cosigned(self) -> Checkpoint | None:
        """The last checkpoint that it cosigned."""
        if not self.seen_file.exists():
            return None
        return parse_checkpoint(read_text_bounded(self.seen_file, "the checkpoint that the witness has seen last"))


class Reply(NamedTuple):
    """An answer of HTTP: status, type of its content, content."""

    status: HTTPStatus
    content_type: str
    content: bytes


class Request(NamedTuple):
    """A request to cosign: size of the checkpoint cosigned last, the proof that the new one extends it, and the new."""

    old: int
    proof: list[bytes]
    note: Note


def cosign_newest(node: Node, cosigner: Cosigner, time: int) -> str | None:
    """Cosign the newest checkpoint of a node's copy; returns its note, None if it bears the cosignature already.

    Parameters
    ----------
    node, cosigner
        The node, whose copy has been verified up to that checkpoint, and the witness.
    time
        Seconds since 1970-01-01 UTC.

    Raises
    ------
    market.ledger.check.witness.RefusedError
        If it does not extend the one that was cosigned last.
    """
    seen = node.seen()
    if seen is None or list_cosigners(seen.text, [name_witness(cosigner.verifier_key())]):
        return None
    hashes = node.verification.hashes

    def prove(first: int, second: int) -> Sequence[bytes]:
        return consistency_proof(hashes[:second], first)

    signer = find_signer(seen.text, seen.checkpoint.origin, node.registry())
    note = cosign(seen.text, signer, prove, cosigner.seen_file, cosigner.name, cosigner.key, time)
    return node.keep_note(note)


def answer_request(node: Node, cosigner: Cosigner, content: bytes, time: int) -> Reply:
    """Answer `POST /add-checkpoint` as C2SP tlog-witness says, once its blocks have been fetched and verified.

    Parameters
    ----------
    node, cosigner
        The node and the witness.
    content
        Body of the request.
    time
        Seconds since 1970-01-01 UTC.
    """
    request = parse_request(content)
    if request is None:
        return _say(HTTPStatus.BAD_REQUEST, "expected old size, proof, empty line and checkpoint")
    checkpoint = request.note.checkpoint
    try:
        if node.pinned is None or (
            checkpoint.origin == node.pinned.name and (node.size < checkpoint.size or not node.is_signed(request.note))
        ):
            node.catch_up()
    except LedgerError as reason:
        return _say(HTTPStatus.SERVICE_UNAVAILABLE, str(reason))
    if node.pinned is None or checkpoint.origin != node.pinned.name:
        return _say(HTTPStatus.NOT_FOUND, "another log than the one that is followed here")
    if not node.is_signed(request.note):
        return _say(HTTPStatus.FORBIDDEN, "no signature of the log's operator")
    return _check_proof(request, cosigner.last_cosigned()) or _cosign(node, cosigner, request, time)


def _check_proof(request: Request, last: Checkpoint | None) -> Reply | None:
    """Refusal of a request that does not extend the checkpoint cosigned last."""
    new, known = request.note.checkpoint, 0 if last is None else last.size
    if request.old > new.size:
        return _say(HTTPStatus.BAD_REQUEST, "the old size is above the new one")
    if request.old != known:
        return Reply(HTTPStatus.CONFLICT, "text/x.tlog.size", b"%d\n" % known)
    if last is not None and known == new.size and last.root != new.root:
        return _say(HTTPStatus.CONFLICT, "another tree of this size has been cosigned")
    proven = (
        not request.proof
        if last is None or known == 0
        else is_consistent(known, last.root, new.size, new.root, request.proof)
    )
    return None if proven else _say(HTTPStatus.UNPROCESSABLE_ENTITY, "the proof does not verify")


def _cosign(node: Node, cosigner: Cosigner, request: Request, time: int) -> Reply:
    """Cosign a proven checkpoint, if it is that of the copy's own blocks."""
    text, checkpoint = request.note.text, request.note.checkpoint
    if checkpoint.size > node.size:
        return _say(HTTPStatus.SERVICE_UNAVAILABLE, "its blocks are not published yet")
    if not checkpoint.size or checkpoint.root != node.root(checkpoint.size):
        return _say(HTTPStatus.UNPROCESSABLE_ENTITY, "not the tree of the blocks that were verified here")
    signer = find_signer(text, checkpoint.origin, node.registry())
    try:
        note = cosign(text, signer, lambda *_: request.proof, cosigner.seen_file, cosigner.name, cosigner.key, time)
    except RefusedError as reason:
        return _say(HTTPStatus.CONFLICT, str(reason))
    node.keep_note(note)
    return Reply(HTTPStatus.OK, "text/plain; charset=utf-8", note.removeprefix(text).encode())


def parse_request(content: bytes) -> Request | None:
    """Parse the body of a request to cosign; None if it is none."""
    try:
        head, separator, note = content.decode().partition("\n\n")
        first, *lines = head.split("\n")
        word, _, digits = first.partition(" ")
        old = int(digits)
        proof = [base64.b64decode(line, validate=True) for line in lines]
        found = Request(old, proof, parse_note(note))
    except ValueError:  # no UTF-8, number, base64 or note
        return None
    sound = word == "old" and str(old) == digits and 0 <= old < 2**63 and separator
    return found if sound and len(proof) <= MOST_PROOF_LINES and all(len(node) == 32 for node in proof) else None


def write_request(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """Body of a request to cosign."""
    lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof)]
    return ("\n".join(lines) + "\n\n" + note).encode()


def _say(status: HTTPStatus, why: str) -> Reply:
    return Reply(status, "text/plain; charset=utf-8", (why + "\n").encode())
