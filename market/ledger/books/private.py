"""The books of a ledger with private records: in full where these can be opened, else in sums over all houses.

Here are the ledgers whose verdicts and losses stand in clear, with sums in every block; `market.ledger.books.covered`
has those of later ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from market.exchanges import Ints, Kind, Rows
from market.ledger.books.bookkeeper import Bookkeeper, make_empty_books, open_books, read_terms
from market.ledger.books.charges import holds_charges
from market.ledger.books.replay import post_exchanges
from market.ledger.format.header import state_root
from market.ledger.format.records import (
    MONEY,
    RecordBytes,
    RecordKind,
    read_places,
    select_exchanges,
    select_rows,
)
from market.ledger.private.commitments import STATE_SEQ, imbalance_wh, make_aggregate_record, open_commitments
from market.ledger.private.vault import Entry
from market.ledger.store.blocks import Block, Fault


class AggregateKeeper:
    """Books in sums: what anybody can check without opening a private record.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    """

    def __init__(self, genesis: RecordBytes) -> None:
        self.terms = read_terms(genesis)
        books, _ = open_books(genesis)
        self.n_houses = books.wallet_neur.size
        self.sums = np.array([books.wallet_neur.sum(), 0, 0, 0, 0])
        """The accounts of `MONEY`, nEUR."""

    def check(self, blocks: Sequence[Block]) -> Fault | None:
        """Check consecutive blocks against their aggregates; returns the first that is wrong, if any."""
        for block in blocks:
            if holds_charges(block.kinds):
                return block.header.height, "a network charge in a ledger that was begun without"
            if block.holds_interval and (reason := self._find_fault(block.records)):
                return block.header.height, reason
        return None

    def _find_fault(self, records: RecordBytes) -> str:
        n_private = int((records[:, 0] == RecordKind.PRIVATE).sum())
        aggregates = select_rows(records, RecordKind.AGGREGATE)
        if aggregates.size != min(n_private, 1):
            return "the private records are not those that the aggregate sums up"
        reason = self.post_clear(records) or (self.post_aggregate(aggregates, n_private) if n_private else "")
        return reason or self.find_debt()

    def post_clear(self, records: RecordBytes) -> str:
        """Add the exchanges in clear to the sums; returns what is wrong with them or with the meters in clear."""
        books = make_empty_books(self.n_houses)
        wrong = post_exchanges(select_exchanges(records), books)
        if wrong >= 0:
            return f"exchange {wrong} of those in clear has parties or amounts that cannot be"
        if imbalance_wh(select_rows(records, Kind.METER)).any():
            return "a house whose energies do not balance"
        paid = np.array([books.wallet_neur.sum(), books.account_neur.sum(), *books.pools_neur])
        self.sums = self.sums + paid
        return ""

    def post_aggregate(self, aggregates: Rows, n_private: int) -> str:
        """Add an aggregate, (1,), to the sums; returns what is wrong with it."""
        if aggregates["n_private"][0] != n_private:
            return "the private records are not those that the aggregate sums up"
        moved = np.array([int(aggregates[name][0]) for name in MONEY])
        if moved.sum() != 0 or aggregates["into_wh"][0] != aggregates["out_wh"][0]:
            return "the aggregate of the private records does not balance"
        self.sums = self.sums + moved
        return ""

    def find_debt(self) -> str:
        """What is wrong with the sums themselves."""
        if self.sums[0] < 0 or self.sums[3] < 0:
            return "all wallets together, or the sharing contract, are below zero"
        return ""


class OpenedKeeper(Bookkeeper):
    """Books in full, from private records that somebody with access to them has opened.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    entries
        Every private record and the salts of the state roots, by (interval, number).
    """

    def __init__(self, genesis: RecordBytes, entries: Mapping[tuple[int, int], Entry]) -> None:
        super().__init__(genesis)
        self.entries = entries

    def check(self, blocks: Sequence[Block]) -> Fault | None:
        """Open consecutive blocks and replay them; returns the first that is wrong, if any."""
        clear: list[Block] = []
        for block in blocks:
            found = self.open(block)
            if isinstance(found, str):
                return super().check(clear) or (block.header.height, found)
            clear.append(found)
        return super().check(clear)

    def open(self, block: Block) -> Block | str:
        """The block with its private records put back, or what is wrong with them."""
        if RecordKind.PRIVATE not in block.kinds and RecordKind.AGGREGATE not in block.kinds:
            return block
        is_aggregate = block.records[:, 0] == RecordKind.AGGREGATE
        aggregates, others = block.records[is_aggregate], block.records[~is_aggregate]
        interval = int(read_places(block.records[:1])[0, 0])
        records = open_commitments(block.records, interval, self.entries)
        if isinstance(records, str):
            return records
        hidden = records[others[:, 0] == RecordKind.PRIVATE]
        seq = int(read_places(aggregates)[0, 1]) if len(aggregates) else 0
        if len(aggregates) != 1 or (make_aggregate_record(hidden, interval, seq) != aggregates).any():
            return "the aggregate is not the sum of the private records"
        return block._replace(records=records, kinds=records[:, 0].tobytes())

    def _find_state_root(self, accounts: Ints, interval: int) -> bytes:
        salted = self.entries.get((interval, STATE_SEQ))
        return b"" if salted is None else state_root(accounts, salted.salt)
