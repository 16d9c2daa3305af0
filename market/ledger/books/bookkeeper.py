"""Keep the books of a ledger: open them from the genesis block, then replay every interval and compare.

The books are the accounts, batteries and lots that follow from the records; see `market.ledger.books.replay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from market.exchanges import Ints, Kind
from market.ledger.books.charges import ChargeBooks, find_changes, holds_charges, post_due
from market.ledger.books.devices import DeviceBooks
from market.ledger.books.envelopes import EnvelopeBooks
from market.ledger.books.facts import FAULTS as WRONG_FACTS
from market.ledger.books.facts import OF_RECORDS, find_wrong_fact, read_facts
from market.ledger.books.facts import Fault as WrongFact
from market.ledger.books.replay import FAULTS, Books, replay_window
from market.ledger.books.replay import Fault as Replayed
from market.ledger.format.header import NO_STATE, state_root
from market.ledger.format.records import (
    ISLANDED,
    RecordBytes,
    RecordKind,
    read_integer_parameter,
    read_parameters,
    select_exchanges,
    select_rows,
)
from market.ledger.format.submissions import spread_submissions
from market.ledger.format.version import find_version, has_phases
from market.ledger.private.cover import Cover
from market.ledger.store.blocks import Block, BrokenError, Fault, follows_verdict
from market.storage import Ratings

_METER, _ORDER, _HOUSE = int(Kind.METER), int(RecordKind.ORDER), int(RecordKind.HOUSE)
_FLEXIBLE, _ENVELOPE = int(RecordKind.FLEXIBLE), int(RecordKind.ENVELOPE)
_PRIVATE, _AGGREGATE = int(RecordKind.PRIVATE), int(RecordKind.AGGREGATE)
_NO_EXCHANGE = bytes(range(_METER, 256))
_FAULTS_OF_HOUSES = (Replayed.WALLET, Replayed.METER, Replayed.BALANCE, Replayed.STORAGE)


class Terms(NamedTuple):
    """What the genesis block fixes for the whole ledger.

    Attributes
    ----------
    first_start, interval_seconds
        Begin of interval 0 (seconds since 1970-01-01 UTC), and length of every interval.
    tau_intervals
        Life of a lot.
    private
        Whether records may be private; then state roots are salted.
    members_sign
        Whether every member with a key signs its entries of every interval.
    facts
        Whether orders are recorded, and the rules stand in the genesis block.
    cover
        How private records are covered, None where verdicts stand in clear beside them.
    """

    first_start: int
    interval_seconds: int
    tau_intervals: int
    private: bool
    members_sign: bool
    facts: bool
    cover: Cover | None

    def interval_start_s(self, interval: int) -> int:
        """Begin of an interval, seconds since 1970-01-01 UTC."""
        return self.first_start + interval * self.interval_seconds


def read_terms(genesis: RecordBytes) -> Terms:
    """Read the terms from the parameters in the genesis block.

    Raises
    ------
    BrokenError
        If private records are covered in a way that cannot be.
    """
    parameters = read_parameters(genesis)
    private = bool(read_integer_parameter(parameters, "private"))
    cover = None
    if private and read_integer_parameter(parameters, "verdict_private"):
        cover = Cover(*(read_integer_parameter(parameters, name) for name in ("private_records", "sum_intervals")))
        if not (0 < cover.n_records < 2**31 and 0 < cover.every < 2**31):
            raise BrokenError(f"private_records and sum_intervals are {cover.n_records} and {cover.every}")
    return Terms(
        read_integer_parameter(parameters, "start"),
        60 * read_integer_parameter(parameters, "interval_minutes"),
        read_integer_parameter(parameters, "tau_intervals"),
        private,
        bool(read_integer_parameter(parameters, "members_sign")),
        bool(read_integer_parameter(parameters, "facts")),
        cover,
    )


def make_empty_books(n_houses: int) -> Books:
    """Books without money, energy and lots."""
    wallet, account, own = np.zeros((3, n_houses), np.int64)
    none = np.zeros((0, 5), np.int64)
    return Books(wallet, account, np.zeros(3, np.int64), own, none, np.zeros(1, np.int64))


def open_books(genesis: RecordBytes) -> tuple[Books, Ratings]:
    """Open the books, and read the batteries, from the genesis block.

    Raises
    ------
    BrokenError
        If the houses are not numbered from 0 on, or one begins with less than no energy.
    """
    houses = select_rows(genesis, RecordKind.HOUSE)
    if (houses["house"] != np.arange(houses.size)).any() or (houses["own_wh"] < 0).any():
        raise BrokenError("the houses are not numbered one after the other, or begin with less than no energy")
    wallet, own = houses["wallet_neur"].astype(np.int64), houses["own_wh"].astype(np.int64)
    books = make_empty_books(houses.size)._replace(wallet_neur=wallet, own_wh=own)
    return books, Ratings(*(houses[field].astype(np.int64) for field in Ratings._fields))


class Bookkeeper:
    """Replays block after block; all that it knows comes from the ledger.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    """

    def __init__(self, genesis: RecordBytes) -> None:
        self.terms = read_terms(genesis)
        self.books, self.ratings = open_books(genesis)
        self.facts = read_facts(genesis)
        self.has_phases = has_phases(find_version(genesis))
        self.devices = DeviceBooks(genesis)
        self.envelopes = EnvelopeBooks(genesis)
        self.charges = ChargeBooks(read_parameters(genesis), self.books.own_wh.size)
        self.state_root = NO_STATE
        self.next_interval = 0

    def check(self, blocks: Sequence[Block]) -> Fault | None:
        """Replay consecutive blocks; returns the first that is wrong, if any.

        Blocks with intervals are collected and replayed by one call of compiled code; a block that changes batteries
        ends the group.
        """
        group: list[Block] = []
        for block in blocks:
            if _PRIVATE in block.kinds or _AGGREGATE in block.kinds:
                wrong = (block.header.height, "a private record in a ledger that was begun without")
                return self._replay(group) or wrong
            if block.holds_interval and self.has_phases and not follows_verdict(block.kinds):
                return self._replay(group) or (block.header.height, "the verdict has no phases behind it")
            if block.holds_interval:
                group.append(block)
            if _HOUSE in block.kinds or not block.holds_interval:
                if (fault := self._replay(group)) is not None:
                    return fault
                group = []
                if (reason := self._change_batteries(block)) is not None:
                    return block.header.height, reason
        return self._replay(group)

    def _change_batteries(self, block: Block) -> str | None:
        """Apply the `HOUSE` records of a block; a block without an interval must repeat the state root."""
        if not block.holds_interval and block.header.state_root != self.state_root:
            return "the state root changes without an interval"
        if block.header.height == 0:
            return None
        own, ratings = self.books.own_wh.copy(), Ratings(*(column.copy() for column in self.ratings))
        for row in select_rows(block.records, RecordKind.HOUSE):
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
            n_orders = block.kinds.count(_ORDER)
            if n_meters != n or n_orders != n * self.terms.facts:
                found = f"expected {n} meters and {n * self.terms.facts} orders, found {n_meters} and {n_orders}"
                return self._replay(blocks[:k]) or (block.header.height, found)
        records = np.concatenate([block.records for block in blocks])
        counts = [len(block.kinds.translate(None, _NO_EXCHANGE)) for block in blocks]
        rows, offsets = select_exchanges(records), np.cumsum([0, *counts], dtype=np.int64)
        meters = select_rows(records, _METER).reshape(len(blocks), n)
        verdicts, wallets = select_rows(records, RecordKind.VERDICT), self.books.wallet_neur
        first, tau = self.next_interval, self.terms.tau_intervals
        n_right, fault, at, accounts, self.books = replay_window(
            rows, offsets, meters, verdicts, self.books, first, tau, self.ratings
        )
        wrong = _describe(fault, at) if fault else ""
        if self.facts is not None:
            before = np.concatenate([wallets[None], accounts[:-1, :n]])[:n_right]
            orders = select_rows(records, _ORDER).reshape(len(blocks), n)
            islanded = ((verdicts["reason"] & ISLANDED) > 0).astype(np.int64)
            said = spread_submissions(records, n, first, len(blocks))
            right, fault, at = find_wrong_fact(
                rows, offsets, meters[:n_right], orders, said, islanded, before, self.facts
            )
            n_right, wrong = (right, _describe_fact(fault, at)) if fault else (n_right, wrong)
        for k in range(n_right if self.devices.opening.size or _FLEXIBLE in records[:, 0] else 0):
            if found := self.devices.check(blocks[k].records, meters[k]):
                n_right, wrong = k, found
                break
        for k in range(n_right if self.envelopes.rule is not None or _ENVELOPE in records[:, 0] else 0):
            if found := self.envelopes.check(blocks[k].records, n):
                n_right, wrong = k, found
                break
        if self.charges.is_on or any(holds_charges(block.kinds) for block in blocks):
            n_right, wrong, accounts = self._charge(blocks, n_right, wrong, accounts)
        for k in range(n_right):
            self.state_root = self._find_state_root(accounts[k], first + k)
            if blocks[k].header.state_root != self.state_root:
                return blocks[k].header.height, "the state root does not follow from the replayed books"
        self.next_interval += n_right
        return (blocks[n_right].header.height, wrong) if wrong else None

    def _charge(self, blocks: Sequence[Block], n_right: int, wrong: str, accounts: Ints) -> tuple[int, str, Ints]:
        """Post network charges of blocks that are right so far: how many are, what is wrong, accounts after them."""
        due = list[Sequence[int]]()
        for k in range(n_right):
            found = self.charges.follow(blocks[k].records)
            posted = found if isinstance(found, str) else post_due(self.books, found)
            if isinstance(posted, str) or isinstance(found, str):
                n_right, wrong = k, str(posted)
                break
            self.books = posted
            due.append(found)
        return n_right, wrong, accounts[:n_right] + find_changes(due, self.books.own_wh.size)

    def _find_state_root(self, accounts: Ints, interval: int) -> bytes:
        """State root that follows from the accounts after an interval."""
        return state_root(accounts)


def _describe(fault: int, at: int) -> str:
    """What a replay found wrong with a house or an exchange."""
    return f"{'house' if fault in _FAULTS_OF_HOUSES else 'record'} {at}: {FAULTS[Replayed(fault)]}"


def _describe_fact(fault: int, at: int) -> str:
    """What is wrong with the facts of a house or an exchange."""
    return f"{'record' if fault in OF_RECORDS else 'house'} {at}: {WRONG_FACTS[WrongFact(fault)]}"
