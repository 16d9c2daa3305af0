"""The tip of a ledger, read from the store: everything that the next block builds on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.merkle import EMPTY_ROOT, History, leaf_hash, root_of_leaf_hashes
from market.ledger.durable import read_text_bounded
from market.ledger.format.checkpoint import Checkpoint, checkpoint_path, log_origin, parse_checkpoint
from market.ledger.format.header import NO_PREVIOUS, NO_STATE, Header, decode_header
from market.ledger.format.note import ED25519, LONGEST_NOTE, VerifierKey, open_note
from market.ledger.format.records import SIZE, RecordBytes, is_registry, read_next_interval
from market.ledger.store.registry import EMPTY, Registry, find_operators_key, replay_statements
from market.ledger.store.store import Store, StoredBlock


class Tip(NamedTuple):
    """What the next block builds on.

    Attributes
    ----------
    header, hash
        Last header and its hash.
    next_interval
        Number of the next interval.
    registry, registry_tree
        Members after the last block, and the Merkle tree over all registry records.
    history
        The Merkle tree over all headers.
    """

    header: Header
    hash: bytes
    next_interval: int
    registry: Registry
    registry_tree: History
    history: History


def make_empty_tip(chain_id: bytes, version: int) -> Tip:
    """Make the tip that the genesis block of a chain builds on, whose headers bear a version."""
    header = Header(version, chain_id, -1, 0, NO_PREVIOUS, EMPTY_ROOT, 0, EMPTY_ROOT, NO_STATE)
    return Tip(header, NO_PREVIOUS, 0, EMPTY, History(), History())


def read_tip(store: Store) -> Tip:
    """Read the tip of a stored ledger.

    Raises
    ------
    LedgerError
        If the ledger has no block, or the last one is broken.
    """
    history = store.history()
    if history.size == 0:
        raise LedgerError(f"{store.path}: expected a ledger with a genesis block, found no block")
    last = store.block(history.size - 1)
    header = decode_header(last.header)
    if leaf_hash(last.header) != last.hash or header.height != last.height:
        raise LedgerError(f"{store.path}: the last block is broken; run gridsettle ledger verify")
    registry, tree = _read_registry(store)
    return Tip(header, last.hash, read_next_interval(decode_records(last.records)), registry, tree, history)


def decode_records(blob: bytes) -> RecordBytes:
    """Decode the blob of a block into records, (M, 72).

    Raises
    ------
    LedgerError
        If there is none, or the last one is cut short.
    """
    if len(blob) % SIZE or not blob:
        raise LedgerError(f"expected records of {SIZE} bytes, found {len(blob)} bytes")
    return np.frombuffer(blob, np.uint8).reshape(-1, SIZE)


def _read_registry(store: Store) -> tuple[Registry, History]:
    """Registry after the last block, and the tree over all registry records.

    Of all blocks the header is read; the records only if the registry root differs from that of the block before.
    """
    registry, tree, root = EMPTY, History(), EMPTY_ROOT
    for height, encoded in enumerate(store.headers()):
        header = decode_header(encoded)
        if header.registry_root != root:
            records, root = decode_records(store.block(height).records), header.registry_root
            registry = replay_statements(registry, records, header.chain_id, height)
            tree = extend_registry_tree(tree, records)
    return registry, tree


def extend_registry_tree(tree: History, records: RecordBytes) -> History:
    """Copy of the registry tree with a block's registry records appended."""
    tree = tree.copy()
    for record in records[is_registry(records)]:
        tree.append(leaf_hash(record.tobytes()))
    return tree


def read_log_key(first: StoredBlock) -> VerifierKey:
    """The verifier key of a log, from its first block: the operator's key there, under the name of the log.

    Raises
    ------
    LedgerError
        If it is no first block.
    """
    registry = replay_statements(EMPTY, decode_records(first.records), b"", 0)
    return VerifierKey(
        log_origin(decode_header(first.header).chain_id), ED25519, find_operators_key(registry, 0) or b""
    )


def read_operator_key(tip: Tip) -> bytes:
    """Public key that must sign the next block."""
    return find_operators_key(tip.registry, tip.history.size) or b""


def check_no_rollback(store: Store, tip: Tip, directory: Path) -> None:
    """Check that the ledger extends the checkpoint beside its directory, if there is one.

    Raises
    ------
    LedgerError
        If the checkpoint shows that the ledger was longer, or another: to append to it would fork it.
    """
    path = checkpoint_path(directory)
    if not path.exists():
        return
    note = read_text_bounded(path, "a file with the ledger's last checkpoint", LONGEST_NOTE)
    checkpoint = open_checkpoint(note, log_origin(tip.header.chain_id), tip.registry)
    if checkpoint.size > tip.history.size:
        raise LedgerError(
            f"{directory}: ROLLBACK: {path} knows {checkpoint.size} blocks, the ledger has {tip.history.size}; "
            "restore the ledger that was there, writing on would fork it"
        )
    if checkpoint.root != root_of_leaf_hashes(store.hashes()[: checkpoint.size]):
        raise LedgerError(
            f"{directory}: FORK: {path} belongs to another ledger with the same name; restore that one or remove it"
        )


def open_checkpoint(note: str, origin: str, registry: Registry) -> Checkpoint:
    """Verify that one of the operator's keys has signed a note, and parse its checkpoint.

    Raises
    ------
    LedgerError
        If none has, or it is not a checkpoint of this log.
    """
    checkpoint = parse_checkpoint(open_note(note, find_signer(note, origin, registry)))
    if checkpoint.origin != origin:
        raise LedgerError(f"checkpoint: expected origin '{origin}', found '{checkpoint.origin}'")
    return checkpoint


def find_signer(note: str, origin: str, registry: Registry) -> VerifierKey:
    """Find which of the operator's keys, under the name of its log, has signed a note.

    Raises
    ------
    LedgerError
        If none has.
    """
    reason = LedgerError(f"checkpoint: expected a signature of '{origin}' by the operator, found none")
    for tenure in registry.keys[OPERATOR]:
        key = VerifierKey(origin, ED25519, tenure.public_key)
        try:
            open_note(note, key)
        except LedgerError as refused:
            reason = refused
            continue
        return key
    raise reason
