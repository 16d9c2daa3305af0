"""What a block with private records shows: the same shape in every interval, and nothing that follows from a house.

A verdict names the most loaded branch, which may be a house's own cable; sums, losses and the number of records tell
how much was used. So all of these are committed to as well. The number of commitments is filled up to a multiple, and
sums and coarse extremes are stated for a whole period of many intervals, not for one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from market.exchanges import Ints, Kind, Rows
from market.ledger.format.records import (
    HOUSE,
    NONE,
    VERDICT,
    RecordBytes,
    RecordKind,
    make_record,
    number_records,
    select_rows,
    view_as_bytes,
)
from market.ledger.private.commitments import commit_padding, is_private, make_aggregate_record, make_private_records

STEP_VM_UPU, STEP_LOADING_E4 = 10_000, 100_000
"""Steps of what a period's verdict says: 0.01 pu, 10 %."""

_BLANK = (*(name for name in VERDICT.names or () if VERDICT[name] == np.dtype("<i4")),)


class Cover(NamedTuple):
    """How the private records of a ledger are covered; fixed in its first block.

    Attributes
    ----------
    n_records
        The number of commitments in a block is a multiple of it.
    every
        Intervals of a period, whose sums and coarse extremes are stated in its last block.
    """

    n_records: int
    every: int

    def ends(self, interval: int) -> bool:
        """Whether an interval is the last of a period."""
        return (interval + 1) % self.every == 0

    def begin(self, interval: int) -> int:
        """First interval of the period of an interval."""
        return interval - interval % self.every

    def count_padding(self, n_hidden: int) -> int:
        """Number of commitments to nothing beside `n_hidden` true ones."""
        return -n_hidden % self.n_records


class Period(NamedTuple):
    """What is hidden since the sums were stated last.

    Attributes
    ----------
    n_private
        Number of commitments, those to nothing included.
    hidden
        The records in clear, (M, 72) of every block.
    """

    n_private: int
    hidden: tuple[RecordBytes, ...]

    def with_block(self, n_private: int, hidden: RecordBytes) -> Period:
        """The period with one more block."""
        return Period(self.n_private + n_private, (*self.hidden, hidden))

    def make_statement(self, interval: int, seq: int) -> RecordBytes:
        """Make the verdict of the period, in coarse steps, and the aggregate of all that is hidden in it, (2, 72)."""
        hidden = np.concatenate(self.hidden)
        verdict = view_as_bytes(blur_verdicts(select_rows(hidden, RecordKind.VERDICT)))
        aggregate = make_aggregate_record(hidden, interval, seq + 1, self.n_private)
        return np.concatenate([number_records(verdict, interval, seq), aggregate])


EMPTY_PERIOD = Period(0, ())


def is_hidden(records: RecordBytes, houses: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which records of a block, (M,), are committed to: what names one of these houses or follows from them.

    Beside exchanges, meters, orders and batteries of the houses: losses, the verdict with its phases, and the topology,
    since what islands hold decides when they are connected again.
    """
    kinds, chosen = records[:, 0], list(houses)
    of_house = np.isin(records.view(HOUSE).reshape(-1)["house"], chosen) & (kinds == RecordKind.HOUSE)
    follows = np.isin(kinds, (Kind.LOSS, RecordKind.VERDICT, RecordKind.PHASES, RecordKind.TOPOLOGY))
    return np.asarray(is_private(records, houses) | of_house | follows, np.bool_)


def make_padding(salt: bytes, interval: int, n: int) -> RecordBytes:
    """Make the first `n` records of a block, commitments to nothing, (n, 72); `salt` is that of its state root."""
    return number_records(make_private_records([commit_padding(salt, interval, seq) for seq in range(n)]), interval)


def make_blank_verdict(interval: int, seq: int) -> RecordBytes:
    """Make the verdict that a block shows within a period, (1, 72): it says that there was an interval."""
    record = make_record(VERDICT, RecordKind.VERDICT, **dict.fromkeys(_BLANK, NONE))
    return number_records(record, interval, seq)


def blur_verdicts(verdicts: Rows) -> Rows:
    """Verdict of a period, (1,): the worst of its extremes in coarse steps, and of how intervals came within limits."""
    blurred = np.zeros(1, VERDICT)
    blurred["kind"] = RecordKind.VERDICT
    for name in _BLANK:
        blurred[name] = NONE
    blurred["status"] = verdicts["status"].max()
    for name, sign, step in (
        ("lowest_vm_upu", -1, STEP_VM_UPU),
        ("highest_vm_upu", 1, STEP_VM_UPU),
        ("loading_e4_percent", 1, STEP_LOADING_E4),
    ):
        known: Ints = verdicts[name][verdicts[name] != NONE].astype(np.int64)
        if known.size:
            blurred[name] = sign * -(-(sign * known).max() // step) * step
    return blurred


def is_blurred(verdict: Rows, *, whole: bool) -> bool:
    """Whether a verdict in clear, (1,), says no more than it may: nothing, or coarse extremes of a `whole` period."""
    allowed = blur_verdicts(verdict) if whole else make_blank_verdict(0, 0).view(VERDICT).reshape(-1)
    allowed["interval"], allowed["seq"] = verdict["interval"], verdict["seq"]
    return bool(allowed.tobytes() == verdict.tobytes())
