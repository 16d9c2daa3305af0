"""Compare two histories of one log, copies or servers of it: equal, one a part of the other, or where they part.

Both trees are held against their roots tile by tile, so that the place where they part is proven in log steps; if the
operator has signed checkpoints of both that cover it, these notes are a proof of the fork.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.ledger.check.tree import TiledTree, find_first_difference
from market.ledger.crypto.keys import is_signed
from market.ledger.follow.local import Local, Server, find_in_folder
from market.ledger.follow.remote import Remote
from market.ledger.follow.source import Log, Note
from market.ledger.format.checkpoint import Checkpoint, log_origin
from market.ledger.format.header import decode_header, header_message
from market.ledger.format.tiles import CHECKPOINT, WIDTH
from market.ledger.read.tiles import read_path
from market.ledger.store.registry import EMPTY, Registry, find_operators_key, replay_statements
from market.ledger.store.store import FILE, Store, StoredBlock
from market.ledger.store.tip import decode_records, find_signer, read_tip


class Side(NamedTuple):
    """One of two histories.

    Attributes
    ----------
    log
        It, and its name.
    tree
        Its tree, over all blocks of a ledger or those of a server's checkpoint.
    note
        Its newest checkpoint, which is of this tree; None for none.
    registry
        Members as far as they are known: of a ledger all, of a server those of the first block.
    """

    log: Log
    tree: TiledTree
    note: Note | None
    registry: Registry


class Comparison(NamedTuple):
    """Two histories compared.

    Attributes
    ----------
    sizes
        Blocks of each.
    height
        First block in which they differ, None if they are equal or one is the other's prefix.
    hashes
        Hashes of that block on each side.
    proof
        What proves that the operator has signed both, empty if nothing does.
    """

    sizes: tuple[int, int]
    height: int | None
    hashes: tuple[bytes, ...]
    proof: str


def compare_histories(one: str, other: str) -> Comparison:
    """Compare two histories of a log.

    Parameters
    ----------
    one, other
        Each a directory with a ledger, a folder with published tiles, or a URL.

    Raises
    ------
    LedgerError
        If one is none of these, its tiles are not those of its checkpoint, or they are of two logs.
    """
    with _open(one) as first, _open(other) as second:
        names = [side.note.checkpoint.origin for side in (first, second) if side.note is not None]
        if len(set(names)) > 1:
            raise LedgerError(
                f"expected two histories of one log, got '{names[0]}' in {one} and '{names[1]}' in {other}"
            )
        sizes = first.tree.size, second.tree.size
        height = find_first_difference(first.tree, second.tree)
        if height is None:
            return Comparison(sizes, None, (), "")
        hashes = tuple(side.tree.leaves(height // WIDTH)[height % WIDTH] for side in (first, second))
        return Comparison(sizes, height, hashes, _find_proof(first, second, height))


def _find_proof(one: Side, other: Side, height: int) -> str:
    """What of both sides the operator has signed, in words: checkpoints that cover a block, or the block itself."""
    signers = [_name_signer(side, height) for side in (one, other)]
    if all(signers):
        return f"PROOF of a fork: checkpoints of both are signed, {signers[0]} and {signers[1]}"
    if all(_has_signed_block(side, height) for side in (one, other)):
        return f"PROOF of a fork: the operator has signed both blocks {height}"
    return ""


def _name_signer(side: Side, height: int) -> str:
    """Who signed the checkpoint of a side, if it covers a block; empty if nobody has whose key is known."""
    if side.note is None or side.note.checkpoint.size <= height:
        return ""
    try:
        key = find_signer(side.note.text, side.note.checkpoint.origin, side.registry)
    except LedgerError:
        return ""
    return f"that of {side.note.checkpoint.size} blocks by {key.name} with key {key.public_key.hex()[:16]}…"


def _has_signed_block(side: Side, height: int) -> bool:
    try:
        block = next(side.log.fetch_blocks(side.tree, height))[0]
    except LedgerError:
        return False
    key = find_operators_key(side.registry, height) or b""
    return is_signed(key, block.signature, header_message(block.header))


@contextmanager
def _open(where: str) -> Iterator[Side]:
    if where.startswith(("http://", "https://")):
        remote = Remote(where)
        try:
            yield _open_published(remote)
        finally:
            remote.close()
    elif (Path(where) / FILE).is_file():
        with Store.open_to_read(Path(where)) as store:
            yield _open_ledger(where, store)
    elif (Path(where) / CHECKPOINT).is_file():
        yield _open_published(Local(where, find_in_folder(Path(where))))
    else:
        raise LedgerError(f"{where}: expected a directory with a ledger, a folder with published tiles or a URL")


def _open_ledger(where: str, store: Store) -> Side:
    """A ledger on this machine, with the blocks behind its newest checkpoint."""
    log, tip = Log(Local(where, lambda path: read_path(store, path))), read_tip(store)
    tree = log.read_tree(Checkpoint(log_origin(tip.header.chain_id), tip.history.size, tip.history.root()))
    return Side(log, tree, _check_note(where, tree, log.read_note()), tip.registry)


def _open_published(server: Server) -> Side:
    """A log as it is published, up to its checkpoint."""
    log = Log(server)
    if (note := log.read_note()) is None or note.checkpoint.size == 0:
        raise LedgerError(f"{server.url}: expected a log with a checkpoint, found none; is this its address?")
    tree = log.read_tree(note.checkpoint)
    return Side(log, tree, note, _read_first_registry(server.url, next(log.fetch_blocks(tree, 0))[0], note))


def _read_first_registry(where: str, block: StoredBlock, note: Note) -> Registry:
    """Registry of a first block; of its records the operator has signed only the root, which they must have."""
    origin = log_origin(decode_header(block.header).chain_id)
    if origin != note.checkpoint.origin:
        raise LedgerError(f"{where}: expected blocks of log '{note.checkpoint.origin}', found those of '{origin}'")
    return replay_statements(EMPTY, decode_records(block.records), b"", 0)


def _check_note(where: str, tree: TiledTree, note: Note | None) -> Note | None:
    if note is None:
        return None
    size, root = note.checkpoint.size, note.checkpoint.root
    if size > tree.size or tree.root_of(0, size) != root:
        raise LedgerError(
            f"{where}: expected blocks that its checkpoint names, found others; run gridsettle ledger verify"
        )
    return note
