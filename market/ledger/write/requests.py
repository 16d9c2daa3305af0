"""Requests: files with statements of members, which ask the operator to put them into a block.

So a device can ask to join while a run writes, or while the operator is away. A request is signed, so anybody may
deliver it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.ledger.durable import read_text_bounded, report_unwritable, write_durably
from market.ledger.format.ranges import find_out_of_range
from market.ledger.format.records import REGISTRY_KINDS, RecordBytes, RecordKind, number_records
from market.ledger.format.statements import Statement, parse_statements, read_member_and_number
from market.ledger.store.registry import Registry, next_number, replay_statements
from market.ledger.store.tip import decode_records
from market.ledger.write.ledger import Ledger

FOLDER = "requests"
LONGEST = 1 << 16
"""Bytes of the longest request: a statement with its signatures takes under 1 kB."""


class Request(NamedTuple):
    """A request that is not admitted yet: its file, its records (M, 72), and the statement that they are."""

    path: Path
    records: RecordBytes
    statement: Statement

    @property
    def member(self) -> int:
        """Who makes the statement."""
        return read_member_and_number(self.statement)[0]


class Refusal(NamedTuple):
    """A request that was not admitted, and why."""

    path: Path
    reason: str


def leave_request(directory: Path, records: RecordBytes) -> Path:
    """Write a request with a statement and its signatures, (M, 72); returns its file.

    Raises
    ------
    LedgerError
        If it cannot be written.
    """
    folder = _find_folder(directory)
    with report_unwritable(folder, "folder"):
        folder.mkdir(exist_ok=True)
    content = records.tobytes()
    path = folder / f"{sha256(content).hexdigest()[:16]}.request"
    write_durably(path, content.hex() + "\n")
    return path


def list_requests(directory: Path) -> list[Request]:
    """List the requests that are not admitted yet, in the order in which their members made them.

    Raises
    ------
    LedgerError
        If one is no request.
    """
    found = []
    for path in sorted(_find_folder(directory).glob("*.request")):
        try:
            records = decode_records(bytes.fromhex(read_text_bounded(path, "a request", LONGEST)))
            statement = parse_statement(records)
        except ValueError as reason:
            raise LedgerError(f"{path}: expected a request, got something else ({reason}); remove it") from reason
        found.append((read_member_and_number(statement)[1], Request(path, records, statement)))
    return [request for _, request in sorted(found, key=lambda item: item[0])]


def _find_folder(directory: Path) -> Path:
    folder = directory / FOLDER
    if folder.is_symlink():
        raise LedgerError(f"{folder}: expected a folder of its own, got a link, which leads elsewhere; remove it")
    return folder


def parse_statement(records: RecordBytes) -> Statement:
    """The one statement of a request.

    Raises
    ------
    LedgerError
        If there is more than a statement and its signatures, or a value is out of range: the operator signs the block.
    """
    if records[0, 0] not in REGISTRY_KINDS or (records[1:, 0] != RecordKind.SIGNATURE).any():
        raise LedgerError("records other than one statement and its signatures")
    if (wrong := find_out_of_range(records)) is not None:
        raise LedgerError(wrong[1])
    (statement,) = parse_statements(records)
    return statement


def find_next_number(registry: Registry, directory: Path, member: int) -> int:
    """Find the number of a member's next statement, after those in requests that are not admitted yet."""
    statements = [request.statement for request in list_requests(directory)]
    numbers = [number for stater, number in map(read_member_and_number, statements) if stater == member]
    return max([next_number(registry, member), *(number + 1 for number in numbers)])


def admit_requests(ledger: Ledger, requests: Sequence[Request]) -> list[Refusal]:
    """Append one block with all admissible requests; their files are removed, those of the others renamed.

    Raises
    ------
    LedgerError
        If the block cannot be written.
    """
    registry, height = ledger.registry, ledger.head().height + 1
    accepted, refused = [], []
    for request in requests:
        try:
            records = number_records(request.records, ledger.next_interval)
            registry = replay_statements(registry, records, ledger.chain_id, height)
            accepted.append(request)
        except LedgerError as reason:
            refused.append(Refusal(request.path, str(reason)))
    if accepted:
        ledger.append_registry(np.concatenate([request.records for request in accepted]))
    for request in accepted:
        request.path.unlink(missing_ok=True)
    for refusal in refused:
        if refusal.path.exists():
            refusal.path.rename(refusal.path.with_suffix(".refused"))
    return refused
