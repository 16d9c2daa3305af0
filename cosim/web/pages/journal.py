"""The ledger's blocks as the pages want them: by interval and by house, read once and kept up to date.

All of it comes from the ledger itself, so that a page shows what everybody can verify. Readers need no lock: lists only
grow, and what is in them is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from market.exchanges import METER, Ints, Kind, Rows
from market.ledger.format.header import decode_header
from market.ledger.format.records import ISLANDED, RecordKind, read_places, select_exchanges, select_rows
from market.ledger.private.commitments import list_payers
from market.ledger.read.account import sum_charges
from market.ledger.store.store import Store, StoredBlock
from market.ledger.store.tip import decode_records

KINDS = int(RecordKind.CHARGE) + 1
"""Kinds of records that change an account, exchanges and network charges, are below this number."""


class Block(NamedTuple):
    """A block in a list: its height, hash and number of records, and its interval if it holds one."""

    height: int
    hash: bytes
    n_records: int
    interval: int | None


class Recorded(NamedTuple):
    """What the ledger has of an interval.

    Attributes
    ----------
    height
        Of its block.
    exchanges, meters
        Rows of `EXCHANGE`, (M,), and of `METER`, (N,).
    price_ueur_per_kwh
        Price of its first trade between houses that was delivered; None where there was none.
    verdict_status
        0 as cleared, 1 curtailed, 2 shed, 3 de-energised.
    is_islanded
        Whether an outage was in force.
    """

    height: int
    exchanges: Rows
    meters: Rows
    price_ueur_per_kwh: int | None
    verdict_status: int
    is_islanded: bool


class Access(NamedTuple):
    """An ACCESS record: who has read whose records, and in which block it stands."""

    reader: int
    owner: int
    height: int
    interval: int


class Journal:
    """What the ledger of a run directory holds, for pages: `blocks`, `intervals`, `accesses`, intervals by `months`.

    Parameters
    ----------
    directory
        Run directory.
    month_of
        Month of an interval, such as "2017-01", for bills.
    """

    def __init__(self, directory: Path, month_of: Callable[[int], str]) -> None:
        self._directory, self._month_of = directory, month_of
        self.blocks: list[Block] = []
        self.intervals: list[Recorded] = []
        self.accesses: list[Access] = []
        self.months: dict[str, range] = {}
        self._openings: Rows = np.zeros(0, METER)
        self._bills: dict[str, Ints] = {}
        self._totals: Ints = np.zeros((0, KINDS), np.int64)
        with Store.open_to_read(directory) as store:
            for group in store.groups():
                for block in group:
                    self._add(block)

    def catch_up(self) -> None:
        """Read the blocks that were written since. Called by one thread at a time."""
        with Store.open_to_read(self._directory) as store:
            for height in range(len(self.blocks), store.size()):
                self._add(store.block(height))

    def _add(self, block: StoredBlock) -> None:
        records = decode_records(block.records)
        if block.height == 0:
            self._openings = select_rows(records, RecordKind.HOUSE)
            self._totals = np.zeros((len(self._openings), KINDS), np.int64)
        interval = None
        verdicts = select_rows(records, RecordKind.VERDICT)
        if verdicts.size:
            interval = len(self.intervals)
            self._add_interval(block.height, records, verdicts[0])
        for row in select_rows(records, RecordKind.ACCESS):
            at = int(read_places(records[:1])[0, 0])
            self.accesses.append(Access(int(row["member"]), int(row["other"]), block.height, at))
        n_records = decode_header(block.header).n_records
        self.blocks.append(Block(block.height, block.hash, n_records, interval))

    def _add_interval(self, height: int, records: Any, verdict: Any) -> None:
        exchanges, meters = select_exchanges(records), select_rows(records, Kind.METER)
        month = self._month_of(len(self.intervals))
        changed = sum_by_house(exchanges, len(self._openings))
        for charge in select_rows(records, RecordKind.CHARGE):
            changed[charge["house"], RecordKind.CHARGE] -= sum_charges(charge)
        self._totals = self._totals + changed
        first = self.months.get(month, range(len(self.intervals), 0)).start
        self.months[month] = range(first, len(self.intervals) + 1)
        self._bills[month] = self._bills.get(month, np.zeros_like(changed)) + changed
        is_trade = (exchanges["kind"] == Kind.P2P) & (exchanges["delivered_wh"] > 0)
        trades = exchanges["price_ueur_per_kwh"][is_trade]
        price = int(trades[0]) if trades.size else None
        is_islanded = bool(verdict["reason"] & ISLANDED)
        self.intervals.append(Recorded(height, exchanges, meters, price, int(verdict["status"]), is_islanded))

    def list_entries(self, house: int, first: int, stop: int) -> list[tuple[int, Any]]:
        """Exchanges with a house as seller, buyer or host in intervals first … stop-1: (height, row), newest first."""
        found = []
        for recorded in self.intervals[first:stop]:
            rows = recorded.exchanges
            mine = (rows["seller"] == house) | (rows["buyer"] == house) | (rows["host"] == house)
            found += [(recorded.height, row) for row in rows[mine]]
        return found[::-1]

    def list_meters(self, house: int, first: int, stop: int) -> Rows:
        """Meter rows of a house in intervals first … stop-1."""
        rows = [recorded.meters[house : house + 1] for recorded in self.intervals[first:stop]]
        return np.concatenate(rows) if rows else np.zeros(0, METER)

    def find_balance(self, house: int) -> tuple[int, int]:
        """Wallet and utility account of a house after the last interval, nEUR."""
        change = self._totals[house]
        wallet = int(self._openings["wallet_neur"][house] + change[: Kind.LOT_SALE + 1].sum())
        return wallet, int(change[Kind.LOT_SALE + 1 :].sum())

    def list_bills(self, house: int) -> list[tuple[str, dict[Kind | RecordKind, int]]]:
        """By month, newest first, what a house earned less what it paid by each kind of exchange, and charges, nEUR."""
        return [
            (month, {name_entry(k): int(sums[house, k]) for k in np.flatnonzero(sums[house]).tolist()})
            for month, sums in sorted(self._bills.items(), reverse=True)
        ]


def name_entry(kind: int) -> Kind | RecordKind:
    """The kind of an exchange, or of a network charge, from its number."""
    return Kind(kind) if kind < Kind.METER else RecordKind(kind)


def sum_by_house(exchanges: Rows, n_houses: int) -> Ints:
    """What every house earns less what it pays by exchanges, by kind, (N, KINDS) nEUR."""
    found = np.zeros((n_houses, KINDS), np.int64)
    amount, kind = exchanges["amount_neur"], exchanges["kind"]
    seller, payer = exchanges["seller"], list_payers(exchanges)
    sold, paid = seller >= 0, payer >= 0
    np.add.at(found, (seller[sold], kind[sold]), (amount - exchanges["fee_neur"])[sold])
    np.subtract.at(found, (payer[paid], kind[paid]), amount[paid])
    return found
