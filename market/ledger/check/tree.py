"""The history tree of somebody else, read from tiles, every one of which is held against a root that is known.

A tile at the right edge of the tree leads to the root itself; any other is full and hashes to a node of the tile above.
So what this tree says belongs to the root, whoever served the tiles; and where two trees part is found in log steps.
"""

from __future__ import annotations

from collections.abc import Callable

from market.errors import LedgerError
from market.ledger.crypto.merkle import History, node_hash, peak_positions, root_of_leaf_hashes
from market.ledger.format.tiles import HASH, WIDTH, Tile, list_levels, tile_of

Reader = Callable[[str], bytes | None]
"""Returns what is served under a path, None where there is nothing."""


class WrongTilesError(LedgerError):
    """Tiles are missing, or are not those of the root that they are said to lead to."""


class TiledTree:
    """A tree of `size` leaves with the root hash `root`, read tile by tile.

    Parameters
    ----------
    read
        Reads a path of the log; nothing that it returns is trusted.
    size, root
        From a checkpoint.

    Raises
    ------
    WrongTilesError
        If the tiles do not lead to the root.
    """

    def __init__(self, read: Reader, size: int, root: bytes) -> None:
        self.read, self.size, self.root = read, size, root
        self._known: dict[tuple[int, int], list[bytes]] = {}
        self._edges = {
            level: self._fetch(tile_of(str(level), (size >> 8 * level) // WIDTH, size))
            for level in list_levels(size)
            if (size >> 8 * level) % WIDTH
        }
        peaks = [self._node_at_edge(*position) for position in peak_positions(size)]
        if History(size, peaks).root() != root:
            raise WrongTilesError(
                "tiles: expected those of the checkpoint's tree, got others; its root does not follow"
            )

    def node(self, level: int, index: int) -> bytes:
        """Node of a complete subtree: the one of 2**level leaves from leaf index·2**level on."""
        base, above = divmod(level, 8)
        first = index << above
        tile = self._tile(base, first // WIDTH)
        return root_of_leaf_hashes(tile[first % WIDTH : first % WIDTH + (1 << above)])

    def root_of(self, first: int, stop: int) -> bytes:
        """Root hash over the leaves from `first` up to below `stop`, as RFC 6962 splits them."""
        n = stop - first
        if n & (n - 1) == 0 and n and first % n == 0:
            return self.node(n.bit_length() - 1, first // n)
        if n <= 0:
            return History().root()
        half = 1 << (n - 1).bit_length() - 1
        return node_hash(self.root_of(first, first + half), self.root_of(first + half, stop))

    def leaves(self, index: int) -> list[bytes]:
        """Leaf hashes of a tile of level 0."""
        return self._tile(0, index)

    def _node_at_edge(self, level: int, index: int) -> bytes:
        base, above = divmod(level, 8)
        first = (index << above) % WIDTH
        return root_of_leaf_hashes(self._edges[base][first : first + (1 << above)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        """Hashes of a tile, held against the tile above; those at the right edge have been held against the root."""
        if index == (self.size >> 8 * level) // WIDTH and level in self._edges:
            return self._edges[level]
        if (level, index) not in self._known:
            hashes = self._fetch(Tile(str(level), index))
            if root_of_leaf_hashes(hashes) != self._tile(level + 1, index // WIDTH)[index % WIDTH]:
                raise WrongTilesError(f"{Tile(str(level), index).path()}: expected a tile of the checkpoint's tree")
            self._known[level, index] = hashes
        return self._known[level, index]

    def _fetch(self, tile: Tile) -> list[bytes]:
        """Hashes of a tile; a partial one may be gone where the full one is there."""
        content = self.read(tile.path())
        if content is None and tile.width < WIDTH:
            content = (self.read(tile._replace(width=WIDTH).path()) or b"")[: HASH * tile.width]
        if content is None or len(content) != HASH * tile.width:
            got = "nothing" if content is None else f"{len(content)} bytes"
            raise WrongTilesError(f"{tile.path()}: expected {tile.width} hashes of {HASH} bytes, got {got}")
        return [content[at : at + HASH] for at in range(0, len(content), HASH)]


def find_first_difference(one: TiledTree, other: TiledTree) -> int | None:
    """Index of the first leaf in which two trees differ, None if one is the other's prefix; in log steps."""
    first, stop = 0, min(one.size, other.size)
    if one.root_of(first, stop) == other.root_of(first, stop):
        return None
    while stop - first > 1:
        half = first + (1 << (stop - first - 1).bit_length() - 1)
        if one.root_of(first, half) == other.root_of(first, half):
            first = half
        else:
            stop = half
    return first
