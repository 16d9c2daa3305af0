"""The ledger a run writes: blocks in groups, each group durable before its checkpoint is signed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.books.bookkeeper import NO_STATE
from market.ledger.crypto.keys import is_signed, public_bytes
from market.ledger.crypto.merkle import History, group_roots, leaf_hash
from market.ledger.crypto.signatures import signatures
from market.ledger.durable import write_durably
from market.ledger.format.checkpoint import Checkpoint, checkpoint_path, origin_of
from market.ledger.format.header import NO_PREVIOUS, VERSION, Header, chain_id, header_message, state_message
from market.ledger.format.note import sign_note
from market.ledger.format.records import (
    SIZE,
    RecordBytes,
    RecordKind,
    in_registry,
    next_interval,
    placed,
)
from market.ledger.format.statements import operator_record
from market.ledger.store.registry import Registry, key_in_force, replayed
from market.ledger.store.store import Store, StoredBlock, StoredState
from market.ledger.store.tip import Tip, expect_no_rollback, read_operator_key, tip_of, with_registry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Head", "Ledger", "checkpoint_path", "state_roots"]


class Head(NamedTuple):
    """Last block, and the root of the history tree over all."""

    height: int
    hash: bytes
    root: bytes


def state_roots(accounts: npt.NDArray[np.int64]) -> list[bytes]:
    """SHA-256 of each row of the account table, (K, 4N + 3), as little-endian 64-bit integers."""
    rows = np.ascontiguousarray(accounts, dtype="<i8")
    return [sha256(row.tobytes()).digest() for row in rows]


class Ledger:
    """A ledger open for writing; a context manager. After a failed write it is closed: resume it.

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
        self._store, self._key, self._tip, self._directory = store, key, tip, directory

    @classmethod
    def create(
        cls, directory: Path, genesis: Sequence[RecordBytes], key: Ed25519PrivateKey, state: bytes
    ) -> Ledger:
        """New ledger whose first block holds the operator's key and the given records.

        Parameters
        ----------
        directory
            Run directory.
        genesis
            `PARAMETER` and `HOUSE` records, numbered from 1.
        key
            The operator's key.
        state
            State before the first interval.

        Raises
        ------
        LedgerError
            If there is a ledger already, or it cannot be written.
        """
        records = np.concatenate([operator_record(public_bytes(key)), *genesis])
        name = chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
        tree = with_registry(History(), records)
        root = group_roots(records, np.array([0, records.shape[0]]))[0].tobytes()
        header = Header(VERSION, name, 0, 0, NO_PREVIOUS, root, records.shape[0], tree.root(), NO_STATE)
        encoded = header.encode()
        signature = key.sign(header_message(encoded))
        block = StoredBlock(0, encoded, leaf_hash(encoded), signature, records.tobytes())
        store = Store.create(directory, block, _signed_state(block, state, key))
        ledger = cls(store, key, tip_of(store), directory)
        ledger._publish(ledger._tip)
        return ledger

    @classmethod
    def resume(cls, directory: Path, key: Ed25519PrivateKey) -> Ledger:
        """Ledger of an interrupted run, its last checkpoint renewed.

        Raises
        ------
        LedgerError
            If there is none, its tip is not sound, the key is not the operator's, or the checkpoint beside the
            directory says that the ledger was longer or another.
        """
        store = Store.open_to_write(directory)
        try:
            tip = tip_of(store)
            if read_operator_key(tip) != public_bytes(key):
                raise LedgerError(
                    f"{directory}: expected the operator's key that signs the ledger, got another"
                )
            ledger = cls(store, key, tip, directory)
            ledger.state()
            expect_no_rollback(store, tip, directory)
            ledger._publish(tip)
        except LedgerError:
            store.close()
            raise
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and let other writers in."""
        self._store.close()

    def append(
        self,
        interval_start: npt.NDArray[np.int64],
        records: RecordBytes,
        offsets: npt.NDArray[np.int64],
        roots: Sequence[bytes],
        state: bytes,
    ) -> None:
        """Append the blocks of K intervals as one group: durable together, then the checkpoint.

        Parameters
        ----------
        interval_start
            Begin of each interval, seconds since 1970-01-01 UTC, (K,).
        records, offsets
            Records of all blocks (M, 72), and where each block's begin, (K + 1,).
        roots
            State root of each block.
        state
            The run's own state behind the last block.

        Raises
        ------
        LedgerError
            If a record may not stand there, or the disk is full or fails; nothing of the group is kept then.
        """
        blocks, tip, nodes = self._built(interval_start, records, offsets, roots)
        self._store.append(blocks, nodes, _signed_state(blocks[-1], state, self._key))
        self._publish(tip)

    def append_registry(self, records: RecordBytes) -> None:
        """Append a block of registry and `HOUSE` records between two intervals, with the last block's time and state.

        Parameters
        ----------
        records
            (M, 72); interval and number of each are set here.

        Raises
        ------
        LedgerError
            If a statement is not admissible, or the disk is full or fails.
        """
        header = self._tip.header
        placed_records = placed(records, self._tip.next_interval)
        blocks, tip, nodes = self._built(
            np.array([header.interval_start]),
            placed_records,
            np.array([0, records.shape[0]]),
            [header.state_root],
            intervals=0,
        )
        self._store.append(blocks, nodes, None)
        self._publish(tip)

    def _built(
        self,
        interval_start: npt.NDArray[np.int64],
        records: RecordBytes,
        offsets: npt.NDArray[np.int64],
        roots: Sequence[bytes],
        *,
        intervals: int | None = None,
    ) -> tuple[list[StoredBlock], Tip, list[tuple[int, int, bytes]]]:
        """Blocks on the tip, the tip behind them and their tree nodes; nothing is kept yet."""
        headers, hashes, bodies, nodes = [], [], [], []
        tip, history, tree = self._tip, self._tip.history.copy(), self._tip.registry_tree
        name, header, before, registry = tip.header.chain_id, tip.header, tip.hash, tip.registry
        record_roots = group_roots(records, np.asarray(offsets, np.int64))
        stated = _with_statements(records, offsets)
        begin = offsets.tolist()
        for k, start in enumerate(interval_start.tolist()):
            body = records[begin[k] : begin[k + 1]]
            height, registry_root = history.size, header.registry_root
            if k in stated:
                registry = replayed(registry, body, name, height)
                tree = with_registry(tree, body)
                registry_root = tree.root()
            header = Header(
                VERSION,
                name,
                height,
                start,
                before,
                record_roots[k].tobytes(),
                begin[k + 1] - begin[k],
                registry_root,
                roots[k],
            )
            encoded = header.encode()
            before = leaf_hash(encoded)
            headers.append(encoded)
            hashes.append(before)
            bodies.append(body.tobytes())
            nodes += history.append(before)
        if key_in_force(registry, OPERATOR, header.height) != public_bytes(self._key):
            raise LedgerError(
                f"{self._directory}: expected the operator's key in force at block {header.height}, got "
                "an older or a later one; go on with the key that was rotated to"
            )
        first, n = tip.history.size, interval_start.size if intervals is None else intervals
        heights = range(first, first + len(headers))
        signed = signatures(self._key, [header_message(encoded) for encoded in headers])
        blocks = list(map(StoredBlock, heights, headers, hashes, signed, bodies))
        then = tip._replace(
            header=header,
            hash=before,
            history=history,
            registry=registry,
            registry_tree=tree,
            next_interval=tip.next_interval + n,
        )
        return blocks, then, nodes

    def _publish(self, tip: Tip) -> None:
        """Take over a tip that is durable: sign its checkpoint, keep it, and write it beside the directory."""
        self._tip = tip
        origin = origin_of(tip.header.chain_id)
        checkpoint = Checkpoint(origin, tip.history.size, tip.history.root())
        note = sign_note(checkpoint.text(), origin, self._key)
        self._store.add_checkpoint(checkpoint.size, note)
        write_durably(checkpoint_path(self._directory), note)

    @property
    def registry(self) -> Registry:
        """Members, devices and grants behind the last block."""
        return self._tip.registry

    @property
    def directory(self) -> Path:
        """Run directory."""
        return self._directory

    @property
    def next_interval(self) -> int:
        """Number of the next interval."""
        return self._tip.next_interval

    @property
    def chain_id(self) -> bytes:
        """Name of the chain."""
        return self._tip.header.chain_id

    def head(self) -> Head:
        """Last block and root of the history tree."""
        return Head(self._tip.header.height, self._tip.hash, self._tip.history.root())

    def expect_parameters(self, parameters: RecordBytes) -> None:
        """Make sure the ledger was begun with these parameter records.

        Raises
        ------
        LedgerError
            If it was begun with others: another scenario, network or profiles.
        """
        if chain_id(parameters.tobytes()) != self.chain_id:
            raise LedgerError(
                f"{self._directory}: expected the scenario, profiles and network the run was begun with, got others; "
                "resume with the same scenario and seed"
            )

    def state(self) -> tuple[int, bytes]:
        """Number of the next interval, and the run's state before it.

        Raises
        ------
        LedgerError
            If the ledger holds no such state, or one that the operator did not sign.
        """
        states = self._store.states()
        if len(states) != 1:
            raise LedgerError(f"{self._directory}: expected a state to resume from, found {len(states)}")
        height, blob, signature = states[0]
        block = self._store.block(height)
        records = np.frombuffer(block.records, np.uint8).reshape(-1, SIZE)
        signer = key_in_force(self.registry, OPERATOR, height) or b""
        sound = is_signed(signer, signature, state_message(block.hash, blob))
        if not sound or next_interval(records) != self._tip.next_interval:
            raise LedgerError(
                f"{self._directory}: expected the state behind interval {self._tip.next_interval - 1}, signed by the "
                "operator, found another; run gridsettle ledger verify"
            )
        return self._tip.next_interval, blob


def _signed_state(block: StoredBlock, state: bytes, key: Ed25519PrivateKey) -> StoredState:
    return StoredState(block.height, state, key.sign(state_message(block.hash, state)))


def _with_statements(records: RecordBytes, offsets: npt.NDArray[np.int64]) -> set[int]:
    """Which of the blocks hold statements."""
    at = np.flatnonzero(in_registry(records))
    return set((np.searchsorted(offsets, at, side="right") - 1).tolist())
