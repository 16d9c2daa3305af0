"""The books of a ledger whose verdicts are private too: sums and coarse extremes once a period, nothing in between."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from market.ledger.books.bookkeeper import open_books, read_terms
from market.ledger.books.private import AggregateKeeper, OpenedKeeper
from market.ledger.format.ranges import find_out_of_range
from market.ledger.format.records import MONEY, RecordBytes, RecordKind, read_places, select_rows
from market.ledger.format.version import find_version
from market.ledger.private.commitments import GENESIS, open_block
from market.ledger.private.cover import EMPTY_PERIOD, Cover, is_blurred
from market.ledger.private.vault import Entry
from market.ledger.store.blocks import Block, BrokenError

_OF_A_BATTERY = (RecordKind.HOUSE, RecordKind.PRIVATE)


def read_cover(genesis: RecordBytes) -> Cover:
    """How the private records of a ledger are covered, from its first block.

    Raises
    ------
    BrokenError
        If they are not.
    """
    cover = read_terms(genesis).cover
    if cover is None:
        raise BrokenError("private records stand in clear beside their verdicts")
    return cover


def sum_wallets(genesis: RecordBytes) -> int:
    """Money in all wallets at the start, nEUR: those in clear, and the sum of the private ones.

    Raises
    ------
    BrokenError
        If the aggregate of the first block is not that of its private records.
    """
    n_private = int((genesis[:, 0] == RecordKind.PRIVATE).sum())
    aggregates = select_rows(genesis, RecordKind.AGGREGATE)
    said = {name: int(aggregates[name].sum()) for name in (*MONEY, "into_wh", "out_wh", "n_private")}
    wallets = said.pop(MONEY[0])
    if aggregates.size != min(n_private, 1) or said.pop("n_private") != n_private or any(said.values()) or wallets < 0:
        raise BrokenError("the aggregate of the first block is not that of its private houses")
    return wallets + int(select_rows(genesis, RecordKind.HOUSE)["wallet_neur"].sum())


def check_houses_in_clear(genesis: RecordBytes) -> int:
    """Number of houses of the first block; those in clear must bear the number of their place.

    Raises
    ------
    BrokenError
        If one does not.
    """
    of_house = np.isin(genesis[:, 0], _OF_A_BATTERY)
    clear = genesis[of_house][:, 0] == RecordKind.HOUSE
    houses = select_rows(genesis, RecordKind.HOUSE)
    if (houses["house"] != np.flatnonzero(clear)).any() or (houses["own_wh"] < 0).any():
        raise BrokenError("the houses are not numbered one after the other, or begin with less than no energy")
    return int(of_house.sum())


class CoveredKeeper(AggregateKeeper):
    """Books in sums over periods: what anybody can check without opening a private record.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    """

    def __init__(self, genesis: RecordBytes) -> None:
        self.terms, self.cover = read_terms(genesis), read_cover(genesis)
        self.n_houses = check_houses_in_clear(genesis)
        self.sums = np.array([sum_wallets(genesis), 0, 0, 0, 0])
        self.n_private = 0

    def _find_fault(self, records: RecordBytes) -> str:
        interval = int(read_places(records[:1])[0, 0])
        ends, aggregates = self.cover.ends(interval), select_rows(records, RecordKind.AGGREGATE)
        n_private = int((records[:, 0] == RecordKind.PRIVATE).sum())
        if n_private == 0 or n_private % self.cover.n_records:
            return f"expected a multiple of {self.cover.n_records} private records, found {n_private}"
        if RecordKind.PHASES in records[:, 0]:
            return "the phases of a private verdict stand in clear"
        if aggregates.size != int(ends):
            return f"expected {'one aggregate' if ends else 'no aggregate'}, found {aggregates.size}"
        if not is_blurred(select_rows(records, RecordKind.VERDICT), whole=ends):
            return "the verdict in clear says more than coarse extremes of a whole period"
        self.n_private += n_private
        if reason := self.post_clear(records):
            return reason
        if not ends:
            return ""
        n_private, self.n_private = self.n_private, 0
        return self.post_aggregate(aggregates, n_private) or self.find_debt()


class CoveredOpenedKeeper(OpenedKeeper):
    """Books in full, from private records that somebody with access to them has opened.

    Parameters
    ----------
    genesis
        Records of the genesis block, (M, 72).
    entries
        Every private record and the salts of the state roots, by (interval, number).
    """

    def __init__(self, genesis: RecordBytes, entries: Mapping[tuple[int, int], Entry]) -> None:
        self.cover, wallets = read_cover(genesis), sum_wallets(genesis)
        opened = open_block(genesis, GENESIS, entries)
        if isinstance(opened, str):
            raise BrokenError(opened)
        self.version = find_version(genesis)
        if (wrong := find_out_of_range(opened.records, self.version)) is not None:
            raise BrokenError(wrong[1])
        if wallets != open_books(opened.records)[0].wallet_neur.sum():
            raise BrokenError("the aggregate of the first block is not the sum of its private wallets")
        super().__init__(opened.records, entries)
        self.genesis = opened.records
        self.sums_of = CoveredKeeper(genesis)
        self.period = EMPTY_PERIOD

    def open(self, block: Block) -> Block | str:
        """The block with its private records put back, or what is wrong with them or with what is said of them."""
        if block.header.height == 0:
            return block._replace(records=self.genesis, kinds=self.genesis[:, 0].tobytes())
        if not block.holds_interval:
            return block
        if (fault := self.sums_of.check([block])) is not None:
            return fault[1]
        records, interval = block.records, int(read_places(block.records[:1])[0, 0])
        opened = open_block(records, interval, self.entries)
        if isinstance(opened, str):
            return opened
        if (wrong := find_out_of_range(opened.records, self.version)) is not None:
            return wrong[1]
        n_private = int((records[:, 0] == RecordKind.PRIVATE).sum())
        self.period = self.period.with_block(n_private, opened.records[opened.hidden])
        if not (opened.records[opened.hidden][:, 0] == RecordKind.VERDICT).any():
            return "no private record is the verdict"
        if self.cover.ends(interval):
            said = records[np.isin(records[:, 0], (RecordKind.VERDICT, RecordKind.AGGREGATE))]
            seq, period = int(read_places(said)[0, 1]), self.period
            self.period = EMPTY_PERIOD
            if (period.make_statement(interval, seq) != said).any():
                return "the aggregate, or the verdict in clear, is not that of the period's private records"
        return block._replace(records=opened.records, kinds=opened.records[:, 0].tobytes())
