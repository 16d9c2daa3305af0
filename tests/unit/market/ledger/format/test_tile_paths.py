"""Paths of tiles as c2sp.org/tlog-tiles spells them, and which tiles a tree has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import LedgerError
from market.ledger.format.tiles import Tile, join_entries, list_levels, list_tiles, parse_tile, split_entries


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile("0", 0), "tile/0/000"),
        (Tile("0", 999), "tile/0/999"),
        (Tile("0", 1000), "tile/0/x001/000"),
        (Tile("1", 1234067), "tile/1/x001/x234/067"),
        (Tile("63", 67, 255), "tile/63/067.p/255"),
        (Tile("entries", 1234067, 8), "tile/entries/x001/x234/067.p/8"),
        (Tile("records", 5), "tile/records/005"),
    ],
)
def test_paths_are_those_of_the_standard(tile: Tile, path: str) -> None:
    assert tile.path() == path
    assert parse_tile(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        *("", "tile", "tile/", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000"),
        *("tile/0/x000/000", "tile/0/001/000", "tile/0/x001", "tile/0/x001/x000", "tile/0/000.p/0", "tile/0/000.p/256"),
        *("tile/0/000.p/01", "tile/0/000.p", "tile/0/000.p/", "tile/0/000/", "/tile/0/000", "tile/0/000\n"),
        *("tile/-1/000", "tile/data/000", "tile/entries/../000", "tile/0/٠٠٠", "tile/0/" + "x001/" * 40 + "000"),
    ],
)
def test_other_spellings_are_no_paths(path: str) -> None:
    assert parse_tile(path) is None


@given(st.sampled_from(["0", "7", "63", "entries", "records"]), st.integers(0, 10**12), st.integers(1, 256))
def test_a_path_says_its_tile(kind: str, number: int, width: int) -> None:
    assert parse_tile(Tile(kind, number, width).path()) == Tile(kind, number, width)


def test_tiles_of_the_standards_examples() -> None:
    tiles = {level: list(list_tiles(str(level), 70_000)) for level in list_levels(70_000)}
    assert {level: (len(found), found[-1].width) for level, found in tiles.items()} == {
        0: (274, 112),
        1: (2, 17),
        2: (1, 1),
    }
    assert [list(list_tiles(str(level), 256)) for level in list_levels(256)] == [[Tile("0", 0)], [Tile("1", 0, 1)]]
    assert list(list_tiles("entries", 3)) == [Tile("entries", 0, 3)]


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_what_is_listed_anew_and_what_was_full_before_are_all(size: int, known: int) -> None:
    known = min(known, size)
    for level in map(str, list_levels(size)):
        full = [tile for tile in list_tiles(level, known) if tile.width == 256]
        assert [*full, *list_tiles(level, size, known)] == list(list_tiles(level, size))


def test_bundles_are_entries_behind_their_lengths() -> None:
    headers = [bytes([k]) * 184 for k in range(3)]
    bundle = join_entries(headers)
    assert bundle[:3] == b"\x00\xb8\x00"
    assert len(bundle) == 3 * 186
    assert split_entries(bundle) == headers
    for wrong in (bundle[:-1], bundle + b"\0", b"\xb8\0" + bundle[2:], b"\0\x02ab"):
        with pytest.raises(LedgerError, match="entry bundle"):
            split_entries(wrong)
