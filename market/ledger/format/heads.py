"""Heads of many ledgers in one tree: a line for each feeder of a portfolio, and the checkpoint over the lines.

A leaf is the line itself, `head blocks feeder`, in UTF-8 without its end. Lines are sorted by the bytes of the feeder's
name, so that one set of heads has one root, and a name that stands twice is seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.merkle import root_hash
from market.ledger.durable import shorten
from market.ledger.format.checkpoint import Checkpoint

HEADS_FILE, HEADS_NOTE, HEADS_KEY = "heads.txt", "heads.checkpoint", "heads.vkey"
"""Files in the folder of a portfolio: lines, signed checkpoint, and the verifier key line of who signed it."""
LONGEST_HEADS = 1 << 26
"""Bytes of the longest file of heads."""
LONGEST_NAME = 200
PROOF = "gridsettle portfolio proof v1"
NO_HEAD = "failed"
_PREFIX = "gridsettle-portfolio/"
_MOST_NODES = 64
_LINE_ENDS = "\u2028\u2029"


class FeederHead(NamedTuple):
    """Head of a feeder's ledger.

    Attributes
    ----------
    feeder
        Its name.
    head
        Hash of the last block; None where the run failed and there is no ledger.
    n_blocks
        Number of blocks; 0 without a ledger.
    """

    feeder: str
    head: bytes | None
    n_blocks: int

    def line(self) -> str:
        """The line of the feeder, without its end.

        Examples
        --------
        >>> FeederHead("north 7", None, 0).line()
        'failed 0 north 7'
        """
        return f"{NO_HEAD if self.head is None else self.head.hex()} {self.n_blocks} {self.feeder}"

    def leaf(self) -> bytes:
        """What the leaf of the tree is made of."""
        return self.line().encode()


class HeadProof(NamedTuple):
    """A feeder's head and the proof that it stands in the tree of a portfolio.

    Attributes
    ----------
    head
        The feeder, its head and its number of blocks.
    place
        Number of its leaf, from 0.
    path
        Inclusion proof (RFC 9162 §2.1.3.1).
    checkpoint
        Signed note of the portfolio.
    """

    head: FeederHead
    place: int
    path: tuple[bytes, ...]
    checkpoint: str

    def text(self) -> str:
        """The proof as JSON, hashes in hexadecimal."""
        path = [node.hex() for node in self.path]
        content = {"format": PROOF, "leaf": self.head.line(), "index": self.place, "path": path}
        return json.dumps({**content, "checkpoint": self.checkpoint}, indent=1) + "\n"


def is_feeder_name(name: str) -> bool:
    r"""Whether a feeder may have this name: 1 to 200 characters, none that controls or ends a line, no space around.

    Examples
    --------
    >>> [is_feeder_name(name) for name in ("north 7", "", "a\nb", " north")]
    [True, False, False, False]
    """
    controls = any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" or c in _LINE_ENDS for c in name)
    return 0 < len(name) <= LONGEST_NAME and name == name.strip(" ") and not controls


def parse_line(line: str) -> FeederHead:
    """Parse the line of a feeder.

    Raises
    ------
    LedgerError
        If it is not `head blocks feeder`, spelled as `FeederHead.line` spells it.
    """
    first, _, rest = line.partition(" ")
    number, _, feeder = rest.partition(" ")
    try:
        found = FeederHead(feeder, None if first == NO_HEAD else bytes.fromhex(first), int(number))
    except ValueError:
        found = FeederHead("", None, 0)
    fits = found.n_blocks == 0 if found.head is None else len(found.head) == 32 and 0 < found.n_blocks < 2**63
    if not is_feeder_name(found.feeder) or not fits or found.line() != line:
        raise LedgerError(f"expected a line 'head blocks feeder' of a feeder's ledger, got {shorten(line)}")
    return found


def parse_heads(text: str) -> list[FeederHead]:
    """Parse the lines of a portfolio.

    Raises
    ------
    LedgerError
        If there is none, one cannot be parsed, or they are not sorted by name, each name once.
    """
    lines = text.split("\n")
    if lines.pop() or not lines:
        raise LedgerError("expected lines 'head blocks feeder', each with its end, got none or a file that was cut off")
    heads = [parse_line(line) for line in lines]
    check_order(heads)
    return heads


def check_order(heads: Sequence[FeederHead]) -> None:
    """Raise `LedgerError` unless heads are sorted by the bytes of their names, and no name stands twice."""
    names = [head.feeder for head in heads]  # the order of code points is that of the bytes in UTF-8
    for before, name in pairwise(names):
        if before == name:
            raise LedgerError(f"feeder {shorten(name)}: expected every name once, got it twice")
        if before > name:
            raise LedgerError(
                f"feeder {shorten(name)}: expected feeders sorted by name, got it behind {shorten(before)}"
            )


def format_heads(heads: Sequence[FeederHead]) -> str:
    """Lines of a portfolio, sorted by name.

    Raises
    ------
    LedgerError
        If there is no head, a name stands twice or cannot be one, or the file would be too large to be read again.
    """
    chosen = sorted(heads, key=lambda head: head.feeder)
    if wrong := [head.feeder for head in chosen if not is_feeder_name(head.feeder)]:
        raise LedgerError(
            f"feeder {shorten(wrong[0])}: expected a name of 1 to {LONGEST_NAME} characters without ends of lines; "
            "choose another"
        )
    check_order(chosen)
    text = "".join(f"{head.line()}\n" for head in chosen)
    if not 0 < len(text.encode()) <= LONGEST_HEADS:
        raise LedgerError(
            f"portfolio: expected heads of 1 to {LONGEST_HEADS:,} bytes, got {len(text.encode()):,} of {len(chosen):,} "
            "feeders; divide it"
        )
    return text


def make_origin(digest: bytes) -> str:
    """Origin of a portfolio, the name of its key: of 32 bytes that identify what it was asked to run."""
    return _PREFIX + sha256(b"gridsettle portfolio v1\0" + digest).hexdigest()[:32]


def is_origin(origin: str) -> bool:
    """Whether an origin is that of a portfolio, and not of a ledger."""
    return origin.startswith(_PREFIX)


def make_checkpoint(origin: str, heads: Sequence[FeederHead]) -> Checkpoint:
    """Checkpoint over heads in their order."""
    return Checkpoint(origin, len(heads), root_hash(head.leaf() for head in heads))


def parse_proof(text: str) -> HeadProof:
    """Parse the proof of a feeder's head from its JSON.

    Raises
    ------
    LedgerError
        If it is none.
    """
    try:
        content = json.loads(text)
        if content.pop("format") != PROOF:
            raise ValueError(f"another format than '{PROOF}'")
        leaf, place, path, note = (content.pop(name) for name in ("leaf", "index", "path", "checkpoint"))
        nodes = tuple(map(bytes.fromhex, path))
        if content or type(place) is not int or not isinstance(note, str) or not isinstance(leaf, str):
            raise ValueError("other fields")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
        raise LedgerError(
            f"proof: expected one that 'gridsettle portfolio prove' wrote, got: {shorten(str(reason))}"
        ) from reason
    if not 0 <= place < 2**63 or len(nodes) > _MOST_NODES or any(len(node) != 32 for node in nodes):
        raise LedgerError("proof: expected the number of a leaf and a few hashes of 32 bytes, got others")
    return HeadProof(parse_line(leaf), place, nodes, note)
