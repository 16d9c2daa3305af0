"""Requests: statements that members leave beside the ledger, for the operator to admit into a block.

A device can ask to join while a run writes, or while the operator is away; the request is signed, so it matters not who
carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from market.errors import LedgerError
from market.ledger.durable import write_durably
from market.ledger.format.records import RecordBytes
from market.ledger.format.statements import member_and_number, statements
from market.ledger.store.registry import Registry, next_number, replayed
from market.ledger.store.tip import records_of
from market.ledger.write.ledger import Ledger

FOLDER = "requests"


class Request(NamedTuple):
    """A request that waits: its file, and its records."""

    path: Path
    records: RecordBytes


class Refusal(NamedTuple):
    """A request that was not admitted, and why."""

    path: Path
    reason: str


def leave_request(directory: Path, records: RecordBytes) -> Path:
    """Leave a statement and its signatures for the operator; returns the file.

    Raises
    ------
    LedgerError
        If it cannot be written.
    """
    folder = directory / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as reason:
        raise LedgerError(
            f"{folder}: expected a folder that can be written, got {reason.strerror}"
        ) from reason
    content = records.tobytes().hex()
    path = folder / f"{sha256(records.tobytes()).hexdigest()[:16]}.request"
    write_durably(path, content + "\n")
    return path


def waiting(directory: Path) -> list[Request]:
    """Requests that wait, in the order in which their members made them.

    Raises
    ------
    LedgerError
        If one is no request.
    """
    found = []
    for path in sorted((directory / FOLDER).glob("*.request")):
        try:
            records = records_of(bytes.fromhex(path.read_text(encoding="ascii")))
            number = member_and_number(statements(records)[0])[1]
        except (ValueError, IndexError, OSError) as reason:
            raise LedgerError(f"{path}: expected a request, got something else; remove it") from reason
        found.append((number, path.name, Request(path, records)))
    return [request for _, _, request in sorted(found, key=lambda item: item[:2])]


def number_for(registry: Registry, directory: Path, member: int) -> int:
    """Number of a member's next statement, behind those that still wait."""
    stated = [member_and_number(s) for request in waiting(directory) for s in statements(request.records)]
    taken = [number for stater, number in stated if stater == member]
    return max([next_number(registry, member), *(number + 1 for number in taken)])


def admit(ledger: Ledger, requests: Sequence[Request]) -> list[Refusal]:
    """Admit requests in one block; those that are not admissible are left out. Their files are removed or renamed.

    Raises
    ------
    LedgerError
        If the block cannot be written.
    """
    registry, height = ledger.registry, ledger.head().height + 1
    accepted, refused = [], []
    for request in requests:
        try:
            registry = replayed(registry, request.records, ledger.chain_id, height)
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
