"""The books of a ledger: its terms and opening balances from the genesis block, then every interval replayed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from market.exchanges import EXCHANGE, Kind
from market.ledger.books.replay import FAULTS, Books, replay_window
from market.ledger.books.replay import Fault as Replayed
from market.ledger.format.records import (
    RecordBytes,
    RecordKind,
    integer_parameter,
    read_parameters,
    rows_of,
)
from market.ledger.store.blocks import Block, BrokenError, Fault
from market.storage import Ratings, Wh

NO_STATE = sha256(b"").digest()
"""State root of a ledger without intervals."""

_METER, _HOUSE = int(Kind.METER), int(RecordKind.HOUSE)
_PRIVATE, _AGGREGATE = int(RecordKind.PRIVATE), int(RecordKind.AGGREGATE)
_NO_EXCHANGE = bytes(range(_METER, 256))
_OF_A_HOUSE = (Replayed.WALLET, Replayed.METER, Replayed.BALANCE, Replayed.STORAGE)


class Terms(NamedTuple):
    """What the genesis block fixes for the whole ledger.

    Attributes
    ----------
    first_start, interval_seconds
        Begin of interval 0 (seconds since 1970-01-01 UTC), and length of all.
    tau_intervals
        Life of a lot.
    private
        Whether records may be private; state roots are salted then.
    members_sign
        Whether every member with a key signs its entries of every interval.
    """

    first_start: int
    interval_seconds: int
    tau_intervals: int
    private: bool
    members_sign: bool

    def start_of(self, interval: int) -> int:
        """Begin of an interval."""
        return self.first_start + interval * self.interval_seconds


def terms_of(genesis: RecordBytes) -> Terms:
    """Terms from the parameters of the genesis block."""
    parameters = read_parameters(genesis)
    return Terms(
        integer_parameter(parameters, "start"),
        60 * integer_parameter(parameters, "interval_minutes"),
        integer_parameter(parameters, "tau_intervals"),
        bool(integer_parameter(parameters, "private")),
        bool(integer_parameter(parameters, "members_sign")),
    )


def opening(genesis: RecordBytes) -> tuple[Books, Ratings]:
    """Opening balances and batteries from the genesis block.

    Raises
    ------
    BrokenError
        If the houses are not numbered from 0 on.
    """
    houses = rows_of(genesis, RecordKind.HOUSE)
    if (houses["house"] != np.arange(houses.size)).any() or (houses["own_wh"] < 0).any():
        raise BrokenError(
            "the houses are not numbered one after the other, or begin with less than no energy"
        )
    none = np.zeros(houses.size, np.int64)
    books = Books(
        houses["wallet_neur"].astype(np.int64),
        none,
        np.zeros(3, np.int64),
        houses["own_wh"].astype(np.int64),
        np.zeros((0, 5), np.int64),
        np.zeros(1, np.int64),
    )
    return books, Ratings(*(houses[field].astype(np.int64) for field in Ratings._fields))


class Bookkeeper:
    """Replays block after block; what it knows comes from the ledger alone.

    Parameters
    ----------
    genesis
        Records of the genesis block.
    """

    def __init__(self, genesis: RecordBytes) -> None:
        self.terms = terms_of(genesis)
        self.books, self.ratings = opening(genesis)
        self.state_root = NO_STATE
        self.next_interval = 0

    def take(self, blocks: Sequence[Block]) -> Fault | None:
        """Replay blocks in a row; the first that is wrong, if any.

        A run of blocks with intervals goes through compiled code at once; it ends where batteries change.
        """
        together: list[Block] = []
        for block in blocks:
            if _PRIVATE in block.kinds or _AGGREGATE in block.kinds:
                wrong = (block.header.height, "a private record in a ledger that was begun without")
                return self._replay(together) or wrong
            if block.holds_interval:
                together.append(block)
            if _HOUSE in block.kinds or not block.holds_interval:
                if (fault := self._replay(together)) is not None:
                    return fault
                together = []
                if (reason := self._between(block)) is not None:
                    return block.header.height, reason
        return self._replay(together)

    def clear(self, block: Block) -> RecordBytes | None:
        """A block's records in clear, which they are anyway."""
        return block.records

    def salt(self, interval: int, seq: int) -> bytes:
        """Salt of a private record; nothing for one in clear."""
        return b""

    def _between(self, block: Block) -> str | None:
        """Take over other batteries; hold the state of a block without an interval against the one before."""
        if not block.holds_interval and block.header.state_root != self.state_root:
            return "the state root changes without an interval"
        if block.header.height == 0:
            return None
        own, ratings = self.books.own_wh.copy(), Ratings(*(column.copy() for column in self.ratings))
        for row in rows_of(block.records, RecordKind.HOUSE):
            house = int(row["house"])
            if house >= own.size or row["wallet_neur"] != 0 or own[house] + row["own_wh"] < 0:
                return f"house {house} changes its battery, but is unknown, gets money or loses energy it does not have"
            own[house] += row["own_wh"]
            for field in Ratings._fields:
                getattr(ratings, field)[house] = row[field]
        self.books, self.ratings = self.books._replace(own_wh=own), ratings
        return None

    def _replay(self, blocks: Sequence[Block]) -> Fault | None:
        if not blocks:
            return None
        n = self.books.own_wh.size
        for k, block in enumerate(blocks):
            n_meters = block.kinds.count(_METER)
            if n_meters != n:
                wrong = (block.header.height, f"expected {n} meters, found {n_meters}")
                return self._replay(blocks[:k]) or wrong
        records = np.concatenate([block.records for block in blocks])
        kinds = records[:, 0]
        counts = [len(block.kinds.translate(None, _NO_EXCHANGE)) for block in blocks]
        bad, fault, at, table, self.books = replay_window(
            records[kinds < _METER].view(EXCHANGE).reshape(-1),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            rows_of(records, _METER).reshape(len(blocks), n),
            rows_of(records, RecordKind.VERDICT),
            self.books,
            self.next_interval,
            self.terms.tau_intervals,
            self.ratings,
        )
        for k in range(bad):
            self.state_root = self._root_of(table[k], self.next_interval + k)
            if blocks[k].header.state_root != self.state_root:
                return blocks[k].header.height, "the state root does not follow from the replayed books"
        self.next_interval += bad
        if not fault:
            return None
        what = "house" if fault in _OF_A_HOUSE else "record"
        return blocks[bad].header.height, f"{what} {at}: {FAULTS[Replayed(fault)]}"

    def _root_of(self, accounts: Wh, interval: int) -> bytes:
        """State root that follows from the accounts after an interval."""
        return sha256(accounts.astype("<i8").tobytes()).digest()
