"""The ledger a run writes: blocks in groups, each group durable before its checkpoint is signed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from market.errors import LedgerError
from market.ledger.chain import NO_PREVIOUS, VERSION, Header, chain_id, decode_header, sign_header
from market.ledger.checkpoint import Checkpoint, origin_of, sign_note, write_durably
from market.ledger.merkle import History, leaf_hash, root, root_of_hashes
from market.ledger.records import OPERATOR_ROLE, RecordBytes, RecordKind, as_bytes, member_record
from market.ledger.store import Store, StoredBlock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Head(NamedTuple):
    """Last block, and the root of the history tree over all."""

    height: int
    hash: bytes
    root: bytes


def checkpoint_path(directory: Path) -> Path:
    """Where a run's checkpoint is written: beside its directory, so that restoring an old one does not restore it."""
    resolved = directory.resolve()
    return resolved.with_name(resolved.name + ".checkpoint")


def state_roots(accounts: npt.NDArray[np.int64]) -> list[bytes]:
    """SHA-256 of each row of the account table, (K, 4N + 3), as little-endian 64-bit integers."""
    rows = np.ascontiguousarray(accounts, dtype="<i8")
    return [sha256(row.tobytes()).digest() for row in rows]


def registry_root(registry: Sequence[bytes]) -> bytes:
    """Root over all registry records so far."""
    return root(registry)


class Ledger:
    """A ledger open for writing; a context manager.

    Parameters
    ----------
    store
        The open store.
    key
        The operator's key.
    directory
        Run directory; the checkpoint is written beside it.
    """

    def __init__(self, store: Store, key: Ed25519PrivateKey, directory: Path) -> None:
        self._store, self._key, self._directory = store, key, directory
        self._history = History()
        self._previous = NO_PREVIOUS
        self._chain_id = b""
        self._registry_root = b""

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
        """
        ledger = cls(Store.create(directory), key, directory)
        operator = as_bytes(member_record(-1, OPERATOR_ROLE, key.public_key().public_bytes_raw(), 0))
        records = np.concatenate([operator, *genesis])
        ledger._chain_id = chain_id(records[records[:, 0] == RecordKind.PARAMETER].tobytes())
        ledger._registry_root = registry_root([operator.tobytes()])
        first = np.array([0, records.shape[0]])
        ledger.append(np.zeros(1, np.int64), records, first, [sha256(b"").digest()], state)
        return ledger

    @classmethod
    def resume(cls, directory: Path, key: Ed25519PrivateKey) -> Ledger:
        """Ledger of an interrupted run.

        Raises
        ------
        LedgerError
            If there is none, or the key is not the one that signed it.
        """
        store = Store.open_to_write(directory)
        ledger = cls(store, key, directory)
        ledger._history = store.history()
        last = store.block(store.size() - 1)
        header = decode_header(last.header)
        ledger._previous, ledger._chain_id = last.hash, header.chain_id
        ledger._registry_root = header.registry_root
        if sign_header(last.header, key) != last.signature:
            store.close()
            raise LedgerError(f"{directory}: expected the operator key that signed the ledger, got another")
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def append(
        self,
        interval_start: npt.NDArray[np.int64],
        records: RecordBytes,
        offsets: npt.NDArray[np.int64],
        roots: Sequence[bytes],
        state: bytes,
    ) -> None:
        """Append K blocks as one group: durable together, then the checkpoint.

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
        """
        blocks, nodes = [], []
        for k, start in enumerate(interval_start):
            body = records[offsets[k] : offsets[k + 1]].tobytes()
            header = self._header(int(start), body, roots[k])
            encoded = header.encode()
            self._previous = leaf_hash(encoded)
            blocks.append(
                StoredBlock(header.height, encoded, self._previous, sign_header(encoded, self._key), body)
            )
            nodes += self._history.append(self._previous)
        self._store.append(blocks, nodes, state)
        self._write_checkpoint()

    def _header(self, interval_start: int, body: bytes, state_root: bytes) -> Header:
        hashes = [sha256(b"\x00" + body[k : k + 72]).digest() for k in range(0, len(body), 72)]
        return Header(
            VERSION,
            self._chain_id,
            self._history.size,
            interval_start,
            self._previous,
            root_of_hashes(hashes),
            len(hashes),
            self._registry_root,
            state_root,
        )

    def _write_checkpoint(self) -> None:
        origin = origin_of(self._chain_id)
        checkpoint = Checkpoint(origin, self._history.size, self._history.root())
        note = sign_note(checkpoint.text(), origin, self._key)
        self._store.add_checkpoint(checkpoint.size, note)
        write_durably(checkpoint_path(self._directory), note)

    def head(self) -> Head:
        """Last block and root of the history tree."""
        return Head(self._history.size - 1, self._previous, self._history.root())

    def expect_parameters(self, parameters: RecordBytes) -> None:
        """Make sure the ledger was begun with these parameter records.

        Raises
        ------
        LedgerError
            If it was begun with others: another scenario, network or profiles.
        """
        if chain_id(parameters.tobytes()) != self._chain_id:
            raise LedgerError(
                f"{self._directory}: expected the scenario, profiles and network the run was begun with, got others; "
                "resume with the same scenario and seed"
            )

    def state(self) -> tuple[int, bytes]:
        """Height of the last block, and the run's state behind it.

        Raises
        ------
        LedgerError
            If the ledger holds none.
        """
        found = self._store.state()
        if found is None:
            raise LedgerError(f"{self._directory}: expected a state to resume from, found none")
        return found
