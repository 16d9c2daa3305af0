"""What a served run answers: a promise, an interval that is closed, what became of a device."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cosim.interval.chunk import Chunk
from market.exchanges import Reason


class Acknowledgement(NamedTuple):
    """The operator's signed promise to apply a submission; with it a member proves that one was left out."""

    record: bytes
    signature: bytes


class Closed(NamedTuple):
    """An interval that is closed and recorded.

    Attributes
    ----------
    interval, start
        Its number and begin, UTC.
    height, hash
        Of its block.
    chunk
        What was settled.
    late
        Houses that decide for themselves and had submitted nothing.
    """

    interval: int
    start: datetime
    height: int
    hash: bytes
    chunk: Chunk
    late: tuple[int, ...]


class JoinAnswer(NamedTuple):
    """What became of a device: `Reason.NONE` and the height of its block, or why not, and the element that binds."""

    reason: Reason
    element: int
    height: int


class LeaveAnswer(NamedTuple):
    """What became of a device that leaves.

    Attributes
    ----------
    height
        Of its block.
    energy_wh
        Of the house, that left with a battery.
    waits
        Whether a battery waits until it holds no energy of others any more.
    """

    height: int
    energy_wh: int
    waits: bool
