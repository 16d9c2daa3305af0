"""The tip of a ledger: everything the next block builds on, read back from the store."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.merkle import History, leaf_hash, root_of_hashes
from market.ledger.format.checkpoint import Checkpoint, checkpoint_path, origin_of, parse_checkpoint
from market.ledger.format.header import Header, decode_header
from market.ledger.format.note import ED25519, VerifierKey, open_note
from market.ledger.format.records import SIZE, RecordBytes, in_registry, next_interval
from market.ledger.store.registry import Registry, begun, key_in_force, replayed
from market.ledger.store.store import Store


class Tip(NamedTuple):
    """What the next block builds on.

    Attributes
    ----------
    header, hash
        Last header and its hash.
    next_interval
        Number of the next interval.
    registry, registry_tree
        Members behind the last block, and the tree over all registry records.
    history
        The tree over all headers.
    """

    header: Header
    hash: bytes
    next_interval: int
    registry: Registry
    registry_tree: History
    history: History


def tip_of(store: Store) -> Tip:
    """Tip of a stored ledger.

    Raises
    ------
    LedgerError
        If the ledger is broken where the tip is.
    """
    history = store.history()
    if history.size == 0:
        raise LedgerError(f"{store.path}: expected a ledger with a genesis block, found no block")
    last = store.block(history.size - 1)
    header = decode_header(last.header)
    if leaf_hash(last.header) != last.hash or header.height != last.height:
        raise LedgerError(f"{store.path}: the last block is broken; run gridsettle ledger verify")
    registry, tree = registry_of(store)
    return Tip(header, last.hash, next_interval(records_of(last.records)), registry, tree, history)


def records_of(blob: bytes) -> RecordBytes:
    """Records of a block's blob, (M, 72).

    Raises
    ------
    LedgerError
        If they are not whole.
    """
    if len(blob) % SIZE or not blob:
        raise LedgerError(f"expected records of {SIZE} bytes, found {len(blob)} bytes")
    return np.frombuffer(blob, np.uint8).reshape(-1, SIZE)


def registry_of(store: Store, until: int | None = None) -> tuple[Registry, History]:
    """Registry behind the block of height `until` (the last by default), and the tree over its records.

    Only blocks whose registry root differs from the one before are read.

    Raises
    ------
    LedgerError
        If a statement on the ledger is not admissible.
    """
    genesis = store.block(0)
    records = records_of(genesis.records)
    registry, tree = begun(records), with_registry(History(), records)
    root, name = decode_header(genesis.header).registry_root, decode_header(genesis.header).chain_id
    for height, encoded in enumerate(store.headers()[: None if until is None else until + 1]):
        header = decode_header(encoded)
        if header.registry_root != root:
            records, root = records_of(store.block(height).records), header.registry_root
            registry, tree = replayed(registry, records, name, height), with_registry(tree, records)
    return registry, tree


def with_registry(tree: History, records: RecordBytes) -> History:
    """The registry tree with a block's registry records appended."""
    tree = tree.copy()
    for record in records[in_registry(records)]:
        tree.append(leaf_hash(record.tobytes()))
    return tree


def read_operator_key(tip: Tip) -> bytes:
    """Public key that signs the next block."""
    return key_in_force(tip.registry, OPERATOR, tip.history.size) or b""


def expect_no_rollback(store: Store, tip: Tip, directory: Path) -> None:
    """Make sure that the ledger extends the checkpoint beside its directory, if there is one.

    Raises
    ------
    LedgerError
        If the checkpoint says that the ledger was longer, or another: writing on would fork it.
    """
    path = checkpoint_path(directory)
    if not path.exists():
        return
    try:
        note = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        raise LedgerError(
            f"{path}: expected a file with the ledger's last checkpoint, got: {reason}"
        ) from reason
    checkpoint = signed_checkpoint(note, origin_of(tip.header.chain_id), tip.registry)
    if checkpoint.size > tip.history.size:
        raise LedgerError(
            f"{directory}: ROLLBACK: {path} knows {checkpoint.size} blocks, the ledger has {tip.history.size}; "
            "restore the ledger that was there, writing on would fork it"
        )
    if checkpoint.root != root_of_hashes(store.hashes()[: checkpoint.size]):
        raise LedgerError(
            f"{directory}: FORK: {path} belongs to another ledger with the same name; restore that one or remove it"
        )


def signed_checkpoint(note: str, origin: str, registry: Registry) -> Checkpoint:
    """Checkpoint of a note that one of the operator's keys has signed.

    Raises
    ------
    LedgerError
        If none has, or it is no checkpoint of this log.
    """
    reason = LedgerError(f"checkpoint: expected a signature of '{origin}' by the operator, found none")
    for tenure in registry.keys[OPERATOR]:
        try:
            checkpoint = parse_checkpoint(open_note(note, VerifierKey(origin, ED25519, tenure.public_key)))
        except LedgerError as refused:
            reason = refused
            continue
        if checkpoint.origin != origin:
            raise LedgerError(f"checkpoint: expected origin '{origin}', found '{checkpoint.origin}'")
        return checkpoint
    raise reason
