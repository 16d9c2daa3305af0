"""Where a log parts from the copy of it, with what the operator has signed of both there."""

from __future__ import annotations

from typing import Any, NamedTuple

from market.errors import LedgerError
from market.ledger.check.tree import TiledTree, find_first_difference
from market.ledger.crypto.keys import is_signed
from market.ledger.crypto.merkle import root_hash
from market.ledger.follow.source import Log
from market.ledger.format.header import decode_header, header_message
from market.ledger.format.records import SIZE
from market.ledger.read.tiles import read_path
from market.ledger.store.registry import Registry, find_operators_key
from market.ledger.store.store import Store, StoredBlock


class Parting(NamedTuple):
    """The first block in which two histories differ, as each has it; None where a server does not give it."""

    height: int
    ours: StoredBlock
    theirs: StoredBlock | None

    def show(self) -> dict[str, Any]:
        """The blocks as JSON can hold them."""
        sides = {"ours": show_block(self.ours), "theirs": self.theirs and show_block(self.theirs)}
        return {"first_differing_block": self.height, **sides}


def find_parting(log: Log, tree: TiledTree, store: Store, root: bytes) -> Parting | None:
    """Find where a log parts from a copy of it, None if it does not.

    Parameters
    ----------
    log, tree
        The log and the tree of its checkpoint.
    store, root
        The copy, and the root over all its blocks.
    """
    own = TiledTree(lambda path: read_path(store, path), store.size(), root)
    height = find_first_difference(own, tree)
    if height is None:
        return None
    try:
        theirs = next(log.fetch_blocks(tree, height))[0]
    except LedgerError:
        theirs = None
    return Parting(height, store.block(height), theirs)


def show_block(block: StoredBlock) -> dict[str, str]:
    """What of a block proves that the operator has signed it, in hexadecimal."""
    return {"hash": block.hash.hex(), "header": block.header.hex(), "signature": block.signature.hex()}


def is_operators_header(block: StoredBlock, registry: Registry) -> bool:
    """Whether the operator's key that is in force at its height has signed a block's header."""
    key = find_operators_key(registry, block.height) or b""
    return is_signed(key, block.signature, header_message(block.header))


def is_operators_block(block: StoredBlock, registry: Registry) -> bool:
    """The same, and that the block's records are those that its header commits to."""
    records = [block.records[at : at + SIZE] for at in range(0, len(block.records), SIZE)]
    return root_hash(records) == decode_header(block.header).record_root and is_operators_header(block, registry)
