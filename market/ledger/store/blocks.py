"""A stored block held against itself and the one before: bytes, sizes, links, roots and fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.ledger.crypto.merkle import group_roots, leaf_hash
from market.ledger.format.header import VERSION, Header, decode_header
from market.ledger.format.ranges import first_out_of_range
from market.ledger.format.records import REGISTRY_KINDS, SIZE, RecordBytes, RecordKind
from market.ledger.store.store import StoredBlock

Fault = tuple[int, str]
"""Height of a bad block, and what is wrong with it."""

_VERDICT, _PARAMETER = int(RecordKind.VERDICT), int(RecordKind.PARAMETER)
_GENESIS = bytes([RecordKind.MEMBER, RecordKind.HOUSE, RecordKind.PARAMETER])
_BETWEEN = bytes([*REGISTRY_KINDS, RecordKind.SIGNATURE, RecordKind.HOUSE])
_REGISTRY = bytes(REGISTRY_KINDS)


class BrokenError(LedgerError):
    """What is wrong with the block being verified."""


class Block(NamedTuple):
    """A block whose bytes have been read.

    Attributes
    ----------
    stored, header, records, kinds
        As stored, its header decoded, its records (M, 72), and their kinds.
    holds_interval
        Whether it records an interval; otherwise it is the genesis block or changes the registry between intervals.
    """

    stored: StoredBlock
    header: Header
    records: RecordBytes
    kinds: bytes
    holds_interval: bool

    def has_statements(self) -> bool:
        """Whether it changes the registry."""
        return len(self.kinds.translate(None, _REGISTRY)) < len(self.kinds)


def linked(stored: StoredBlock, height: int, previous: bytes) -> Block:
    """The block that belongs at `height` behind the header with hash `previous`.

    Raises
    ------
    BrokenError
        If its bytes or links are wrong.
    """
    if stored.height != height:
        raise BrokenError(f"expected height {height}, found {stored.height}: a block is missing")
    if not all(isinstance(value, bytes) for value in stored[1:]):
        raise BrokenError("a column does not hold bytes")
    try:
        header = decode_header(stored.header)
    except ValueError as reason:
        raise BrokenError(str(reason)) from reason
    if header.version != VERSION:
        raise BrokenError(f"expected version {VERSION}, found {header.version}")
    if header.height != height:
        raise BrokenError(f"the header says height {header.height}")
    if header.prev != previous:
        raise BrokenError("the link to the header before is broken")
    if leaf_hash(stored.header) != stored.hash:
        raise BrokenError("the stored hash is not the header's")
    if not stored.records or len(stored.records) != SIZE * header.n_records:
        raise BrokenError(
            f"expected {header.n_records} records of {SIZE} bytes, found {len(stored.records)} bytes"
        )
    kinds = stored.records[::SIZE]
    n_verdicts = kinds.count(_VERDICT)
    if n_verdicts > 1:
        raise BrokenError(f"expected at most one verdict, found {n_verdicts}")
    records = np.frombuffer(stored.records, np.uint8).reshape(-1, SIZE)
    return Block(stored, header, records, kinds, n_verdicts == 1)


def first_wrong_root(blocks: Sequence[Block]) -> Fault | None:
    """The first block whose record root does not follow from its records."""
    if not blocks:
        return None
    records = np.concatenate([block.records for block in blocks])
    offsets = np.concatenate([[0], np.cumsum([block.header.n_records for block in blocks])])
    roots = np.frombuffer(b"".join(block.header.record_root for block in blocks), np.uint8).reshape(-1, 32)
    wrong = np.flatnonzero((group_roots(records, offsets) != roots).any(axis=1))
    if wrong.size == 0:
        return None
    return blocks[int(wrong[0])].header.height, "the record root does not follow from the records"


def first_wrong_field(blocks: Sequence[Block], first_interval: int) -> Fault | None:
    """The first block with a record that is out of range or out of its place.

    Parameters
    ----------
    blocks
        Blocks in a row.
    first_interval
        Number of the interval before or in the first of them.
    """
    if not blocks:
        return None
    sizes = np.array([block.header.n_records for block in blocks])
    first = np.cumsum(sizes) - sizes
    records = np.concatenate([block.records for block in blocks])
    intervals = first_interval + np.cumsum([0, *(block.holds_interval for block in blocks[:-1])])
    number = np.arange(records.shape[0]) - np.repeat(first, sizes)
    place = np.ascontiguousarray(records[:, 4:12]).view("<u4")
    wrong = (place[:, 0] != np.repeat(intervals, sizes)) | (place[:, 1] != number)
    faults = [
        (int(at), "a record out of its place: its interval or number is wrong")
        for at in np.flatnonzero(wrong)[:1]
    ]
    if (found := first_out_of_range(records)) is not None:
        faults.append(found)
    heights = [block.header.height for block in blocks]
    at_block = [(heights[int(np.searchsorted(first, at, side="right")) - 1], reason) for at, reason in faults]
    return min([*at_block, *_out_of_place(blocks)], default=None)


def _out_of_place(blocks: Sequence[Block]) -> Iterator[Fault]:
    for block in blocks:
        height = block.header.height
        if block.holds_interval:
            if _PARAMETER in block.kinds or height == 0:
                yield height, "a parameter behind the genesis block, or an interval in it"
        elif block.kinds.translate(None, _GENESIS if height == 0 else _BETWEEN):
            yield height, "a record that needs an interval in a block without a verdict"
