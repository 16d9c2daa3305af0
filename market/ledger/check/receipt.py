"""Receipts: a record with its inclusion proof in a block, and the block's inclusion proof in a checkpoint.

A pinned key is enough to check one. Index and tree size are taken from what is signed or hashed, never from a proof.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from market.errors import LedgerError
from market.ledger.crypto.merkle import inclusion_proof, leaf_hash, root_from_inclusion_proof
from market.ledger.durable import name_file, read_text_bounded, shorten
from market.ledger.format.checkpoint import Checkpoint, log_origin, parse_checkpoint
from market.ledger.format.header import Header, decode_header, make_chain_id
from market.ledger.format.note import ED25519, VerifierKey, open_note
from market.ledger.format.quorum import Quorum, count_cosigners, read_quorum
from market.ledger.format.records import SIZE, RecordKind, read_next_interval, read_parameters
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import decode_records

FORMAT = "gridsettle receipt v2"
_MOST_NODES = 128
"""More nodes than the two proofs of any receipt have."""


class Receipt(NamedTuple):
    """A record and the proof that it is on the ledger.

    Attributes
    ----------
    record, seq
        The record's bytes and its number in the block.
    record_path
        Inclusion proof of the record in the block.
    header
        The block's header.
    header_path
        Inclusion proof of the block in the checkpoint.
    checkpoint
        Signed note of the checkpoint.
    parameters
        The first block's parameters, which the chain's name commits to: they say whether witnesses must have cosigned.
    """

    record: bytes
    seq: int
    record_path: tuple[bytes, ...]
    header: bytes
    header_path: tuple[bytes, ...]
    checkpoint: str
    parameters: bytes

    def text(self) -> str:
        """The receipt as JSON, bytes in hexadecimal."""
        fields = {name: _show(value) for name, value in self._asdict().items()}
        return json.dumps({"format": FORMAT, **fields}, indent=1) + "\n"


class Proven(NamedTuple):
    """What a valid receipt proves: this record is in that block of that log, in a version of the format."""

    record: bytes
    origin: str
    height: int
    interval_start: int
    checkpoint_size: int
    version: int


def parse_receipt(text: str) -> Receipt:
    """Parse a receipt from its JSON.

    Raises
    ------
    LedgerError
        If it is no receipt.
    """
    try:
        content = json.loads(text)
        if content.pop("format") != FORMAT:
            raise ValueError(f"another format than '{FORMAT}'; make the receipt again")
        receipt = Receipt(
            bytes.fromhex(content["record"]),
            content["seq"],
            tuple(map(bytes.fromhex, content["record_path"])),
            bytes.fromhex(content["header"]),
            tuple(map(bytes.fromhex, content["header_path"])),
            content["checkpoint"],
            bytes.fromhex(content["parameters"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
        raise LedgerError(
            f"receipt: expected one that 'gridsettle ledger prove' wrote, got: {shorten(str(reason))}"
        ) from reason
    nodes = (*receipt.record_path, *receipt.header_path)
    if len(receipt.record) != SIZE or len(nodes) > _MOST_NODES or any(len(node) != 32 for node in nodes):
        raise LedgerError(f"receipt: expected a record of {SIZE} bytes and a few hashes of 32, got other lengths")
    if type(receipt.seq) is not int or not 0 <= receipt.seq < 2**32 or not isinstance(receipt.checkpoint, str):
        raise LedgerError("receipt: expected the record's number below 2^32 and a checkpoint of text, got others")
    if len(receipt.parameters) % SIZE:
        raise LedgerError(f"receipt: expected parameters of {SIZE} bytes each, got {len(receipt.parameters)} bytes")
    return receipt


def read_receipt(path: Path) -> Receipt:
    """Read a receipt from a file.

    Raises
    ------
    LedgerError
        If it is none.
    """
    text = read_text_bounded(path, "a readable text file")
    with name_file(path):
        return parse_receipt(text)


def prove(store: Store, interval: int, seq: int, size: int | None = None) -> Receipt:
    """Make the receipt for record `seq` of an interval.

    Parameters
    ----------
    store
        The ledger.
    interval, seq
        Which record.
    size
        Blocks of the checkpoint that it leads to. Default: the newest that counts.

    Raises
    ------
    LedgerError
        If there is no such record, or no checkpoint that covers it, cosigned by the quorum if the ledger has one.
    """
    block = _find_block(store, interval)
    bodies = [block.records[at : at + SIZE] for at in range(0, len(block.records), SIZE)]
    if not 0 <= seq < len(bodies):
        raise LedgerError(f"interval {interval}: expected a record from 0 to {len(bodies) - 1}, got {seq}")
    genesis = decode_records(store.block(0).records)
    found, note = _find_covering(store, block.height, read_quorum(read_parameters(genesis)), size)
    return Receipt(
        bodies[seq],
        seq,
        tuple(inclusion_proof([leaf_hash(body) for body in bodies], seq)),
        block.header,
        tuple(inclusion_proof(store.hashes()[:found], block.height)),
        note,
        genesis[genesis[:, 0] == RecordKind.PARAMETER].tobytes(),
    )


def _find_covering(store: Store, height: int, quorum: Quorum | None, wanted: int | None) -> tuple[int, str]:
    """The newest checkpoint that covers a block and counts, or that of the wanted size, as (size, note)."""
    every = [(size, note) for size, note in reversed(store.checkpoints()) if size > height]
    covering = [each for each in every if wanted in (None, each[0])]
    if not covering:
        what = "a checkpoint" if wanted is None else f"a checkpoint of {wanted} blocks"
        others = ", ".join(str(size) for size, _ in every[:8]) or "none"
        raise LedgerError(f"{store.path}: expected {what} that covers block {height}, found {others}")
    for size, note in covering:
        if quorum is None or count_cosigners(note, quorum) >= quorum.needed:
            return size, note
    needed, most = (0, 0) if quorum is None else (quorum.needed, len(quorum.witnesses))
    raise LedgerError(
        f"{store.path}: expected a checkpoint that covers block {height}, cosigned by {needed} of {most} witnesses, "
        "found none: the block is not yet witnessed; collect cosignatures with gridsettle ledger collect"
    )


def _find_block(store: Store, interval: int) -> StoredBlock:
    """The block that records an interval: the first after which the next interval is a later one."""

    def next_interval(height: int) -> int:
        return read_next_interval(decode_records(store.block(height).records))

    size = store.size()
    height = bisect_left(range(size), interval + 1, key=next_interval)
    if interval < 0 or height == size:
        raise LedgerError(f"{store.path}: expected a ledger with interval {interval}, found {size} blocks without it")
    return store.block(height)


def check_receipt(receipt: Receipt, operator: bytes, origin: str | None = None) -> Proven | str:
    """Check a receipt; returns what it proves, or why it proves nothing.

    Parameters
    ----------
    receipt
        The receipt.
    operator
        Public key of the operator, pinned by the caller.
    origin
        Log origin, if the caller pins that too.
    """
    try:
        header = decode_header(receipt.header)
        named = log_origin(header.chain_id) if origin is None else origin
        checkpoint = parse_checkpoint(open_note(receipt.checkpoint, VerifierKey(named, ED25519, operator)))
    except ValueError as reason:
        return str(reason)
    if not checkpoint.origin == named == log_origin(header.chain_id):
        return f"the checkpoint is of log '{checkpoint.origin}', the block of '{log_origin(header.chain_id)}'"
    if missing := _find_missing_cosigners(receipt, header):
        return missing
    if int.from_bytes(receipt.record[8:12], "little") != receipt.seq:
        return "the record bears another number"
    leaf = leaf_hash(receipt.record)
    if root_from_inclusion_proof(leaf, receipt.seq, header.n_records, receipt.record_path) != header.record_root:
        return "the record is not in the block"
    return _check_header(receipt, header, checkpoint)


def _find_missing_cosigners(receipt: Receipt, header: Header) -> str:
    """Why a receipt does not count by the quorum of its log, whose parameters are those of the chain's name."""
    if make_chain_id(receipt.parameters) != header.chain_id:
        return "the parameters are not those of the log"
    records = np.frombuffer(receipt.parameters, np.uint8).reshape(-1, SIZE)
    try:
        quorum = read_quorum(read_parameters(records))
        n = 0 if quorum is None else count_cosigners(receipt.checkpoint, quorum)
    except ValueError as wrong:
        return str(wrong)
    if quorum is None or n >= quorum.needed:
        return ""
    return f"expected {quorum.needed} of {len(quorum.witnesses)} witnesses to have cosigned the checkpoint, found {n}"


def _check_header(receipt: Receipt, header: Header, checkpoint: Checkpoint) -> Proven | str:
    leaf, height = leaf_hash(receipt.header), header.height
    if root_from_inclusion_proof(leaf, height, checkpoint.size, receipt.header_path) != checkpoint.root:
        return "the block is not in the checkpoint"
    return Proven(receipt.record, checkpoint.origin, height, header.interval_start, checkpoint.size, header.version)


def _show(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return [node.hex() for node in value] if isinstance(value, tuple) else value
