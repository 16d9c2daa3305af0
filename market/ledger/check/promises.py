"""Check the operator's promises: a submission that it has acknowledged must be applied wherever it holds.

A ledger alone cannot show that a submission was left out. Its member can: the acknowledgement is the operator's signed
word, as the timestamp is that a log of certificates gives for a certificate (RFC 9162, section 4.8).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from market.errors import LedgerError
from market.exchanges import OPERATOR, STATED
from market.ledger.crypto.keys import is_signed
from market.ledger.durable import read_text_bounded
from market.ledger.format.records import SIZE, RecordKind, read_places, select_rows
from market.ledger.format.submissions import Submission, acknowledgement_message
from market.ledger.store.registry import Registry, find_key_in_force
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records, read_tip

FORMAT = "gridsettle promises v1"
LONGEST = 1 << 24


class Promise(NamedTuple):
    """A submission's record, and the operator's signature that acknowledges it."""

    record: bytes
    signature: bytes


class Kept(NamedTuple):
    """What became of a promise.

    Attributes
    ----------
    promise
        The promise.
    applied, broken
        Intervals in which the submission, or a later one of the house, was applied; and those in which none was.
    fault
        Why it is no promise of this ledger's operator; empty if it is one.
    """

    promise: Promise
    applied: tuple[int, ...]
    broken: tuple[int, ...]
    fault: str


def read_promises(path: Path) -> list[Promise]:
    """Read the promises that a member's browser has kept.

    Raises
    ------
    LedgerError
        If the file holds something else.
    """
    try:
        content = json.loads(read_text_bounded(path, "promises of an operator", LONGEST))
        if content["format"] != FORMAT:
            raise ValueError(f"another format than '{FORMAT}'")
        found = [Promise(bytes.fromhex(one["record"]), bytes.fromhex(one["signature"])) for one in content["promises"]]
    except (ValueError, KeyError, TypeError, RecursionError) as reason:
        raise LedgerError(f"{path}: expected promises as the account page saves them, got something else") from reason
    if any(len(one.record) != SIZE or one.record[0] != RecordKind.SUBMISSION for one in found):
        raise LedgerError(f"{path}: expected records of submissions, {SIZE} bytes each, got others")
    return found


def check_promises(store: Store, promises: Sequence[Promise]) -> list[Kept]:
    """Hold promises against a ledger.

    Where the house's key has changed since the submission began to hold, it has lapsed, and nothing is promised.

    Parameters
    ----------
    store
        The ledger; verify it first.
    promises
        Of one or several houses.
    """
    applied, heights = _list_applied(store)
    tip = read_tip(store)
    return [_check(promise, tip.header.chain_id, tip.registry, applied, heights) for promise in promises]


def _list_applied(store: Store) -> tuple[dict[int, dict[int, int]], dict[int, int]]:
    """Number of the submission applied by interval and house, and the height of each interval's block."""
    applied, heights = dict[int, dict[int, int]](), dict[int, int]()
    for block in (block for group in store.groups() for block in group):
        records = decode_records(block.records)
        if (records[:, 0] == RecordKind.VERDICT).any():
            interval = int(read_places(records[:1])[0, 0])
            heights[interval] = block.height
            rows = select_rows(records, RecordKind.SUBMISSION)
            applied[interval] = {int(row["house"]): int(row["number"]) for row in rows if row["status"] == STATED}
    return applied, heights


def _check(
    promise: Promise,
    chain_id: bytes,
    registry: Registry,
    applied: dict[int, dict[int, int]],
    heights: dict[int, int],
) -> Kept:
    message = acknowledgement_message(chain_id, promise.record)
    keys = [tenure.public_key for tenure in registry.keys[OPERATOR]]
    if not any(is_signed(key, promise.signature, message) for key in keys):
        return Kept(promise, (), (), "it is not signed by the operator of this ledger")
    row = Submission(promise.record, b"").row
    house, first, last, number = (int(row[name]) for name in ("house", "first", "last", "number"))
    due = [t for t in range(first, min(last + 1, max(heights, default=-1) + 1)) if t in heights]
    own = [find_key_in_force(registry, house, heights[t], t) for t in due]
    due = [t for t, key in zip(due, own, strict=True) if key is not None and key == own[0]]
    kept = tuple(t for t in due if applied[t].get(house, -1) >= number)
    return Kept(promise, kept, tuple(t for t in due if t not in set(kept)), "")
