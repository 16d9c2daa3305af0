"""Check stored blocks: bytes, sizes, links to the block before, record roots, and the fields of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.ledger.crypto.merkle import group_roots, leaf_hash
from market.ledger.format.header import Header, decode_header
from market.ledger.format.ranges import find_out_of_range
from market.ledger.format.records import (
    COMMANDED,
    CONNECTED,
    REGISTRY_KINDS,
    SIZE,
    RecordBytes,
    RecordKind,
    join_blocks,
    read_places,
    select_rows,
)
from market.ledger.format.version import VERSIONS
from market.ledger.store.store import StoredBlock

Fault = tuple[int, str]
"""Height of a bad block, and what is wrong with it."""

_VERDICT, _PARAMETER = int(RecordKind.VERDICT), int(RecordKind.PARAMETER)
_PHASES, _HOUSE, _TOPOLOGY = int(RecordKind.PHASES), int(RecordKind.HOUSE), int(RecordKind.TOPOLOGY)
_COVERED = (RecordKind.PRIVATE, RecordKind.AGGREGATE)
_IN_GENESIS = bytes([RecordKind.MEMBER, RecordKind.HOUSE, RecordKind.PARAMETER, RecordKind.FLEXIBLE, *_COVERED])
_WITHOUT_INTERVAL = bytes([*REGISTRY_KINDS, RecordKind.SIGNATURE, RecordKind.HOUSE, RecordKind.TOPOLOGY])
_REGISTRY = bytes(REGISTRY_KINDS)


class BrokenError(LedgerError):
    """A block that is being verified is broken; the message says how."""


class Block(NamedTuple):
    """A stored block, decoded.

    Attributes
    ----------
    stored, header, records, kinds
        The block as stored, its header, its records (M, 72), and their kinds.
    holds_interval
        Whether it records an interval; otherwise it is the genesis block or changes the registry or batteries.
    """

    stored: StoredBlock
    header: Header
    records: RecordBytes
    kinds: bytes
    holds_interval: bool

    def has_statements(self) -> bool:
        """Whether it holds registry records."""
        return len(self.kinds.translate(None, _REGISTRY)) < len(self.kinds)


def link_block(stored: StoredBlock, height: int, previous: bytes, versions: Sequence[int] = VERSIONS) -> Block:
    """Decode the block at `height`; `previous` is the hash of the header before, `versions` are those it may be of.

    Raises
    ------
    BrokenError
        If its bytes are malformed, or it does not link to the header before.
    """
    if stored.height != height:
        raise BrokenError(f"expected height {height}, found {stored.height}: a block is missing")
    if not all(isinstance(value, bytes) for value in stored[1:]):
        raise BrokenError("a column does not hold bytes")
    try:
        header = decode_header(stored.header)
    except LedgerError as reason:
        raise BrokenError(str(reason)) from reason
    if header.version not in versions:
        raise BrokenError(f"expected version {' or '.join(map(str, versions))}, found {header.version}")
    if header.height != height:
        raise BrokenError(f"the header says height {header.height}")
    if header.prev != previous:
        raise BrokenError("the link to the header before is broken")
    if leaf_hash(stored.header) != stored.hash:
        raise BrokenError("the stored hash is not the header's")
    if not stored.records or len(stored.records) != SIZE * header.n_records:
        raise BrokenError(f"expected {header.n_records} records of {SIZE} bytes, found {len(stored.records)} bytes")
    kinds = stored.records[::SIZE]
    n_verdicts = kinds.count(_VERDICT)
    if n_verdicts > 1:
        raise BrokenError(f"expected at most one verdict, found {n_verdicts}")
    records = np.frombuffer(stored.records, np.uint8).reshape(-1, SIZE)
    return Block(stored, header, records, kinds, n_verdicts == 1)


def find_wrong_root(blocks: Sequence[Block]) -> Fault | None:
    """Find the first block whose record root is not that of its records."""
    if not blocks:
        return None
    records, offsets = join_blocks([block.records for block in blocks])
    roots = np.frombuffer(b"".join(block.header.record_root for block in blocks), np.uint8).reshape(-1, 32)
    wrong = np.flatnonzero((group_roots(records, offsets) != roots).any(axis=1))
    if wrong.size == 0:
        return None
    return blocks[int(wrong[0])].header.height, "the record root does not follow from the records"


def find_wrong_field(blocks: Sequence[Block], first_interval: int) -> Fault | None:
    """Find the first block with a record that has a value out of range, or a wrong interval or number.

    Parameters
    ----------
    blocks
        Consecutive blocks of one version.
    first_interval
        Number of intervals recorded before the first of them.
    """
    if not blocks:
        return None
    records, offsets = join_blocks([block.records for block in blocks])
    first, sizes = offsets[:-1], np.diff(offsets)
    intervals = first_interval + np.cumsum([0, *(block.holds_interval for block in blocks[:-1])])
    number = np.arange(records.shape[0]) - np.repeat(first, sizes)
    place = read_places(records)
    wrong = (place[:, 0] != np.repeat(intervals, sizes)) | (place[:, 1] != number)
    faults = [
        (int(at), "a record out of its place: its interval or number is wrong") for at in np.flatnonzero(wrong)[:1]
    ]
    if (found := find_out_of_range(records, blocks[0].header.version)) is not None:
        faults.append(found)
    heights = [block.header.height for block in blocks]
    at_block = [(heights[int(np.searchsorted(first, at, side="right")) - 1], reason) for at, reason in faults]
    return min([*at_block, *_find_misplaced(blocks)], default=None)


def _find_misplaced(blocks: Sequence[Block]) -> Iterator[Fault]:
    """Blocks with a kind of record that does not belong there."""
    for block in blocks:
        height = block.header.height
        if block.holds_interval:
            if _PARAMETER in block.kinds or height == 0:
                yield height, "a parameter behind the genesis block, or an interval in it"
            if _PHASES in block.kinds and not follows_verdict(block.kinds):
                yield height, "phases that do not follow the verdict"
        elif block.kinds.translate(None, _IN_GENESIS if height == 0 else _WITHOUT_INTERVAL):
            yield height, "a record that needs an interval in a block without a verdict"
        if _TOPOLOGY in block.kinds and not _is_switched_rightly(block):
            yield height, "a command within an interval, or a change of the network that is none outside"
        if height > 0 and _HOUSE in block.kinds and _has_phases(block.records):
            yield height, "a house that changes its phases"


def follows_verdict(kinds: bytes) -> bool:
    """Whether a block, by the kinds of its records, has phases once, right behind its verdict."""
    return kinds.count(_PHASES) == 1 and kinds[kinds.index(_PHASES) - 1] == _VERDICT and kinds[0] != _PHASES


def _is_switched_rightly(block: Block) -> bool:
    """Whether changes of the network belong to an interval, and commands of the operator to none."""
    rows = select_rows(block.records, RecordKind.TOPOLOGY)
    if block.holds_interval:
        return not rows["reason"].any()
    return bool((rows["reason"] > 0).all() and np.isin(rows["status"], COMMANDED).all())


def _has_phases(records: RecordBytes) -> bool:
    houses = select_rows(records, RecordKind.HOUSE)
    return any(houses[name].any() for name in CONNECTED)
