"""Submissions: what people want of an interval, each signed by its member in the block that holds the interval.

As of a statement, the signature covers the chain and the record but not the record's place, so that a member can sign
before the interval begins, and for many intervals at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from market.errors import LedgerError
from market.exchanges import AUTOMATIC, MISSING, NO_LIMIT, STATED, SUBMISSION, Rows
from market.ledger.format.records import (
    Purpose,
    RecordBytes,
    RecordKind,
    make_record,
    read_places,
    select_rows,
)
from market.ledger.format.statements import join_signature, make_signature_records


class Submission(NamedTuple):
    """A submission and its signature; empty for the mark that nothing came (`MISSING`)."""

    record: bytes
    signature: bytes

    @property
    def row(self) -> Rows:
        """Its fields."""
        (row,) = np.frombuffer(self.record, SUBMISSION)
        return cast(Rows, row)

    def holds(self, interval: int) -> bool:
        """Whether it is for an interval."""
        return bool(self.row["first"] <= interval <= self.row["last"])


def submission_message(chain_id: bytes, record: bytes) -> bytes:
    """What a member signs: the chain and the record without its place."""
    return b"gridsettle submission v1\0" + chain_id + record[:4] + bytes(8) + record[12:]


def acknowledgement_message(chain_id: bytes, record: bytes) -> bytes:
    """What the operator signs when it takes a submission: its promise to apply it."""
    return b"gridsettle acknowledgement v1\0" + chain_id + record[:4] + bytes(8) + record[12:]


def mark_missing(house: int, interval: int) -> Submission:
    """Mark that a house that decides for itself had submitted nothing when the gate closed."""
    record = make_record(
        SUBMISSION,
        RecordKind.SUBMISSION,
        status=MISSING,
        house=house,
        net_wh=AUTOMATIC,
        limit_ueur_per_kwh=NO_LIMIT,
        first=interval,
        last=interval,
    )
    return Submission(record.tobytes(), b"")


def make_submission_records(submission: Submission) -> RecordBytes:
    """Records of a submission in a block: itself, and its signature if it has one; (1 or 3, 72)."""
    record = np.frombuffer(submission.record, np.uint8)[None]
    if not submission.signature:
        return record
    signature = make_signature_records(int(submission.row["house"]), Purpose.SUBMISSION, submission.signature)
    return np.concatenate([record, signature])


def read_submissions(records: RecordBytes) -> Iterator[Submission]:
    """Submissions of a block, each with the signature right behind it.

    Raises
    ------
    LedgerError
        If a signature is not that of the submission before it, or is missing.
    """
    kinds = records[:, 0]
    signed = (kinds == RecordKind.SIGNATURE) & (records[:, 1] == Purpose.SUBMISSION)
    n_read = 0
    for at in np.flatnonzero(kinds == RecordKind.SUBMISSION).tolist():
        record, signature = records[at].tobytes(), b""
        if records[at, 1] == STATED:
            signer, purpose, signature = join_signature(records[at + 1 : at + 3])
            n_read += 2
            if purpose != Purpose.SUBMISSION or signer != int(Submission(record, b"").row["house"]):
                raise LedgerError(f"record {at}: expected the house's own signature behind its submission")
        yield Submission(record, signature)
    if int(signed.sum()) != n_read:
        raise LedgerError("expected a signature of a submission behind it, found one elsewhere")


def spread_submissions(records: RecordBytes, n_houses: int, first: int, n_intervals: int) -> Rows:
    """Submissions of consecutive intervals by interval and house, (K, N); none at all, (0, 0), if nobody submitted.

    Parameters
    ----------
    records
        Records of the blocks, (M, 72).
    n_houses, first, n_intervals
        Number of houses, the first interval and how many there are.
    """
    rows = select_rows(records, RecordKind.SUBMISSION)
    if rows.size == 0:
        return np.zeros((0, 0), SUBMISSION)
    spread = np.zeros((n_intervals, n_houses), SUBMISSION)
    places = read_places(records[records[:, 0] == RecordKind.SUBMISSION])
    inside = rows["house"] < n_houses
    spread[places[inside, 0].astype(np.int64) - first, rows["house"][inside]] = rows[inside]
    return spread
