"""Tiles of a log (C2SP tlog-tiles): the paths under which hashes, headers and records of 256 blocks are published.

`tile/L/N` holds nodes of level 8·L of the history tree, `tile/entries/N` the headers, which are what a leaf hashes, and
`tile/records/N`, a path of our own, what else of the blocks it takes to verify them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.merkle import leaf_hash
from market.ledger.format.header import SIZE as HEADER_SIZE

WIDTH = 256
"""Nodes or blocks of a full tile."""

HASH, SIGNATURE, LENGTH = 32, 64, 4
"""Bytes of a node, of a header's signature, and of the length of a block's records."""

ENTRY = 2 + HEADER_SIZE
"""Bytes of an entry: the length of a header, and the header."""

CHECKPOINT, WITNESSED = "checkpoint", "checkpoint.witnessed"
"""Paths of the newest checkpoint, and of the newest that enough witnesses have cosigned."""

ENTRIES, RECORDS = "entries", "records"
_PATH = re.compile(
    r"tile/(entries|records|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)
_LONGEST_PATH = 64


class Tile(NamedTuple):
    """A tile: its kind (`entries`, `records` or a level), its number, and how many nodes or blocks it has.

    Examples
    --------
    >>> Tile("0", 1234067, 256).path()
    'tile/0/x001/x234/067'
    >>> Tile("entries", 0, 3).path()
    'tile/entries/000.p/3'
    """

    kind: str
    number: int
    width: int = WIDTH

    def path(self) -> str:
        """Its path, without a slash in front."""
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "".join(f"x{part}/" for part in parts[:-1]) + parts[-1]
        return f"tile/{self.kind}/{number}" + ("" if self.width == WIDTH else f".p/{self.width}")

    @property
    def first(self) -> int:
        """Index of its first node or block."""
        return self.number * WIDTH

    @property
    def stop(self) -> int:
        """Index behind its last node or block."""
        return self.first + self.width


def parse_tile(path: str) -> Tile | None:
    """The tile at a path; None if it is no such path, or not spelled as it must be.

    Examples
    --------
    >>> parse_tile("tile/2/x001/067.p/17")
    Tile(kind='2', number=1067, width=17)
    >>> parse_tile("tile/2/x000/067") is None
    True
    """
    found = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if found is None:
        return None
    width = WIDTH if found[3] is None else int(found[3])
    tile = Tile(found[1], int(re.sub("[x/]", "", found[2])), width)
    return tile if tile.path() == path else None


def tile_of(kind: str, number: int, size: int) -> Tile:
    """The tile of a number in a tree of so many blocks: full, or as wide as the tree has nodes for it."""
    n_nodes = size if kind in (ENTRIES, RECORDS) else size >> 8 * int(kind)
    return Tile(kind, number, min(WIDTH, n_nodes - number * WIDTH))


def list_levels(size: int) -> list[int]:
    """Levels that have tiles in a tree of so many blocks.

    Examples
    --------
    >>> list_levels(255), list_levels(256)
    ([0], [0, 1])
    """
    return [level for level in range(8) if size >> 8 * level]


def list_tiles(kind: str, size: int, known: int = 0) -> Iterator[Tile]:
    """Tiles of a kind in a tree of `size` blocks; full ones that a tree of `known` blocks has too are left out."""
    shift = 0 if kind in (ENTRIES, RECORDS) else 8 * int(kind)
    for number in range((known >> shift) // WIDTH, -(-(size >> shift) // WIDTH)):
        yield tile_of(kind, number, size)


def join_entries(headers: Iterable[bytes]) -> bytes:
    """Entry bundle of headers: each behind its length, 2 bytes, big-endian."""
    return b"".join(len(header).to_bytes(2, "big") + header for header in headers)


def split_entries(bundle: bytes) -> list[bytes]:
    """Headers of an entry bundle.

    Raises
    ------
    LedgerError
        If it holds anything but headers of 184 bytes behind their lengths.
    """
    entries = [bundle[at : at + ENTRY] for at in range(0, len(bundle), ENTRY)]
    if any(len(entry) != ENTRY or int.from_bytes(entry[:2], "big") != HEADER_SIZE for entry in entries):
        raise LedgerError(f"entry bundle: expected headers of {HEADER_SIZE} bytes, each behind its length, got others")
    return [entry[2:] for entry in entries]


def hash_entries(headers: Sequence[bytes]) -> bytes:
    """The level 0 tile that belongs to headers: their leaf hashes, joined."""
    return b"".join(map(leaf_hash, headers))


def join_body(signature: bytes, records: bytes) -> bytes:
    """What a record bundle holds for a block: signature of its header, length of its records (big-endian), records."""
    return signature + len(records).to_bytes(LENGTH, "big") + records
