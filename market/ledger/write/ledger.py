"""The ledger that a run writes: blocks in groups, each group durable before its checkpoint is signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.errors import LedgerError
from market.exchanges import Ints
from market.ledger.crypto.keys import is_signed, public_bytes
from market.ledger.crypto.merkle import group_roots, leaf_hash
from market.ledger.crypto.signatures import sign_all
from market.ledger.durable import write_durably
from market.ledger.format.checkpoint import Checkpoint, checkpoint_path, log_origin, parse_checkpoint
from market.ledger.format.header import (
    NO_STATE,
    Header,
    header_message,
    make_chain_id,
    state_message,
    state_root,
)
from market.ledger.format.note import merge_notes, sign_note, split_note
from market.ledger.format.records import (
    RecordBytes,
    RecordKind,
    is_registry,
    number_records,
    read_next_interval,
)
from market.ledger.format.statements import make_operator_record
from market.ledger.format.version import find_version
from market.ledger.store.registry import Registry, find_operators_key, replay_statements
from market.ledger.store.store import OF_A_COPY, Store, StoredBlock, StoredState
from market.ledger.store.tip import (
    Tip,
    check_no_rollback,
    decode_records,
    extend_registry_tree,
    make_empty_tip,
    read_operator_key,
    read_tip,
)


class Head(NamedTuple):
    """Height and hash of the last block, and the root hash of the history tree over all."""

    height: int
    hash: bytes
    root: bytes


def state_roots(accounts: Ints) -> list[bytes]:
    """State root of each row of the account table, (K, 4N + 3)."""
    return [state_root(row) for row in accounts]


class Ledger:
    """A ledger open for writing, a context manager. If a write fails it is closed; then resume it.

    Parameters
    ----------
    store
        The open store.
    key
        The operator's key.
    tip
        What the next block builds on.
    directory
        Run directory; the checkpoint is written beside it.
    """

    def __init__(self, store: Store, key: Ed25519PrivateKey, tip: Tip, directory: Path) -> None:
        self._store, self._key, self._tip, self.directory = store, key, tip, directory

    @classmethod
    def create(cls, directory: Path, genesis: Sequence[RecordBytes], key: Ed25519PrivateKey, state: bytes) -> Ledger:
        """Create a ledger whose genesis block holds the operator's key and the given records.

        Parameters
        ----------
        directory
            Run directory.
        genesis
            `PARAMETER` and `HOUSE` records, numbered from 1.
        key
            The operator's key.
        state
            The run's own state before the first interval.

        Raises
        ------
        LedgerError
            If there is a ledger already, or it cannot be written.
        """
        records = np.concatenate([make_operator_record(public_bytes(key)), *genesis])
        name = make_chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
        start, offsets = np.array([0]), np.array([0, records.shape[0]])
        blocks, tip, _ = _build_blocks(
            make_empty_tip(name, find_version(records)), key, start, records, offsets, [NO_STATE]
        )
        store = Store.create(directory, blocks[0], _sign_state(blocks[0], state, key))
        ledger = cls(store, key, tip, directory)
        ledger._publish(tip)
        return ledger

    @classmethod
    def resume(cls, directory: Path, key: Ed25519PrivateKey) -> Ledger:
        """Open the ledger of an interrupted run, and sign its checkpoint again.

        Raises
        ------
        LedgerError
            If there is none, its end is broken, the key is not the operator's, or the checkpoint beside the directory
            shows that the ledger was longer or another.
        """
        store = Store.open_to_write(directory)
        try:
            tip = read_tip(store)
            if read_operator_key(tip) != public_bytes(key):
                raise LedgerError(f"{directory}: expected the operator's key that signs the ledger, got another")
            ledger = cls(store, key, tip, directory)
            ledger.state()
            check_no_rollback(store, tip, directory)
            ledger._publish(tip, store.last_checkpoint())
        except LedgerError:
            store.close()
            raise
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and release its lock."""
        self._store.close()

    def append(
        self, interval_start: Ints, records: RecordBytes, offsets: Ints, roots: Sequence[bytes], state: bytes
    ) -> None:
        """Append the blocks of K intervals as one group: all of them become durable, then the checkpoint is signed.

        Parameters
        ----------
        interval_start
            Begin of each interval, seconds since 1970-01-01 UTC, (K,).
        records, offsets
            Records of all blocks (M, 72), and where each block's begin, (K + 1,).
        roots
            State root of each block.
        state
            The run's own state after the last block.

        Raises
        ------
        LedgerError
            If a statement is not admissible, or the disk is full or fails; then nothing of the group is kept.
        """
        self._write(interval_start, records, offsets, roots, state)

    def append_registry(self, records: RecordBytes) -> None:
        """Append a block of registry and `HOUSE` records; it repeats the time and state root of the block before.

        Parameters
        ----------
        records
            (M, 72); their intervals and numbers are set here.

        Raises
        ------
        LedgerError
            If a statement is not admissible, or the disk is full or fails.
        """
        header = self._tip.header
        numbered = number_records(records, self._tip.next_interval)
        start, offsets = np.array([header.interval_start]), np.array([0, records.shape[0]])
        self._write(start, numbered, offsets, [header.state_root], None)

    def _write(
        self,
        interval_start: Ints,
        records: RecordBytes,
        offsets: Ints,
        roots: Sequence[bytes],
        state: bytes | None,
    ) -> None:
        blocks, tip, nodes = _build_blocks(self._tip, self._key, interval_start, records, offsets, roots)
        height = tip.header.height
        if find_operators_key(tip.registry, height) != public_bytes(self._key):
            raise LedgerError(
                f"{self.directory}: expected the operator's key in force at block {height}, got "
                "an older or a later one; go on with the key that was rotated to"
            )
        self._store.append(blocks, nodes, None if state is None else _sign_state(blocks[-1], state, self._key))
        self._publish(tip)

    def _publish(self, tip: Tip, known: str | None = None) -> None:
        """Make a tip that is durable the current one: sign its checkpoint, store it, write it beside the directory.

        If its checkpoint is known from before, the cosignatures that it has by now are kept.
        """
        self._tip = tip
        origin = log_origin(tip.header.chain_id)
        checkpoint = Checkpoint(origin, tip.history.size, tip.history.root())
        note = sign_note(checkpoint.text(), origin, self._key)
        if known is not None:
            note = merge_notes(note, known)
        self._store.add_checkpoint(checkpoint.size, note)
        write_durably(checkpoint_path(self.directory), note)

    def keep_cosignatures(self, note: str) -> None:
        """Keep a checkpoint of this ledger that witnesses have cosigned, also beside the directory if it is the newest.

        Raises
        ------
        LedgerError
            If it is no signed note, or the disk is full or fails.
        """
        checkpoint = parse_checkpoint(split_note(note)[0])
        self._store.add_checkpoint(checkpoint.size, note)
        if checkpoint.size == self._tip.history.size:
            write_durably(checkpoint_path(self.directory), note)

    @property
    def registry(self) -> Registry:
        """Members, devices and grants after the last block."""
        return self._tip.registry

    @property
    def next_interval(self) -> int:
        """Number of the next interval."""
        return self._tip.next_interval

    @property
    def chain_id(self) -> bytes:
        """Name of the chain."""
        return self._tip.header.chain_id

    def head(self) -> Head:
        """Last block and root hash of the history tree."""
        return Head(self._tip.header.height, self._tip.hash, self._tip.history.root())

    def was_begun_with(self, parameters: RecordBytes) -> bool:
        """Whether the ledger was begun with these parameter records; others are of another scenario or network."""
        return make_chain_id(parameters.tobytes()) == self.chain_id

    def state(self) -> tuple[int, bytes]:
        """Number of the next interval, and the run's state before it.

        Raises
        ------
        LedgerError
            If the ledger holds no such state, or one that the operator has not signed.
        """
        states = self._store.states()
        if len(states) != 1:
            raise LedgerError(f"{self.directory}: expected a state to resume from, found {len(states)}")
        if states[0] == OF_A_COPY:
            raise LedgerError(
                f"{self.directory}: expected a run's ledger, found a copy, which has no state to go on from"
            )
        height, blob, signature = states[0]
        block = self._store.block(height)
        signer = find_operators_key(self.registry, height) or b""
        sound = is_signed(signer, signature, state_message(block.hash, blob))
        if not sound or read_next_interval(decode_records(block.records)) != self._tip.next_interval:
            raise LedgerError(
                f"{self.directory}: expected the state behind interval {self._tip.next_interval - 1}, signed by the "
                "operator, found another; run gridsettle ledger verify"
            )
        return self._tip.next_interval, blob


def _sign_state(block: StoredBlock, state: bytes, key: Ed25519PrivateKey) -> StoredState:
    return StoredState(block.height, state, key.sign(state_message(block.hash, state)))


def _build_blocks(
    tip: Tip,
    key: Ed25519PrivateKey,
    interval_start: Ints,
    records: RecordBytes,
    offsets: Ints,
    roots: Sequence[bytes],
) -> tuple[list[StoredBlock], Tip, list[tuple[int, int, bytes]]]:
    """Make blocks that follow a tip, the tip after them, and the nodes of the history tree that they complete."""
    header, previous, registry, tree = tip.header, tip.hash, tip.registry, tip.registry_tree
    name, history = header.chain_id, tip.history.copy()
    record_roots = group_roots(records, np.asarray(offsets, np.int64))
    stated = np.searchsorted(offsets, np.flatnonzero(is_registry(records)), side="right") - 1
    with_statements, begin = set(stated.tolist()), offsets.tolist()
    headers, hashes, bodies, nodes = [], [], [], []
    for k, start in enumerate(interval_start.tolist()):
        body, height = records[begin[k] : begin[k + 1]], history.size
        root, registry_root = record_roots[k].tobytes(), header.registry_root
        if k in with_statements:
            registry = replay_statements(registry, body, name, height)
            tree = extend_registry_tree(tree, body)
            registry_root = tree.root()
        header = Header(header.version, name, height, start, previous, root, len(body), registry_root, roots[k])
        headers.append(header.encode())
        previous = leaf_hash(headers[-1])
        hashes.append(previous)
        bodies.append(body.tobytes())
        nodes += history.append(previous)
    heights = range(tip.history.size, history.size)
    signed = sign_all(key, [header_message(encoded) for encoded in headers])
    blocks = list(map(StoredBlock, heights, headers, hashes, signed, bodies))
    next_interval = read_next_interval(records[begin[-2] :])
    return blocks, Tip(header, previous, next_interval, registry, tree, history), nodes
