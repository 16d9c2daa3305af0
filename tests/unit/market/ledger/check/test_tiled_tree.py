"""The tree of somebody else: every tile is held against the root, and where two trees part is found in log steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from log_world import random_leaves, roots_by_definition

from market.ledger.check.tree import TiledTree, WrongTilesError, find_first_difference
from market.ledger.crypto.merkle import root_of_leaf_hashes
from market.ledger.format.tiles import parse_tile

LEAVES = random_leaves(70_000)
SIZES = (1, 2, 3, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 65_537, 70_000)


class Tiles:
    """Tiles of a tree by their definition: hash k of level l is MTH(D[k·256^l : (k + 1)·256^l])."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.levels, self.asked = [leaves], Counter[str]()
        while len(self.levels[-1]) >= 256:
            below = self.levels[-1]
            self.levels.append([root_of_leaf_hashes(below[k : k + 256]) for k in range(0, len(below) - 255, 256)])

    def __call__(self, path: str) -> bytes | None:
        self.asked[path] += 1
        tile = parse_tile(path)
        assert tile is not None
        hashes = self.levels[int(tile.kind)][tile.first : tile.stop]
        return b"".join(hashes) if len(hashes) == tile.width else None


ALL = Tiles(LEAVES)


def tree_of(n: int, read: Callable[[str], bytes | None] = ALL) -> TiledTree:
    return TiledTree(read, n, root_of_leaf_hashes(LEAVES[:n]))


@pytest.mark.parametrize("size", SIZES)
def test_parts_of_a_tree_have_the_roots_that_they_must(size: int) -> None:
    tree = tree_of(size)
    for stop in {1, size // 3 or 1, size // 2 or 1, size - 1 or 1, size}:
        assert tree.root_of(0, stop) == root_of_leaf_hashes(LEAVES[:stop])
    assert tree.leaves(0) == LEAVES[: min(size, 256)]
    assert tree_of(300).root_of(0, 300) == roots_by_definition(LEAVES[:300])


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/100", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17"])
def test_a_tile_that_is_not_of_the_tree_is_refused(path: str) -> None:
    def lying(asked: str) -> bytes | None:
        found = ALL(asked)
        return found if asked != path or found is None else found[:-1] + bytes([found[-1] ^ 1])

    root = root_of_leaf_hashes(LEAVES)
    with pytest.raises(WrongTilesError):
        list(map(TiledTree(lying, 70_000, root).leaves, range(274)))


@pytest.mark.parametrize("answer", [None, b"", b"x" * 31, b"x" * 8193])
def test_a_tile_of_a_wrong_length_is_refused(answer: bytes | None) -> None:
    with pytest.raises(WrongTilesError, match="hashes of 32 bytes"):
        tree_of(300, lambda _: answer)


def test_a_partial_tile_that_is_gone_is_taken_from_the_full_one() -> None:
    tree = tree_of(300, lambda path: None if path == "tile/0/001.p/44" else ALL(path))
    assert tree.leaves(1) == LEAVES[256:300]


@pytest.mark.parametrize(("m", "n"), [(1, 1), (300, 300), (257, 70_000), (70_000, 65_536)])
def test_where_two_trees_part_is_found_in_few_tiles(m: int, n: int) -> None:
    shortest = min(m, n)
    assert find_first_difference(tree_of(m), tree_of(n)) is None
    for at in {0, shortest // 2, shortest - 1}:
        others = [*LEAVES[:at], *random_leaves(n - at, seed=1)]
        tiles = Tiles(others)
        other = TiledTree(tiles, n, root_of_leaf_hashes(others))
        tiles.asked.clear()
        assert find_first_difference(tree_of(m), other) == at
        assert sum(tiles.asked.values()) <= 2 * 3 * 8
