"""The books of a ledger with private records: in full where they can be opened, else in sums over all houses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from market.exchanges import EXCHANGE, METER, Kind
from market.ledger.books.bookkeeper import Bookkeeper, opening, terms_of
from market.ledger.books.replay import Books, apply_amount
from market.ledger.format.records import AGGREGATE, RecordBytes, RecordKind
from market.ledger.private.commitments import STATE_SEQ, aggregate_row, open_commitments, salted_state_root
from market.ledger.private.vault import Entry
from market.ledger.store.blocks import Block, Fault
from market.storage import Wh

_MONEY = ("wallets_neur", "accounts_neur", "utility_neur", "contract_neur", "operator_neur")
_METER = int(Kind.METER)


class AggregateKeeper:
    """Books in sums: what anybody can check without opening a private record.

    Parameters
    ----------
    genesis
        Records of the genesis block.
    """

    def __init__(self, genesis: RecordBytes) -> None:
        self.terms = terms_of(genesis)
        books, _ = opening(genesis)
        self.n_houses = books.wallet_neur.size
        self.sums = np.array([books.wallet_neur.sum(), 0, 0, 0, 0])
        """All wallets, all utility accounts, and the pools of utility, contract and operator."""

    def take(self, blocks: Sequence[Block]) -> Fault | None:
        """Hold blocks in a row against their aggregates; the first that is wrong, if any."""
        for block in blocks:
            if block.holds_interval and (reason := self._wrong(block.records)):
                return block.header.height, reason
        return None

    def clear(self, block: Block) -> RecordBytes | None:
        """A block's records in clear; none without stores to open them from."""
        return None

    def salt(self, interval: int, seq: int) -> bytes:
        """Salt of a private record; unknown without stores."""
        return b""

    def _wrong(self, records: RecordBytes) -> str:
        kinds = records[:, 0]
        aggregates = records[kinds == RecordKind.AGGREGATE].copy().view(AGGREGATE).reshape(-1)
        n_private = int((kinds == RecordKind.PRIVATE).sum())
        if aggregates.size != min(n_private, 1) or (n_private and aggregates["n_private"][0] != n_private):
            return "the private records are not those that the aggregate sums up"
        books = _nothing(self.n_houses)
        wrong = apply_amount(records[kinds < _METER].copy().view(EXCHANGE).reshape(-1), books)
        if wrong >= 0:
            return f"exchange {wrong} of those in clear has parties or amounts that cannot be"
        if (_imbalance(records[kinds == _METER].copy().view(METER).reshape(-1)) != 0).any():
            return "a house whose energies do not balance"
        self.sums = self.sums + np.array(
            [books.wallet_neur.sum(), books.account_neur.sum(), *books.pools_neur]
        )
        if n_private:
            moved = np.array([int(aggregates[name][0]) for name in _MONEY])
            if moved.sum() != 0 or aggregates["into_wh"][0] != aggregates["out_wh"][0]:
                return "the aggregate of the private records does not balance"
            self.sums = self.sums + moved
        if self.sums[0] < 0 or self.sums[3] < 0:
            return "all wallets together, or the sharing contract, are below zero"
        return ""


def _nothing(n: int) -> Books:
    zero = np.zeros(n, np.int64)
    none = np.zeros((0, 5), np.int64)
    return Books(zero, zero.copy(), np.zeros(3, np.int64), zero.copy(), none, np.zeros(1, np.int64))


def _imbalance(meters: np.ndarray[tuple[int], np.dtype[np.void]]) -> Wh:
    wide = {name: meters[name].astype(np.int64) for name in meters.dtype.names or () if name.endswith("_wh")}
    into = (
        wide["pv_wh"] + wide["fuel_cell_wh"] + wide["discharge_wh"] + wide["bought_wh"] + wide["imported_wh"]
    )
    out = wide["load_wh"] - wide["shed_wh"] + wide["charge_wh"] + wide["sold_wh"] + wide["exported_wh"]
    return into - out - wide["spilled_wh"]


class OpenedKeeper(Bookkeeper):
    """Books in full, from records that somebody who may has opened.

    Parameters
    ----------
    genesis
        Records of the genesis block.
    entries
        Every private record and the salts of the state roots, by (interval, number).
    """

    def __init__(self, genesis: RecordBytes, entries: Mapping[tuple[int, int], Entry]) -> None:
        super().__init__(genesis)
        self._entries = entries

    def take(self, blocks: Sequence[Block]) -> Fault | None:
        """Open blocks in a row and replay them; the first that is wrong, if any."""
        clear: list[Block] = []
        for block in blocks:
            found = self._opened(block)
            if isinstance(found, str):
                return super().take(clear) or (block.header.height, found)
            clear.append(found)
        return super().take(clear)

    def clear(self, block: Block) -> RecordBytes | None:
        """A block's records in clear, None if they cannot be opened."""
        found = self._opened(block)
        return None if isinstance(found, str) else found.records

    def salt(self, interval: int, seq: int) -> bytes:
        """Salt of a private record; nothing for one in clear."""
        entry = self._entries.get((interval, seq))
        return b"" if entry is None else entry.salt

    def _opened(self, block: Block) -> Block | str:
        if RecordKind.PRIVATE not in block.kinds and RecordKind.AGGREGATE not in block.kinds:
            return block
        interval = int(block.records[0, 4:8].copy().view("<u4")[0])
        records = open_commitments(block.records, interval, self._entries)
        if isinstance(records, str):
            return records
        hidden = records[
            block.records[block.records[:, 0] != RecordKind.AGGREGATE][:, 0] == RecordKind.PRIVATE
        ]
        stated = block.records[block.records[:, 0] == RecordKind.AGGREGATE]
        seq = int(stated[0, 8:12].copy().view("<u4")[0]) if stated.shape[0] else 0
        if stated.shape[0] != 1 or (aggregate_row(hidden, interval, seq) != stated).any():
            return "the aggregate is not the sum of the private records"
        return block._replace(records=records, kinds=records[:, 0].tobytes())

    def _root_of(self, accounts: Wh, interval: int) -> bytes:
        salt = self._entries.get((interval, STATE_SEQ))
        return salted_state_root(salt.salt, accounts) if salt is not None else b""
