"""Write a ledger as tiles into a folder that any static web server can serve; once more, only what is new.

Tiles come first and the checkpoint last, each file whole or not at all, so that whoever reads meanwhile finds all that
the checkpoint names.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.crypto.merkle import root_of_leaf_hashes
from market.ledger.durable import read_text_bounded, report_unwritable, write_durably
from market.ledger.format.checkpoint import Checkpoint, parse_checkpoint
from market.ledger.format.note import LONGEST_NOTE, split_note
from market.ledger.format.tiles import CHECKPOINT, ENTRIES, RECORDS, WIDTH, WITNESSED, Tile, list_levels, list_tiles
from market.ledger.read.tiles import find_witnessed, read_tile
from market.ledger.store.store import Store


class Published(NamedTuple):
    """What was published: number of blocks of the checkpoint, and number of files that were written."""

    size: int
    n_files: int


def publish_tiles(store: Store, folder: Path) -> Published:
    """Publish a ledger up to its newest checkpoint.

    Parameters
    ----------
    store
        The ledger.
    folder
        Folder to write; new, empty, or one that an earlier state of this ledger was published to.

    Raises
    ------
    LedgerError
        If the folder holds anything else, or a later or other history; if the ledger has no checkpoint, or a file
        cannot be written.
    """
    note = store.last_checkpoint()
    if note is None:
        raise LedgerError(f"{store.path}: expected a ledger with a checkpoint, found none")
    checkpoint = read_checkpoint(note)
    known = _check_folder(store, folder, checkpoint)
    tiles = list(_list_wanted(store, folder, checkpoint.size, known))
    for tile in tiles:
        _write_tile(store, folder, tile)
    written = _write_notes(store, folder, note, checkpoint.size)
    _remove_superseded(folder, checkpoint.size)
    return Published(checkpoint.size, len(tiles) + written)


def read_checkpoint(note: str) -> Checkpoint:
    """Checkpoint of a signed note; its signatures are not verified."""
    return parse_checkpoint(split_note(note)[0])


def _check_folder(store: Store, folder: Path, new: Checkpoint) -> int:
    """Number of blocks that have been published to the folder, 0 for none."""
    with report_unwritable(folder, "folder"):
        folder.mkdir(parents=True, exist_ok=True)
        strange = [path.name for path in folder.iterdir() if path.name not in (CHECKPOINT, WITNESSED, "tile")]
    if strange := [name for name in strange if not name.startswith(".checkpoint")]:
        raise LedgerError(f"{folder}: expected a folder with published tiles or an empty one, found '{min(strange)}'")
    if not (folder / CHECKPOINT).exists():
        return 0
    text = read_text_bounded(folder / CHECKPOINT, "a published checkpoint", LONGEST_NOTE)
    old = read_checkpoint(text)
    if old.origin != new.origin:
        raise LedgerError(f"{folder}: expected tiles of log '{new.origin}', found those of '{old.origin}'")
    if old.size > new.size or root_of_leaf_hashes(store.hashes()[: old.size]) != old.root:
        raise LedgerError(
            f"{folder}: expected an earlier state of this ledger, found a checkpoint of {old.size} blocks that the "
            f"ledger of {new.size} does not extend; compare both with gridsettle ledger compare"
        )
    return old.size


def _list_wanted(store: Store, folder: Path, size: int, known: int) -> Iterator[Tile]:
    """Tiles that are not published yet: full ones, and the partial one that each checkpoint needs until it is full."""
    sizes = [each for each, _ in store.checkpoints() if each <= size]
    for kind in (ENTRIES, *map(str, list_levels(size))):
        shift = 0 if kind == ENTRIES else 8 * int(kind)
        last = (size >> shift) // WIDTH
        counts = {each >> shift for each in sizes}
        partial = [Tile(kind, last, count % WIDTH) for count in counts if count // WIDTH == last and count % WIDTH]
        for tile in dict.fromkeys([*list_tiles(kind, size, known), *partial]):
            if tile.stop > known >> shift or not (folder / tile.path()).exists():
                yield tile
    yield from (tile for tile in list_tiles(RECORDS, size, known) if tile.stop > known)


def _write_tile(store: Store, folder: Path, tile: Tile) -> None:
    content, path = read_tile(store, tile), folder / tile.path()
    if content is None:
        raise LedgerError(f"{store.path}: expected what {tile.path()} holds, found less; run gridsettle ledger verify")
    with report_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, content)


def _write_notes(store: Store, folder: Path, note: str, size: int) -> int:
    witnessed = find_witnessed(store, size)
    if witnessed is not None:
        write_durably(folder / WITNESSED, witnessed)
    write_durably(folder / CHECKPOINT, note)
    return 1 + (witnessed is not None)


def _remove_superseded(folder: Path, size: int) -> None:
    """Remove partial tiles that have become full, and record bundles narrower than the newest."""
    with report_unwritable(folder, "folder"):
        for partial in sorted((folder / "tile").rglob("*.p")):
            if partial.with_suffix("").exists():
                shutil.rmtree(partial)
        for bundle in (folder / "tile" / RECORDS).rglob("*.p/*"):
            if bundle.name != str(size % WIDTH):
                bundle.unlink()
