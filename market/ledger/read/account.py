"""What the ledger says of one member: its entries, its balances and its energy, from its own records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from market.errors import LedgerError
from market.exchanges import CONTRACT, EXCHANGE, METER, Kind, Rows
from market.ledger.format.records import HOUSE, RecordBytes, RecordKind
from market.ledger.private.entries import entries_of
from market.ledger.private.vault import Entry
from market.ledger.store.registry import Registry
from market.ledger.store.store import Store
from market.ledger.store.tip import records_of


class Account(NamedTuple):
    """A member's account.

    Attributes
    ----------
    member, n_intervals
        Number of the member, and intervals that its meter recorded.
    wallet_neur, account_neur
        Wallet, and utility account (below zero where it owes), behind the last of them.
    own_wh, hosted_wh
        In its battery: its own, and lots of others.
    money_neur
        What it paid (below zero) and earned by kind of exchange, fees taken off.
    energy_wh
        Sums of its meter by column.
    """

    member: int
    n_intervals: int
    wallet_neur: int
    account_neur: int
    own_wh: int
    hosted_wh: int
    money_neur: Mapping[str, int]
    energy_wh: Mapping[str, int]


def may_read(registry: Registry, reader: int, owner: int) -> bool:
    """Whether a member may read another's account: its own always, another's with a grant."""
    return reader == owner or (owner, reader) in registry.grants


def entries_in_clear(store: Store, member: int, private: Sequence[Entry] = ()) -> RecordBytes:
    """All records that name a member, those in the open and those from its store, in the order of the ledger."""
    parts = [entries_of(records_of(block.records), member) for group in store.groups() for block in group]
    parts += [np.frombuffer(entry.record, np.uint8).reshape(1, -1) for entry in private if entry.record[0]]
    entries = np.concatenate(parts)
    place = np.ascontiguousarray(entries[:, 4:12]).view("<u4")
    return entries[np.lexsort((place[:, 1], place[:, 0]))]


def account_of(store: Store, member: int, entries: RecordBytes) -> Account:
    """Account of a member from its entries.

    Raises
    ------
    LedgerError
        If the ledger has no such house.
    """
    genesis = records_of(store.block(0).records)
    houses = genesis[genesis[:, 0] == RecordKind.HOUSE].copy().view(HOUSE).reshape(-1)
    if not 0 <= member < houses.size:
        raise LedgerError(f"member {member}: expected a house from 0 to {houses.size - 1}")
    exchanges = entries[entries[:, 0] < Kind.METER].view(EXCHANGE).reshape(-1)
    meters = entries[entries[:, 0] == Kind.METER].view(METER).reshape(-1)
    change = money_of(exchanges, member)
    grid = (
        exchanges["kind"] > Kind.LOT_SALE
    )  # over the utility account; losses that an island's former sold too
    last: Any = meters[-1] if meters.size else {"own_wh": houses["own_wh"][member], "hosted_wh": 0}
    by_kind = {
        Kind(kind).name.lower(): int(change[exchanges["kind"] == kind].sum())
        for kind in np.unique(exchanges["kind"]).tolist()
    }
    columns = [name for name in METER.names or () if name.endswith("_wh")][:-2]
    return Account(
        member,
        meters.size,
        int(houses["wallet_neur"][member] + change[~grid].sum()),
        int(change[grid].sum()),
        int(last["own_wh"]),
        int(last["hosted_wh"]),
        by_kind,
        {name: int(meters[name].sum(dtype=np.int64)) for name in columns},
    )


def money_of(exchanges: Rows, member: int) -> Any:
    """What each exchange changes for a member, nEUR: what it pays below zero, what it earns above."""
    amount, fee = exchanges["amount_neur"], exchanges["fee_neur"]
    shared = np.isin(exchanges["kind"], [int(Kind.SHARE_USE), int(Kind.SHARE_STORE)])
    payer = np.where(shared, CONTRACT, exchanges["buyer"])
    return np.where(exchanges["seller"] == member, amount - fee, 0) - np.where(payer == member, amount, 0)
