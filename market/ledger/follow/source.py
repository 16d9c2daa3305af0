"""A log as others serve it: its checkpoint, its tree and its blocks, each held against the root of the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.check.tree import TiledTree, WrongTilesError
from market.ledger.crypto.merkle import leaf_hash
from market.ledger.follow.local import Server
from market.ledger.follow.remote import ServerError
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.header import decode_header
from market.ledger.format.note import LONGEST_NOTE, split_note
from market.ledger.format.records import SIZE
from market.ledger.format.tiles import (
    CHECKPOINT,
    ENTRIES,
    ENTRY,
    HASH,
    LENGTH,
    RECORDS,
    SIGNATURE,
    WIDTH,
    Tile,
    hash_entries,
    split_entries,
    tile_of,
)
from market.ledger.store.store import LONGEST, StoredBlock

LARGEST_PIECE = 1 << 26
"""Bytes of records that are asked for at once; a block is never divided."""


class Note(NamedTuple):
    """A signed note and the checkpoint that it says; whoever made it has verified no signature."""

    text: str
    checkpoint: Checkpoint


class Piece(NamedTuple):
    """Consecutive blocks of a bundle: the first, the one behind the last, and the bytes before and up to there."""

    first: int
    stop: int
    begin: int
    end: int


def parse_note(text: str) -> Note:
    """Parse a note; raises a LedgerError if it is none of a checkpoint."""
    return Note(text, parse_checkpoint(split_note(text)[0]))


class Log:
    """A log at a URL, or in a directory; nothing that it answers is trusted."""

    def __init__(self, remote: Server) -> None:
        self.remote = remote

    def read_note(self, path: str = CHECKPOINT) -> Note | None:
        """The note under a path, None if there is none.

        Raises
        ------
        ServerError
            If there is something else.
        """
        content = self.remote.read(path, LONGEST_NOTE)
        try:
            return None if content is None else parse_note(content.decode())
        except ValueError as reason:  # no UTF-8, or no note
            raise ServerError(f"{self.remote.url}/{path}: {reason}") from reason

    def read_tree(self, checkpoint: Checkpoint) -> TiledTree:
        """The tree of a checkpoint; raises a WrongTilesError if the tiles are not its tiles."""
        return TiledTree(lambda path: self.remote.read(path, HASH * WIDTH), checkpoint.size, checkpoint.root)

    def fetch_blocks(self, tree: TiledTree, first: int) -> Iterator[list[StoredBlock]]:
        """Blocks of a tree from a height on, in groups; headers are held against the tree, records are not.

        Raises
        ------
        ServerError, WrongTilesError
            If the server does not give them.
        """
        for index in range(first // WIDTH, -(-tree.size // WIDTH)):
            headers = self._fetch_headers(tree, index)
            begin = index * WIDTH
            for piece in _cut(headers, max(first - begin, 0)):
                bodies = self._fetch_bodies(tile_of(RECORDS, index, tree.size), headers, piece)
                yield [
                    StoredBlock(begin + at, headers[at], leaf_hash(headers[at]), *body)
                    for at, body in zip(range(piece.first, piece.stop), bodies, strict=True)
                ]

    def _fetch_headers(self, tree: TiledTree, index: int) -> list[bytes]:
        tile = tile_of(ENTRIES, index, tree.size)
        content = self.remote.read(tile.path(), ENTRY * tile.width)
        if content is None and tile.width < WIDTH:
            full = tile._replace(width=WIDTH).path()
            content = (self.remote.read(full, ENTRY * WIDTH) or b"")[: ENTRY * tile.width]
        try:
            headers = split_entries(content or b"")
        except LedgerError as reason:
            raise ServerError(f"{tile.path()}: {reason}") from reason
        if hash_entries(headers) != b"".join(tree.leaves(index)):
            raise WrongTilesError(f"{tile.path()}: expected the headers that the checkpoint's tree has, got others")
        return headers

    def _fetch_bodies(self, tile: Tile, headers: Sequence[bytes], piece: Piece) -> list[tuple[bytes, bytes]]:
        """(Signature, records) of the blocks of a piece."""
        for width in dict.fromkeys((tile.width, WIDTH)):
            path = tile._replace(width=width).path()
            with self.remote.open(path, piece.end, piece.begin) as body:
                if body is not None:
                    found = []
                    for header in headers[piece.first : piece.stop]:
                        signature, size = body.read_exactly(SIGNATURE), _size_of(header)
                        if int.from_bytes(body.read_exactly(LENGTH), "big") != size:
                            raise ServerError(f"{path}: expected {size:,} bytes of records, as the header says")
                        found.append((signature, body.read_exactly(size)))
                    return found
        raise ServerError(f"{tile.path()}: expected the records of blocks that the checkpoint names, got nothing")


def _size_of(header: bytes) -> int:
    """Bytes of the records of a block."""
    size = SIZE * decode_header(header).n_records
    if not 0 < size <= LONGEST:
        raise LedgerError(
            f"block {decode_header(header).height}: expected up to {LONGEST:,} bytes of records, got {size:,}"
        )
    return size


def _cut(headers: Sequence[bytes], first: int) -> Iterator[Piece]:
    """Pieces of a bundle from the block `first` of it on."""
    ends = [0, *accumulate(SIGNATURE + LENGTH + _size_of(header) for header in headers)]
    while first < len(headers):
        stop = first + 1
        while stop < len(headers) and ends[stop + 1] - ends[first] <= LARGEST_PIECE:
            stop += 1
        yield Piece(first, stop, ends[first], ends[stop])
        first = stop
