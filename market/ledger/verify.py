"""Verify a ledger offline, block by block: bytes, links, roots, signatures, books; the first fault ends it.

A broken ledger is a finding, not an exception. The key is given by whoever verifies; where none is pinned, the genesis
block's own is used and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import EXCHANGE, METER, Rows
from market.ledger.chain import NO_PREVIOUS, VERSION, Header, chain_id, decode_header, header_is_signed
from market.ledger.checkpoint import open_note, origin_of, parse_checkpoint
from market.ledger.merkle import History, leaf_hash, root
from market.ledger.records import (
    HOUSE,
    LAYOUTS,
    MEMBER,
    OPERATOR_ROLE,
    SIZE,
    VERDICT,
    RecordBytes,
    RecordKind,
    integer_parameter,
    read_parameters,
)
from market.ledger.replay import FAULTS, Books, Fault, replay
from market.ledger.store import Store, StoredBlock
from market.storage import Ratings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


_OF_A_HOUSE = (Fault.WALLET, Fault.METER, Fault.BALANCE, Fault.STORAGE)


class Report(NamedTuple):
    """What a verification found.

    Attributes
    ----------
    ok
        Whether nothing is wrong.
    n_blocks, n_records
        How much was verified.
    height, reason
        First bad block and what is wrong with it; -1 and empty if nothing is.
    head
        Hash of the last good header.
    pinned
        Whether the operator's key was given from outside.
    """

    ok: bool
    n_blocks: int
    n_records: int
    height: int
    reason: str
    head: bytes
    pinned: bool


class _BrokenError(Exception):
    """A fault in the block being verified."""


class Verifier:
    """State of a verification in progress: what earlier blocks established.

    Parameters
    ----------
    operator
        The pinned key, None to trust the genesis block's own.
    """

    def __init__(self, operator: Ed25519PublicKey | None) -> None:
        self.operator = operator
        self.pinned = operator is not None
        self.history = History()
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.previous = NO_PREVIOUS
        self.chain_id = b""
        self.registry: list[bytes] = []
        self.n_records = 0
        self.books: Books | None = None
        self.ratings: Ratings | None = None
        self.tau_intervals = 0
        self.interval_seconds = 0
        self.first_start = 0

    def block(self, block: StoredBlock) -> None:
        """Verify the next block.

        Raises
        ------
        _BrokenError
            If something is wrong with it.
        """
        height = self.history.size
        if block.height != height:
            raise _BrokenError(f"expected height {height}, found {block.height}: a block is missing")
        records, header = _decoded(block)
        _check_header(header, block, height, self.previous)
        _check_records(records, header)
        if height == 0:
            self._genesis(records)
        if header.chain_id != self.chain_id:
            raise _BrokenError("the chain id is not the genesis block's")
        self.registry += [record.tobytes() for record in records if record[0] == RecordKind.MEMBER]
        if header.registry_root != root(self.registry):
            raise _BrokenError("the registry root does not follow from the registry records")
        assert self.operator is not None
        if not header_is_signed(block.header, block.signature, self.operator):
            raise _BrokenError("the signature is not the operator's")
        if height > 0:
            self._interval(records, header)
        elif header.state_root != sha256(b"").digest():
            raise _BrokenError("the genesis block's state root is not that of no state")
        self.previous = block.hash
        self.n_records += records.shape[0]
        for level, index, node in self.history.append(block.hash):
            self.nodes[level, index] = node

    def _genesis(self, records: RecordBytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        members = _of_kind(records, RecordKind.MEMBER, MEMBER)
        operators = members[members["role"] == OPERATOR_ROLE]
        if operators.size != 1:
            raise _BrokenError("expected one operator in the genesis block")
        key = bytes(operators["public_key"][0])
        if self.operator is None:
            self.operator = Ed25519PublicKey.from_public_bytes(key)
        elif self.operator.public_bytes_raw() != key:
            raise _BrokenError("the operator is not the pinned one")
        self.chain_id = chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
        parameters = read_parameters(records)
        self.tau_intervals = integer_parameter(parameters, "tau_intervals")
        self.interval_seconds = 60 * integer_parameter(parameters, "interval_minutes")
        self.first_start = integer_parameter(parameters, "start")
        houses = _of_kind(records, RecordKind.HOUSE, HOUSE)
        self.ratings = Ratings(*(houses[field].astype(np.int64) for field in Ratings._fields))
        n = houses.size
        self.books = Books(
            houses["wallet_neur"].astype(np.int64),
            np.zeros(n, np.int64),
            np.zeros(3, np.int64),
            houses["own_wh"].astype(np.int64),
            np.zeros((0, 5), np.int64),
        )

    def _interval(self, records: RecordBytes, header: Header) -> None:
        """Replay the books of an interval's block."""
        assert self.books is not None
        assert self.ratings is not None
        interval = header.height - 1
        if header.interval_start != self.first_start + interval * self.interval_seconds:
            raise _BrokenError("the interval does not begin where the one before ends")
        exchanges = records[records[:, 0] <= 9].copy().view(EXCHANGE).reshape(-1)
        meters = _of_kind(records, 16, METER)
        verdicts = _of_kind(records, RecordKind.VERDICT, VERDICT)
        if meters.size != self.ratings.soc_max_wh.size:
            raise _BrokenError(f"expected {self.ratings.soc_max_wh.size} meters, found {meters.size}")
        if verdicts.size != 1:
            raise _BrokenError(f"expected one verdict, found {verdicts.size}")
        for rows in (exchanges, meters, verdicts):
            if (rows["interval"] != interval).any():
                raise _BrokenError("a record belongs to another interval")
        fault, at, self.books = replay(
            exchanges, meters, self.books, interval, self.tau_intervals, self.ratings
        )
        if fault:
            what = "house" if fault in _OF_A_HOUSE else "record"
            raise _BrokenError(f"{what} {at}: {FAULTS[Fault(fault)]}")
        if header.state_root != _state_root(self.books):
            raise _BrokenError("the state root does not follow from the replayed books")


def _state_root(books: Books) -> bytes:
    hosted = np.zeros_like(books.own_wh)
    np.add.at(hosted, books.lots[:, 2], books.lots[:, 3])
    parts = (books.wallet_neur, books.account_neur, books.pools_neur, books.own_wh, hosted)
    return sha256(np.concatenate(parts).astype("<i8").tobytes()).digest()


def _of_kind(records: RecordBytes, kind: int, layout: np.dtype[np.void]) -> Rows:
    rows: Rows = records[records[:, 0] == kind].copy().view(layout).reshape(-1)
    return rows


def _decoded(block: StoredBlock) -> tuple[RecordBytes, Header]:
    if len(block.records) % SIZE:
        raise _BrokenError(f"the records are not a multiple of {SIZE} bytes")
    try:
        header = decode_header(block.header)
    except ValueError as reason:
        raise _BrokenError(str(reason)) from reason
    return np.frombuffer(block.records, np.uint8).reshape(-1, SIZE), header


def _check_header(header: Header, block: StoredBlock, height: int, previous: bytes) -> None:
    if header.version != VERSION:
        raise _BrokenError(f"expected version {VERSION}, found {header.version}")
    if header.height != height:
        raise _BrokenError(f"the header says height {header.height}")
    if header.prev != previous:
        raise _BrokenError("the link to the header before is broken")
    if leaf_hash(block.header) != block.hash:
        raise _BrokenError("the stored hash is not the header's")


def _check_records(records: RecordBytes, header: Header) -> None:
    if records.shape[0] != header.n_records:
        raise _BrokenError(f"expected {header.n_records} records, found {records.shape[0]}")
    if root(record.tobytes() for record in records) != header.record_root:
        raise _BrokenError("the record root does not follow from the records")
    for kind in np.unique(records[:, 0]):
        if int(kind) not in LAYOUTS:
            raise _BrokenError(f"a record of unknown kind {kind}")
    numbers = records[:, 8:12].copy().view("<u4").reshape(-1)
    if (numbers != np.arange(records.shape[0])).any():
        raise _BrokenError("the records are not numbered one after the other")


def verify_ledger(
    directory: Path,
    *,
    operator: Ed25519PublicKey | None = None,
    checkpoint: str | None = None,
    listener: Callable[[int], None] | None = None,
) -> Report:
    """Verify the ledger in a run directory.

    Parameters
    ----------
    directory
        Run directory.
    operator
        The operator's public key as pinned by the caller.
    checkpoint
        A signed note kept elsewhere; a ledger that does not extend it is a rollback or a fork.
    listener
        Called with the number of blocks verified, every thousand.

    Raises
    ------
    LedgerError
        If the directory holds no ledger, or the checkpoint is no signed note.
    """
    verifier = Verifier(operator)
    height = 0
    with Store.open_to_read(directory) as store:
        try:
            for block in store.blocks():
                height = verifier.history.size
                verifier.block(block)
                if listener is not None and verifier.history.size % 1000 == 0:
                    listener(verifier.history.size)
            height = verifier.history.size - 1
            _check_tree(store, verifier)
            for problem in _against_checkpoints(store, verifier, checkpoint):
                raise _BrokenError(problem)
        except _BrokenError as broken:
            return _report(verifier, height, str(broken))
    return _report(verifier, -1, "")


def _report(verifier: Verifier, height: int, reason: str) -> Report:
    return Report(
        not reason,
        verifier.history.size,
        verifier.n_records,
        height,
        reason,
        verifier.previous,
        verifier.pinned,
    )


def _check_tree(store: Store, verifier: Verifier) -> None:
    if verifier.history.size == 0:
        raise _BrokenError("the ledger holds no block")
    stored = {(level, index): node for level, index, node in store.nodes()}
    if stored != verifier.nodes:
        raise _BrokenError("the stored history tree is not that of the headers")


def _against_checkpoints(store: Store, verifier: Verifier, given: str | None) -> Iterator[str]:
    """What speaks against the ledger's own checkpoints and the one given from outside."""
    assert verifier.operator is not None
    origin = origin_of(verifier.chain_id)
    hashes = store.hashes()
    own = [(note, size) for size, note in store.checkpoints()]
    outside = [(given, -1)] if given is not None else []
    growing, sizes = History(), {}
    notes = []
    for note, expected in [*own, *outside]:
        try:
            found = parse_checkpoint(open_note(note, origin, verifier.operator))
        except LedgerError as reason:
            yield f"{'own' if expected >= 0 else 'given'} {reason}"
            return
        if expected >= 0 and found.size != expected:
            yield f"own checkpoint {expected}: it says size {found.size}"
            return
        notes.append(found)
    wanted = {note.size for note in notes}
    for leaf in hashes:
        growing.append(leaf)
        if growing.size in wanted:
            sizes[growing.size] = growing.root()
    for found in notes:
        if found.origin != origin:
            yield f"checkpoint of another ledger: {found.origin}"
        elif found.size > verifier.history.size:
            yield f"ROLLBACK: a checkpoint knows {found.size} blocks, the ledger has {verifier.history.size}"
        elif found.root != sizes.get(found.size):
            yield f"FORK: the checkpoint of {found.size} blocks has another root"
