"""A second verifier of a portfolio's heads, written from §9b of docs/ledger-format.md alone; slow and plain.

It shares no code with `market`: where the two disagree, one of them or the document is wrong.
"""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LINE = re.compile(rb"(?:([0-9a-f]{64}) ([1-9][0-9]*)|(failed) 0) ([^\x00-\x1f\x7f]+)")
PREFIX = "gridsettle-portfolio/"


class WrongHeadsError(Exception):
    """Something is not as the page says."""


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise WrongHeadsError(what)


def root(leaves: list[bytes]) -> bytes:
    """Root hash by RFC 6962's recursion."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + root(leaves[:split]) + root(leaves[split:])).digest()


def climb(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Root that an inclusion proof leads to, by the recursion of RFC 6962 §2.1.1."""
    if size == 1:
        demand(not path, "path")
        return sha256(b"\0" + leaf).digest()
    demand(bool(path), "path")
    split = 1
    while split * 2 < size:
        split *= 2
    if index < split:
        return sha256(b"\1" + climb(leaf, index, split, path[:-1]) + path[-1]).digest()
    return sha256(b"\1" + path[-1] + climb(leaf, index - split, size - split, path[:-1])).digest()


def split_line(line: bytes) -> tuple[str, str, int]:
    """(head, name, blocks) of a line; the head is empty where the run failed."""
    found = LINE.fullmatch(line)
    if found is None:
        raise WrongHeadsError("line")
    try:
        name = found[4].decode("utf-8")
    except UnicodeDecodeError:
        raise WrongHeadsError("name") from None
    demand(len(name) <= 200 and name[0] != " " and name[-1] != " ", "name")
    demand(not any("\x7f" <= c <= "\x9f" or c in "\u2028\u2029" for c in name), "name")
    blocks = int(found[2] or 0)
    demand(blocks < 2**63, "blocks")
    return (found[1] or b"").decode(), name, blocks


def open_note(note: str, public_key: bytes) -> tuple[int, bytes]:
    """(size, root) of a portfolio's note that a key has signed."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    origin, size, root64 = text.split("\n")[:3]
    demand(origin.startswith(PREFIX), "origin")
    key_id = sha256(origin.encode() + b"\n\x01" + public_key).digest()[:4]
    demand(lines.endswith("\n"), "lines")
    begin = f"— {origin} "
    said = [each.removeprefix(begin) for each in lines[:-1].split("\n") if each.startswith(begin)]
    signed = [base64.b64decode(each, validate=True) for each in said]
    signatures = [each[4:] for each in signed if each[:4] == key_id]
    demand(len(signatures) > 0, "signature")
    for signature in signatures:
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
        except InvalidSignature:
            raise WrongHeadsError("signature") from None
    demand(re.fullmatch("0|[1-9][0-9]*", size) is not None, "size")
    return int(size), base64.b64decode(root64, validate=True)


def verify_heads(content: bytes, note: bytes, public_key: bytes) -> dict[str, tuple[str, int]]:
    """(head, blocks) by feeder, of the bytes of heads.txt and of heads.checkpoint, if they are in order."""
    demand(content.endswith(b"\n") and len(content) <= 2**26, "file")
    lines = content[:-1].split(b"\n")
    names = [split_line(line)[1].encode() for line in lines]
    demand(names == sorted(set(names)), "order")
    size, signed = open_note(note.decode(), public_key)
    demand(size == len(lines) and root(lines) == signed, "root")
    return {name: (head, blocks) for head, name, blocks in map(split_line, lines)}


def verify_proof(text: str, public_key: bytes) -> tuple[str, str, int]:
    """(head, name, blocks) that a proof proves."""
    proof = json.loads(text)
    demand(set(proof) == {"format", "leaf", "index", "path", "checkpoint"}, "fields")
    demand(proof["format"] == "gridsettle portfolio proof v1", "format")
    size, signed = open_note(proof["checkpoint"], public_key)
    leaf, index = proof["leaf"].encode(), proof["index"]
    demand(0 <= index < size, "index")
    demand(climb(leaf, index, size, [bytes.fromhex(node) for node in proof["path"]]) == signed, "root")
    return split_line(leaf)
