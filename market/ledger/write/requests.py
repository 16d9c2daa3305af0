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
from market.ledger.format.records import RecordBytes
from market.ledger.format.statements import parse_statements, read_member_and_number
from market.ledger.store.registry import Registry, next_number, replay_statements
from market.ledger.store.tip import decode_records
from market.ledger.write.ledger import Ledger

FOLDER = "requests"
LONGEST = 1 << 16
"""Bytes of the longest request: a statement with its signatures takes under 1 kB."""


class Request(NamedTuple):
    """A request that is not admitted yet: its file, and its records (M, 72)."""

    path: Path
    records: RecordBytes


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
    folder = directory / FOLDER
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
    for path in sorted((directory / FOLDER).glob("*.request")):
        try:
            records = decode_records(bytes.fromhex(read_text_bounded(path, "a request", LONGEST)))
            number = read_member_and_number(parse_statements(records)[0])[1]
        except (ValueError, IndexError) as reason:
            raise LedgerError(f"{path}: expected a request, got something else; remove it") from reason
        found.append((number, Request(path, records)))
    return [request for _, request in sorted(found, key=lambda item: item[0])]


def find_next_number(registry: Registry, directory: Path, member: int) -> int:
    """Find the number of a member's next statement, after those in requests that are not admitted yet."""
    statements = [stated for request in list_requests(directory) for stated in parse_statements(request.records)]
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
            registry = replay_statements(registry, request.records, ledger.chain_id, height)
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
